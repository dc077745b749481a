//! The samplers and the privacy accounting.

use backstitch_numerics::Stream;
use backstitch_statistics::Error;
use backstitch_statistics::continual_dp::{
    Ledger, discrete_gaussian, discrete_gaussian_by_rejection, discrete_laplace, exponential_mechanism,
    gaussian_delta, gaussian_epsilon, gaussian_multiplier, honaker_error, lower_bound,
    normalised_square_root_error, square_root_error, zcdp_delta, zcdp_epsilon, zcdp_rho,
};
use serde_json::Value;

/// Fails with probability below 1e-6 if the counts are drawn with these probabilities: the χ² tail above
/// `k + 2√(kx) + 2x` is below `e^−x`.
fn assert_drawn(counts: &[u64], probabilities: &[f64]) {
    let total: u64 = counts.iter().sum();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let statistic: f64 = counts
        .iter()
        .zip(probabilities)
        .map(|(&count, p)| (count as f64 - p * total as f64).powi(2) / (p * total as f64))
        .sum();
    let (freedom, x) = (counts.len() as f64 - 1.0, 1e6_f64.ln());
    let limit = freedom + 2.0 * (freedom * x).sqrt() + 2.0 * x;
    assert!(statistic < limit, "χ² is {statistic}, limit {limit}");
}

/// Draws in bins −limit..=limit, the tails in the outer ones, and the probabilities by summing the weights.
fn assert_integer_law(draws: usize, limit: i64, mut draw: impl FnMut() -> i64, weight: impl Fn(i64) -> f64) {
    let bins = (2 * limit + 1) as usize;
    let mut counts = vec![0; bins];
    for _ in 0..draws {
        counts[(draw().clamp(-limit, limit) + limit) as usize] += 1;
    }
    let mut probabilities = vec![0.0; bins];
    let mut total = 0.0;
    for k in -200 * limit..=200 * limit {
        probabilities[(k.clamp(-limit, limit) + limit) as usize] += weight(k);
        total += weight(k);
    }
    probabilities.iter_mut().for_each(|p| *p /= total);
    assert_drawn(&counts, &probabilities);
}

#[test]
fn the_discrete_gaussian_has_its_law() {
    let mut words = Stream::new(0, "discrete gaussian");
    for scale in [1, 2, 3, 7] {
        let law = |k: i64| (-0.5 * (k as f64 / scale as f64).powi(2)).exp();
        assert_integer_law(200_000, 3 * scale, || discrete_gaussian(&mut words, scale as u64), law);
    }
}

#[test]
fn the_rejection_sampler_has_the_same_law() {
    let mut words = Stream::new(0, "rejection");
    for scale in [1, 2, 7] {
        let law = |k: i64| (-0.5 * (k as f64 / scale as f64).powi(2)).exp();
        assert_integer_law(
            100_000,
            3 * scale,
            || discrete_gaussian_by_rejection(&mut words, scale as u64),
            law,
        );
    }
}

#[test]
fn the_discrete_laplace_has_its_law() {
    let mut words = Stream::new(0, "discrete laplace");
    for scale in [1, 2, 5] {
        let law = |k: i64| (-k.abs() as f64 / scale as f64).exp();
        assert_integer_law(200_000, 5 * scale, || discrete_laplace(&mut words, scale as u64), law);
    }
}

/// At the scales in use the discrete Gaussian is the continuous one to 1e-19, so cells of equal mass get equal counts.
#[test]
fn at_a_large_scale_the_cells_of_equal_mass_get_equal_counts() {
    let scale = (1_u64 << 30) + 12_345;
    // Quantiles of the standard normal at 1/8, 2/8, 3/8.
    let cuts = [-1.150_349_380_376_008, -0.674_489_750_196_081_7, -0.318_639_363_964_375_2];
    let cuts: Vec<f64> = cuts.iter().copied().chain([0.0]).chain(cuts.iter().rev().map(|cut| -cut)).collect();
    let mut words = Stream::new(0, "large scale");
    let mut counts = [0; 8];
    let mut rejection = [0; 8];
    for _ in 0..1_000_000 {
        let draw = discrete_gaussian(&mut words, scale) as f64 / scale as f64;
        counts[cuts.iter().filter(|&&cut| draw > cut).count()] += 1;
    }
    for _ in 0..200_000 {
        let draw = (discrete_gaussian_by_rejection(&mut words, 1 << 20) as f64 + 0.1) / f64::from(1 << 20);
        rejection[cuts.iter().filter(|&&cut| draw > cut).count()] += 1;
    }
    assert_drawn(&counts, &[0.125; 8]);
    assert_drawn(&rejection, &[0.125; 8]);
}

