//! The mean loss of some rows, plus a regulariser.

use std::cell::RefCell;
use std::ops::Range;

use backstitch_numerics::SparseMatrix;

use super::{Loss, Objective, Regulariser, largest_eigenvalue};
use crate::Error;

/// Bounds of an eigenvalue need not be nearer than this share.
const TOLERANCE: f64 = 1e-4;
/// Steps after which the bounds are taken as they are.
const MOST_STEPS: usize = 3_000;

/// Rows whose slopes are kept between the way there and the way back: few enough for the nearest cache.
const BLOCK: usize = 512;

/// What a gradient needs room for; a thread keeps it from one to the next.
#[derive(Default)]
struct Room {
    point: Vec<f64>,
    sum: Vec<f64>,
    slopes: Vec<f64>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// `f(x) = (1/m) Σ_r loss(a_rᵀx, y_r) + regulariser(x)` over m rows of a matrix.
///
/// Nothing is copied: several objectives may look at one matrix. Smooth with `curvature·λ_max(AᵀA)/m` plus the regulariser's
/// constant.
#[derive(Clone, Debug)]
pub struct RowObjective<'a> {
    features: &'a SparseMatrix,
    labels: &'a [f64],
    rows: Range<usize>,
    loss: Loss,
    regulariser: Regulariser,
    smoothness: f64,
    entries: usize,
}

impl<'a> RowObjective<'a> {
    /// The mean loss of the rows in a range, with its smoothness computed.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NoFeatures`], [`Error::Labels`], [`Error::NotSigned`], [`Error::NotFinite`],
    /// [`Error::TooLarge`], [`Error::Parameter`].
    pub fn new(
        features: &'a SparseMatrix,
        labels: &'a [f64],
        rows: Range<usize>,
        loss: Loss,
        regulariser: Regulariser,
    ) -> Result<Self, Error> {
        regulariser.validate()?;
        if labels.len() != features.rows() {
            return Err(Error::Labels { labels: labels.len(), rows: features.rows() });
        }
        if features.columns() == 0 {
            return Err(Error::NoFeatures);
        }
        let rows = rows.start..rows.end.min(features.rows());
        if rows.is_empty() {
            return Err(Error::NoRows);
        }
        for row in rows.clone() {
            let value = labels[row];
            if !value.is_finite() {
                return Err(Error::NotFinite { what: "the label", row, value });
            }
            if loss == Loss::Logistic && value.abs() != 1.0 {
                return Err(Error::NotSigned { row, value });
            }
            if let Some((_, value)) = features.row(row).iter().find(|(_, value)| !value.is_finite()) {
                return Err(Error::NotFinite { what: "a feature", row, value });
            }
            if !features.row(row).squared_norm().is_finite() {
                return Err(Error::TooLarge { row });
            }
        }
        let weight = loss.curvature() / rows.len() as f64;
        let bounds = largest_eigenvalue(features, rows.clone(), |_| weight, TOLERANCE, MOST_STEPS);
        let entries = rows.clone().map(|row| features.row(row).entries()).sum();
        let smoothness = bounds.upper + regulariser.smoothness();
        Ok(Self { features, labels, rows, loss, regulariser, smoothness, entries })
    }

    /// The rows it is the mean of.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// A constant for which the mean of objectives over one matrix, the regulariser the same in all, is smooth.
    ///
    /// # Errors
    /// [`Error::NoRows`] if there are none.
    pub fn smoothness_of_mean(objectives: &[Self]) -> Result<f64, Error> {
        let first = objectives.first().ok_or(Error::NoRows)?;
        let count = objectives.len() as f64;
        let begin = objectives.iter().map(|objective| objective.rows.start).min().unwrap_or(0);
        let end = objectives.iter().map(|objective| objective.rows.end).max().unwrap_or(0);
        let mut weights = vec![0.0; end - begin];
        for objective in objectives {
            let weight = objective.loss.curvature() / objective.rows.len() as f64 / count;
            for row in objective.rows.clone() {
                weights[row - begin] += weight;
            }
        }
        let bounds =
            largest_eigenvalue(first.features, begin..end, |row| weights[row - begin], TOLERANCE, MOST_STEPS);
        let mean = objectives.iter().map(|objective| objective.smoothness).sum::<f64>() / count;
        // A mean of smooth functions is never less smooth than their mean constant.
        Ok((bounds.upper + first.regulariser.smoothness()).min(mean))
    }
}

impl Objective for RowObjective<'_> {
    fn dimension(&self) -> usize {
        self.features.columns()
    }

    fn value(&self, point: &[f64]) -> f64 {
        let cost = |row: usize| self.loss.value(self.features.row(row).dot(point), self.labels[row]);
        let sum: f64 = self.rows.clone().map(cost).sum();
        sum / self.rows.len() as f64 + self.regulariser.value(point)
    }

    fn gradient(&self, point: &[f64], gradient: &mut [f64]) {
        let share = 1.0 / self.rows.len() as f64;
        let (columns, padded) = (self.features.columns(), self.features.padded_columns());
        ROOM.with_borrow_mut(|Room { point: long, sum, slopes }| {
            for vector in [&mut *long, &mut *sum] {
                vector.resize(padded, 0.0);
            }
            long[..columns].copy_from_slice(point);
            sum[..columns].fill(0.0);
            slopes.resize(BLOCK, 0.0);
            let mut begin = self.rows.start;
            while begin < self.rows.end {
                let block = begin..self.rows.end.min(begin + BLOCK);
                let slopes = &mut slopes[..block.len()];
                self.features.multiply(block.clone(), long, slopes);
                self.loss.slopes(slopes, &self.labels[block.clone()], share);
                self.features.add_multiples(block.clone(), slopes, sum);
                begin = block.end;
            }
            gradient.copy_from_slice(&sum[..columns]);
        });
        self.regulariser.add_gradient(point, gradient);
    }

    fn smoothness(&self) -> f64 {
        self.smoothness
    }

    fn lower_bound(&self) -> Option<f64> {
        Some(0.0)
    }

    fn samples(&self) -> usize {
        self.rows.len()
    }

    fn sample_gradient(&self, point: &[f64], samples: &[usize], gradient: &mut [f64]) {
        gradient.fill(0.0);
        let share = 1.0 / samples.len() as f64;
        for sample in samples {
            let row = self.rows.start + sample;
            let entries = self.features.row(row);
            let slope = self.loss.slope(entries.dot(point), self.labels[row]);
            entries.add_to(share * slope, gradient);
        }
        self.regulariser.add_gradient(point, gradient);
    }

    fn sample_variance(&self, batch: usize) -> Option<f64> {
        let rows = self.rows.len();
        if batch >= rows {
            return Some(0.0);
        }
        // The gradient of a row is its slope times the row; the regulariser's is the same for all rows.
        let steepest = self.loss.steepest()?;
        let squares: f64 = self.rows.clone().map(|row| self.features.row(row).squared_norm()).sum();
        let single = steepest * steepest * squares / rows as f64;
        Some(single / batch as f64 * (rows - batch) as f64 / (rows - 1) as f64)
    }

    fn work(&self) -> usize {
        2 * self.entries + 16 * self.rows.len()
    }
}
