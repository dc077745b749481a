//! Exact linear assignment: which row takes which column, so that the sum of what they cost is smallest.
//!
//! The algorithm of Jonker and Volgenant (1987): prices of columns, rows that bid for their cheapest column, and shortest augmenting
//! paths for the rows that are left. It ends with prices of rows and columns that prove the answer
//! ([`Assignment::row_prices`], [`Assignment::column_prices`]), and it can begin with prices of columns, those of a similar
//! problem, which makes it faster. Time O(n³) at worst, memory that of the costs.

use crate::Matrix;

/// A cheapest assignment, and the prices that prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The column of each row: a permutation.
    pub columns: Vec<usize>,
    /// Price of each row.
    pub row_prices: Vec<f64>,
    /// Price of each column: for every pair, row price plus column price is at most the cost, and equal to it where the pair is
    /// taken, up to rounding.
    pub column_prices: Vec<f64>,
}

/// Costs that no assignment can be found for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentError {
    /// Not as many rows as columns.
    #[error(
        "the costs have {rows} rows and {columns} columns, but must have as many of both; fill them up with a constant"
    )]
    Shape {
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A cost that is not finite.
    #[error(
        "the cost of row {row} and column {column} is {value}, but must be finite; forbid a pair by a large cost instead"
    )]
    Cost {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
    },
    /// Prices to begin with that do not fit.
    #[error(
        "{found} prices are given for {columns} columns, or one of them is not finite; give one finite number per column"
    )]
    Prices {
        /// Prices found.
        found: usize,
        /// Columns of the costs.
        columns: usize,
    },
}

/// Column of a row, or row of a column, that has none yet.
const NONE: usize = usize::MAX;

/// The cheapest assignment. Among equally cheap ones, the same one every time.
///
/// # Errors
/// [`AssignmentError`] if the costs are not square or not finite.
pub fn assign(costs: &Matrix) -> Result<Assignment, AssignmentError> {
    check(costs)?;
    let mut prices = vec![f64::INFINITY; costs.columns()];
    for row in 0..costs.rows() {
        for (price, cost) in prices.iter_mut().zip(costs.row(row)) {
            *price = if *cost < *price { *cost } else { *price };
        }
    }
    Ok(solve(costs, prices))
}

/// The same, beginning with prices of columns, which may be any finite numbers: those of a similar problem save time.
///
/// # Errors
/// [`AssignmentError`] if the costs are not square or not finite, or the prices do not fit.
pub fn assign_from(costs: &Matrix, column_prices: &[f64]) -> Result<Assignment, AssignmentError> {
    check(costs)?;
    if column_prices.len() != costs.columns() || column_prices.iter().any(|price| !price.is_finite()) {
        return Err(AssignmentError::Prices { found: column_prices.len(), columns: costs.columns() });
    }
    Ok(solve(costs, column_prices.to_vec()))
}

impl Assignment {
    /// The sum of the costs of the pairs taken.
    pub fn cost(&self, costs: &Matrix) -> f64 {
        self.columns.iter().enumerate().map(|(row, &column)| costs[(row, column)]).sum()
    }
}

fn check(costs: &Matrix) -> Result<(), AssignmentError> {
    let (rows, columns) = (costs.rows(), costs.columns());
    if rows != columns {
        return Err(AssignmentError::Shape { rows, columns });
    }
    match costs.values().iter().position(|cost| !cost.is_finite()) {
        None => Ok(()),
        Some(place) => Err(AssignmentError::Cost {
            row: place / columns,
            column: place % columns,
            value: costs.values()[place],
        }),
    }
}

fn solve(costs: &Matrix, prices: Vec<f64>) -> Assignment {
    let size = costs.rows();
    let mut search =
        Search { costs, prices, column_of: vec![NONE; size], row_of: vec![NONE; size], free: Vec::new() };
    search.take_cheapest();
    // Two rounds of bidding, as Jonker and Volgenant found best.
    for _ in 0..2 {
        search.bid();
    }
    search.augment();
    let Search { prices: column_prices, column_of: columns, .. } = search;
    let row_prices = columns
        .iter()
        .enumerate()
        .map(|(row, &column)| costs[(row, column)] - column_prices[column])
        .collect();
    Assignment { columns, row_prices, column_prices }
}

struct Search<'a> {
    costs: &'a Matrix,
    prices: Vec<f64>,
    column_of: Vec<usize>,
    row_of: Vec<usize>,
    /// Rows without a column.
    free: Vec<usize>,
}

