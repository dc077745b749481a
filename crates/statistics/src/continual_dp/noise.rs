//! Noise from a keyed generator: exact samplers of discrete distributions, and a source that can be entered anywhere.
//!
//! The samplers use integers only, so no rounding can shape their output. A draw costs a few words of ChaCha12.

use backstitch_numerics::Stream;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

/// Largest scale of a sampler: products of its square stay below 2^96.
pub const MAX_SCALE: u64 = 1 << 38;

/// The secret that the noise comes from. Whoever knows it can subtract the noise: keep it as the data are kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key([u8; 32]);

impl Key {
    /// A key from 32 bytes, which must come from the operating system's generator in production.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of a seed: for studies and tests only.
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0; 32];
        Stream::new(seed, "continual-dp key").fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(secret)")
    }
}

/// The words of one block: ChaCha12 under the key, the block number as its stream.
pub(crate) fn block(key: &Key, number: u64) -> ChaCha12Rng {
    let mut generator = ChaCha12Rng::from_seed(key.0);
    generator.set_stream(number);
    generator
}

/// A draw from the discrete Gaussian `P(k) ∝ exp(−k²/2m²)` with integer `scale` m.
///
/// `|k| = i·m + j`, where `i` follows `exp(−i²/2)`, `j` is uniform below `m`, and the pair is kept with probability
/// `exp(−x(2i + x)/2)`, `x = j/m` (Karney 2016). Constant time in `m`, about 1.4 tries.
///
/// # Panics
/// If `scale` is 0 or above [`MAX_SCALE`].
pub fn discrete_gaussian<R: Rng + ?Sized>(words: &mut R, scale: u64) -> i64 {
    assert!((1..=MAX_SCALE).contains(&scale), "scale {scale} is not in 1..=2^38");
    loop {
        let slab = slab(words);
        let drawn = below(words, 2 * scale);
        let (rest, negative) = (drawn >> 1, drawn & 1 == 1);
        if slab == 0 && rest == 0 && negative {
            continue; // Zero has one sign only.
        }
        let (i, j, m) = (u128::from(slab), u128::from(rest), u128::from(scale));
        let numerator = j * (2 * i * m + j);
        let denominator = 2 * (i + 1) * m * m;
        // The exponent x(2i + x)/2 lies below i + 1; each factor has one below 1.
        if (0..=slab).all(|_| bernoulli_exp(words, numerator, denominator)) {
            let magnitude = (slab * scale + rest) as i64;
            return if negative { -magnitude } else { magnitude };
        }
    }
}

/// A draw from the discrete Laplace `P(k) ∝ exp(−|k|/m)` with integer `scale` m (Canonne, Kamath and Steinke 2020).
///
/// # Panics
/// If `scale` is 0 or above [`MAX_SCALE`].
pub fn discrete_laplace<R: Rng + ?Sized>(words: &mut R, scale: u64) -> i64 {
    assert!((1..=MAX_SCALE).contains(&scale), "scale {scale} is not in 1..=2^38");
    loop {
        let drawn = below(words, 2 * scale);
        let (rest, negative) = (drawn >> 1, drawn & 1 == 1);
        if !bernoulli_exp(words, u128::from(rest), u128::from(scale)) {
            continue;
        }
        let mut slabs = 0;
        while bernoulli_exp(words, 1, 1) {
            slabs += 1;
        }
        let magnitude = (slabs * scale + rest) as i64;
        if magnitude == 0 && negative {
            continue;
        }
        return if negative { -magnitude } else { magnitude };
    }
}

/// The discrete Gaussian by rejection from the discrete Laplace (Canonne, Kamath and Steinke 2020, algorithm 3): the plain
/// version that [`discrete_gaussian`] is held to.
///
/// # Panics
/// If `scale` is 0 or above 2^20.
pub fn discrete_gaussian_by_rejection<R: Rng + ?Sized>(words: &mut R, scale: u64) -> i64 {
    assert!((1..=1 << 20).contains(&scale), "scale {scale} is not in 1..=2^20");
    let m = u128::from(scale);
    let t = scale + 1;
    loop {
        let drawn = discrete_laplace(words, t);
        let difference = (u128::from(drawn.unsigned_abs()) * u128::from(t)).abs_diff(m * m);
        let denominator = 2 * m * m * u128::from(t) * u128::from(t);
        if bernoulli_exp_any(words, difference * difference, denominator) {
            return drawn;
        }
    }
}

/// The exponential mechanism: index `j` with probability `∝ exp(scores[j]·numerator/(2·denominator))`, exactly. `ε'` is
/// `numerator/denominator` for scores of sensitivity 1.
///
/// # Panics
/// If there is no score or `denominator` is 0.
pub fn exponential_mechanism<R: Rng + ?Sized>(
    words: &mut R,
    scores: &[i64],
    numerator: u32,
    denominator: u32,
) -> usize {
    assert!(denominator > 0, "the denominator is 0");
    let best = *scores.iter().max().expect("at least one score");
    loop {
        let candidate = below(words, scores.len() as u64) as usize;
        let gap = best.abs_diff(scores[candidate]);
        if bernoulli_exp_any(words, u128::from(gap) * u128::from(numerator), 2 * u128::from(denominator)) {
            return candidate;
        }
    }
}

