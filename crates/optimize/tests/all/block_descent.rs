//! Block descent: known answers, one optimum for all rules, forests, certificates, degenerate inputs.

use backstitch_numerics::{Matrix, SparseBuilder, SparseMatrix, Stream};
use backstitch_optimize::Error;
use backstitch_optimize::block_descent::{
    BlockDescent, Blocks, CARD, CertificateKind, Outcome, Parameters, Partition, Penalty, Problem,
    Propagation, Rule, Solution, Update, colour_partition, forest_partition, greedy_forest, solve_forest,
};
use proptest::prelude::*;

const NONNEGATIVE: Penalty = Penalty { l1: 0.0, lower: 0.0, upper: f64::INFINITY };

/// Sparse random rows and labels of a sparse hyperplane with noise.
fn rows(count: usize, features: usize, seed: u64) -> (SparseMatrix, Vec<f64>) {
    let mut stream = Stream::new(seed, "block descent rows");
    let dense = Matrix::from_fn(count, features, |_, column| {
        if stream.uniform() < 0.4 { stream.normal() * (1.0 + (column % 5) as f64) } else { 0.0 }
    });
    let weights: Vec<f64> =
        (0..features).map(|column| if column % 4 == 0 { stream.normal() } else { 0.0 }).collect();
    let labels = (0..count)
        .map(|row| dense.row(row).iter().zip(&weights).map(|(a, w)| a * w).sum::<f64>() + stream.normal())
        .collect();
    (SparseMatrix::from_dense(&dense).with_columns(features).unwrap(), labels)
}

fn signs(labels: &[f64]) -> Vec<f64> {
    labels.iter().map(|label| if *label > 0.0 { 1.0 } else { -1.0 }).collect()
}

fn classes(labels: &[f64]) -> Vec<usize> {
    labels.iter().map(|label| if *label > 2.0 { 2 } else { usize::from(*label > -1.0) }).collect()
}

fn minimise(problem: &Problem, parameters: Parameters) -> Solution {
    BlockDescent::new(parameters).unwrap().minimise(problem).unwrap()
}

fn apart(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()))
}

/// A square lattice with labels on some nodes.
fn lattice(side: usize, labelled: usize, seed: u64) -> Propagation {
    let mut stream = Stream::new(seed, "lattice");
    let mut edges = Vec::new();
    for node in 0..side * side {
        if node % side + 1 < side {
            edges.push((node, node + 1, 1.0 + stream.uniform()));
        }
        if node + side < side * side {
            edges.push((node, node + side, 1.0 + stream.uniform()));
        }
    }
    let mut nodes = stream.permutation(side * side);
    nodes.truncate(labelled);
    let labels: Vec<(usize, f64)> = nodes.into_iter().map(|node| (node, 10.0 * stream.normal())).collect();
    Propagation::new(side * side, &edges, &labels).unwrap()
}

/// Every combination that a loss of rows allows.
fn all_of_rows(penalty: &Penalty) -> Vec<(Rule, Blocks, Update)> {
    let rules = [Rule::Random, Rule::Cyclic, Rule::Lipschitz, Rule::Gs, Rule::Gsl, Rule::Gsd, Rule::Gsq];
    let mut updates = vec![Update::Gradient, Update::LineSearch, Update::Matrix, Update::Newton];
    if penalty.is_bounded() && penalty.lower >= 0.0 {
        updates.push(Update::TwoMetric);
    }
    let mut all =
        vec![(Rule::Gs, Blocks::Growing, Update::Newton), (Rule::Gsl, Blocks::Growing, Update::Matrix)];
    for rule in rules {
        for &update in &updates {
            all.push((rule, Blocks::Variable(1), update));
            all.push((rule, Blocks::Variable(4), update));
            for partition in [Partition::Order, Partition::Sorted, Partition::Averaged] {
                all.push((rule, Blocks::Fixed { partition, size: 4 }, update));
            }
        }
    }
    all
}

