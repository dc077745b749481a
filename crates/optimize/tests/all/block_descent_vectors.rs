//! Block descent against scikit-learn and numpy (`peers/block_descent_vectors.py` made the file).

use backstitch_numerics::{Matrix, SparseMatrix};
use backstitch_optimize::block_descent::{BlockDescent, Parameters, Penalty, Problem, Propagation};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn close(ours: &[f64], theirs: &[f64], within: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (x, y) in ours.iter().zip(theirs) {
        assert!((x - y).abs() <= within, "{what}: {x} {y}");
    }
}

#[test]
fn coefficients_are_those_of_scikit_learn() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/block-descent.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let rows: Vec<Vec<f64>> = serde_json::from_value(case["rows"].clone()).unwrap();
        let dense = Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap();
        let features = SparseMatrix::from_dense(&dense);
        let labels = numbers(&case["labels"]);
        let name = case["name"].as_str().unwrap();
        let problem = match name {
            "lasso" => Problem::least_squares(&features, &labels),
            "logistic" => Problem::logistic(&features, &labels),
            "softmax" => {
                let classes: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
                Problem::softmax(&features, &classes, 3)
            }
            other => panic!("{other}"),
        };
        let lower = if case["positive"] == true { 0.0 } else { f64::NEG_INFINITY };
        let penalty = Penalty { l1: case["l1"].as_f64().unwrap(), lower, upper: f64::INFINITY };
        let ridge = case["ridge"].as_f64().unwrap_or(0.0);
        let problem = problem.unwrap().with_ridge(ridge).unwrap().with_penalty(penalty).unwrap();
        let method = BlockDescent::new(Parameters { tolerance: 1e-14, ..Parameters::default() }).unwrap();
        let found = method.minimise(&problem).unwrap();
        close(&found.point, &numbers(&case["weights"]), 2e-6, name);
    }
}

#[test]
fn node_values_are_those_of_a_direct_solver() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/block-descent.json")).unwrap();
    let graphs = vectors["graphs"].as_array().unwrap();
    assert_eq!(graphs.len(), 2);
    for graph in graphs {
        let edges: Vec<(usize, usize, f64)> = serde_json::from_value(graph["edges"].clone()).unwrap();
        let labels: Vec<(usize, f64)> = serde_json::from_value(graph["labels"].clone()).unwrap();
        let propagation =
            Propagation::new(graph["nodes"].as_u64().unwrap() as usize, &edges, &labels).unwrap();
        let method = BlockDescent::new(Parameters { tolerance: 1e-13, ..Parameters::default() }).unwrap();
        let found = method.minimise(&propagation.problem).unwrap();
        let values = numbers(&graph["values"]);
        let expected: Vec<f64> = propagation.unknown.iter().map(|&node| values[node]).collect();
        close(&found.point, &expected, 1e-9, "graph");
        // The objective is the energy of the edges that have an unlabelled end.
        let energy: f64 = edges
            .iter()
            .filter(|edge| propagation.unknown.contains(&edge.0) || propagation.unknown.contains(&edge.1))
            .map(|&(one, other, weight)| 0.5 * weight * (values[one] - values[other]).powi(2))
            .sum();
        assert!((found.value - energy).abs() <= 1e-10 * energy);
    }
}
