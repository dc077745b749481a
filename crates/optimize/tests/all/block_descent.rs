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