#[test]
fn all_rules_reach_one_optimum() {
    let (features, labels) = rows(30, 14, 1);
    let lasso = Penalty { l1: 8.0, ..Penalty::default() };
    let nonnegative = Penalty { l1: 3.0, ..NONNEGATIVE };
    let boxed = Penalty { l1: 0.0, lower: -0.2, upper: 0.3 };
    for penalty in [Penalty::default(), lasso, nonnegative, boxed] {
        let problems = [
            Problem::least_squares(&features, &labels).unwrap(),
            Problem::logistic(&features, &signs(&labels)).unwrap().with_ridge(2.0).unwrap(),
            Problem::softmax(&features, &classes(&labels), 3).unwrap().with_ridge(2.0).unwrap(),
        ];
        for problem in problems {
            let problem = problem.with_penalty(penalty).unwrap();
            let best = minimise(&problem, Parameters { tolerance: 1e-13, ..Parameters::default() });
            assert_ne!(best.outcome, Outcome::IterationsUsed, "{penalty:?}");
            assert!(best.certificate <= 1e-11 * best.unit, "{} {}", best.certificate, best.unit);
            for (rule, blocks, update) in all_of_rows(&penalty) {
                let parameters = Parameters {
                    rule,
                    blocks,
                    update,
                    tolerance: 1e-9,
                    iterations: 60_000,
                    ..Parameters::default()
                };
                let found = minimise(&problem, parameters);
                let what = format!("{rule:?} {blocks:?} {update:?} {penalty:?}");
                assert_eq!(found.outcome, Outcome::Converged, "{what}: {}", found.certificate);
                assert!(found.value - best.value <= 2e-9 * best.unit.max(1.0), "{what}");
                assert!(found.value - best.value >= -1e-10 * best.value.abs(), "{what}");
                // Strongly convex, so the point is near too.
                assert!(apart(&found.point, &best.point) < 2e-3, "{what}");
            }
        }
    }
}

#[test]
fn no_update_raises_the_objective() {
    let (features, labels) = rows(25, 40, 2);
    for penalty in
        [Penalty::default(), Penalty { l1: 2.0, ..Penalty::default() }, Penalty { l1: 1.0, ..NONNEGATIVE }]
    {
        let problem = Problem::logistic(&features, &signs(&labels))
            .unwrap()
            .with_ridge(0.1)
            .unwrap()
            .with_penalty(penalty)
            .unwrap();
        for (rule, blocks, update) in all_of_rows(&penalty) {
            let parameters = Parameters {
                rule,
                blocks,
                update,
                iterations: 40,
                measure_every: Some(1),
                ..Parameters::default()
            };
            let found = minimise(&problem, parameters);
            for pair in found.trace.windows(2) {
                let slack = 1e-12 * pair[0].value;
                assert!(pair[1].value <= pair[0].value + slack, "{rule:?} {blocks:?} {update:?}");
            }
        }
    }
}

#[test]
fn one_block_of_all_solves_least_squares_at_once() {
    let (features, labels) = rows(40, 9, 3);
    let problem = Problem::least_squares(&features, &labels).unwrap();
    for blocks in
        [Blocks::Variable(9), Blocks::Fixed { partition: Partition::Order, size: 9 }, Blocks::Growing]
    {
        let parameters =
            Parameters { blocks, update: Update::Matrix, tolerance: 1e-12, ..Parameters::default() };
        let found = minimise(&problem, parameters);
        assert_eq!((found.iterations, found.outcome), (1, Outcome::Converged), "{blocks:?}");
        assert_eq!(found.kind, CertificateKind::GradientMapping);
    }
}

