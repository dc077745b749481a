//! Ready problem: the penalty of every feature, chosen by the loss on validation rows.

use backstitch_numerics::{SparseBuilder, SparseMatrix};
use serde::{Deserialize, Serialize};

use super::problem::{Bilevel, Samples, Slopes};
use crate::Error;
use crate::objective::{Loss, Objective, Regulariser, RowObjective};

/// Rows with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// The features.
    pub features: &'a SparseMatrix,
    /// One label per row.
    pub labels: &'a [f64],
}

/// Whether every feature has a penalty of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// One per feature.
    PerFeature,
    /// One for all.
    One,
}

/// f is the mean loss of validation rows; g is the mean loss of training rows plus `½ Σ_j exp(x_j) w_j²`.
///
/// y is w, a weight per column; x is the logarithm of the penalty, per feature or one for all. The last columns may be without a penalty,
/// such as a column of ones.
#[derive(Clone, Debug)]
pub struct PenaltySelection<'a> {
    training: RowObjective<'a>,
    validation: RowObjective<'a>,
    sharing: Sharing,
    penalised: usize,
}

impl<'a> PenaltySelection<'a> {
    /// The problem of two sets of rows with the same columns, the last `free` of which have no penalty.
    ///
    /// # Errors
    /// [`Error::Length`] if the columns differ; [`Error::NoFeatures`] if all are free; as [`RowObjective::new`].
    pub fn new(
        training: Labelled<'a>,
        validation: Labelled<'a>,
        loss: Loss,
        sharing: Sharing,
        free: usize,
    ) -> Result<Self, Error> {
        let columns = training.features.columns();
        let found = validation.features.columns();
        if found != columns {
            return Err(Error::Length { what: "a validation row".into(), found, expected: columns });
        }
        if free >= columns {
            return Err(Error::NoFeatures);
        }
        let rows = |rows: Labelled<'a>| {
            RowObjective::new(rows.features, rows.labels, 0..rows.features.rows(), loss, Regulariser::None)
        };
        Ok(Self {
            training: rows(training)?,
            validation: rows(validation)?,
            sharing,
            penalised: columns - free,
        })
    }

    /// The penalties of the features at an x: `exp(x_j)`.
    pub fn penalties(&self, x: &[f64]) -> Vec<f64> {
        (0..self.penalised).map(|feature| self.penalty(x, feature)).collect()
    }

    fn penalty(&self, x: &[f64], feature: usize) -> f64 {
        match self.sharing {
            Sharing::PerFeature => x[feature].exp(),
            Sharing::One => x[0].exp(),
        }
    }
}

impl Bilevel for PenaltySelection<'_> {
    fn upper_dimension(&self) -> usize {
        match self.sharing {
            Sharing::PerFeature => self.penalised,
            Sharing::One => 1,
        }
    }

    fn lower_dimension(&self) -> usize {
        self.training.dimension()
    }

    fn upper_value(&self, _: &[f64], y: &[f64]) -> f64 {
        self.validation.value(y)
    }

    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64 {
        let penalties = y[..self.penalised].iter().enumerate();
        let cost: f64 = penalties.map(|(feature, weight)| self.penalty(x, feature) * weight * weight).sum();
        self.training.value(y) + 0.5 * cost
    }

    fn upper_gradient(&self, _: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        if let Some(slope) = slopes.x {
            slope.fill(0.0);
        }
        if let Some(slope) = slopes.y {
            of_rows(&self.validation, y, samples, slope);
        }
    }

    fn lower_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        if let Some(slope) = slopes.x {
            slope.fill(0.0);
            for (feature, weight) in y[..self.penalised].iter().enumerate() {
                let place = if self.sharing == Sharing::One { 0 } else { feature };
                slope[place] += 0.5 * self.penalty(x, feature) * weight * weight;
            }
        }
        if let Some(slope) = slopes.y {
            of_rows(&self.training, y, samples, slope);
            for (feature, (slope, weight)) in slope.iter_mut().zip(&y[..self.penalised]).enumerate() {
                *slope += self.penalty(x, feature) * weight;
            }
        }
    }

    fn upper_smoothness(&self) -> f64 {
        self.validation.smoothness()
    }

    fn lower_smoothness(&self, x: &[f64]) -> f64 {
        self.training.smoothness() + x.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp()
    }

    fn upper_samples(&self) -> usize {
        self.validation.samples()
    }

    fn lower_samples(&self) -> usize {
        self.training.samples()
    }
}

fn of_rows(objective: &RowObjective<'_>, y: &[f64], samples: Samples<'_>, slope: &mut [f64]) {
    match samples {
        Samples::All => objective.gradient(y, slope),
        Samples::Chosen(chosen) => objective.sample_gradient(y, chosen, slope),
    }
}

/// The same rows with a last column of ones.
///
/// # Errors
/// [`Error::TooManyColumns`] if there is no room for one more.
pub fn with_ones(features: &SparseMatrix) -> Result<SparseMatrix, Error> {
    let mut builder = SparseBuilder::new();
    let columns = features.columns();
    let full = |_| Error::TooManyColumns { columns };
    for row in 0..features.rows() {
        for (column, value) in features.row(row).iter() {
            builder.push(column, value).map_err(full)?;
        }
        builder.push(columns, 1.0).map_err(full)?;
        builder.end_row();
    }
    builder.finish().with_columns(columns + 1).map_err(full)
}
