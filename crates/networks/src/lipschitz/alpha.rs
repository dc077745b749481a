//! The slopes of the lower lines of undecided ReLUs, searched by Adam: every bounded quantity has slopes of its own.

use faer::Mat;
use rayon::prelude::*;

use super::propagate::{Chain, both_signs};

/// Quantities searched together. Fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 16;

const FIRST_MOMENT: f64 = 0.9;
const SECOND_MOMENT: f64 = 0.999;
const TINY: f64 = 1e-8;

/// Steps of Adam, the first step size, and what it is multiplied by after each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descent {
    pub(super) steps: usize,
    pub(super) rate: f64,
    pub(super) decay: f64,
}

impl Descent {
    /// Lower and upper bounds of `rows · h + bias`, the best over all steps; `rows(from, count)` gives some of them. `free` has, for every step of the chain, the smallest
    /// slope of each variable whose lower line is free; the largest is 1.
    ///
    /// The bound is the value of a chain of lines at one corner of the box, the same for all nearby slopes, so that its derivative in
    /// a slope is the coefficient times the value that reaches the activation from that corner.
    pub(super) fn bounds(
        &self,
        chain: &Chain<'_>,
        rows: impl Fn(usize, usize) -> Mat<f64> + Sync,
        bias: &[f64],
        free: &[&[Option<f64>]],
    ) -> (Vec<f64>, Vec<f64>) {
        let count = bias.len();
        let parts: Vec<Vec<f64>> = (0..count.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let from = chunk * CHUNK;
                let size = CHUNK.min(count - from);
                let own = &bias[from..from + size];
                let constants = own.iter().copied().chain(own.iter().map(|value| -value)).collect();
                self.search(chain, &both_signs(rows(from, size).as_ref()), constants, free)
            })
            .collect();
        let (mut lower, mut upper) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for mut part in parts {
            let low = part.split_off(part.len() / 2);
            upper.extend(part);
            lower.extend(low.into_iter().map(|value| -value));
        }
        (lower, upper)
    }

    fn search(
        &self,
        chain: &Chain<'_>,
        rows: &Mat<f64>,
        constants: Vec<f64>,
        free: &[&[Option<f64>]],
    ) -> Vec<f64> {
        let count = rows.nrows();
        let zeros = || -> Vec<Mat<f64>> { free.iter().map(|free| Mat::zeros(count, free.len())).collect() };
        let mut slopes: Vec<Mat<f64>> = chain
            .steps()
            .iter()
            .map(|step| {
                Mat::from_fn(count, step.lines().lower_slope.len(), |_, column| {
                    step.lines().lower_slope[column]
                })
            })
            .collect();
        let (mut first, mut second) = (zeros(), zeros());
        let mut best = vec![f64::INFINITY; count];
        let mut rate = self.rate;
        for iteration in 0..=self.steps {
            let mut record = Vec::new();
            let found = chain.upper(
                rows.clone(),
                constants.clone(),
                vec![0.0; count],
                Some(&slopes),
                Some(&mut record),
            );
            best.iter_mut().zip(&found).for_each(|(best, found)| *best = best.min(*found));
            if iteration == self.steps {
                break;
            }
            let corrections = [FIRST_MOMENT, SECOND_MOMENT]
                .map(|moment| 1.0 - moment.powi(i32::try_from(iteration + 1).unwrap_or(i32::MAX)));
            let (low, high) = chain.end();
            let ends = &record[free.len()];
            let mut values = Mat::from_fn(count, ends.ncols(), |row, column| {
                if ends[(row, column)] > 0.0 { high[column] } else { low[column] }
            });
            for place in (0..free.len()).rev() {
                let step = &chain.steps()[place];
                if let Some(next) = step.next() {
                    values = next.map.push(values.as_ref());
                    for (column, bias) in next.bias.into_iter().flatten().enumerate() {
                        values.col_mut(column).iter_mut().for_each(|value| *value += bias);
                    }
                }
                let (lines, coefficients) = (step.lines(), &record[place]);
                for (column, free) in free[place].iter().enumerate() {
                    for row in 0..count {
                        let (a, value) = (coefficients[(row, column)], values[(row, column)]);
                        let at = (row, column);
                        values[at] = if a > 0.0 {
                            lines.upper_slope[column] * value + lines.upper_offset[column]
                        } else {
                            slopes[place][at] * value + lines.lower_offset[column]
                        };
                        let Some(least) = free else { continue };
                        let gradient = a.min(0.0) * value;
                        first[place][at] = FIRST_MOMENT * first[place][at] + (1.0 - FIRST_MOMENT) * gradient;
                        second[place][at] =
                            SECOND_MOMENT * second[place][at] + (1.0 - SECOND_MOMENT) * gradient * gradient;
                        let size = (second[place][at] / corrections[1]).sqrt() + TINY;
                        let moved = slopes[place][at] - rate * first[place][at] / (corrections[0] * size);
                        // A value that is not a number leaves the slope where it is.
                        if moved.is_finite() {
                            slopes[place][at] = moved.clamp(*least, 1.0);
                        }
                    }
                }
            }
            rate *= self.decay;
        }
        best
    }
}
