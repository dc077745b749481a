//! Grids of whole numbers, and the search for their size.

use serde::{Deserialize, Serialize};

use super::parameters::{Granularity, Parameters, Start};
use crate::Rows;
use crate::numbers::{power, vectorized};

/// The least size of a grid: what a tensor of zeros has.
pub const LEAST_SCALE: f32 = 1e-8;
/// Clipped ranges that are tried: 100 %, 99 %, … of the whole.
const FRACTIONS: usize = 80;
/// The error that a search makes least.
const NORM: f32 = 2.4;
/// Weights that a search looks at; of more, evenly spread ones.
const LOOKED_AT: usize = 1 << 18;
/// Zero points that are tried on either side of the one of the whole range.
const ZEROS_AROUND: i32 = 16;

/// Points `scale · (q − zero)` for whole q from 0 to 2^bits − 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// 2 to 8.
    pub bits: u8,
    /// Distances of points: one for all rows, or one for every row.
    pub scales: Vec<f32>,
    /// The q that stands for 0: one for all rows, or one for every row.
    pub zeros: Vec<u8>,
}

impl Grid {
    /// The largest q.
    pub fn top(&self) -> u8 {
        top(self.bits)
    }

    /// Distance of points in a row.
    pub fn scale(&self, row: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { row }]
    }

    /// The q of zero in a row.
    pub fn zero(&self, row: usize) -> u8 {
        self.zeros[if self.zeros.len() == 1 { 0 } else { row }]
    }

    /// The grid for a matrix of weights, outputs × inputs.
    pub(super) fn of(weights: &Rows, parameters: &Parameters) -> Self {
        let Parameters { bits, symmetric, granularity, start, .. } = *parameters;
        let one = |values: &[f32]| found(values, bits, symmetric, start);
        let pairs: Vec<(f32, u8)> = match granularity {
            Granularity::Tensor => vec![one(weights.values())],
            Granularity::Channel => (0..weights.rows()).map(|row| one(weights.row(row))).collect(),
        };
        let (scales, zeros) = pairs.into_iter().unzip();
        Self { bits, scales, zeros }
    }
}

/// The largest whole number of so many bits.
pub(super) fn top(bits: u8) -> u8 {
    u8::MAX >> (8 - bits)
}

/// Distance of points, and q of zero, for some values.
pub(super) fn found(values: &[f32], bits: u8, symmetric: bool, start: Start) -> (f32, u8) {
    let top = top(bits);
    let low = values.iter().copied().fold(0.0, f32::min);
    let high = values.iter().copied().fold(0.0, f32::max);
    // The middle of a symmetric grid has one more point below than above.
    let middle = top / 2 + 1;
    if high - low <= LEAST_SCALE {
        return (LEAST_SCALE, if symmetric { middle } else { 0 });
    }
    let whole = if symmetric {
        (high.max(-low) / f32::from(top - middle)).max(LEAST_SCALE)
    } else {
        ((high - low) / f32::from(top)).max(LEAST_SCALE)
    };
    let own_zero =
        if symmetric { middle } else { (-low / whole).round_ties_even().clamp(0.0, f32::from(top)) as u8 };
    if start == Start::MinMax {
        return (whole, own_zero);
    }
    let stride = values.len().div_ceil(LOOKED_AT).max(1);
    let spread: Vec<f32> = values.iter().copied().step_by(stride).collect();
    let zeros = if symmetric {
        middle..=middle
    } else {
        let around = |by: i32| (i32::from(own_zero) + by).clamp(0, i32::from(top)) as u8;
        around(-ZEROS_AROUND)..=around(ZEROS_AROUND)
    };
    let mut best = (f64::INFINITY, whole, own_zero);
    for step in 0..FRACTIONS {
        let scale = whole * (1.0 - step as f32 / 100.0);
        if scale < LEAST_SCALE {
            break;
        }
        for zero in zeros.clone() {
            let error = vectorized(
                #[inline(always)]
                || distance(&spread, scale, zero, top, best.0),
            );
            if error < best.0 {
                best = (error, scale, zero);
            }
        }
    }
    (best.1, best.2)
}

/// Σ |w − ŵ|^2.4 of values rounded to a grid; stops early above a bound.
#[inline(always)]
fn distance(values: &[f32], scale: f32, zero: u8, top: u8, bound: f64) -> f64 {
    const LANES: usize = 16;
    let (low, high) = (-f32::from(zero), f32::from(top) - f32::from(zero));
    let inverse = 1.0 / scale;
    let mut total = 0.0;
    for piece in values.chunks(4096) {
        let mut sums = [0.0_f32; LANES];
        let (whole, rest) = piece.as_chunks::<LANES>();
        for lane in whole {
            for (sum, value) in sums.iter_mut().zip(lane) {
                let nearest = (value * inverse).round_ties_even().clamp(low, high);
                *sum += power((value * inverse - nearest).abs(), NORM);
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            let nearest = (value * inverse).round_ties_even().clamp(low, high);
            *sum += power((value * inverse - nearest).abs(), NORM);
        }
        total += f64::from(sums.iter().sum::<f32>()) * f64::from(scale).powf(f64::from(NORM));
        if total >= bound {
            return f64::INFINITY;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    #[test]
    fn the_search_finds_what_trying_all_in_double_precision_does() {
        let mut stream = Stream::new(0, "grid test");
        let values: Vec<f32> = (0..300).map(|_| (stream.normal() + 0.3).powi(3) as f32).collect();
        for bits in [2, 3, 4] {
            let (scale, zero) = found(&values, bits, false, Start::Search);
            let error = |scale: f64, zero: f64| -> f64 {
                let top = f64::from(top(bits));
                let one = |value: &f32| {
                    let value = f64::from(*value);
                    (value - scale * (value / scale).round_ties_even().clamp(-zero, top - zero))
                        .abs()
                        .powf(2.4)
                };
                values.iter().map(one).sum()
            };
            let (low, high) = values.iter().fold((0.0_f32, 0.0_f32), |(l, h), v| (l.min(*v), h.max(*v)));
            let whole = f64::from(high - low) / f64::from(top(bits));
            let mut best = f64::INFINITY;
            for step in 0..80 {
                for zero in 0..=top(bits) {
                    best = best.min(error(whole * (1.0 - f64::from(step) / 100.0), f64::from(zero)));
                }
            }
            assert!(error(f64::from(scale), f64::from(zero)) <= best * (1.0 + 1e-4), "{bits} bits");
        }
    }

    #[test]
    fn ranges_are_met_and_zeros_have_the_least_grid() {
        assert_eq!(found(&[-1.0, 2.0], 2, false, Start::MinMax), (1.0, 1));
        assert_eq!(found(&[-2.0, 7.0], 4, true, Start::MinMax), (1.0, 8));
        assert_eq!(found(&[0.0; 3], 4, false, Start::Search), (LEAST_SCALE, 0));
        assert_eq!(found(&[0.0; 3], 4, true, Start::Search), (LEAST_SCALE, 8));
        assert_eq!(top(8), 255);
    }
}