#[test]
fn orthogonal_columns_have_the_closed_form() {
    // Soft thresholds of the least-squares weights.
    let rows = SparseMatrix::from_dense(&Matrix::from_fn(3, 3, |i, j| if i == j { 2.0 } else { 0.0 }));
    let labels = [4.0, -3.0, 0.4];
    let lasso = Problem::least_squares(&rows, &labels).unwrap();
    let lasso = lasso.with_penalty(Penalty { l1: 1.0, ..Penalty::default() }).unwrap();
    assert_eq!(lasso.largest_l1(), 8.0);
    let found = minimise(&lasso, Parameters::default());
    assert!(apart(&found.point, &[7.0 / 4.0, -5.0 / 4.0, 0.0]) < 1e-12);
    assert_eq!(found.point[2], 0.0);
    // Projected.
    let least = Problem::least_squares(&rows, &labels).unwrap().with_penalty(NONNEGATIVE).unwrap();
    let found = minimise(&least, Parameters { tolerance: 1e-12, ..Parameters::default() });
    assert!(apart(&found.point, &[2.0, 0.0, 0.2]) < 1e-12);
    assert_eq!(found.point[1], 0.0);
}

#[test]
fn the_gap_is_never_below_the_distance_to_the_minimum() {
    let (features, labels) = rows(30, 20, 4);
    for penalty in [
        Penalty { l1: 5.0, ..Penalty::default() },
        Penalty { l1: 5.0, ..NONNEGATIVE },
        Penalty { l1: 0.0, lower: -0.1, upper: 0.3 },
        Penalty { l1: 0.5, lower: 0.1, upper: 0.3 },
    ] {
        for ridge in [0.0, 0.7] {
            for problem in [
                Problem::least_squares(&features, &labels).unwrap(),
                Problem::logistic(&features, &signs(&labels)).unwrap(),
                Problem::softmax(&features, &classes(&labels), 3).unwrap(),
            ] {
                let problem = problem.with_ridge(ridge).unwrap().with_penalty(penalty).unwrap();
                let best = minimise(&problem, Parameters { tolerance: 1e-13, ..Parameters::default() });
                assert_eq!(best.kind, CertificateKind::DualityGap);
                assert!(best.certificate < 1e-10 * best.unit, "{penalty:?} {ridge}: {}", best.certificate);
                let slow =
                    Parameters { blocks: Blocks::Variable(2), iterations: 60, ..Parameters::default() };
                for line in minimise(&problem, slow).trace {
                    let above = line.value - best.value;
                    assert!(line.certificate >= above - 1e-10 * best.unit, "{penalty:?} {ridge}");
                }
            }
        }
    }
}

#[test]
fn forests_are_solved_as_dense_systems_are() {
    for seed in 0..20 {
        let side = 3 + (seed as usize) % 6;
        let propagation = lattice(side, 2, seed);
        let (graph, linear) = laplacian(&propagation);
        let order = Stream::new(seed, "order").permutation(linear.len());
        let block = greedy_forest(&graph, &order);
        // Two thirds of a lattice at least: every other node and more.
        assert!(2 * block.len() > linear.len());
        let right: Vec<f64> = block.iter().map(|&node| linear[node] + 1.0).collect();
        for ridge in [0.0, 0.5] {
            let found = solve_forest(&graph, &block, ridge, &right).unwrap();
            let mut dense = Matrix::zeros(block.len(), block.len());
            for (i, &one) in block.iter().enumerate() {
                for (j, &other) in block.iter().enumerate() {
                    let entry =
                        graph.row(one).iter().find(|(column, _)| *column == other).map_or(0.0, |(_, v)| v);
                    dense[(i, j)] = entry + if i == j { ridge } else { 0.0 };
                }
            }
            assert!(apart(&found, &gauss(dense, right.clone())) < 1e-9);
        }
        // All nodes: a lattice has cycles.
        let all: Vec<usize> = (0..linear.len()).collect();
        if side > 4 {
            assert_eq!(solve_forest(&graph, &all, 0.0, &linear), None);
        }
    }
}

/// The matrix of a propagation, by its columns, and the linear part.
fn laplacian(propagation: &Propagation) -> (SparseMatrix, Vec<f64>) {
    (propagation.problem.matrix().unwrap().clone(), propagation.problem.linear().unwrap().to_vec())
}