impl Search<'_> {
    /// Each row takes its cheapest column at these prices, if no row before it did.
    fn take_cheapest(&mut self) {
        for row in 0..self.costs.rows() {
            let (_, column, _, _) = two_cheapest(self.costs.row(row), &self.prices);
            if self.row_of[column] == NONE {
                self.take(row, column);
            } else {
                self.free.push(row);
            }
        }
    }

    fn take(&mut self, row: usize, column: usize) {
        self.row_of[column] = row;
        self.column_of[row] = column;
    }

    /// Free rows bid for their cheapest column: its price falls until their second choice is as cheap; who held it is free again, and
    /// bids at once if the price fell.
    fn bid(&mut self) {
        let mut waiting = std::mem::take(&mut self.free);
        let mut at = 0;
        // Prices that fall by less than their rounding could go on for very long; what is left is for the paths.
        let mut bids = 0;
        let most = 8 * self.costs.rows();
        while at < waiting.len() {
            let row = waiting[at];
            at += 1;
            bids += 1;
            let (cheapest, mut column, second, other) = two_cheapest(self.costs.row(row), &self.prices);
            let lowered = if second.is_finite() {
                self.prices[column] - (second - cheapest)
            } else {
                self.prices[column]
            };
            let falls = lowered < self.prices[column];
            if falls {
                self.prices[column] = lowered;
            } else if self.row_of[column] != NONE && other != NONE {
                column = other;
            }
            let holder = self.row_of[column];
            self.take(row, column);
            if holder != NONE {
                self.column_of[holder] = NONE;
                if falls && bids < most {
                    at -= 1;
                    waiting[at] = holder;
                } else {
                    self.free.push(holder);
                }
            }
        }
    }

    /// A shortest augmenting path for every row that is still free.
    fn augment(&mut self) {
        let size = self.costs.rows();
        let mut lengths = vec![0.0; size];
        let mut before = vec![0; size];
        // Columns, those whose length is final first.
        let mut order: Vec<usize> = (0..size).collect();
        for free in std::mem::take(&mut self.free) {
            let costs = self.costs.row(free);
            for column in 0..size {
                lengths[column] = costs[column] - self.prices[column];
                before[column] = free;
                order[column] = column;
            }
            // order[..scanned] are done, order[scanned..reached] are as near as any other, order[reached..] are the rest.
            let (mut scanned, mut reached, mut shortest) = (0, 0, 0.0);
            let end = loop {
                if scanned == reached {
                    shortest = lengths[order[reached]];
                    let rest = reached;
                    for place in rest..size {
                        let length = lengths[order[place]];
                        if length <= shortest {
                            if length < shortest {
                                reached = scanned;
                                shortest = length;
                            }
                            order.swap(place, reached);
                            reached += 1;
                        }
                    }
                    let end =
                        order[scanned..reached].iter().copied().find(|&column| self.row_of[column] == NONE);
                    if let Some(end) = end {
                        break end;
                    }
                }
                let near = order[scanned];
                scanned += 1;
                let row = self.row_of[near];
                let costs = self.costs.row(row);
                let offset = shortest - (costs[near] - self.prices[near]);
                let mut end = NONE;
                let rest = reached;
                for place in rest..size {
                    let column = order[place];
                    let length = costs[column] - self.prices[column] + offset;
                    if length < lengths[column] {
                        lengths[column] = length;
                        before[column] = row;
                        if length <= shortest {
                            if self.row_of[column] == NONE {
                                end = column;
                                break;
                            }
                            order.swap(place, reached);
                            reached += 1;
                        }
                    }
                }
                if end != NONE {
                    break end;
                }
            };
            // Columns that were scanned before the last step became no nearer since.
            for &column in &order[..scanned] {
                let gain = lengths[column] - shortest;
                if gain < 0.0 {
                    self.prices[column] += gain;
                }
            }
            let mut column = end;
            loop {
                let row = before[column];
                self.row_of[column] = row;
                std::mem::swap(&mut self.column_of[row], &mut column);
                if row == free {
                    break;
                }
            }
        }
    }
}

