//! Hypergradients against implicit differentiation in numpy (`peers/penalty_bilevel_vectors.py` made the file).

use backstitch_numerics::{Matrix, SparseMatrix};
use backstitch_optimize::objective::Loss;
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Classified, DataCleaning, Effort, Everything, Inversion, Labelled, PenaltySelection, Sets,
    Sharing, hypergradient, penalty_gradient,
};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn features(table: &Value) -> SparseMatrix {
    let rows: Vec<Vec<f64>> = serde_json::from_value(table["rows"].clone()).unwrap();
    SparseMatrix::from_dense(&Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap())
}

fn close(ours: &[f64], theirs: &[f64], within: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (x, y) in ours.iter().zip(theirs) {
        assert!((x - y).abs() <= within, "{what}: {x} {y}");
    }
}

#[test]
fn hypergradients_are_those_of_numpy() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/penalty-bilevel.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let name = case["problem"].as_str().unwrap();
        let (training, validation) = (features(&case["training"]), features(&case["validation"]));
        let labels = [numbers(&case["training"]["labels"]), numbers(&case["validation"]["labels"])];
        let classes =
            labels.clone().map(|labels| labels.iter().map(|label| *label as usize).collect::<Vec<_>>());
        let problem: Box<dyn Bilevel + '_> = if name == "cleaning" {
            let own = Classified { features: &training, labels: &classes[0] };
            let other = Classified { features: &validation, labels: &classes[1] };
            Box::new(DataCleaning::new(own, other, 3, case["ridge"].as_f64().unwrap()).unwrap())
        } else {
            let loss = if name == "logistic" { Loss::Logistic } else { Loss::LeastSquares };
            let own = Labelled { features: &training, labels: &labels[0] };
            let other = Labelled { features: &validation, labels: &labels[1] };
            Box::new(PenaltySelection::new(own, other, loss, Sharing::PerFeature, 0).unwrap())
        };
        let (x, expected) = (numbers(&case["x"]), numbers(&case["hypergradient"]));
        let scale = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let sets = Sets { upper: &Everything, lower: &Everything };
        let effort = Effort { steps: 200_000, tolerance: 1e-13, accelerated: true };
        let at = |sigma: f64| {
            penalty_gradient(&*problem, sets, &x, &vec![0.0; problem.lower_dimension()], sigma, effort)
                .unwrap()
        };
        let found = at(1e-3);
        close(&found.z, &numbers(&case["y"]), 1e-8, name);
        let upper = problem.upper_value(&x, &found.z);
        assert!((upper - case["upper_value"].as_f64().unwrap()).abs() < 1e-9, "{name}");
        let implicit =
            hypergradient(&*problem, &x, &found.z, Inversion::PseudoInverse { tolerance: 1e-9 }).unwrap();
        close(&implicit, &expected, 1e-7 * scale, name);
        // The penalty's gradient is off by a multiple of sigma, and extrapolation by one of its square.
        let half = at(5e-4);
        let extrapolated: Vec<f64> =
            half.gradient.iter().zip(&found.gradient).map(|(h, w)| 2.0 * h - w).collect();
        close(&extrapolated, &expected, 1e-3 * scale, name);
        let off = |gradient: &[f64]| {
            gradient.iter().zip(&expected).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
        };
        let ratio = off(&found.gradient) / off(&half.gradient);
        assert!((1.9..2.1).contains(&ratio), "{name}: {ratio}");
    }
}
