//! The least-squares score of an order and of all its neighbours, exactly, from one Cholesky factor.
//!
//! With the columns in order π, the covariance is `S_π = R'R`, R upper triangular. Then `R_kk²` is the residual variance of
//! the k-th node given all before it, the score is `½ Σ R_kk²`, and with `B = R⁻¹` the regression weights are
//! `W_ik = −B_ik R_kk` (i < k). Two identities give the neighbours without factoring again:
//!
//! - The residual variance of the node at b given the first a nodes is `T_a = Σ_{m=a..b} R_mb²`. If that node moves to
//!   position a, it gets `T_a`, and a node k that it passes gets `R_kk² · T_{k+1}/T_k`, since determinants of leading
//!   blocks do not depend on the order inside.
//! - The residual variance of the node at a given all others up to b is `1/s_b`, `s_b = Σ_{m=a..b} B_am²`. If that node
//!   moves to position b, a node k that it passes gets `R_kk² · s_k/s_{k−1}`.
//!
//! Both are running sums, so all d² insertions together cost O(d²). An exchange is the first
//! identity in the factor from which the node at a has been rotated out, O((b − a)²).

use backstitch_numerics::Matrix;
use rayon::prelude::*;

use super::Operation;
use super::order::Move;

/// The factor of one order.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    /// R, d × d in positions; zero below the diagonal.
    upper: Matrix,
    /// B = R⁻¹, likewise.
    inverse: Matrix,
}

impl Factor {
    /// Factors the covariance with rows and columns in this order. The covariance must be positive definite (the moments
    /// were checked); pivots are held above a tiny share of the variance, so that rounding cannot break the search.
    pub(super) fn new(covariance: &Matrix, order: &[usize]) -> Self {
        let upper = factor_upper(covariance, order);
        let inverse = invert_upper(&upper);
        Self { upper, inverse }
    }

    /// `½ Σ R_kk²`.
    pub(super) fn score(&self) -> f64 {
        half_square_sum(&self.upper)
    }

    /// Weight of the node at position `from` in the regression of the node at position `to`.
    pub(super) fn weight(&self, from: usize, to: usize) -> f64 {
        if from < to { -self.inverse[(from, to)] * self.upper[(to, to)] } else { 0.0 }
    }

    /// Score after the move minus score before it.
    pub(super) fn change(&self, step: Move) -> f64 {
        let Move { first, last, operation } = step;
        match operation {
            Operation::MoveBefore => self.last_to_front(first, last),
            Operation::MoveAfter => self.first_to_back(first, last),
            Operation::Exchange => self.exchange(first, last),
        }
    }

    /// Every insertion that changes the score by less than `below`, in a fixed sequence, O(d²) for all d² of them.
    pub(super) fn insertions_below(&self, below: f64) -> Vec<(f64, Move)> {
        let d = self.upper.rows();
        // Each node keeps its own list and the lists are joined in order: threads cannot change the result.
        let lists: Vec<Vec<(f64, Move)>> = (0..d)
            .into_par_iter()
            .map(|node| {
                let mut found = Vec::new();
                self.walk_to_front(node, 0, |first, change| {
                    if change < below {
                        found.push((change, Move { first, last: node, operation: Operation::MoveBefore }));
                    }
                });
                self.walk_to_back(node, d - 1, |last, change| {
                    // Neighbours in the order can change places in one way only; that one is above.
                    if change < below && last > node + 1 {
                        found.push((change, Move { first: node, last, operation: Operation::MoveAfter }));
                    }
                });
                found
            })
            .collect();
        lists.concat()
    }

    /// Moves the node at `last` forward one place at a time down to `first` and tells the change of the score at each:
    /// `½ Σ_k R_kb² (1 − R_kk²/T_k)`, the sum of what the first identity changes, written without cancellation.
    fn walk_to_front(&self, last: usize, first: usize, mut tell: impl FnMut(usize, f64)) {
        let mut tail = self.upper[(last, last)].powi(2);
        let mut change = 0.0;
        for k in (first..last).rev() {
            let square = self.upper[(k, last)].powi(2);
            tail += square;
            change += 0.5 * square * (1.0 - self.upper[(k, k)].powi(2) / tail);
            tell(k, change);
        }
    }