/// Elimination with pivots.
fn gauss(mut matrix: Matrix, mut side: Vec<f64>) -> Vec<f64> {
    let n = side.len();
    for step in 0..n {
        let pivot =
            (step..n).max_by(|&a, &b| matrix[(a, step)].abs().total_cmp(&matrix[(b, step)].abs())).unwrap();
        for column in 0..n {
            let kept = matrix[(step, column)];
            matrix[(step, column)] = matrix[(pivot, column)];
            matrix[(pivot, column)] = kept;
        }
        side.swap(step, pivot);
        for row in step + 1..n {
            let share = matrix[(row, step)] / matrix[(step, step)];
            for column in step..n {
                let above = matrix[(step, column)];
                matrix[(row, column)] -= share * above;
            }
            side[row] -= share * side[step];
        }
    }
    for row in (0..n).rev() {
        let below: f64 = (row + 1..n).map(|column| matrix[(row, column)] * side[column]).sum();
        side[row] = (side[row] - below) / matrix[(row, row)];
    }
    side
}

#[test]
fn partitions_of_a_lattice_are_what_they_claim() {
    let propagation = lattice(7, 5, 1);
    let (graph, linear) = laplacian(&propagation);
    let natural: Vec<usize> = (0..linear.len()).collect();
    let covers = |parts: &[Vec<usize>]| {
        let mut all = parts.concat();
        all.sort_unstable();
        all == natural
    };
    let colours = colour_partition(&graph, &natural);
    assert!(covers(&colours) && colours.len() <= 3);
    for class in &colours {
        for &node in class {
            assert!(graph.row(node).iter().all(|(other, _)| other == node || !class.contains(&other)));
        }
    }
    let forests = forest_partition(&graph, &natural);
    assert!(covers(&forests) && forests.len() <= 3);
    for forest in &forests {
        assert!(solve_forest(&graph, forest, 0.0, &vec![1.0; forest.len()]).is_some());
    }
}

#[test]
fn all_blocks_of_a_graph_reach_one_optimum() {
    let propagation = lattice(9, 6, 2);
    let (graph, linear) = laplacian(&propagation);
    let exact = gauss(graph.to_dense(), linear);
    for blocks in [
        Blocks::Automatic,
        Blocks::Colours,
        Blocks::Trees,
        Blocks::GreedyTree,
        Blocks::Growing,
        Blocks::Variable(5),
        Blocks::Fixed { partition: Partition::Order, size: 5 },
    ] {
        for rule in [Rule::Random, Rule::Cyclic, Rule::Lipschitz, Rule::Gs, Rule::Gsl, Rule::Gsd, Rule::Gsq] {
            for update in [Update::Gradient, Update::LineSearch, Update::Matrix, Update::Newton] {
                let parameters = Parameters {
                    rule,
                    blocks,
                    update,
                    tolerance: 1e-9,
                    iterations: 200_000,
                    ..Parameters::default()
                };
                let refused = (blocks == Blocks::Growing && !rule.is_greedy())
                    || (matches!(blocks, Blocks::GreedyTree | Blocks::Automatic)
                        && matches!(rule, Rule::Cyclic | Rule::Lipschitz));
                let found =
                    BlockDescent::new(parameters).and_then(|method| method.minimise(&propagation.problem));
                match found {
                    Ok(found) => {
                        assert!(!refused);
                        let what = format!("{rule:?} {blocks:?} {update:?}");
                        assert_eq!(found.outcome, Outcome::Converged, "{what}");
                        assert!(
                            apart(&found.point, &exact) < 1e-5,
                            "{what}: {}",
                            apart(&found.point, &exact)
                        );
                        // A sum of squares.
                        assert!(found.value > 0.0);
                    }
                    Err(error) => assert!(refused, "{rule:?} {blocks:?} {update:?}: {error}"),
                }
            }
        }
    }
}

