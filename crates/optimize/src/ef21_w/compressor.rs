//! What a client sends instead of a vector, and how many bits that takes.

use std::fmt;
use std::str::FromStr;

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Bits of a number as it is sent: these are `f64`.
const VALUE_BITS: u64 = 64;
/// Bits of a signed power of two: the sign and the exponent of an `f64`.
const POWER_BITS: u64 = 12;

/// A contractive compressor: `E‖C(v) − v‖² ≤ (1 − α)‖v‖²` for every v, α its contraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compressor {
    /// The k entries of largest absolute value, the first of equal ones; α = k/d.
    Top(usize),
    /// k entries drawn at random, unscaled; α = k/d.
    Random(usize),
    /// Every entry rounded at random to one of the two powers of two around it, right on average; α = 7/8.
    Natural,
    /// The vector itself; α = 1.
    Identity,
}

/// A compressed vector of length d.
#[derive(Clone, Debug, PartialEq)]
pub enum Compressed {
    /// Some entries, by ascending coordinate; the others are zero.
    Sparse {
        /// Coordinates.
        indices: Vec<u32>,
        /// Entries.
        values: Vec<f64>,
    },
    /// All entries.
    Dense(Vec<f64>),
}

impl Compressed {
    /// Adds a multiple of it to a vector of length d.
    pub fn add_to(&self, multiple: f64, vector: &mut [f64]) {
        match self {
            Self::Sparse { indices, values } => {
                for (index, value) in indices.iter().zip(values) {
                    vector[*index as usize] += multiple * value;
                }
            }
            Self::Dense(values) => {
                for (entry, value) in vector.iter_mut().zip(values) {
                    *entry += multiple * value;
                }
            }
        }
    }
}

impl Compressor {
    /// Checks it against the length of the vectors.
    ///
    /// # Errors
    /// [`Error::Parameter`] if k is not from 1 to the length.
    pub fn validate(self, dimension: usize) -> Result<(), Error> {
        match self {
            Self::Top(count) | Self::Random(count) if !(1..=dimension).contains(&count) => {
                let allowed = format!("from 1 to {dimension}, the number of features");
                Err(Error::parameter("the number of entries sent (k)", count, allowed, "use top:1"))
            }
            _ => Ok(()),
        }
    }

    /// The contraction α for vectors of this length.
    pub fn contraction(self, dimension: usize) -> f64 {
        match self {
            Self::Top(count) | Self::Random(count) => count as f64 / dimension as f64,
            Self::Natural => 0.875,
            Self::Identity => 1.0,
        }
    }

    /// Whether `C(cv) = c·C(v)` for every c > 0 and the same draws. EF21 and EF21-W are then one method.
    pub fn is_homogeneous(self) -> bool {
        !matches!(self, Self::Natural)
    }

    /// Bits of one compressed vector of this length, coordinates included: each in `⌈log₂ d⌉` bits, or all of them as a mask of d
    /// bits where that is less.
    pub fn bits(self, dimension: usize) -> u64 {
        let length = dimension as u64;
        match self {
            Self::Top(count) | Self::Random(count) => {
                let index_bits = u64::from(dimension.next_power_of_two().trailing_zeros());
                count as u64 * VALUE_BITS + (count as u64 * index_bits).min(length)
            }
            Self::Natural => length * POWER_BITS,
            Self::Identity => length * VALUE_BITS,
        }
    }

    /// Compresses a vector. `order` is room that is used again from call to call.
    pub(super) fn compress(self, vector: &[f64], stream: &mut Stream, order: &mut Vec<u32>) -> Compressed {
        match self {
            Self::Top(1) => {
                let best = first_largest(vector);
                Compressed::Sparse { indices: vec![best as u32], values: vec![vector[best]] }
            }
            Self::Top(count) => {
                order.clear();
                order.extend(0..vector.len() as u32);
                let larger = |left: &u32, right: &u32| {
                    let (one, other) = (vector[*left as usize].abs(), vector[*right as usize].abs());
                    other.total_cmp(&one).then(left.cmp(right))
                };
                if count < vector.len() {
                    order.select_nth_unstable_by(count - 1, larger);
                }
                sparse(vector, &order[..count])
            }
            Self::Random(count) => {
                order.clear();
                order.extend(0..vector.len() as u32);
                for place in 0..count {
                    let other = place + stream.below(vector.len() - place);
                    order.swap(place, other);
                }
                sparse(vector, &order[..count])
            }
            Self::Natural => {
                Compressed::Dense(vector.iter().map(|value| power_of_two(*value, stream)).collect())
            }
            Self::Identity => Compressed::Dense(vector.to_vec()),
        }
    }
}

