//! TOPO on bad and degenerate tables, graphs and parameters.

use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::Error;
use backstitch_statistics::topo::{
    Comparison, DagmaParameters, Neighbourhood, Parameters, Score, Topo, Warning, dagma, prune, refit, shd,
    topological_order, varsortability,
};

use crate::topo::erdos_renyi;

fn normal(rows: usize, columns: usize) -> Matrix {
    let mut stream = Stream::new(9, "inputs");
    Matrix::from_fn(rows, columns, |_, _| stream.normal())
}

fn fit_error(samples: &Matrix) -> Error {
    Topo::new(Parameters::default()).unwrap().fit(samples).unwrap_err()
}

#[test]
fn empty_tables_and_one_row_are_refused() {
    assert_eq!(fit_error(&Matrix::zeros(5, 0)), Error::NoColumns);
    assert_eq!(fit_error(&normal(0, 3)), Error::OneRow { rows: 0 });
    assert_eq!(fit_error(&normal(1, 3)), Error::OneRow { rows: 1 });
}

#[test]
fn values_that_are_not_finite_are_named() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut samples = normal(20, 3);
        samples[(7, 2)] = value;
        let message = fit_error(&samples).to_string();
        assert!(message.starts_with("row 7, column 2 is "), "{message}");
    }
    let mut samples = normal(20, 3);
    samples[(3, 1)] = 1e200;
    assert_eq!(fit_error(&samples), Error::TooLarge { column: 1, value: 1e200 });
}

#[test]
fn constant_and_collinear_columns_are_named() {
    let mut samples = normal(30, 8);
    (0..30).for_each(|row| samples[(row, 4)] = 0.1);
    assert_eq!(fit_error(&samples), Error::Constant { column: 4, value: 0.1 });

    let mut samples = normal(30, 8);
    (0..30).for_each(|row| samples[(row, 7)] = 5.0 - 2.0 * samples[(row, 3)]);
    let error = fit_error(&samples);
    assert_eq!(
        error.to_string(),
        "columns 3 and 7 are collinear; drop one of them or set ridge to 1e-8 or more"
    );
    let names: Vec<String> = ["a", "b", "c", "raf", "e", "f", "g", "mek"].map(String::from).to_vec();
    assert!(error.named(&names).starts_with("columns \"raf\" and \"mek\" are collinear"));

    let mut samples = normal(30, 8);
    (0..30).for_each(|row| samples[(row, 6)] = samples[(row, 0)] + samples[(row, 5)]);
    assert_eq!(fit_error(&samples), Error::Collinear { column: 6, on: vec![0, 5] });
    let topo = Topo::new(Parameters { ridge: 1e-8, ..Parameters::default() }).unwrap();
    let fit = topo.fit(&samples).unwrap();
    assert!(fit.score.is_finite() && fit.weights.values().iter().all(|w| w.is_finite()));
}

#[test]
fn a_large_mean_is_no_collinearity() {
    let samples = normal(50, 4);
    let shifted = Matrix::from_fn(50, 4, |r, c| samples[(r, c)] + 1e7);
    let topo = Topo::new(Parameters::default()).unwrap();
    let (here, there) = (topo.fit(&samples).unwrap(), topo.fit(&shifted).unwrap());
    assert_eq!(here.order, there.order);
    assert!((here.score - there.score).abs() < 1e-6);
}

#[test]
fn fewer_rows_than_columns_need_a_ridge_and_are_warned_of() {
    let samples = normal(6, 10);
    assert_eq!(fit_error(&samples), Error::TooFewRows { rows: 6, columns: 10 });
    for neighbourhood in [Neighbourhood::Candidates, Neighbourhood::Insertions] {
        let topo = Topo::new(Parameters { ridge: 1e-6, neighbourhood, ..Parameters::default() }).unwrap();
        let fit = topo.fit(&samples).unwrap();
        assert!(fit.score.is_finite());
        assert!(fit.warnings.contains(&Warning::FewRows { rows: 6, columns: 10 }));
    }
}

#[test]
fn one_and_two_columns_are_defined() {
    let topo = Topo::new(Parameters::default()).unwrap();
    let fit = topo.fit(&normal(20, 1)).unwrap();
    assert_eq!((fit.order, fit.weights), (vec![0], Matrix::zeros(1, 1)));
    assert!(fit.kkt);
    assert_eq!(topo.fit(&normal(20, 2)).unwrap().order.len(), 2);
    let problem = topo.prepare(&normal(20, 1)).unwrap();
    assert_eq!(problem.random_restarts(7, 0).unwrap().evaluations, 7);
    assert_eq!(problem.exact_order().unwrap().0, [0]);
}

#[test]
fn the_logistic_score_wants_zeros_and_ones_and_survives_separation() {
    let score = Score::Logistic { inverse_penalty: 0.1 };
    let topo = Topo::new(Parameters { score, ..Parameters::default() }).unwrap();
    let mut samples = Matrix::from_fn(40, 3, |r, c| f64::from(u8::from((r >> c) & 1 == 1)));
    samples[(5, 1)] = 2.0;
    assert_eq!(topo.fit(&samples).unwrap_err(), Error::NotBinary { row: 5, column: 1, value: 2.0 });

    // Column 1 copies column 0: separable, and hardly any penalty.
    let samples = Matrix::from_fn(40, 2, |r, _| f64::from(u8::from(r % 3 == 0)));
    let score = Score::Logistic { inverse_penalty: 1e12 };
    let topo = Topo::new(Parameters { score, ..Parameters::default() }).unwrap();
    let fit = topo.fit(&samples).unwrap();
    assert!(fit.weights.values().iter().all(|w| w.abs() <= 30.0));
    assert!(fit.warnings.iter().any(|w| matches!(w, Warning::Separable { .. })), "{:?}", fit.warnings);
}