#[test]
fn greedy_rules_take_the_block_they_define() {
    // Two fixed blocks: one long gradient of small curvature, one shorter of large curvature; orthogonal columns.
    let dense = Matrix::from_fn(4, 4, |i, j| if i == j { [3.0, 3.0, 1.0, 1.0][i] } else { 0.0 });
    let features = SparseMatrix::from_dense(&dense);
    let blocks = Blocks::Fixed { partition: Partition::Order, size: 2 };
    let problem = Problem::least_squares(&features, &[1.0, 1.0, 2.0, 2.0]).unwrap();
    // Slopes 3, 3 and 2, 2; promises 9/9 and 4/1.
    for (rule, moved) in [(Rule::Gs, [0, 1]), (Rule::Gsl, [2, 3]), (Rule::Gsd, [2, 3]), (Rule::Gsq, [2, 3])] {
        let parameters = Parameters { rule, blocks, iterations: 1, ..Parameters::default() };
        let found = minimise(&problem, parameters);
        let changed: Vec<usize> = (0..4).filter(|&i| found.point[i] != 0.0).collect();
        assert_eq!(changed, moved, "{rule:?}");
    }
    // A sum of squares, not of absolute values: 5² against 4² + 2².
    let square = Problem::least_squares(
        &SparseMatrix::from_dense(&Matrix::from_fn(4, 4, |i, j| f64::from(u8::from(i == j)))),
        &[5.0, 0.0, 4.0, 2.0],
    )
    .unwrap();
    let found =
        minimise(&square, Parameters { rule: Rule::Gs, blocks, iterations: 1, ..Parameters::default() });
    assert_eq!(found.point, [5.0, 0.0, 0.0, 0.0]);
}

#[test]
fn thresholding_finds_the_best_block_of_orthogonal_columns() {
    // Of equal lengths: the best block has the largest slopes, and the objective loses half their squares.
    let features = SparseMatrix::from_dense(&Matrix::from_fn(6, 6, |i, j| 3.0 * f64::from(u8::from(i == j))));
    let labels = [1.0, -4.0, 2.0, 0.5, 3.0, -2.5];
    let problem = Problem::least_squares(&features, &labels).unwrap();
    let (rule, blocks) = (Rule::Gsq, Blocks::Variable(3));
    let found = minimise(&problem, Parameters { rule, blocks, iterations: 1, ..Parameters::default() });
    assert!(apart(&found.point, &[0.0, -4.0 / 3.0, 0.0, 0.0, 1.0, -2.5 / 3.0]) < 1e-12);
    assert!((found.value - 0.5 * (1.0 + 4.0 + 0.25)).abs() < 1e-12);
}

#[test]
fn the_diagonal_majorises_the_hessian() {
    // A step of GSL's blocks of one never raises the objective; with row sums half as large it would on equal columns.
    let ones = SparseMatrix::from_dense(&Matrix::from_fn(3, 5, |_, _| 1.0));
    let problem = Problem::least_squares(&ones, &[1.0, 1.0, 1.0]).unwrap();
    for i in 0..5 {
        assert_eq!(problem.lipschitz(i), 3.0);
        assert_eq!(problem.majoriser()[i], 15.0);
    }
    for seed in 0..5 {
        let (features, labels) = rows(12, 9, seed);
        let problem = Problem::least_squares(&features, &labels).unwrap();
        let dense = features.to_dense();
        let product = |i: usize, j: usize| (0..12).map(|row| dense[(row, i)] * dense[(row, j)]).sum::<f64>();
        for (i, bound) in problem.majoriser().into_iter().enumerate() {
            let sum: f64 = (0..9).map(|j| product(i, j).abs()).sum();
            assert!(bound >= sum * (1.0 - 1e-12), "{bound} {sum}");
        }
    }
}

