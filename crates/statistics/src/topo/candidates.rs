//! The paper's candidate pairs: where the gradient of the acyclicity function is smallest.

use backstitch_numerics::Matrix;

use super::Operation;
use super::order::Move;

/// Path weights are held below this, so that long chains of large weights saturate instead of becoming infinite (and
/// infinity times zero not a number). Only the smallest values are ever used, and saturation keeps their ranking.
const SATURATED: f64 = 1e300;

/// `[(I − |W|)⁻¹]` in positions: entry (a, b) sums, over all paths from position a to position b, the products of absolute
/// weights. `weight(a, b)` is the weight of the edge from position a to position b. A weighted DAG is nilpotent, so the
/// inverse is a finite sum and this is exact up to rounding.
pub(super) fn path_weights(d: usize, weight: impl Fn(usize, usize) -> f64) -> Matrix {
    let mut paths = Matrix::zeros(d, d);
    let mut row = vec![0.0; d];
    for a in (0..d).rev() {
        row.fill(0.0);
        row[a] = 1.0;
        for m in a + 1..d {
            let factor = weight(a, m).abs();
            if factor > 0.0 {
                for (value, x) in row[m..].iter_mut().zip(&paths.row(m)[m..]) {
                    *value = (*value + factor * x).min(SATURATED);
                }
            }
        }
        paths.row_mut(a)[a..].copy_from_slice(&row[a..]);
    }
    paths
}

/// The `large` pairs of positions with the smallest path weight, smallest first; the first `small` of them are the small
/// set. Ties go to the earlier pair.
pub(super) fn smallest(paths: &Matrix, large: usize, operation: Operation) -> Vec<Move> {
    let d = paths.rows();
    let mut pairs: Vec<(f64, usize, usize)> = Vec::with_capacity(d * d.saturating_sub(1) / 2);
    for first in 0..d {
        for last in first + 1..d {
            pairs.push((paths[(first, last)], first, last));
        }
    }
    let compare = |x: &(f64, usize, usize), y: &(f64, usize, usize)| {
        x.0.total_cmp(&y.0).then_with(|| (x.1, x.2).cmp(&(y.1, y.2)))
    };
    if large < pairs.len() {
        pairs.select_nth_unstable_by(large, compare);
        pairs.truncate(large);
    }
    pairs.sort_unstable_by(compare);
    pairs.into_iter().map(|(_, first, last)| Move { first, last, operation }).collect()
}

/// Every move of one node to another position. Neighbours in the order can change places in one way only.
pub(super) fn insertions(d: usize) -> Vec<Move> {
    let mut moves = Vec::with_capacity(d * d);
    for first in 0..d {
        for last in first + 1..d {
            moves.push(Move { first, last, operation: Operation::MoveBefore });
            if last > first + 1 {
                moves.push(Move { first, last, operation: Operation::MoveAfter });
            }
        }
    }
    moves
}
