//! Backward propagation of linear bounds through a chain of lines and linear maps, rounded outward.
//!
//! Coefficients stand in a matrix with one row per quantity that is bounded and one column per variable. What rounding does to them is
//! not followed entry by entry: a row whose absolute coefficients sum to s is off by at most s times a number that depends on the step
//! only, because every variable that the coefficients will be applied to is known to lie in an interval.

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::linear::Map;
use super::relaxation::Lines;
use super::rounding::factor;

/// Rows propagated together. Fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 64;

/// One activation, passed from what comes out of it to what goes in, and the linear map before it.
pub(super) struct Step<'a> {
    lines: &'a Lines,
    /// Bounds of what comes out.
    range: (&'a [f64], &'a [f64]),
    next: Option<Next<'a>>,
    /// Rounding error of the step per unit of absolute coefficients.
    error: f64,
    /// The largest absolute value that can come out.
    largest: f64,
}

/// The linear map before an activation.
pub(super) struct Next<'a> {
    pub(super) map: &'a Map,
    /// Whether coefficients are multiplied by the map's transpose.
    pub(super) transposed: bool,
    pub(super) bias: Option<&'a [f64]>,
    /// The sum over the variables behind the map of their largest absolute value times the largest weight on them.
    pub(super) weight: f64,
}

/// What coefficients are passed through.
pub(super) struct Chain<'a> {
    steps: Vec<Step<'a>>,
    /// Bounds of the last variables.
    end: (&'a [f64], &'a [f64]),
    factor: f64,
    /// Whether to take the best bound over all steps, not that of the end only.
    tighten: bool,
}

/// Slopes of lower lines, one matrix per step, rows × variables, instead of those of the lines.
pub(super) type Slopes = [Mat<f64>];

/// What a propagation has met: coefficients before each step and at the end.
pub(super) type Record = Vec<Mat<f64>>;

impl<'a> Chain<'a> {
    /// `terms` bounds the number of additions along the whole chain.
    pub(super) fn new(end: (&'a [f64], &'a [f64]), terms: usize, tighten: bool) -> Self {
        Self { steps: Vec::new(), end, factor: factor(terms), tighten }
    }

    /// Adds a step. `inside` bounds the variables that go into the activation.
    pub(super) fn push(
        &mut self,
        lines: &'a Lines,
        range: (&'a [f64], &'a [f64]),
        inside: (&[f64], &[f64]),
        next: Option<Next<'a>>,
    ) {
        let (slope, offset) = lines.sizes();
        let behind = next.as_ref().map_or(0.0, |next| {
            let bias =
                next.bias.map_or(0.0, |bias| bias.iter().fold(0.0_f64, |most, value| most.max(value.abs())));
            next.weight + bias
        });
        let error = self.factor * (slope * (behind + largest(inside)) + offset);
        self.steps.push(Step { lines, range, next, error, largest: largest(range) });
    }

    pub(super) fn steps(&self) -> &[Step<'a>] {
        &self.steps
    }

    pub(super) fn end(&self) -> (&'a [f64], &'a [f64]) {
        self.end
    }

    /// Lower and upper bounds of `coefficients · v + constants`, v what comes out of the first step. `coefficients(from, count)` gives
    /// some of the rows, of which there are as many as constants; `slack` is what they are already off by.
    pub(super) fn bounds(
        &self,
        coefficients: impl Fn(usize, usize) -> Mat<f64> + Sync,
        constants: &[f64],
        slack: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let rows = constants.len();
        let parts: Vec<(Vec<f64>, Vec<f64>)> = (0..rows.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let from = chunk * CHUNK;
                let count = CHUNK.min(rows - from);
                let stacked = both_signs(coefficients(from, count).as_ref());
                let picked = |values: &[f64], sign: f64| -> Vec<f64> {
                    let own = &values[from..from + count];
                    own.iter().copied().chain(own.iter().map(|value| sign * value)).collect()
                };
                let mut upper = self.upper(stacked, picked(constants, -1.0), picked(slack, 1.0), None, None);
                let lower = upper.split_off(count).into_iter().map(|value| -value).collect();
                (lower, upper)
            })
            .collect();
        let (mut lower, mut upper) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (low, high) in parts {
            lower.extend(low);
            upper.extend(high);
        }
        (lower, upper)
    }

    /// Upper bounds only.
    pub(super) fn upper(
        &self,
        mut coefficients: Mat<f64>,
        mut totals: Vec<f64>,
        mut slack: Vec<f64>,
        slopes: Option<&Slopes>,
        mut record: Option<&mut Record>,
    ) -> Vec<f64> {
        let mut best = vec![f64::INFINITY; totals.len()];
        for (slack, total) in slack.iter_mut().zip(&totals) {
            *slack += self.factor * total.abs();
        }
        for (place, step) in self.steps.iter().enumerate() {
            let norms = norms(coefficients.as_ref());
            if self.tighten {
                let found = largest_value(coefficients.as_ref(), step.range);
                for row in 0..best.len() {
                    let error = slack[row] + self.factor * norms[row] * step.largest;
                    best[row] = best[row].min((totals[row] + found[row] + error).next_up());
                }
            }
            if let Some(record) = record.as_deref_mut() {
                record.push(coefficients.clone());
            }
            slack.iter_mut().zip(&norms).for_each(|(slack, norm)| *slack += norm * step.error);
            step.apply(&mut coefficients, &mut totals, slopes.map(|slopes| &slopes[place]));
            if let Some(next) = &step.next {
                if let Some(bias) = next.bias {
                    for (column, bias) in bias.iter().enumerate() {
                        let pairs = totals.iter_mut().zip(coefficients.col(column).iter());
                        pairs.for_each(|(total, a)| *total += a * bias);
                    }
                }
                coefficients = next.multiply(coefficients.as_ref());
            }
        }
        let norms = norms(coefficients.as_ref());
        let found = largest_value(coefficients.as_ref(), self.end);
        let size = largest(self.end);
        for row in 0..best.len() {
            let error = slack[row] + self.factor * norms[row] * size;
            best[row] = best[row].min((totals[row] + found[row] + error).next_up());
        }
        if let Some(record) = record {
            record.push(coefficients);
        }
        best
    }
}