#[test]
fn columns_given_twice_are_solved() {
    let (features, labels) = rows(20, 6, 5);
    let dense = features.to_dense();
    let twice = SparseMatrix::from_dense(&Matrix::from_fn(20, 12, |row, column| dense[(row, column % 6)]));
    for penalty in [Penalty::default(), Penalty { l1: 2.0, ..Penalty::default() }, NONNEGATIVE] {
        let single = Problem::least_squares(&features, &labels).unwrap().with_penalty(penalty).unwrap();
        let double = Problem::least_squares(&twice, &labels).unwrap().with_penalty(penalty).unwrap();
        let (one, other) =
            (minimise(&single, Parameters::default()), minimise(&double, Parameters::default()));
        assert!((one.value - other.value).abs() <= 1e-7 * one.value, "{} {}", one.value, other.value);
    }
}

#[test]
fn empty_columns_stay_at_rest() {
    let dense =
        Matrix::from_fn(5, 4, |row, column| if column == 2 { 0.0 } else { ((row * 3 + column) % 5) as f64 });
    let features = SparseMatrix::from_dense(&dense);
    let problem = Problem::least_squares(&features, &[1.0, -1.0, 2.0, 0.5, 0.0]).unwrap();
    assert_eq!(problem.empty_features(), [2]);
    for blocks in
        [Blocks::Automatic, Blocks::Variable(9), Blocks::Fixed { partition: Partition::Averaged, size: 2 }]
    {
        assert_eq!(minimise(&problem, Parameters { blocks, ..Parameters::default() }).point[2], 0.0);
    }
    let bounded = problem.with_penalty(Penalty { l1: 0.0, lower: 1.0, upper: 2.0 }).unwrap();
    let found = minimise(&bounded, Parameters::default());
    assert_eq!(found.point[2], 1.0);
    assert!(found.point.iter().all(|x| (1.0..=2.0).contains(x)));
}

#[test]
fn a_penalty_above_the_largest_leaves_nothing() {
    let (features, labels) = rows(20, 10, 6);
    for problem in [
        Problem::least_squares(&features, &labels).unwrap(),
        Problem::logistic(&features, &signs(&labels)).unwrap(),
        Problem::softmax(&features, &classes(&labels), 3).unwrap(),
    ] {
        let largest = problem.largest_l1();
        let at = |share: f64| {
            let penalty = Penalty { l1: share * largest, ..Penalty::default() };
            minimise(&problem.clone().with_penalty(penalty).unwrap(), Parameters::default())
        };
        let found = at(1.0 + 1e-9);
        assert!(found.point.iter().all(|x| *x == 0.0) && found.outcome == Outcome::Converged);
        assert!(at(0.95).point.iter().any(|x| *x != 0.0));
    }
}