/// True with probability `exp(−numerator/denominator)`, for any ratio.
fn bernoulli_exp_any<R: Rng + ?Sized>(words: &mut R, numerator: u128, denominator: u128) -> bool {
    for _ in 0..numerator / denominator {
        if !bernoulli_exp(words, 1, 1) {
            return false;
        }
    }
    bernoulli_exp(words, numerator % denominator, denominator)
}

/// True with probability `exp(−numerator/denominator)`, for a ratio up to 1: von Neumann's alternating series.
fn bernoulli_exp<R: Rng + ?Sized>(words: &mut R, numerator: u128, denominator: u128) -> bool {
    let mut round = 1;
    while bernoulli(words, numerator, denominator * round) {
        round += 1;
    }
    round % 2 == 1
}

/// True with probability `numerator/denominator`, at most 1: a uniform number is compared 32 bits at a time, as far as needed.
/// `denominator` is below 2^96.
fn bernoulli<R: Rng + ?Sized>(words: &mut R, mut numerator: u128, denominator: u128) -> bool {
    debug_assert!(numerator <= denominator && denominator < 1 << 96, "{numerator}/{denominator}");
    loop {
        let scaled = numerator << 32;
        let low = u128::from(words.next_u32()) * denominator;
        if low >= scaled {
            return false;
        }
        if low + denominator <= scaled {
            return true;
        }
        numerator = scaled - low;
    }
}

/// Uniform below `bound` (Lemire's multiplication with rejection, exact).
fn below<R: Rng + ?Sized>(words: &mut R, bound: u64) -> u64 {
    loop {
        let product = u128::from(words.next_u64()) * u128::from(bound);
        let low = product as u64;
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}

/// `i ≥ 0` with probability `∝ exp(−i²/2)`: inversion against a table of 192 bits, of which a draw reads 64 at a time.
fn slab<R: Rng + ?Sized>(words: &mut R) -> u64 {
    let mut drawn = [words.next_u64(), 0, 0];
    let mut known = 1;
    'entry: for (i, threshold) in SLABS.iter().enumerate() {
        for limb in 0..3 {
            if limb == known {
                drawn[limb] = words.next_u64();
                known += 1;
            }
            match drawn[limb].cmp(&threshold[limb]) {
                std::cmp::Ordering::Less => return i as u64,
                std::cmp::Ordering::Greater => continue 'entry,
                std::cmp::Ordering::Equal => {}
            }
        }
    }
    SLABS.len() as u64 - 1
}

/// `⌊2^192 P(slab ≤ i)⌋`, most significant 64 bits first. What is cut off is below 2^−187.
const SLABS: [[u64; 3]; 17] = [
    [0x92025b19482ce72b, 0xd40241fe3d8503e0, 0xa90d8b163a7013a0],
    [0xea91798547a0ef93, 0xd55d4ff9ab842149, 0xf683a406378219ad],
    [0xfe5415c6e9da4bae, 0xeabab39c56d419be, 0x38e0391598c1226c],
    [0xfff3523319908c11, 0xd937bd03927c2f09, 0x5527786a3cee4bef],
    [0xffffdc31b8ef5942, 0x488c43f4219a48e8, 0xd9e24cd12330590e],
    [0xffffffdaa2d72344, 0xf06d574f25e26ea2, 0xec37a2aba678cdd3],
    [0xfffffffff1a20da4, 0x272e392479b0e3d6, 0x7d2ebf8fa0204b66],
    [0xfffffffffffdf76c, 0x4ac9d6ef19667473, 0xd18eea62a41cce87],
    [0xffffffffffffffe4, 0xe341e1b0f4764936, 0xe37cd09a5f8a1551],
    [0xffffffffffffffff, 0xff7b01dedd7a579c, 0xa89dc75e2c0bf374],
    [0xffffffffffffffff, 0xffffff100072148c, 0x64e7b694974e5607],
    [0xffffffffffffffff, 0xffffffffff60ab69, 0xa129848782cfed83],
    [0xffffffffffffffff, 0xffffffffffffffd9, 0x163aa7dfb77b6057],
    [0xffffffffffffffff, 0xffffffffffffffff, 0xfffc80f6bc17fffe],
    [0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffe26a9bf5],
    [0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffa3],
    [0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_slabs_is_the_distribution() {
        let weights: Vec<f64> = (0..17).map(|i| (-0.5 * f64::from(i * i)).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        for (weight, limbs) in weights.iter().zip(SLABS) {
            sum += weight / total;
            assert!((limbs[0] as f64 / 2f64.powi(64) - sum).abs() < 1e-15);
        }
    }

    #[test]
    fn ratios_at_the_ends_are_certain() {
        let mut words = block(&Key::from_seed(0), 0);
        for _ in 0..1000 {
            assert!(!bernoulli(&mut words, 0, 7));
            assert!(bernoulli(&mut words, 7, 7));
            assert!(bernoulli_exp(&mut words, 0, 7));
        }
    }
}