    /// Moves the node at `first` back one place at a time up to `last`: `½ Σ_k B_ak²/s_{k−1} (R_kk² − 1/s_k)`.
    fn walk_to_back(&self, first: usize, last: usize, mut tell: impl FnMut(usize, f64)) {
        let mut precision = self.inverse[(first, first)].powi(2);
        let mut change = 0.0;
        for k in first + 1..=last {
            let square = self.inverse[(first, k)].powi(2);
            let larger = precision + square;
            change += 0.5 * square / precision * (self.upper[(k, k)].powi(2) - 1.0 / larger);
            precision = larger;
            tell(k, change);
        }
    }

    fn last_to_front(&self, first: usize, last: usize) -> f64 {
        let mut found = 0.0;
        self.walk_to_front(last, first, |_, change| found = change);
        found
    }

    fn first_to_back(&self, first: usize, last: usize) -> f64 {
        let mut found = 0.0;
        self.walk_to_back(first, last, |_, change| found = change);
        found
    }

    fn exchange(&self, first: usize, last: usize) -> f64 {
        if last == first + 1 {
            return self.last_to_front(first, last);
        }
        // Rotate the node at `first` out of the rows below it, one adjacent transposition after another. `carried` is its
        // row; what remains of column `last` and of the diagonal is the factor without that node.
        let mut carried = self.upper.row(first)[first..=last].to_vec();
        let width = carried.len();
        let mut diagonal = Vec::with_capacity(width);
        let mut column = Vec::with_capacity(width);
        for k in 1..width - 1 {
            let row = &self.upper.row(first + k)[first..=last];
            let length = carried[k].hypot(row[k]);
            let (cosine, sine) = (carried[k] / length, row[k] / length);
            diagonal.push(length);
            column.push(cosine * carried[width - 1] + sine * row[width - 1]);
            for (value, &other) in carried[k + 1..].iter_mut().zip(&row[k + 1..]) {
                *value = cosine * other - sine * *value;
            }
        }
        let own = self.upper[(last, last)];
        let mut tail = carried[width - 1].powi(2) + own * own;
        let mut sum = 0.0;
        for (length, value) in diagonal.iter().zip(&column).rev() {
            let longer = tail + value * value;
            sum += length * length * (tail / longer);
            tail = longer;
        }
        // The exchanged nodes: the later one given what stood before `first`, the earlier one given everything.
        let precision: f64 = (first..=last).map(|m| self.inverse[(first, m)].powi(2)).sum();
        let front: f64 = (first..=last).map(|m| self.upper[(m, last)].powi(2)).sum();
        let before: f64 = (first..=last).map(|k| self.upper[(k, k)].powi(2)).sum();
        0.5 * (sum + front + 1.0 / precision - before)
    }
}

/// `½ Σ R_kk²` of the order, without the inverse.
pub(super) fn score_of_order(covariance: &Matrix, order: &[usize]) -> f64 {
    half_square_sum(&factor_upper(covariance, order))
}

fn half_square_sum(upper: &Matrix) -> f64 {
    0.5 * (0..upper.rows()).map(|k| upper[(k, k)].powi(2)).sum::<f64>()
}

fn factor_upper(covariance: &Matrix, order: &[usize]) -> Matrix {
    let d = order.len();
    let mut upper = Matrix::zeros(d, d);
    for (i, &row) in order.iter().enumerate() {
        for (value, &column) in upper.row_mut(i)[i..].iter_mut().zip(&order[i..]) {
            *value = covariance[(row, column)];
        }
    }
    let mut pivot_row = vec![0.0; d];
    for k in 0..d {
        let floor = 1e-15 * covariance[(order[k], order[k])];
        let root = upper[(k, k)].max(floor).sqrt();
        upper[(k, k)] = root;
        for value in &mut upper.row_mut(k)[k + 1..] {
            *value /= root;
        }
        pivot_row[k..].copy_from_slice(&upper.row(k)[k..]);
        for i in k + 1..d {
            let factor = pivot_row[i];
            for (value, x) in upper.row_mut(i)[i..].iter_mut().zip(&pivot_row[i..]) {
                *value -= factor * x;
            }
        }
    }
    upper
}

