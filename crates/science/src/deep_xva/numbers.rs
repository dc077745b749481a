//! Elementary functions in loops that compilers turn into vector code, and the normal distribution.
//!
//! Call the inlined ones inside [`vectorized`]: outside it they are compiled for the oldest machine.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, LN_2, LOG2_E, PI, SQRT_2};

/// Runs a loop compiled for the vector instructions of this machine.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// eˣ within a few units of the last place for |x| up to 700; beyond, the value at ±700.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // ln 2 in two parts: the first has so few bits that its multiples are exact.
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Adding and taking away 1.5 · 2⁵² rounds to a whole number, which then stands in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = x.clamp(-700.0, 700.0);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = (-whole).mul_add(LOW, (-whole).mul_add(HIGH, x));
    // Taylor's series to degree 13 on |r| ≤ ln 2 / 2: its remainder is below 5e-18.
    let mut sum = 1.0 / 6_227_020_800.0;
    for inverse in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = r.mul_add(sum, inverse);
    }
    let exponent = (shifted.to_bits() << 52).wrapping_add(1023 << 52);
    sum * f64::from_bits(exponent)
}

/// The natural logarithm of a positive normal number within a few units of the last place of the larger of it and 1.
#[inline(always)]
fn ln(x: f64) -> f64 {
    // x = 2ᵉ m with m in [√½, √2): the offset moves the seam of the exponent there.
    const SEAM: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_sub(SEAM);
    let exponent = (bits as i64) >> 52;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SEAM);
    // ln m = 2 artanh t with |t| < 0.172.
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let mut sum = 1.0 / 19.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = square.mul_add(sum, 1.0 / odd);
    }
    let exponent = whole(exponent.wrapping_add(2_048) as u64) - 2_048.0;
    exponent.mul_add(LN_2, 2.0 * t * sum)
}

/// Sine and cosine of a turn times `share`, which is in [0, 1).
#[inline(always)]
fn sin_cos_turn(share: f64) -> (f64, f64) {
    // As in exp: rounds to the nearest quarter, whose number then stands in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let quarters = 4.0 * share;
    let shifted = quarters + ROUND;
    let x = (quarters - (shifted - ROUND)) * FRAC_PI_2;
    let square = x * x;
    let mut sine = -1.0 / 1_307_674_368_000.0;
    let mut cosine = 1.0 / 20_922_789_888_000.0;
    for (odd, even) in [
        (1.0 / 6_227_020_800.0, -1.0 / 87_178_291_200.0),
        (-1.0 / 39_916_800.0, 1.0 / 479_001_600.0),
        (1.0 / 362_880.0, -1.0 / 3_628_800.0),
        (-1.0 / 5_040.0, 1.0 / 40_320.0),
        (1.0 / 120.0, -1.0 / 720.0),
        (-1.0 / 6.0, 1.0 / 24.0),
        (1.0, -0.5),
    ] {
        sine = square.mul_add(sine, odd);
        cosine = square.mul_add(cosine, even);
    }
    let (sine, cosine) = (x * sine, square.mul_add(cosine, 1.0));
    let quarter = shifted.to_bits();
    let (sine, cosine) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    let signed = |value: f64, bits: u64| f64::from_bits(value.to_bits() ^ ((bits & 2) << 62));
    (signed(sine, quarter), signed(cosine, quarter.wrapping_add(1)))
}

/// A whole number below 2⁵², exactly.
#[inline(always)]
fn whole(bits: u64) -> f64 {
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    f64::from_bits(TWO_52 | bits) - 4_503_599_627_370_496.0
}

