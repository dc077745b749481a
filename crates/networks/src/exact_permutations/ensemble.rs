//! Ensembles of infinitely wide networks, simulated exactly: per output a Gaussian vector over the inputs.

use backstitch_numerics::{Matrix, Stream};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::theory::covariance;
use super::{Input, Parameters, Prediction};
use crate::Error;

/// Most inputs simulated together: the covariance matrix takes 128 MiB.
pub const MOST_INPUTS: usize = 4_096;
/// Models per product; larger blocks gain nothing and take memory.
const BLOCK: usize = 64;

/// The joint distribution of the outputs on some inputs.
///
/// Outputs stand in the order of the input bits: column i is output P(i). Networks treat all outputs alike, so the
/// permutation does not matter.
#[derive(Clone, Debug)]
pub struct Ensemble {
    length: usize,
    inputs: Vec<Input>,
    predictions: Vec<Prediction>,
    /// Inputs × rank: the covariance of one output is `factor · factorᵀ`.
    factor: Mat<f64>,
}

impl Ensemble {
    pub(super) fn new(parameters: &Parameters, inputs: Vec<Input>) -> Result<Self, Error> {
        check(parameters, &inputs)?;
        let predictions =
            inputs.iter().map(|input| Prediction::new(parameters, input.ones().len())).collect();
        let factor = pivoted_cholesky(inputs.len(), |i, j| covariance(parameters, &inputs[i], &inputs[j]));
        Ok(Self { length: parameters.length, inputs, predictions, factor })
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Means, variance and cut of every input.
    pub fn predictions(&self) -> &[Prediction] {
        &self.predictions
    }

    /// Average outputs of `models` fresh networks, inputs × k.
    pub fn average(&self, models: u64, stream: &mut Stream) -> Matrix {
        // The mean of N standard normals is one with variance 1/N: the average is drawn as a whole.
        let scale = 1.0 / (models as f64).sqrt();
        let noise = Mat::from_fn(self.factor.ncols(), self.length, |_, _| scale * stream.normal());
        let mut drawn = Mat::zeros(self.inputs.len(), self.length);
        matmul(drawn.as_mut(), Accum::Replace, &self.factor, &noise, 1.0, Par::Seq);
        Matrix::from_fn(self.inputs.len(), self.length, |input, bit| {
            self.mean(input, bit) + drawn[(input, bit)]
        })
    }

    /// Adds one network after another and says how many it took until at least `share` of the inputs came out right, or
    /// `None` if `most` did not do. This is what the released experiments count.
    pub fn models_until(&self, share: f64, most: u64, stream: &mut Stream) -> Option<u64> {
        let (rows, k) = (self.inputs.len(), self.length);
        let mut sums: Mat<f64> = Mat::zeros(rows, k);
        let mut drawn: Mat<f64> = Mat::zeros(rows, k * BLOCK);
        let mut models = 0;
        while models < most {
            let noise = Mat::from_fn(self.factor.ncols(), k * BLOCK, |_, _| stream.normal());
            matmul(drawn.as_mut(), Accum::Replace, &self.factor, &noise, 1.0, Par::Seq);
            for model in 0..BLOCK {
                if models == most {
                    break;
                }
                models += 1;
                for bit in 0..k {
                    let column = model * k + bit;
                    for input in 0..rows {
                        sums[(input, bit)] += drawn[(input, column)];
                    }
                }
                if self.right(sums.as_ref(), models as f64) >= share * rows as f64 {
                    return Some(models);
                }
            }
        }
        None
    }

    /// For every input, whether all bits of these average outputs (inputs × k) come out right.
    ///
    /// # Errors
    /// [`Error::Length`] if the matrix has another shape.
    pub fn correct(&self, averages: &Matrix) -> Result<Vec<bool>, Error> {
        if (averages.rows(), averages.columns()) != (self.inputs.len(), self.length) {
            return Err(Error::Length {
                input: averages.rows(),
                found: averages.columns(),
                length: self.length,
            });
        }
        Ok((0..self.inputs.len())
            .map(|input| {
                let cut = self.predictions[input].threshold;
                (0..self.length).all(|bit| (averages[(input, bit)] > cut) == self.inputs[input].has(bit))
            })
            .collect())
    }

    fn right(&self, sums: MatRef<'_, f64>, models: f64) -> f64 {
        let right = (0..self.inputs.len()).filter(|&input| {
            let cut = self.predictions[input].threshold;
            (0..self.length).all(|bit| {
                let has = self.inputs[input].has(bit);
                (sums[(input, bit)] / models + self.mean_of(input, has) > cut) == has
            })
        });
        right.count() as f64
    }

    fn mean(&self, input: usize, bit: usize) -> f64 {
        self.mean_of(input, self.inputs[input].has(bit))
    }

    fn mean_of(&self, input: usize, has: bool) -> f64 {
        let prediction = &self.predictions[input];
        if has { prediction.on } else { prediction.off }
    }
}

fn check(parameters: &Parameters, inputs: &[Input]) -> Result<(), Error> {
    if inputs.is_empty() {
        return Err(Error::NoInputs);
    }
    if inputs.len() > MOST_INPUTS {
        return Err(Error::TooManyInputs {
            what: "the ensemble".into(),
            found: inputs.len().to_string(),
            limit: MOST_INPUTS,
            way_out: "take a sample of them",
        });
    }
    match inputs.iter().position(|input| input.length() != parameters.length) {
        None => Ok(()),
        Some(input) => Err(Error::Length { input, found: inputs[input].length(), length: parameters.length }),
    }
}

/// A factor of a positive semidefinite matrix, as many columns as its numerical rank.
fn pivoted_cholesky(size: usize, entry: impl Fn(usize, usize) -> f64) -> Mat<f64> {
    let mut left: Vec<f64> = (0..size).map(|i| entry(i, i)).collect();
    let enough = 1e-13 * left.iter().copied().fold(0.0, f64::max);
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < size {
        let pivot = (0..size).fold(0, |best, i| if left[i] > left[best] { i } else { best });
        if left[pivot] <= enough {
            break;
        }
        let root = left[pivot].sqrt();
        let mut column: Vec<f64> = (0..size).map(|i| entry(i, pivot)).collect();
        for earlier in &columns {
            let factor = earlier[pivot];
            for (value, other) in column.iter_mut().zip(earlier) {
                *value -= factor * other;
            }
        }
        for (value, rest) in column.iter_mut().zip(&mut left) {
            *value /= root;
            *rest = (*rest - *value * *value).max(0.0);
        }
        left[pivot] = 0.0;
        columns.push(column);
    }
    Mat::from_fn(size, columns.len(), |row, column| columns[column][row])
}