/// Every residue of the draw is equally likely: a leak through coarse floating point would leave holes here.
#[test]
fn the_lowest_digits_are_uniform() {
    let mut words = Stream::new(0, "digits");
    for scale in [1 << 30, 1 << 38] {
        let mut counts = [0; 64];
        for _ in 0..400_000 {
            counts[discrete_gaussian(&mut words, scale).rem_euclid(64) as usize] += 1;
        }
        assert_drawn(&counts, &[1.0 / 64.0; 64]);
    }
}

#[test]
fn the_exponential_mechanism_has_its_law() {
    let mut words = Stream::new(0, "exponential");
    let scores = [3, 0, 5, 5, -40];
    let mut counts = [0; 5];
    for _ in 0..300_000 {
        counts[exponential_mechanism(&mut words, &scores, 3, 2)] += 1;
    }
    assert_eq!(counts[4], 0);
    let weights: Vec<f64> = scores[..4].iter().map(|&score| (f64::from(score as i32) * 0.75).exp()).collect();
    let total: f64 = weights.iter().sum();
    let probabilities: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    assert_drawn(&counts[..4], &probabilities);
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/continual-dp.json")).unwrap()
}

fn triples(vectors: &Value, name: &str) -> Vec<[f64; 3]> {
    serde_json::from_value(vectors[name].clone()).unwrap()
}

#[test]
fn the_gaussian_curve_is_that_of_scipy() {
    for [ratio, epsilon, delta] in triples(&vectors(), "delta") {
        let found = gaussian_delta(ratio, epsilon);
        assert!(
            (found - delta).abs() <= 1e-9 * delta + 1e-300,
            "s = {ratio}, ε = {epsilon}: {found} {delta}"
        );
    }
}

#[test]
fn the_calibration_is_that_of_scipy_and_never_below_the_demand() {
    for [epsilon, delta, multiplier] in triples(&vectors(), "multiplier") {
        let found = gaussian_multiplier(epsilon, delta);
        assert!((found / multiplier - 1.0).abs() < 1e-9, "ε = {epsilon}, δ = {delta}: {found} {multiplier}");
        assert!(gaussian_delta(1.0 / found, epsilon) <= delta);
        assert!((gaussian_epsilon(1.0 / found, delta) / epsilon - 1.0).abs() < 1e-6);
    }
}

#[test]
fn error_factors_are_those_of_dense_matrices() {
    let vectors = vectors();
    for (horizon, found) in vectors["factors"].as_object().unwrap() {
        let horizon: usize = horizon.parse().unwrap();
        let near = |ours: f64, theirs: &Value| {
            assert!((ours / theirs.as_f64().unwrap() - 1.0).abs() < 1e-9, "T = {horizon}: {ours} {theirs}");
        };
        let (plain, normalised) = (square_root_error(horizon), normalised_square_root_error(horizon));
        near(plain.max, &found["square-root"][0]);
        near(plain.mean, &found["square-root"][1]);
        near(normalised.max, &found["normalised-square-root"][0]);
        near(normalised.mean, &found["normalised-square-root"][1]);
        near(lower_bound(horizon), &found["lower-bound"]);
        assert!(honaker_error(horizon).max >= lower_bound(horizon) * (1.0 - 1e-12));
    }
}

#[test]
fn the_conversion_lies_below_the_loose_bound() {
    let (rho, delta) = (0.5, 1e-6_f64);
    let epsilon = zcdp_epsilon(rho, delta);
    assert!(epsilon < rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt(), "{epsilon}");
    // And above the exact curve of the Gaussian with this rho.
    assert!(epsilon > gaussian_epsilon(1.0, delta), "{epsilon}");
    assert!(zcdp_delta(rho, epsilon) <= delta);
    assert!((zcdp_rho(epsilon, delta) / rho - 1.0).abs() < 1e-9);
}

#[test]
fn the_ledger_adds_up_and_refuses() {
    let mut ledger = Ledger::new(1.0).unwrap();
    ledger.spend("first", 0.75).unwrap();
    assert_eq!(ledger.spend("second", 0.5), Err(Error::Ledger { limit: 1.0, spent: 0.75, wanted: 0.5 }));
    assert!(ledger.spend("not a number", f64::NAN).is_err());
    ledger.spend("third", 0.25).unwrap();
    assert_eq!(ledger.spent(), 1.0);
    assert!(Ledger::new(0.0).is_err());
}