/// The first of the entries of largest absolute value; NaN is never the largest.
fn first_largest(vector: &[f64]) -> usize {
    const LANES: usize = 16;
    let largest = pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f64; LANES];
            let (blocks, rest) = vector.as_chunks::<LANES>();
            for block in blocks {
                for (lane, value) in lanes.iter_mut().zip(block) {
                    *lane = if value.abs() > *lane { value.abs() } else { *lane };
                }
            }
            rest.iter().map(|value| value.abs()).chain(lanes).fold(0.0, f64::max)
        },
    );
    vector.iter().position(|value| value.abs() == largest).unwrap_or(0)
}

fn sparse(vector: &[f64], chosen: &[u32]) -> Compressed {
    let mut indices = chosen.to_vec();
    indices.sort_unstable();
    let values = indices.iter().map(|index| vector[*index as usize]).collect();
    Compressed::Sparse { indices, values }
}

/// The power of two below or above, right on average; below the smallest normal number, zero or that number.
fn power_of_two(value: f64, stream: &mut Stream) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let size = value.abs();
    let (low, high) = if size < f64::MIN_POSITIVE {
        (0.0, f64::MIN_POSITIVE)
    } else {
        // The bits of sign and exponent alone.
        let low = f64::from_bits(size.to_bits() & (0x7ff << 52));
        (low, 2.0 * low)
    };
    let up = stream.uniform() < (size - low) / (high - low);
    // Twice the largest power of two is no number.
    let rounded = if up && high.is_finite() { high } else { low };
    rounded.copysign(value)
}

impl fmt::Display for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(count) => write!(formatter, "top:{count}"),
            Self::Random(count) => write!(formatter, "random:{count}"),
            Self::Natural => formatter.write_str("natural"),
            Self::Identity => formatter.write_str("identity"),
        }
    }
}

impl FromStr for Compressor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = match text.split_once(':') {
            Some((name, count)) => (name, Some(count)),
            None => (text, None),
        };
        let number = || match count {
            None => Err(format!("`{name}` needs a number of entries, such as {name}:1")),
            Some(count) => match count.parse::<usize>() {
                Ok(count) if count > 0 => Ok(count),
                _ => Err(format!("the number of entries is {count:?}, but must be a whole number from 1 up")),
            },
        };
        match (name, count) {
            ("top", _) => number().map(Self::Top),
            ("random" | "rand", _) => number().map(Self::Random),
            ("natural", None) => Ok(Self::Natural),
            ("identity" | "none", None) => Ok(Self::Identity),
            ("natural" | "identity" | "none", Some(_)) => Err(format!("`{name}` takes no number")),
            _ => Err("use top:K, random:K, natural or identity".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_is_found_wherever_it_lies() {
        let mut stream = Stream::new(0, "largest");
        for length in 1..80 {
            let mut vector: Vec<f64> = (0..length).map(|_| (stream.normal() * 3.0).round()).collect();
            let plain = |vector: &[f64]| {
                (1..vector.len()).fold(
                    0,
                    |best, index| if vector[index].abs() > vector[best].abs() { index } else { best },
                )
            };
            assert_eq!(first_largest(&vector), plain(&vector), "{vector:?}");
            vector[length / 2] = f64::NEG_INFINITY;
            assert_eq!(first_largest(&vector), length / 2);
        }
        assert_eq!(first_largest(&[f64::NAN, 1.0, f64::NAN]), 1);
        assert_eq!(first_largest(&[f64::NAN; 3]), 0);
        assert_eq!(first_largest(&[0.0, -0.0]), 0);
    }
}