impl Step<'_> {
    pub(super) fn next(&self) -> Option<&Next<'_>> {
        self.next.as_ref()
    }

    pub(super) fn lines(&self) -> &Lines {
        self.lines
    }

    fn apply(&self, coefficients: &mut Mat<f64>, totals: &mut [f64], slopes: Option<&Mat<f64>>) {
        let lines = self.lines;
        for column in 0..coefficients.ncols() {
            let (up, up_offset) = (lines.upper_slope[column], lines.upper_offset[column]);
            let (down, down_offset) = (lines.lower_slope[column], lines.lower_offset[column]);
            let entries = coefficients.col_mut(column).iter_mut().zip(totals.iter_mut());
            if let Some(slopes) = slopes {
                for ((a, total), slope) in entries.zip(slopes.col(column).iter()) {
                    let (positive, negative) = (a.max(0.0), a.min(0.0));
                    *total += positive * up_offset + negative * down_offset;
                    *a = positive * up + negative * slope;
                }
            } else if up_offset == 0.0 && down_offset == 0.0 {
                for (a, _) in entries {
                    *a = a.max(0.0) * up + a.min(0.0) * down;
                }
            } else {
                for (a, total) in entries {
                    let (positive, negative) = (a.max(0.0), a.min(0.0));
                    *total += positive * up_offset + negative * down_offset;
                    *a = positive * up + negative * down;
                }
            }
        }
    }
}

impl Next<'_> {
    fn multiply(&self, coefficients: MatRef<'_, f64>) -> Mat<f64> {
        if self.transposed { self.map.push(coefficients) } else { self.map.pull(coefficients) }
    }
}

/// The rows, and under them the rows with their signs turned: upper bounds of those are lower bounds of these.
pub(super) fn both_signs(rows: MatRef<'_, f64>) -> Mat<f64> {
    let count = rows.nrows();
    let mut stacked = Mat::zeros(2 * count, rows.ncols());
    for column in 0..rows.ncols() {
        let (mut into, from) = (stacked.col_mut(column), rows.col(column));
        for row in 0..count {
            into[row] = from[row];
            into[count + row] = -from[row];
        }
    }
    stacked
}

/// Sums of absolute values of rows.
fn norms(rows: MatRef<'_, f64>) -> Vec<f64> {
    let mut sums = vec![0.0; rows.nrows()];
    for column in 0..rows.ncols() {
        sums.iter_mut().zip(rows.col(column).iter()).for_each(|(sum, a)| *sum += a.abs());
    }
    sums
}

/// The largest value of each row over a box.
fn largest_value(rows: MatRef<'_, f64>, (lower, upper): (&[f64], &[f64])) -> Vec<f64> {
    let mut sums = vec![0.0; rows.nrows()];
    for column in 0..rows.ncols() {
        let (low, high) = (lower[column], upper[column]);
        let pairs = sums.iter_mut().zip(rows.col(column).iter());
        pairs.for_each(|(sum, a)| *sum += a.max(0.0) * high + a.min(0.0) * low);
    }
    sums
}

/// The largest absolute value in a box.
pub(super) fn largest((lower, upper): (&[f64], &[f64])) -> f64 {
    lower.iter().chain(upper).fold(0.0, |most, value| most.max(value.abs()))
}

/// The sum over variables of their largest absolute value times a weight.
pub(super) fn weighted((lower, upper): (&[f64], &[f64]), weights: &[f64]) -> f64 {
    let size = |place: usize| lower[place].abs().max(upper[place].abs());
    (0..weights.len()).map(|place| size(place) * weights[place]).sum()
}
