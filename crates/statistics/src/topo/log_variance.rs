//! The log-variance score of one node: BIC with parents chosen among its predecessors.

use backstitch_numerics::Matrix;

use super::graph::{precision, regress};

/// A fall of the cost below this is rounding; it keeps forward and backward steps from undoing each other.
const IMPROVED: f64 = 1e-12;

/// `½ ln(residual variance) + charge·|parents|` of a node, and its parents with their weights.
#[derive(Clone, Debug)]
pub(super) struct NodeFit {
    pub(super) cost: f64,
    pub(super) weights: Vec<(usize, f64)>,
}

/// What one parent costs: `ln n / 2n`.
pub(super) fn charge(rows: usize) -> f64 {
    let n = rows as f64;
    n.ln() / (2.0 * n)
}

/// Forward–backward selection: the predecessor that lowers the cost most joins until none does, then parents leave while
/// that lowers the cost; both again until nothing changes. Ties go to the smaller column, and the result depends on the
/// set of predecessors only, not on their order (`predecessors` is sorted).
pub(super) fn fit_node(covariance: &Matrix, rows: usize, node: usize, predecessors: &[usize]) -> NodeFit {
    let charge = charge(rows);
    let mut parents: Vec<usize> = Vec::new();
    // Every round lowers the cost, so it ends by itself; the limit is a guard against rounding.
    for _ in 0..=predecessors.len() {
        let grown = forward(covariance, charge, node, predecessors, &parents);
        let kept = backward(covariance, charge, node, grown.clone());
        let done = kept.len() == grown.len();
        parents = kept;
        if done {
            break;
        }
    }
    parents.sort_unstable();
    let floor = f64::MIN_POSITIVE;
    // A parent set that cannot be factored was never chosen; if rounding says otherwise the node stands alone.
    let (weights, residual) =
        regress(covariance, node, &parents).unwrap_or_else(|_| (Vec::new(), covariance[(node, node)]));
    NodeFit {
        cost: 0.5 * residual.max(floor).ln() + charge * weights.len() as f64,
        weights: parents.into_iter().zip(weights).collect(),
    }
}

/// A pivoted Cholesky factorisation whose pivot is the predecessor that explains most of what is left of the node.
fn forward(
    covariance: &Matrix,
    charge: f64,
    node: usize,
    predecessors: &[usize],
    start: &[usize],
) -> Vec<usize> {
    let mut parents = Vec::new();
    let mut rows: Vec<(Vec<f64>, f64)> = Vec::new();
    let mut open: Vec<bool> = vec![true; predecessors.len()];
    let mut variance: Vec<f64> = predecessors.iter().map(|&c| covariance[(c, c)]).collect();
    let mut shared: Vec<f64> = predecessors.iter().map(|&c| covariance[(c, node)]).collect();
    let mut residual = covariance[(node, node)];
    let mut given = start.iter();
    loop {
        let usable =
            |place: usize| variance[place] > 1e-11 * covariance[(predecessors[place], predecessors[place])];
        let next = match given.next() {
            Some(parent) => predecessors.iter().position(|c| c == parent),
            None => {
                let mut best: Option<(f64, usize)> = None;
                for place in (0..predecessors.len()).filter(|&place| open[place] && usable(place)) {
                    let explained = shared[place].powi(2) / variance[place];
                    if best.is_none_or(|(most, _)| explained > most) {
                        best = Some((explained, place));
                    }
                }
                best.filter(|(explained, _)| {
                    let left = (residual - explained).max(f64::MIN_POSITIVE);
                    0.5 * (left / residual).ln() + charge < -IMPROVED
                })
                .map(|(_, place)| place)
            }
        };
        let Some(chosen) = next else { return parents };
        let root = variance[chosen].sqrt();
        let mut row: Vec<f64> = predecessors.iter().map(|&c| covariance[(predecessors[chosen], c)]).collect();
        for (earlier, _) in &rows {
            let factor = earlier[chosen];
            for (value, x) in row.iter_mut().zip(earlier) {
                *value -= factor * x;
            }
        }
        let on_node = shared[chosen] / root;
        for (place, value) in row.iter_mut().enumerate() {
            *value /= root;
            variance[place] -= value.powi(2);
            shared[place] -= *value * on_node;
        }
        residual -= on_node * on_node;
        rows.push((row, on_node));
        open[chosen] = false;
        parents.push(predecessors[chosen]);
    }
}

/// Parents leave, the least useful first, while that lowers the cost.
fn backward(covariance: &Matrix, charge: f64, node: usize, mut parents: Vec<usize>) -> Vec<usize> {
    let Ok(mut state) = precision(covariance, node, &parents) else { return parents };
    while let Some((place, loss)) = state.weakest(|_| true) {
        if 0.5 * (loss / state.residual).ln_1p() - charge >= -IMPROVED {
            break;
        }
        state.remove(place);
        parents.remove(place);
    }
    parents
}
