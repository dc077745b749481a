//! A linear model that was fitted, and what it says of new rows.

use backstitch_numerics::SparseMatrix;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::objective::{Classes, Loss};

/// Weights with what is needed to predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The loss it was fitted with.
    pub loss: Loss,
    /// The classes, with the logistic loss.
    pub classes: Option<Classes>,
    /// One weight per feature.
    pub weights: Vec<f64>,
}

/// What a model says of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// `aᵀx`: the prediction itself with least squares, the log-odds of the positive class with the logistic loss.
    pub score: f64,
    /// The probability of the positive class, with the logistic loss.
    pub probability: Option<f64>,
    /// The label of the likelier class; nothing for "one of the others" and with least squares.
    pub label: Option<f64>,
}

impl Model {
    /// Checks a model that was read.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Model { problem });
        if self.weights.is_empty() {
            return refuse("it has no weights".into());
        }
        if let Some(place) = self.weights.iter().position(|weight| !weight.is_finite()) {
            return refuse(format!("weight {place} is not a finite number"));
        }
        if (self.loss == Loss::Logistic) != self.classes.is_some() {
            return refuse("it has a logistic loss without classes, or classes without it".into());
        }
        Ok(())
    }

    /// One prediction per row.
    ///
    /// # Errors
    /// [`Error::Length`] if the rows have another number of features.
    pub fn predict(&self, features: &SparseMatrix) -> Result<Vec<Prediction>, Error> {
        if features.columns() != self.weights.len() {
            let (found, expected) = (features.columns(), self.weights.len());
            return Err(Error::Length { what: "a row of features".into(), found, expected });
        }
        let predict = |row: usize| {
            let score = features.row(row).dot(&self.weights);
            match &self.classes {
                None => Prediction { score, probability: None, label: None },
                Some(classes) => Prediction {
                    score,
                    probability: Some(1.0 / (1.0 + (-score).exp())),
                    label: classes.label(score),
                },
            }
        };
        Ok((0..features.rows()).map(predict).collect())
    }
}
