//! Agreement with scipy and numpy: `peers/interval_vectors.py` wrote the expected numbers.

use backstitch_numerics::interval::{Interval, mean_t, proportion_exact, quantile, slope_t};
use backstitch_numerics::special::{beta_quantile, student_t_quantile};
use serde_json::Value;

/// Largest relative difference allowed.
const TOLERANCE: f64 = 1e-9;

fn vectors(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors/interval.json")).expect("JSON");
    let cases = all[of].as_array().expect("an array").clone();
    assert!(!cases.is_empty(), "no vectors for {of}");
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(number).collect()
}

#[track_caller]
fn assert_close(found: f64, expected: f64, scale: f64, case: &Value) {
    assert!(
        (found - expected).abs() <= TOLERANCE * scale,
        "found {found:e}, scipy says {expected:e}, in {case}"
    );
}

/// Ends are compared relative to the largest magnitude in the interval: an end next to zero is a difference of the
/// estimate and the half width and can be no more exact than they are.
#[track_caller]
fn assert_interval(found: Interval, case: &Value) {
    let (lower, upper) = (number(&case["lower"]), number(&case["upper"]));
    let scale = lower.abs().max(upper.abs());
    assert_close(found.estimate, number(&case["estimate"]), number(&case["estimate"]).abs(), case);
    assert_close(found.lower, lower, scale, case);
    assert_close(found.upper, upper, scale, case);
}

#[test]
fn means() {
    for case in vectors("mean_t") {
        assert_interval(mean_t(&numbers(&case["values"])).unwrap(), &case);
    }
}

#[test]
fn proportions() {
    for case in vectors("proportion_exact") {
        let found =
            proportion_exact(case["successes"].as_u64().unwrap(), case["trials"].as_u64().unwrap()).unwrap();
        // No subtraction here, so each end is held to its own magnitude.
        assert_close(found.estimate, number(&case["estimate"]), number(&case["estimate"]), &case);
        assert_close(found.lower, number(&case["lower"]), number(&case["lower"]), &case);
        assert_close(found.upper, number(&case["upper"]), number(&case["upper"]), &case);
    }
}

#[test]
fn slopes() {
    for case in vectors("slope_t") {
        let series: Vec<_> = case["series"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (numbers(&one["x"]), numbers(&one["y"])))
            .collect();
        assert_interval(slope_t(&series).unwrap(), &case);
    }
}

#[test]
fn student_t_quantiles() {
    for case in vectors("student_t_quantile") {
        let found = student_t_quantile(number(&case["probability"]), number(&case["degrees_of_freedom"]));
        let expected = number(&case["quantile"]);
        assert_close(found, expected, expected.abs(), &case);
    }
}

#[test]
fn beta_quantiles() {
    for case in vectors("beta_quantile") {
        let found = beta_quantile(number(&case["probability"]), number(&case["a"]), number(&case["b"]));
        let expected = number(&case["quantile"]);
        assert_close(found, expected, expected.abs(), &case);
    }
}

#[test]
fn quantiles_of_samples() {
    for case in vectors("quantile") {
        let found = quantile(&numbers(&case["values"]), number(&case["probability"])).unwrap();
        let expected = number(&case["quantile"]);
        assert_close(found, expected, expected.abs(), &case);
    }
}