/// The lowest cost minus price with its column, and the second lowest with its own.
fn two_cheapest(costs: &[f64], prices: &[f64]) -> (f64, usize, f64, usize) {
    let (mut cheapest, mut column, mut second, mut other) = (f64::INFINITY, 0, f64::INFINITY, NONE);
    for (place, (cost, price)) in costs.iter().zip(prices).enumerate() {
        let value = cost - price;
        if value < second {
            if value < cheapest {
                (second, other) = (cheapest, column);
                (cheapest, column) = (value, place);
            } else {
                (second, other) = (value, place);
            }
        }
    }
    if second == f64::INFINITY { (cheapest, column, second, NONE) } else { (cheapest, column, second, other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn random(size: usize, stream: &mut Stream, mut entry: impl FnMut(&mut Stream) -> f64) -> Matrix {
        Matrix::from_fn(size, size, |_, _| entry(stream))
    }

    /// The lowest cost over all permutations.
    fn by_hand(costs: &Matrix, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == costs.rows() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..costs.columns() {
            if !taken[column] {
                taken[column] = true;
                best = best.min(costs[(row, column)] + by_hand(costs, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    /// Prices that prove the assignment: feasible, and tight where a pair is taken.
    #[track_caller]
    fn proven(costs: &Matrix, found: &Assignment) {
        let size = costs.rows();
        let mut seen = vec![false; size];
        found.columns.iter().for_each(|&column| seen[column] = true);
        assert!(seen.iter().all(|seen| *seen), "{:?}", found.columns);
        let scale = costs.values().iter().fold(1e-300, |scale: f64, cost| scale.max(cost.abs()));
        let sum: f64 = found.row_prices.iter().chain(&found.column_prices).sum();
        assert!((sum - found.cost(costs)).abs() <= 1e-12 * scale * size as f64);
        for row in 0..size {
            for column in 0..size {
                let slack = costs[(row, column)] - found.row_prices[row] - found.column_prices[column];
                assert!(slack >= -1e-11 * scale, "row {row}, column {column}: {slack}");
            }
        }
    }

    #[test]
    fn no_permutation_is_cheaper() {
        let mut stream = Stream::new(0, "assignment tests");
        for size in 1..8 {
            for _ in 0..40 {
                let costs = random(size, &mut stream, Stream::normal);
                let found = assign(&costs).unwrap();
                proven(&costs, &found);
                let best = by_hand(&costs, 0, &mut vec![false; size]);
                assert!((found.cost(&costs) - best).abs() < 1e-12, "{costs:?}");
            }
        }
    }

    /// Small integers: most costs are ties, and every sum is exact.
    #[test]
    fn ties() {
        let mut stream = Stream::new(1, "assignment tests");
        for size in [1, 2, 5, 6, 40, 90] {
            for levels in [1, 2, 3, 10] {
                let costs = random(size, &mut stream, |stream| stream.below(levels) as f64 - 1.0);
                let found = assign(&costs).unwrap();
                proven(&costs, &found);
                assert_eq!(found, assign(&costs).unwrap());
                if size <= 6 {
                    assert_eq!(found.cost(&costs), by_hand(&costs, 0, &mut vec![false; size]));
                }
            }
        }
    }

    /// Costs of any size and sign; differences near the rounding of the largest.
    #[test]
    fn prices_prove_larger_ones() {
        let mut stream = Stream::new(2, "assignment tests");
        for (size, scale, shift) in
            [(60, 1e-9, 0.0), (60, 1e9, -3e9), (61, 1.0, 1e8), (120, 1.0, 0.0), (150, 1e150, 0.0)]
        {
            let costs = random(size, &mut stream, |stream| shift + scale * stream.normal());
            proven(&costs, &assign(&costs).unwrap());
            // Heavy tails, and rank one: where bidding goes on for long.
            let costs = random(size, &mut stream, |stream| scale * stream.normal().powi(5));
            proven(&costs, &assign(&costs).unwrap());
            let (left, right): (Vec<f64>, Vec<f64>) =
                (0..size).map(|_| (stream.normal(), stream.normal())).unzip();
            let costs = Matrix::from_fn(size, size, |row, column| left[row] * right[column]);
            proven(&costs, &assign(&costs).unwrap());
        }
    }

    #[test]
    fn any_prices_lead_to_the_same_cost() {
        let mut stream = Stream::new(3, "assignment tests");
        for size in [1, 2, 30, 80] {
            let costs = random(size, &mut stream, Stream::normal);
            let found = assign(&costs).unwrap();
            for scale in [0.0, 1e-3, 1.0, 1e3] {
                let prices: Vec<f64> = (0..size).map(|_| scale * stream.normal()).collect();
                let again = assign_from(&costs, &prices).unwrap();
                proven(&costs, &again);
                assert!((again.cost(&costs) - found.cost(&costs)).abs() < 1e-10);
            }
            let again = assign_from(&costs, &found.column_prices).unwrap();
            assert!((again.cost(&costs) - found.cost(&costs)).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_refused() {
        let nan = Matrix::new(2, 2, vec![0.0, 1.0, f64::NAN, 2.0]).unwrap();
        assert!(assign(&nan).unwrap_err().to_string().starts_with("the cost of row 1 and column 0 is NaN"));
        let infinite = Matrix::new(1, 1, vec![f64::INFINITY]).unwrap();
        assert!(matches!(assign(&infinite), Err(AssignmentError::Cost { row: 0, column: 0, .. })));
        assert!(matches!(assign(&Matrix::zeros(2, 3)), Err(AssignmentError::Shape { rows: 2, columns: 3 })));
        assert!(matches!(assign_from(&Matrix::zeros(2, 2), &[0.0]), Err(AssignmentError::Prices { .. })));
        assert!(assign_from(&Matrix::zeros(1, 1), &[f64::NAN]).is_err());
        assert_eq!(assign(&Matrix::zeros(0, 0)).unwrap().columns, [0_usize; 0]);
    }
}