/// Standard normal numbers from uniform words, two from each (Box and Muller): 40 bits for how far out, 24 for the direction. No number
/// is beyond 7.5.
pub(crate) fn fill_normals(words: &[u64], first: &mut [f64], second: &mut [f64]) {
    const STEP: f64 = 1.0 / (1_u64 << 40) as f64;
    const ANGLE: f64 = 1.0 / (1_u64 << 24) as f64;
    vectorized(
        #[inline(always)]
        || {
            for ((word, first), second) in words.iter().zip(first).zip(second) {
                let radius = (-2.0 * ln((whole(word >> 24) + 0.5) * STEP)).sqrt();
                let (sine, cosine) = sin_cos_turn((whole(word & 0x00ff_ffff) + 0.5) * ANGLE);
                *first = radius * cosine;
                *second = radius * sine;
            }
        },
    );
}

/// The sum of what a function makes of pairs, in eight sums that are vector code, always in the same order.
#[inline(always)]
pub(crate) fn sum_of(left: &[f64], right: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    let (lefts, left_rest) = left.as_chunks::<8>();
    let (rights, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (left, right) in lefts.iter().zip(rights) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += of(*left, *right);
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(left, right)| of(*left, *right));
    sums.into_iter().sum::<f64>() + rest.sum::<f64>()
}

