//! Ready problem: how far every training row can be trusted, judged by the loss on clean validation rows.

use backstitch_numerics::SparseMatrix;

use super::problem::{Bilevel, Samples, Slopes, add};
use super::softmax::{SoftmaxRows, Wanted};
use crate::Error;
use crate::objective::squared_norm;

/// Rows of several classes, numbered from 0.
#[derive(Clone, Copy, Debug)]
pub struct Classified<'a> {
    /// The features.
    pub features: &'a SparseMatrix,
    /// The class of every row.
    pub labels: &'a [usize],
}

/// f is the mean softmax loss of validation rows; g is the mean over training rows of `s(x_i)·loss_i`, plus `½ ridge ‖y‖²`.
///
/// y has a weight per feature and class, those of a feature side by side; x has a number per training row, whose weight is
/// `s(x_i) = 1/(1 + exp(−x_i))`.
#[derive(Clone, Debug)]
pub struct DataCleaning<'a> {
    training: SoftmaxRows<'a>,
    validation: SoftmaxRows<'a>,
    ridge: f64,
}

impl<'a> DataCleaning<'a> {
    /// The problem of two sets of rows with the same columns and classes.
    ///
    /// # Errors
    /// [`Error::Length`] if the columns differ; [`Error::Parameter`] for the classes, a label or the ridge; [`Error::NoRows`],
    /// [`Error::NoFeatures`], [`Error::Labels`], [`Error::NotFinite`], [`Error::TooLarge`].
    pub fn new(
        training: Classified<'a>,
        validation: Classified<'a>,
        classes: usize,
        ridge: f64,
    ) -> Result<Self, Error> {
        if !(ridge.is_finite() && ridge >= 0.0) {
            return Err(Error::parameter("ridge", ridge, "finite and 0 or more", "use 0.001"));
        }
        let (found, expected) = (validation.features.columns(), training.features.columns());
        if found != expected {
            return Err(Error::Length { what: "a validation row".into(), found, expected });
        }
        let rows = |rows: Classified<'a>| SoftmaxRows::new(rows.features, rows.labels, classes);
        Ok(Self { training: rows(training)?, validation: rows(validation)?, ridge })
    }

    /// The weights of the training rows at an x, between 0 and 1.
    pub fn row_weights(&self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| sigmoid(*x)).collect()
    }
}

impl Bilevel for DataCleaning<'_> {
    fn upper_dimension(&self) -> usize {
        self.training.rows()
    }

    fn lower_dimension(&self) -> usize {
        self.training.dimension()
    }

    fn upper_value(&self, _: &[f64], y: &[f64]) -> f64 {
        let losses = losses(&self.validation, y, Samples::All, self.validation.rows());
        losses.iter().sum::<f64>() / losses.len() as f64
    }

    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64 {
        let losses = losses(&self.training, y, Samples::All, self.training.rows());
        let sum: f64 = losses.iter().zip(x).map(|(loss, x)| sigmoid(*x) * loss).sum();
        sum / losses.len() as f64 + 0.5 * self.ridge * squared_norm(y)
    }

    fn upper_gradient(&self, _: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        if let Some(slope) = slopes.x {
            slope.fill(0.0);
        }
        if let Some(slope) = slopes.y {
            let share = 1.0 / count(samples, self.validation.rows()) as f64;
            self.validation.pass(
                y,
                samples,
                Wanted { weight: |_| share, gradient: Some(slope), losses: None },
            );
        }
    }

    fn lower_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        let visited = count(samples, self.training.rows());
        let share = 1.0 / visited as f64;
        let mut room = Vec::new();
        let losses = slopes.x.is_some().then(|| {
            room.resize(visited, 0.0);
            &mut room[..]
        });
        let weight = |row: usize| share * sigmoid(x[row]);
        match slopes.y {
            Some(slope) => {
                self.training.pass(y, samples, Wanted { weight, gradient: Some(&mut *slope), losses });
                add(slope, self.ridge, y);
            }
            None => self.training.pass(y, samples, Wanted { weight, gradient: None, losses }),
        }
        if let Some(slope) = slopes.x {
            slope.fill(0.0);
            let mut give = |row: usize, loss: f64| {
                let weight = sigmoid(x[row]);
                slope[row] += share * weight * (1.0 - weight) * loss;
            };
            match samples {
                Samples::All => room.iter().enumerate().for_each(|(row, loss)| give(row, *loss)),
                Samples::Chosen(chosen) => chosen.iter().zip(&room).for_each(|(row, loss)| give(*row, *loss)),
            }
        }
    }

    fn upper_smoothness(&self) -> f64 {
        self.validation.smoothness()
    }

    /// Weights are at most 1.
    fn lower_smoothness(&self, _: &[f64]) -> f64 {
        self.training.smoothness() + self.ridge
    }

    fn upper_samples(&self) -> usize {
        self.validation.rows()
    }

    fn lower_samples(&self) -> usize {
        self.training.rows()
    }
}

fn losses(rows: &SoftmaxRows<'_>, y: &[f64], samples: Samples<'_>, count: usize) -> Vec<f64> {
    let mut losses = vec![0.0; count];
    rows.pass(y, samples, Wanted { weight: |_| 0.0, gradient: None, losses: Some(&mut losses) });
    losses
}

fn count(samples: Samples<'_>, all: usize) -> usize {
    match samples {
        Samples::All => all,
        Samples::Chosen(chosen) => chosen.len(),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
