//! Closed forms against numpy and the package `neural-tangents` (`peers/exact_permutations_vectors.py` made the file).

use backstitch_networks::exact_permutations::{
    Coverage, ExactPermutations, Input, Parameters, Parametrisation, Rounding,
};
use backstitch_numerics::Matrix;
use serde_json::Value;

fn matrix(value: &Value) -> Matrix {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

fn cases() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/exact_permutations.json")).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}

fn method(case: &Value, rounding: Rounding) -> ExactPermutations {
    let parametrisation = serde_json::from_value(case["parametrisation"].clone()).unwrap();
    let length = case["length"].as_u64().unwrap() as usize;
    ExactPermutations::new(Parameters { length, parametrisation, rounding, ..Parameters::default() }).unwrap()
}

/// Largest difference of means and of covariances from a posterior in the file.
fn gaps(method: &ExactPermutations, inputs: &[Input], posterior: &Value) -> (f64, f64) {
    let (means, covariance) = (matrix(&posterior["means"]), matrix(&posterior["covariance"]));
    let (mut of_means, mut of_covariance) = (0.0, 0.0);
    for (row, input) in inputs.iter().enumerate() {
        let prediction = method.prediction(input.ones().len()).unwrap();
        for bit in 0..input.length() {
            let mean = if input.has(bit) { prediction.on } else { prediction.off };
            of_means = f64::max(of_means, (mean - means[(row, bit)]).abs());
        }
        for (column, other) in inputs.iter().enumerate() {
            let closed = method.covariance(input, other).unwrap();
            of_covariance = f64::max(of_covariance, (closed - covariance[(row, column)]).abs());
        }
    }
    (of_means, of_covariance)
}

/// The arccosine of a cosine near 1, as numpy and the package take it, is good to 1e-8 only; it enters the neural tangent kernel
/// of an input with itself.
#[test]
fn means_and_covariances_are_those_of_numpy() {
    let mut parametrisations = Vec::new();
    for case in cases() {
        let method = method(&case, Rounding::Zero);
        let inputs = Input::from_table(&matrix(&case["inputs"]), method.parameters().length).unwrap();
        let (means, covariance) = gaps(&method, &inputs, &case);
        assert!(means < 1e-7 && covariance < 1e-7, "{means:e} {covariance:e}");
        parametrisations.push(method.parameters().parametrisation);
    }
    assert!(
        parametrisations.contains(&Parametrisation::Ntk)
            && parametrisations.contains(&Parametrisation::Standard)
    );
}

#[test]
fn errors_and_numbers_of_models_are_those_of_numpy() {
    let mut compared = 0;
    for case in cases() {
        for (rounding, name) in [(Rounding::Zero, "zero"), (Rounding::Midpoint, "midpoint")] {
            let Some(models) = case[format!("models_{name}")].as_u64() else { continue };
            let method = method(&case, rounding);
            assert_eq!(method.models(Coverage::Ones(2), 0.05).unwrap(), models);
            let (ours, theirs) = (
                method.error(Coverage::Ones(2), 10).unwrap(),
                case[format!("error_{name}")].as_f64().unwrap(),
            );
            assert!((ours - theirs).abs() < 1e-6 * theirs + 1e-15, "{ours:e} against {theirs:e}");
            compared += 1;
        }
    }
    assert_eq!(compared, 20);
}