#[test]
fn every_parameter_is_checked() {
    let default = Parameters::default;
    for bad in [
        Parameters { small: 0, ..default() },
        Parameters { large: 99, ..default() },
        Parameters { starts: 0, ..default() },
        Parameters { ridge: -1e-9, ..default() },
        Parameters { ridge: f64::NAN, ..default() },
        Parameters { score: Score::Logistic { inverse_penalty: 0.0 }, ..default() },
        Parameters { score: Score::Logistic { inverse_penalty: 0.1 }, standardise: true, ..default() },
    ] {
        let error = Topo::new(bad.clone()).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{bad:?}");
    }
    assert_eq!(
        Topo::new(Parameters { large: 99, ..default() }).unwrap_err().to_string(),
        "large is 99 with small = 100, but must be at least as large as small; use 100 and 400, the released values"
    );
    for bad in [
        DagmaParameters { domains: vec![], ..DagmaParameters::default() },
        DagmaParameters { decay: (1.0, 0.999), ..DagmaParameters::default() },
        DagmaParameters { checkpoint: 0, ..DagmaParameters::default() },
    ] {
        assert!(dagma(&Matrix::zeros(2, 2), &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn orders_that_are_not_permutations_are_refused() {
    let topo = Topo::new(Parameters::default()).unwrap();
    let samples = normal(20, 3);
    for (order, problem) in [
        (vec![0, 1], "it has 2 entries"),
        (vec![0, 1, 3], "it names column 3"),
        (vec![0, 1, 1], "it names column 1 twice"),
    ] {
        let error = topo.fit_from(&samples, &order).unwrap_err();
        assert_eq!(error, Error::Order { columns: 3, problem: problem.into() });
    }
    let many = topo.prepare(&normal(60, 17)).unwrap();
    assert_eq!(many.exact_order().unwrap_err(), Error::TooManyColumns { columns: 17, limit: 16 });
}

fn graph(d: usize, edges: &[(usize, usize)]) -> Matrix {
    let mut graph = Matrix::zeros(d, d);
    edges.iter().for_each(|&edge| graph[edge] = 1.0);
    graph
}

#[test]
fn graphs_are_ordered_and_cycles_named() {
    assert_eq!(topological_order(&graph(4, &[(3, 1), (1, 0)])).unwrap(), [2, 3, 1, 0]);
    let error = topological_order(&graph(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)])).unwrap_err();
    let Error::Cycle { nodes } = error else { panic!("{error}") };
    assert_eq!(nodes.len(), 3);
    let cycle = graph(5, &[(1, 2), (2, 3), (3, 1)]);
    for (place, &node) in nodes.iter().enumerate() {
        assert_eq!(cycle[(node, nodes[(place + 1) % 3])], 1.0, "{nodes:?}");
    }
    assert!(matches!(topological_order(&Matrix::zeros(2, 3)), Err(Error::Shape { .. })));
    assert!(matches!(topological_order(&graph(1, &[(0, 0)])), Err(Error::Cycle { .. })));
}

#[test]
fn a_reversed_edge_counts_once() {
    let truth = graph(4, &[(0, 1), (1, 2), (2, 3)]);
    let estimate = graph(4, &[(0, 1), (2, 1), (0, 3)]);
    let counts = Comparison::new(&estimate, &truth).unwrap();
    assert_eq!(counts, Comparison { correct: 1, reversed: 1, extra: 1, missing: 1 });
    assert_eq!(counts.shd(), 3);
    assert!((counts.precision() - 1.0 / 3.0).abs() < 1e-15 && (counts.recall() - 1.0 / 3.0).abs() < 1e-15);
    assert_eq!(shd(&truth, &truth).unwrap(), 0);
    assert!(shd(&graph(3, &[]), &truth).is_err());
}

#[test]
fn varsortability_reads_the_variances() {
    let covariance = Matrix::from_fn(3, 3, |i, j| if i == j { (i + 1) as f64 } else { 0.0 });
    // Paths 0→1, 1→2, 0→2: all rise; reversed all fall; equal variances count one half.
    assert_eq!(varsortability(&covariance, &graph(3, &[(0, 1), (1, 2)])).unwrap(), Some(1.0));
    assert_eq!(varsortability(&covariance, &graph(3, &[(2, 1), (1, 0)])).unwrap(), Some(0.0));
    let equal = graph(3, &[(0, 0), (1, 1), (2, 2)]);
    assert_eq!(varsortability(&equal, &graph(3, &[(0, 1)])).unwrap(), Some(0.5));
    assert_eq!(varsortability(&covariance, &graph(3, &[])).unwrap(), None);
}

#[test]
fn raw_scale_is_warned_of_and_refits_check_their_shapes() {
    // A chain with growing variance: sorting by variance is as good as any search.
    let mut samples = normal(500, 4);
    for row in 0..500 {
        for column in 1..4 {
            samples[(row, column)] += 2.0 * samples[(row, column - 1)];
        }
    }
    let topo = Topo::new(Parameters::default()).unwrap();
    let fit = topo.fit(&samples).unwrap();
    assert!(fit.warnings.iter().any(|w| matches!(w, Warning::VarianceOrder { .. })), "{:?}", fit.warnings);
    for warning in &fit.warnings {
        assert!(warning.to_string().contains("% of the order found"), "{warning}");
    }
    let covariance = topo.prepare(&samples).unwrap().covariance().clone();
    assert!(refit(&covariance, &Matrix::zeros(3, 3)).is_err());
    assert!(prune(&covariance, &Matrix::zeros(3, 3), 0.3).is_err());
    let sample = erdos_renyi(20, 80, 1000, 1);
    assert!(!topo.fit(&sample.samples).unwrap().warnings.contains(&Warning::EqualVariances));
}