/// The normal distribution function within 1e-14, in a form without branches (Hart's rational function 5666); the value at ±7
/// beyond.
#[inline(always)]
pub(crate) fn normal_probability_fast(x: f64) -> f64 {
    let a = x.abs().min(7.0);
    let mut above = 3.526_249_659_989_11e-2;
    for c in [
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ] {
        above = a.mul_add(above, c);
    }
    let mut below = 8.838_834_764_831_84e-2;
    for c in [
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ] {
        below = a.mul_add(below, c);
    }
    let tail = exp(-0.5 * a * a) * above / below;
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The normal distribution function, to full precision in both tails.
pub(crate) fn normal_probability(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The normal density.
pub(crate) fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The value that a standard normal variable stays below with this probability, by Newton's method.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    let mut x = 0.0;
    for _ in 0..100 {
        let step = (normal_probability(x) - probability) / normal_density(x);
        // A full step from far out could leave the range of the density.
        x -= step.clamp(-1.0, 1.0);
        if step.abs() < 1e-14 * (1.0 + SQRT_2 * f64::abs(x)) {
            break;
        }
    }
    x
}

/// P(X ≤ x, Y ≤ y) of standard normal variables with a correlation, by Gauss–Legendre quadrature of Plackett's integral over the
/// angle of the correlation. Absolute error below 1e-10 for |correlation| ≤ 0.999.
pub(crate) fn bivariate_normal_probability(x: f64, y: f64, correlation: f64) -> f64 {
    // Nodes and weights of order 10 on (−1, 1); the other five are their mirror images.
    const RULE: [(f64, f64); 5] = [
        (0.148_874_338_981_631_2, 0.295_524_224_714_752_9),
        (0.433_395_394_129_247_2, 0.269_266_719_309_996_36),
        (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
        (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
        (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
    ];
    const PARTS: usize = 40;
    let end = correlation.clamp(-1.0, 1.0).asin();
    let density = |angle: f64| {
        let (sine, cosine) = angle.sin_cos();
        (-(x * x + y * y - 2.0 * x * y * sine) / (2.0 * cosine * cosine)).exp()
    };
    let half = end / (2 * PARTS) as f64;
    let sum: f64 = (0..PARTS)
        .flat_map(|part| {
            let middle = (2 * part + 1) as f64 * half;
            RULE.map(|(node, weight)| {
                weight * (density(middle - half * node) + density(middle + half * node))
            })
        })
        .sum();
    normal_probability(x) * normal_probability(y) + half * sum / (2.0 * PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library() {
        let worst = (-4_000..4_000)
            .map(|i| f64::from(i) * 0.17)
            .map(|x| (exp(x) / x.exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-15, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn logarithms_sines_and_cosines_are_those_of_the_library() {
        for i in 1..4_000 {
            for x in [f64::from(i) * 1e-3, f64::from(i) * 1e-13, 0.5_f64.powi(i % 41), f64::from(i) / 4_000.0]
            {
                assert!((ln(x) - x.ln()).abs() < 1e-15 * (1.0 + x.ln().abs()), "{x}: {} {}", ln(x), x.ln());
            }
            let share = f64::from(i) / 4_000.0;
            let (sine, cosine) = sin_cos_turn(share);
            let (expected_sine, expected_cosine) = (2.0 * PI * share).sin_cos();
            assert!(
                (sine - expected_sine).abs() < 2e-15 && (cosine - expected_cosine).abs() < 2e-15,
                "{share}"
            );
        }
    }

    #[test]
    fn normals_have_their_moments_and_their_distribution() {
        let mut words = vec![0; 100_000];
        backstitch_numerics::Stream::new(0, "normals").words(&mut words);
        let (mut first, mut second) = (vec![0.0; words.len()], vec![0.0; words.len()]);
        fill_normals(&words, &mut first, &mut second);
        let both: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
        let n = words.len() as f64;
        assert!((both / n).abs() < 4.5 / n.sqrt());
        let all: Vec<f64> = first.into_iter().chain(second).collect();
        let n = all.len() as f64;
        for (power, expected, deviation) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let moment = all.iter().map(|x| x.powi(power)).sum::<f64>() / n;
            assert!((moment - expected).abs() < 4.5 * f64::sqrt(deviation / n), "{power}: {moment}");
        }
        for x in [-3.0, -1.0, 0.0, 0.5, 2.5] {
            let (share, p) = (all.iter().filter(|&&z| z <= x).count() as f64 / n, normal_probability(x));
            assert!((share - p).abs() < 4.5 * (p * (1.0 - p) / n).sqrt(), "{x}");
        }
        // The ends of what words can say.
        let (mut first, mut second) = ([0.0; 3], [0.0; 3]);
        fill_normals(&[0, u64::MAX, 1 << 63], &mut first, &mut second);
        assert!(first.iter().chain(&second).all(|z| z.abs() < 7.6), "{first:?} {second:?}");
    }

    #[test]
    fn sums_are_sums() {
        let values: Vec<f64> = (0..29).map(f64::from).collect();
        assert_eq!(sum_of(&values, &values, |a, b| a * b), 7_714.0);
    }

    #[test]
    fn both_normal_distribution_functions_agree() {
        for i in -700..=700 {
            let x = f64::from(i) * 0.01;
            let (fast, exact) = (normal_probability_fast(x), normal_probability(x));
            assert!((fast - exact).abs() < 2e-15, "{x}: {fast} {exact}");
        }
    }

    #[test]
    fn quantiles_are_inverse() {
        for probability in [1e-6, 0.01, 0.3, 0.5, 0.9, 0.99, 0.999_9] {
            assert!((normal_probability(normal_quantile(probability)) / probability - 1.0).abs() < 1e-12);
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
    }

    #[test]
    fn the_bivariate_distribution_has_its_known_values() {
        // P(X ≤ 0, Y ≤ 0) = 1/4 + asin ρ / 2π; independent: the product; X = Y: the smaller.
        for correlation in [-0.99_f64, -0.5, 0.0, 0.3, 0.9] {
            let expected = 0.25 + correlation.asin() / (2.0 * PI);
            assert!((bivariate_normal_probability(0.0, 0.0, correlation) - expected).abs() < 1e-12);
        }
        let product = normal_probability(0.4) * normal_probability(-1.2);
        assert!((bivariate_normal_probability(0.4, -1.2, 0.0) - product).abs() < 1e-15);
        let nearly = bivariate_normal_probability(0.4, 1.2, 0.999);
        assert!((nearly - normal_probability(0.4)).abs() < 1e-4);
        // The two halves of the plane.
        let (x, y, c) = (0.7, -0.3, 0.6);
        let whole = bivariate_normal_probability(x, y, c) + bivariate_normal_probability(x, -y, -c);
        assert!((whole - normal_probability(x)).abs() < 1e-12);
    }
}