#[test]
fn the_end_game_ends_what_narrow_blocks_identify() {
    let (features, labels) = rows(60, 200, 7);
    let problem = Problem::least_squares(&features, &labels).unwrap();
    let l1 = 0.3 * problem.largest_l1();
    let problem = problem.with_penalty(Penalty { l1, ..NONNEGATIVE }).unwrap();
    let run = |end_game| {
        let parameters = Parameters {
            blocks: Blocks::Variable(1),
            update: Update::Gradient,
            tolerance: 1e-13,
            iterations: 20_000,
            end_game,
            ..Parameters::default()
        };
        minimise(&problem, parameters)
    };
    let (with, without) = (run(true), run(false));
    assert_eq!((with.outcome, without.outcome), (Outcome::Converged, Outcome::Converged));
    assert!(with.iterations < without.iterations, "{} {}", with.iterations, without.iterations);
    assert!(with.identified.unwrap() <= with.iterations);
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let (features, labels) = rows(10, 4, 8);
    let separable = SparseMatrix::from_dense(&Matrix::from_fn(4, 2, |row, column| {
        f64::from(u8::from(row % 2 == column)) * (1.0 + row as f64)
    }));
    let problem = Problem::logistic(&separable, &[1.0, -1.0, 1.0, -1.0]).unwrap();
    for blocks in [Blocks::Automatic, Blocks::Variable(1)] {
        let method = BlockDescent::new(Parameters { blocks, ..Parameters::default() }).unwrap();
        assert_eq!(method.minimise(&problem), Err(Error::Separable));
        assert!(method.minimise(&problem.clone().with_ridge(0.1).unwrap()).is_ok());
    }
    let three = Problem::softmax(&separable, &[0, 1, 0, 1], 3).unwrap();
    assert_eq!(BlockDescent::new(Parameters::default()).unwrap().minimise(&three), Err(Error::Separable));

    assert!(matches!(
        Problem::least_squares(&features, &labels[1..]),
        Err(Error::Labels { labels: 9, rows: 10 })
    ));
    let mut bad = labels.clone();
    bad[3] = f64::NAN;
    assert!(matches!(Problem::least_squares(&features, &bad), Err(Error::NotFinite { row: 3, .. })));
    assert!(matches!(Problem::logistic(&features, &labels), Err(Error::NotSigned { row: 0, .. })));
    assert!(matches!(Problem::logistic(&features, &[1.0; 10]), Err(Error::OneClass { .. })));
    assert!(matches!(Problem::softmax(&features, &[0; 10], 2), Err(Error::OneClass { .. })));
    assert!(matches!(
        Problem::softmax(&features, &[0, 1, 2, 0, 0, 0, 0, 0, 0, 0], 2),
        Err(Error::Parameter { .. })
    ));
    let empty = SparseMatrix::from_dense(&Matrix::zeros(10, 3));
    assert!(matches!(Problem::least_squares(&empty, &labels), Err(Error::EmptyColumns { features: 3 })));
    let wild = SparseMatrix::from_dense(&Matrix::from_fn(2, 1, |_, _| 1e200));
    assert!(matches!(Problem::least_squares(&wild, &[1.0, 2.0]), Err(Error::TooLarge { row: 0 })));
    let problem = Problem::least_squares(&features, &labels).unwrap();
    for penalty in [
        Penalty { l1: -1.0, ..Penalty::default() },
        Penalty { l1: f64::NAN, ..Penalty::default() },
        Penalty { l1: 0.0, lower: 1.0, upper: 1.0 },
        Penalty { l1: 0.0, lower: f64::NAN, upper: 1.0 },
    ] {
        assert!(matches!(problem.clone().with_penalty(penalty), Err(Error::Parameter { .. })));
    }
    assert!(problem.clone().with_ridge(-1.0).is_err());

    let mut skew = SparseBuilder::new();
    skew.push(0, 1.0).unwrap();
    skew.push(1, 0.5).unwrap();
    skew.end_row();
    skew.push(1, 1.0).unwrap();
    skew.end_row();
    assert!(matches!(
        Problem::quadratic(skew.finish(), vec![1.0, 1.0]),
        Err(Error::NotSymmetric { row: 0, .. })
    ));

    for parameters in [
        Parameters { tolerance: -1.0, ..Parameters::default() },
        Parameters { blocks: Blocks::Variable(0), ..Parameters::default() },
        Parameters { measure_every: Some(0), ..Parameters::default() },
        Parameters { blocks: Blocks::Growing, rule: Rule::Random, ..Parameters::default() },
    ] {
        assert!(matches!(BlockDescent::new(parameters), Err(Error::Parameter { .. })));
    }
    for parameters in [
        Parameters { blocks: Blocks::GreedyTree, ..Parameters::default() },
        Parameters { update: Update::TwoMetric, ..Parameters::default() },
    ] {
        assert!(matches!(
            BlockDescent::new(parameters).unwrap().minimise(&problem),
            Err(Error::Parameter { .. })
        ));
    }
}

