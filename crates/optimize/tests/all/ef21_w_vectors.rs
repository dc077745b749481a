//! EF21-W and its baselines against numpy (`peers/ef21_w_vectors.py` made the file).

use backstitch_numerics::{Matrix, SparseMatrix};
use backstitch_optimize::ef21_w::{
    Algorithm, Compressor, Ef21W, Federated, Parameters, Split, Step, smoothness_of_rows,
};
use backstitch_optimize::objective::{Loss, Regulariser};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn constants_and_rounds_are_those_of_numpy() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/ef21-w.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let rows: Vec<Vec<f64>> = serde_json::from_value(case["rows"].clone()).unwrap();
        let features =
            SparseMatrix::from_dense(&Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap());
        let loss = if case["loss"] == "logistic" { Loss::Logistic } else { Loss::LeastSquares };
        let strength = number(&case["strength"]);
        let regulariser = if case["regulariser"] == "ridge" {
            Regulariser::Ridge(strength)
        } else {
            Regulariser::Bounded(strength)
        };
        let count = case["clients"].as_u64().unwrap() as usize;
        let federated = Federated::new(&features, &numbers(&case["labels"]), count, Split::Order, 0).unwrap();
        let clients = federated.objectives(loss, regulariser).unwrap();
        let smoothness = smoothness_of_rows(&clients).unwrap();

        // Ours are bounds from above: by a ten-thousandth where no entry is negative, by at most two hundredths otherwise.
        let near = if features.is_nonnegative() { 2e-4 } else { 0.02 };
        let check = |ours: f64, exact: f64| {
            assert!(ours >= exact * (1.0 - 1e-12) && ours <= exact * (1.0 + near), "{ours} {exact}");
        };
        for (ours, exact) in smoothness.of_clients().iter().zip(numbers(&case["smoothness"])) {
            check(*ours, exact);
        }
        check(smoothness.of_mean(), number(&case["smoothness_of_mean"]));
        check(smoothness.quadratic_mean(), number(&case["quadratic_mean"]));

        let compressor = Compressor::Top(case["top"].as_u64().unwrap() as usize);
        let new_step = number(&case["new_step"]);
        let base = Parameters {
            compressor,
            rounds: case["rounds"].as_u64().unwrap() as usize,
            step: Step::Fixed(new_step),
            ..Parameters::default()
        };
        let certificate =
            Ef21W::new(base.clone()).unwrap().certificate(&smoothness, features.columns()).unwrap();
        // Larger constants make shorter steps.
        for (ours, exact) in
            [(certificate.new_step, new_step), (certificate.old_step, number(&case["old_step"]))]
        {
            assert!(ours <= exact * (1.0 + 1e-12) && ours >= exact * (1.0 - near), "{ours} {exact}");
        }
        for (name, algorithm) in [
            ("ef21", Algorithm::Ef21),
            ("ef21-w", Algorithm::Ef21W),
            ("ef14", Algorithm::Ef14),
            ("dcgd", Algorithm::Dcgd),
        ] {
            let method = Ef21W::new(Parameters { algorithm, ..base.clone() }).unwrap();
            let fit = method.fit(&clients, &smoothness).unwrap();
            let expected = &case["algorithms"][name];
            for (x, y) in fit.point.iter().zip(numbers(&expected["point"])) {
                assert!((x - y).abs() < 1e-11, "{name}: {x} {y}");
            }
            let squares = numbers(&expected["squared_gradients"]);
            assert_eq!(fit.trace.len(), squares.len());
            for (line, square) in fit.trace.iter().zip(squares) {
                let close = (line.squared_gradient - square).abs() <= 1e-9 * square + 1e-24;
                assert!(close, "{name}, round {}: {} {square}", line.round, line.squared_gradient);
            }
        }
    }
}
