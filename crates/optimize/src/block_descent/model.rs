//! A fitted model: weights that predict numbers or classes.

use backstitch_numerics::SparseMatrix;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::objective::Classes;

/// What is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A number.
    LeastSquares,
    /// One class against another, or against all others.
    Logistic(Classes),
    /// One of several classes, ascending.
    Softmax(Vec<f64>),
}

/// Weights with what they predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What is predicted.
    pub task: Task,
    /// A weight per feature; of a softmax one per class, those of a feature together.
    pub weights: Vec<f64>,
}

/// What is predicted for a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The number, or the label of the class; nothing for "one of the others".
    pub value: Option<f64>,
    /// The probability of that class.
    pub probability: Option<f64>,
}

impl Model {
    /// Weights per feature.
    pub fn classes(&self) -> usize {
        if let Task::Softmax(labels) = &self.task { labels.len() } else { 1 }
    }

    /// Features it has weights for.
    pub fn features(&self) -> usize {
        self.weights.len() / self.classes().max(1)
    }

    /// Checks a model that was read.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self) -> Result<(), Error> {
        let refused = |problem: &str| Err(Error::Model { problem: problem.into() });
        if matches!(&self.task, Task::Softmax(labels) if labels.len() < 2) {
            return refused("it has fewer than two classes");
        }
        if self.weights.is_empty() || !self.weights.len().is_multiple_of(self.classes()) {
            return refused("its weights do not go up in its classes");
        }
        if self.weights.iter().any(|weight| !weight.is_finite()) {
            return refused("a weight is not finite");
        }
        Ok(())
    }

    /// Predicts every row.
    ///
    /// # Errors
    /// [`Error::Model`]; [`Error::Length`] unless there is a column per feature.
    pub fn predict(&self, rows: &SparseMatrix) -> Result<Vec<Prediction>, Error> {
        self.validate()?;
        if rows.columns() != self.features() {
            let (found, expected) = (rows.columns(), self.features());
            return Err(Error::Length { what: "a row".into(), found, expected });
        }
        Ok((0..rows.rows()).map(|row| self.predict_row(rows, row)).collect())
    }

    fn predict_row(&self, rows: &SparseMatrix, row: usize) -> Prediction {
        let classes = self.classes();
        let mut scores = vec![0.0; classes];
        for (feature, value) in rows.row(row).iter() {
            let weights = &self.weights[feature * classes..(feature + 1) * classes];
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += value * weight);
        }
        match &self.task {
            Task::LeastSquares => Prediction { value: Some(scores[0]), probability: None },
            Task::Logistic(classes) => {
                let probability = 1.0 / (1.0 + (-scores[0].abs()).exp());
                Prediction { value: classes.label(scores[0]), probability: Some(probability) }
            }
            Task::Softmax(labels) => {
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let best = scores.iter().position(|score| *score == most).unwrap_or(0);
                let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
                Prediction { value: Some(labels[best]), probability: Some(1.0 / sum) }
            }
        }
    }
}
