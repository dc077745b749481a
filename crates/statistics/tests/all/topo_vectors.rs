//! TOPO against numpy, scipy and the package `dagma` 1.1.1 (`peers/topo_vectors.py` made the file).

use backstitch_numerics::Matrix;
use backstitch_statistics::topo::{DagmaParameters, Parameters, Score, Topo, dagma, threshold};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/topo.json")).unwrap()
}

fn matrix(value: &Value) -> Matrix {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

fn largest_difference(one: &Matrix, other: &Matrix) -> f64 {
    one.values().iter().zip(other.values()).fold(0.0, |most, (x, y)| most.max((x - y).abs()))
}

#[test]
fn scores_and_weights_are_those_of_numpy() {
    for case in vectors()["linear"].as_array().unwrap() {
        let samples = matrix(&case["samples"]);
        let order: Vec<usize> = serde_json::from_value(case["order"].clone()).unwrap();
        for (centre, name) in [(true, "score"), (false, "score_not_centred")] {
            let parameters = Parameters { centre, ..Parameters::default() };
            let problem = Topo::new(parameters).unwrap().prepare(&samples).unwrap();
            let (ours, theirs) = (problem.score_of_order(&order).unwrap(), case[name].as_f64().unwrap());
            assert!((ours - theirs).abs() < 1e-10 * theirs, "{ours} against {theirs}");
            if centre {
                let weights = problem.weights_of_order(&order).unwrap();
                assert!(largest_difference(&weights, &matrix(&case["weights"])) < 1e-9);
            }
        }
    }
}

/// A short schedule through all five stages: every step is the package's, up to rounding.
#[test]
fn dagma_takes_the_steps_of_the_package() {
    for case in vectors()["linear"].as_array().unwrap() {
        let problem = Topo::new(Parameters::default()).unwrap().prepare(&matrix(&case["samples"])).unwrap();
        let parameters = DagmaParameters {
            warm_iterations: 400,
            last_iterations: 600,
            checkpoint: 100,
            ..DagmaParameters::default()
        };
        let fit = dagma(problem.covariance(), &parameters).unwrap();
        let difference = largest_difference(&fit.raw, &matrix(&case["dagma_short"]));
        assert!(difference < 1e-9, "{difference:e}");
    }
}

/// The full schedule. Under the L1 penalty a weight that should be zero flips its sign at every crossing and ends anywhere
/// within a step or so (3e-4) of zero, by rounding; those flips also shake the other weights a little.
#[test]
fn dagma_ends_where_the_package_does() {
    for case in vectors()["linear"].as_array().unwrap() {
        let problem = Topo::new(Parameters::default()).unwrap().prepare(&matrix(&case["samples"])).unwrap();
        let fit = dagma(problem.covariance(), &DagmaParameters::default()).unwrap();
        let theirs = matrix(&case["dagma"]);
        let difference = largest_difference(&fit.raw, &theirs);
        assert!(difference < 1e-3, "{difference:e}");
        let support = |weights: &Matrix| -> Vec<bool> {
            threshold(weights, 0.3).values().iter().map(|w| *w != 0.0).collect()
        };
        assert_eq!(support(&fit.weights), support(&theirs));
        assert_eq!(fit.weights, threshold(&fit.raw, 0.3));
    }
}

#[test]
fn the_logistic_fit_is_that_of_a_general_optimiser() {
    let case = &vectors()["logistic"];
    let samples = matrix(&case["table"]);
    let penalty = case["penalty"].as_f64().unwrap();
    let inverse_penalty = 1.0 / (penalty * samples.rows() as f64);
    for (centre, name) in [(false, "without_intercept"), (true, "with_intercept")] {
        let score = Score::Logistic { inverse_penalty };
        let parameters = Parameters { score, centre, ..Parameters::default() };
        let problem = Topo::new(parameters).unwrap().prepare(&samples).unwrap();
        // The target is the last column; its share of the score is what the last place adds.
        let target = samples.columns() - 1;
        let order: Vec<usize> = (0..=target).collect();
        let weights = problem.weights_of_order(&order).unwrap();
        let theirs: Vec<f64> = serde_json::from_value(case[name]["weights"].clone()).unwrap();
        for (parent, weight) in theirs.iter().enumerate() {
            let ours = weights[(parent, target)];
            assert!((ours - weight).abs() < 1e-5, "{name} {parent}: {ours} against {weight}");
        }
        let first_four = Matrix::from_fn(samples.rows(), target, |r, c| samples[(r, c)]);
        let parameters = Parameters { score, centre, ..Parameters::default() };
        let fewer = Topo::new(parameters).unwrap().prepare(&first_four).unwrap();
        let share = problem.score_of_order(&order).unwrap() - fewer.score_of_order(&order[..target]).unwrap();
        let objective = case[name]["objective"].as_f64().unwrap();
        assert!((share - objective).abs() < 1e-9, "{name}: {share} against {objective}");
    }
}
