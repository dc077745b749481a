//! The same predictions by solving the kernel system numerically: no closed form, any inputs. The oracle of the tests and
//! of the study, O(k³).

use backstitch_numerics::Matrix;
use faer::Mat;
use faer::prelude::Solve;

use super::kernel::of_vectors;
use super::{Input, Parameters};
use crate::Error;

/// Means and covariances by linear algebra.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NumericPrediction {
    /// Inputs × k: row x is `Θ(x, X) Θ(X, X)⁻¹`, the mean output i for the identity permutation.
    pub means: Matrix,
    /// Inputs × inputs: the covariance of one output over networks.
    pub covariance: Matrix,
}

/// Solves for the given inputs, which are divided by the root of their number of ones unless `normalise` is false.
///
/// # Errors
/// [`Error::Length`] if an input has another length, and what [`Parameters::validate`] refuses.
pub fn solve(parameters: &Parameters, inputs: &[Input], normalise: bool) -> Result<NumericPrediction, Error> {
    parameters.validate()?;
    let k = parameters.length;
    for (input, found) in inputs.iter().enumerate() {
        if found.length() != k {
            return Err(Error::Length { input, found: found.length(), length: k });
        }
    }
    let train: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let test: Vec<Vec<f64>> = inputs
        .iter()
        .map(|input| {
            let size = if normalise { (input.ones().len() as f64).sqrt() } else { 1.0 };
            (0..k).map(|bit| f64::from(u8::from(input.has(bit))) / size).collect()
        })
        .collect();
    let kernels = |rows: &[Vec<f64>], columns: &[Vec<f64>]| {
        let pair = |i: usize, j: usize| of_vectors(parameters.parametrisation, &rows[i], &columns[j]);
        let size = (rows.len(), columns.len());
        (Mat::from_fn(size.0, size.1, |i, j| pair(i, j).0), Mat::from_fn(size.0, size.1, |i, j| pair(i, j).1))
    };
    let (features_train, training) = kernels(&train, &train);
    let (features_cross, cross) = kernels(&train, &test);
    let (features_test, _) = kernels(&test, &test);
    // Symmetric, so solving for columns gives the transposed weights, k × inputs.
    let weights = training.partial_piv_lu().solve(&cross);
    let explained = weights.transpose() * &features_cross;
    let trained = weights.transpose() * &features_train * &weights;
    let covariance = Matrix::from_fn(inputs.len(), inputs.len(), |i, j| {
        parameters.weight_variance
            * (features_test[(i, j)] - explained[(i, j)] - explained[(j, i)] + trained[(i, j)])
    });
    let means = Matrix::from_fn(inputs.len(), k, |input, bit| weights[(bit, input)]);
    Ok(NumericPrediction { means, covariance })
}