/// Row i of the inverse: `B_i = (e_i − Σ_{m>i} R_im B_m) / R_ii`, bottom up.
pub(super) fn invert_upper(upper: &Matrix) -> Matrix {
    let d = upper.rows();
    let mut inverse = Matrix::zeros(d, d);
    let mut row = vec![0.0; d];
    for i in (0..d).rev() {
        row[i..].fill(0.0);
        row[i] = 1.0;
        for m in i + 1..d {
            let factor = upper[(i, m)];
            for (value, x) in row[m..].iter_mut().zip(&inverse.row(m)[m..]) {
                *value -= factor * x;
            }
        }
        let pivot = upper[(i, i)];
        for (target, value) in inverse.row_mut(i)[i..].iter_mut().zip(&row[i..]) {
            *target = value / pivot;
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use backstitch_numerics::Stream;
    use proptest::prelude::*;

    use super::super::graph::regress;
    use super::*;

    /// Second moments of a few more rows than columns of correlated normal draws: far from diagonal, well conditioned.
    fn covariance(d: usize, seed: u64) -> Matrix {
        let mut stream = Stream::new(seed, "factor test");
        let rows = 3 * d + 5;
        let mix = Matrix::from_fn(d, d, |i, j| f64::from(u8::from(i == j)) + 0.5 * stream.normal());
        let draws = Matrix::from_fn(rows, d, |_, _| stream.normal());
        let samples =
            Matrix::from_fn(rows, d, |r, c| (0..d).map(|k| draws[(r, k)] * mix[(k, c)]).sum::<f64>());
        Matrix::from_fn(d, d, |i, j| {
            (0..rows).map(|r| samples[(r, i)] * samples[(r, j)]).sum::<f64>() / rows as f64
        })
    }

    /// Oracle: one regression per node.
    fn score_by_regressions(covariance: &Matrix, order: &[usize]) -> f64 {
        (0..order.len()).map(|k| 0.5 * regress(covariance, order[k], &order[..k]).unwrap().1).sum()
    }

    /// Oracle: factor only the block `first..=last`, O((last − first)³): with C the block of R, the new order of the block
    /// has covariance C'C given everything before it.
    fn change_by_block(factor: &Factor, step: Move) -> f64 {
        let width = step.last - step.first + 1;
        let block = |i: usize, j: usize| factor.upper[(step.first + i, step.first + j)];
        let inside =
            Matrix::from_fn(width, width, |i, j| (0..=i.min(j)).map(|m| block(m, i) * block(m, j)).sum());
        let mut order: Vec<usize> = (0..width).collect();
        Move { first: 0, last: width - 1, operation: step.operation }.apply(&mut order);
        score_of_order(&inside, &order) - (0..width).map(|k| 0.5 * block(k, k).powi(2)).sum::<f64>()
    }

    const OPERATIONS: [Operation; 3] = [Operation::Exchange, Operation::MoveAfter, Operation::MoveBefore];

    #[test]
    fn all_routes_to_the_score_after_a_move_agree() {
        for (d, seed) in [(2, 0), (3, 1), (7, 2), (16, 3), (40, 4)] {
            let covariance = covariance(d, seed);
            let order = Stream::new(seed, "order").permutation(d);
            let factor = Factor::new(&covariance, &order);
            let tolerance = 1e-11 * d as f64 * factor.score();
            assert!((factor.score() - score_by_regressions(&covariance, &order)).abs() < tolerance);
            for first in 0..d {
                for last in first + 1..d {
                    for operation in OPERATIONS {
                        let step = Move { first, last, operation };
                        let mut next = order.clone();
                        step.apply(&mut next);
                        let exact = score_of_order(&covariance, &next) - factor.score();
                        let fast = factor.change(step);
                        assert!((fast - exact).abs() < tolerance, "{step:?}: {fast} against {exact}");
                        let block = change_by_block(&factor, step);
                        assert!((block - exact).abs() < tolerance, "{step:?}: {block} against {exact}");
                        if d <= 16 {
                            let slow = score_by_regressions(&covariance, &next) - factor.score();
                            assert!((fast - slow).abs() < tolerance, "{step:?}: {fast} against {slow}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_inverse_inverts_and_the_weights_are_regressions() {
        for d in [1, 2, 9, 30] {
            let covariance = covariance(d, d as u64);
            let order = Stream::new(1, "order").permutation(d);
            let factor = Factor::new(&covariance, &order);
            for i in 0..d {
                for j in 0..d {
                    let product: f64 = (0..d).map(|k| factor.upper[(i, k)] * factor.inverse[(k, j)]).sum();
                    let expected = f64::from(u8::from(i == j));
                    assert!((product - expected).abs() < 1e-11 * d as f64, "{product} at ({i}, {j})");
                }
            }
            for k in 0..d {
                let (weights, _) = regress(&covariance, order[k], &order[..k]).unwrap();
                for (from, weight) in weights.into_iter().enumerate() {
                    assert!((factor.weight(from, k) - weight).abs() < 1e-9 * d as f64);
                }
            }
        }
    }

    /// The deviation named in the module: why the log-variance score needs sparsity.
    #[test]
    fn with_dense_fits_the_sum_of_log_variances_is_the_same_for_every_order() {
        let covariance = covariance(9, 5);
        let sum = |order: &[usize]| {
            let factor = factor_upper(&covariance, order);
            (0..9).map(|k| factor[(k, k)].powi(2).ln()).sum::<f64>()
        };
        let first = sum(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let mut stream = Stream::new(0, "orders");
        for _ in 0..50 {
            assert!((sum(&stream.permutation(9)) - first).abs() < 1e-11);
        }
    }

    #[test]
    fn the_list_of_insertions_is_every_insertion() {
        let covariance = covariance(12, 8);
        let factor = Factor::new(&covariance, &Stream::new(8, "order").permutation(12));
        let listed = factor.insertions_below(f64::INFINITY);
        assert_eq!(listed.len(), 12 * 11 - 11);
        for (change, step) in listed {
            assert_eq!(change, factor.change(step), "{step:?}");
        }
        let improving = factor.insertions_below(0.0);
        assert!(!improving.is_empty() && improving.iter().all(|(change, _)| *change < 0.0));
    }

    proptest! {
        #[test]
        fn moves_outside_each_other_add_up(seed in 0_u64..1000, d in 6_usize..14) {
            let covariance = covariance(d, seed);
            let order = Stream::new(seed, "order").permutation(d);
            let factor = Factor::new(&covariance, &order);
            let one = Move { first: 0, last: d / 2 - 1, operation: Operation::Exchange };
            let other = Move { first: d / 2, last: d - 1, operation: Operation::MoveAfter };
            let mut next = order;
            one.apply(&mut next);
            other.apply(&mut next);
            let both = score_of_order(&covariance, &next) - factor.score();
            let sum = factor.change(one) + factor.change(other);
            prop_assert!((both - sum).abs() < 1e-10 * factor.score());
        }

        #[test]
        fn moving_there_and_back_changes_nothing(seed in 0_u64..1000, first in 0_usize..5, more in 1_usize..5) {
            let covariance = covariance(10, seed);
            let mut order = Stream::new(seed, "order").permutation(10);
            let (there, back) = (Operation::MoveAfter, Operation::MoveBefore);
            let step = Move { first, last: first + more, operation: there };
            let forth = Factor::new(&covariance, &order).change(step);
            step.apply(&mut order);
            let factor = Factor::new(&covariance, &order);
            let again = factor.change(Move { operation: back, ..step });
            prop_assert!((forth + again).abs() < 1e-10 * factor.score());
        }
    }
}
