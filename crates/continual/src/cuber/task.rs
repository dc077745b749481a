//! Rows of one task.

use backstitch_numerics::Matrix;

use super::products::rows;
use crate::Error;

/// Rows with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    name: String,
    inputs: Matrix,
    labels: Vec<usize>,
}

impl Task {
    /// Rows × inputs, and one label per row, counted from 0.
    ///
    /// # Errors
    /// [`Error::Task`] for no rows, a number of labels that is not that of the rows, inputs that are not finite, and labels that are all the same.
    pub fn new(name: &str, inputs: Matrix, labels: Vec<usize>) -> Result<Self, Error> {
        let refuse = |problem: String, way_out| Err(Error::Task { task: name.into(), problem, way_out });
        if inputs.rows() == 0 || inputs.columns() == 0 {
            return refuse("it has no rows, or no columns of inputs".into(), "give at least two rows");
        }
        if labels.len() != inputs.rows() {
            let problem = format!("{} labels for {} rows", labels.len(), inputs.rows());
            return refuse(problem, "give one label per row");
        }
        if let Some(place) = inputs.values().iter().position(|value| !value.is_finite()) {
            let (row, column) = (place / inputs.columns(), place % inputs.columns());
            let problem = format!("input {} of row {} is {}", column + 1, row + 1, inputs.values()[place]);
            return refuse(problem, "remove or replace what is not finite");
        }
        if labels.iter().all(|label| *label == labels[0]) {
            let problem = format!("all {} rows have one class", labels.len());
            return refuse(problem, "a task needs two classes or more");
        }
        Ok(Self { name: name.into(), inputs, labels })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rows × inputs.
    pub fn inputs(&self) -> &Matrix {
        &self.inputs
    }

    /// One per row.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// One more than the largest label.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |largest| largest + 1)
    }

    /// Some rows with their labels.
    pub(super) fn rows(&self, picked: &[usize]) -> (Matrix, Vec<usize>) {
        (rows(&self.inputs, picked), picked.iter().map(|&row| self.labels[row]).collect())
    }
}
