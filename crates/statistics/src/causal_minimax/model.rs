//! A fitted predictor, and what it needs to predict.

use backstitch_numerics::Matrix;
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::Error;

/// A predictor of the target from the chosen stable columns and all mutable ones. It can be saved and read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Columns of the training table that it reads, in this order.
    pub inputs: Vec<usize>,
    pub(crate) input_scales: Vec<Scale>,
    pub(crate) target_scale: Scale,
    pub(crate) network: Network,
}

/// Mean and standard deviation of a training column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n − 1 in its denominator.
    pub deviation: f64,
}

impl Scale {
    /// Of a column of two values or more.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let square = values.map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { mean, deviation: (square / (count - 1.0)).sqrt() }
    }

    /// In training standard deviations from the training mean.
    pub fn standardise(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    /// Back to the units of the column.
    pub fn restore(&self, value: f64) -> f64 {
        self.mean + self.deviation * value
    }

    fn is_sound(&self) -> bool {
        self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0
    }
}

impl Model {
    /// Predicts the target, in its own units, for every row of a table that holds the columns `inputs` in that order.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of columns, [`Error::NotFinite`] for a value that is not a number.
    pub fn predict(&self, inputs: &Matrix) -> Result<Vec<f64>, Error> {
        let columns = self.inputs.len();
        if inputs.columns() != columns {
            let found = (inputs.rows(), inputs.columns());
            return Err(Error::Shape {
                what: "the table of inputs",
                found,
                expected: (inputs.rows(), columns),
            });
        }
        let mut activations = vec![0.0; self.network.hidden()];
        let mut x = vec![0.0; columns];
        (0..inputs.rows())
            .map(|row| {
                for (column, (slot, &value)) in x.iter_mut().zip(inputs.row(row)).enumerate() {
                    if !value.is_finite() {
                        return Err(Error::NotFinite { row, column, value });
                    }
                    *slot = self.input_scales[column].standardise(value);
                }
                Ok(self.target_scale.restore(self.network.forward(&x, &mut activations)))
            })
            .collect()
    }

    /// The scale of the target in the training rows.
    pub fn target_scale(&self) -> Scale {
        self.target_scale
    }

    /// Checks a model that was read from a file.
    ///
    /// # Errors
    /// [`Error::Model`] if its parts do not fit.
    pub fn validate(&self) -> Result<(), Error> {
        let fail = |problem: &'static str| Err(Error::Model { problem });
        if !self.network.is_sound() {
            return fail("the parameters of its network do not fit its size, or are not finite");
        }
        if self.network.inputs() != self.inputs.len() || self.input_scales.len() != self.inputs.len() {
            return fail("the numbers of inputs, scales and network inputs differ");
        }
        if !self.input_scales.iter().chain([&self.target_scale]).all(Scale::is_sound) {
            return fail("a scale is not a finite mean with a positive standard deviation");
        }
        Ok(())
    }
}
