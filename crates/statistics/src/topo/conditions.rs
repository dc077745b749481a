//! The condition of a KKT point: no edge that could be added without a cycle would lower the score.

use backstitch_numerics::Matrix;

use super::graph::regress;
use super::problem::Problem;
use super::{Score, log_variance};

/// A gradient below this share of the two columns' deviations is rounding.
const FLAT: f64 = 1e-7;

/// True if for every pair (i, j) with i not before j and no path from j to i (the entries where the gradient of the
/// acyclicity function vanishes), adding i → j would not lower the score.
pub(super) fn holds(problem: &Problem, order: &[usize], weights: &Matrix) -> bool {
    let d = order.len();
    let reaches = reachability(order, weights);
    (0..d).all(|earlier| {
        let target = order[earlier];
        let parents: Vec<usize> = (0..d).filter(|&i| weights[(i, target)] != 0.0).collect();
        order[earlier + 1..]
            .iter()
            .all(|&source| reaches[target][source] || !helps(problem, weights, &parents, source, target))
    })
}

/// Would the edge `source` → `target` lower the score?
fn helps(problem: &Problem, weights: &Matrix, parents: &[usize], source: usize, target: usize) -> bool {
    let covariance = problem.covariance();
    match (problem.parameters().score, problem.columns_of_zeros_and_ones()) {
        (Score::Logistic { .. }, Some(columns)) => {
            columns.gradient_at(target, parents, source).abs() > columns.penalty() + FLAT
        }
        (Score::LogVariance, _) => {
            let mut more = parents.to_vec();
            more.push(source);
            match (regress(covariance, target, parents), regress(covariance, target, &more)) {
                (Ok((_, without)), Ok((_, with))) if with > 0.0 => {
                    0.5 * (with / without).ln() + log_variance::charge(problem.rows()) < -FLAT
                }
                _ => false,
            }
        }
        _ => {
            let explained: f64 =
                parents.iter().map(|&i| covariance[(source, i)] * weights[(i, target)]).sum();
            let scale = (covariance[(source, source)] * covariance[(target, target)]).sqrt();
            (covariance[(source, target)] - explained).abs() > FLAT * scale
        }
    }
}

/// `reaches[a][b]`: is there a path from a to b?
fn reachability(order: &[usize], weights: &Matrix) -> Vec<Vec<bool>> {
    let d = order.len();
    let mut reaches = vec![vec![false; d]; d];
    for &node in order.iter().rev() {
        let mut row = vec![false; d];
        for child in (0..d).filter(|&child| weights[(node, child)] != 0.0) {
            row[child] = true;
            for (value, &further) in row.iter_mut().zip(&reaches[child]) {
                *value |= further;
            }
        }
        reaches[node] = row;
    }
    reaches
}