#[test]
fn graphs_that_cannot_be_solved_are_refused() {
    let path = [(0, 1, 1.0), (1, 2, 1.0)];
    let of = |nodes, edges: &[(usize, usize, f64)], labels: &[(usize, f64)]| {
        Propagation::new(nodes, edges, labels)
    };
    assert_eq!(of(3, &path, &[]).unwrap_err(), Error::UnlabelledComponent { nodes: 3, first: 0 });
    assert_eq!(of(4, &path, &[(0, 1.0)]).unwrap_err(), Error::UnlabelledComponent { nodes: 1, first: 3 });
    assert_eq!(of(2, &path[..1], &[(0, 1.0), (1, 2.0)]).unwrap_err(), Error::NoUnknown { nodes: 2 });
    for edges in [[(0, 1, -1.0)], [(0, 0, 1.0)], [(0, 9, 1.0)], [(0, 1, f64::NAN)]] {
        assert!(matches!(of(3, &edges, &[(0, 1.0)]), Err(Error::Edge { edge: 0, .. })));
    }
    assert!(matches!(of(3, &[(0, 1, 1.0), (1, 0, 1.0)], &[(0, 1.0)]), Err(Error::Edge { edge: 1, .. })));
    for labels in [[(9, 1.0), (0, 1.0)], [(0, 1.0), (0, 2.0)], [(0, f64::INFINITY), (1, 1.0)]] {
        assert!(matches!(of(3, &path, &labels), Err(Error::NodeLabel { .. })));
    }
    // The middle of a path is the mean of its ends.
    let middle = of(3, &path, &[(0, 1.0), (2, 4.0)]).unwrap();
    assert_eq!(
        (middle.unknown.as_slice(), minimise(&middle.problem, Parameters::default()).point.as_slice()),
        (&[1][..], &[2.5][..])
    );
}

#[test]
fn a_whole_tree_is_solved_in_one_iteration() {
    let edges: Vec<(usize, usize, f64)> =
        (1..200).map(|node| (node / 2, node, 1.0 + (node % 3) as f64)).collect();
    let propagation = Propagation::new(200, &edges, &[(0, 1.0), (150, -2.0), (199, 3.0)]).unwrap();
    let found = minimise(&propagation.problem, Parameters { tolerance: 1e-13, ..Parameters::default() });
    assert_eq!((found.iterations, found.outcome), (1, Outcome::Converged));
}

#[test]
fn the_card_names_a_row_of_the_shelf() {
    assert_eq!(CARD.entry().id, "block-descent");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_small_problem_reaches_its_gap(seed in 0u64..1_000_000, count in 2usize..12, features in 1usize..15, share in 0.01..0.9) {
        let (rows, labels) = rows(count, features, seed);
        if let Ok(problem) = Problem::least_squares(&rows, &labels) {
            let penalty = Penalty { l1: share * problem.largest_l1(), ..Penalty::default() };
            let problem = problem.with_penalty(penalty).unwrap();
            let found = minimise(&problem, Parameters::default());
            prop_assert!(found.certificate <= 1e-8 * found.unit);
            let slow = Parameters { blocks: Blocks::Variable(1), update: Update::Gradient, ..Parameters::default() };
            let other = minimise(&problem, slow);
            prop_assert!((found.value - other.value).abs() <= found.certificate.max(other.certificate) + 1e-12 * found.value);
        }
    }

    #[test]
    fn any_forest_is_solved(seed in 0u64..1_000_000, nodes in 2usize..40) {
        let mut stream = Stream::new(seed, "forest");
        let edges: Vec<(usize, usize, f64)> = (1..nodes).map(|node| (stream.below(node), node, 0.1 + stream.uniform())).collect();
        let propagation = Propagation::new(nodes, &edges, &[(stream.below(nodes), 1.0)]).unwrap();
        let (graph, linear) = laplacian(&propagation);
        let all: Vec<usize> = (0..linear.len()).collect();
        let found = solve_forest(&graph, &all, 0.0, &linear).unwrap();
        // One label: it is everywhere.
        prop_assert!(found.iter().all(|value| (value - 1.0).abs() < 1e-6));
    }
}
