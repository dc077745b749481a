//! Means and variances of infinitely wide networks after training on the basis vectors only, in closed form.

use super::kernel::{C, features, training};
use super::{Input, Parameters, Parametrisation, Rounding};

/// What infinitely wide networks, trained to the end on the k basis vectors, say of an input: every output is Gaussian over
/// random initial weights, independent of the other outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// Ones of the input, m.
    pub ones: usize,
    /// Mean of an output whose bit should be 0 (μ₀). With m = k there is no such output, and this is only a number.
    pub off: f64,
    /// Mean of an output whose bit should be 1 (μ₁).
    pub on: f64,
    /// Variance of every output over networks.
    pub variance: f64,
    /// Where the average output is cut into a bit: 1 above it.
    pub threshold: f64,
}

impl Prediction {
    /// Of inputs with `ones` ones, which must be from 1 to the length.
    pub(super) fn new(parameters: &Parameters, ones: usize) -> Self {
        let (off, on) = means(parameters, ones);
        let variance = if ones == 1 { 0.0 } else { covariance_of_counts(parameters, ones, ones, ones) };
        let threshold = match parameters.rounding {
            // A training input is met exactly; any cut strictly between 0 and 1 is right, and 0 itself would be a matter
            // of rounding errors.
            _ if ones == 1 => 0.5,
            Rounding::Zero => 0.0,
            Rounding::Midpoint => 0.5 * (off + on),
        };
        // Rounding errors must not make a variance negative.
        Self { ones, off, on, variance: variance.max(0.0), threshold }
    }
}

/// `d` and `c`: k times the training kernel of the basis vectors is `d·I + c·11ᵀ`.
pub(super) fn training_matrix(parametrisation: Parametrisation) -> (f64, f64) {
    (training(parametrisation, 1.0) - C, C)
}

/// Smallest and largest eigenvalue of the training kernel of the k basis vectors.
pub(super) fn eigenvalues(parameters: &Parameters) -> (f64, f64) {
    let (d, c) = training_matrix(parameters.parametrisation);
    let smallest = parameters.weight_variance * d / parameters.length as f64;
    (smallest, smallest + parameters.weight_variance * c)
}

/// μ₀ and μ₁. They are also the two distinct entries of the row of weights `A = Θ(x, X) Θ(X, X)⁻¹`.
fn means(parameters: &Parameters, ones: usize) -> (f64, f64) {
    if ones == 1 {
        return (0.0, 1.0);
    }
    let (d, c) = training_matrix(parameters.parametrisation);
    let (k, m) = (parameters.length as f64, ones as f64);
    let rise = training(parameters.parametrisation, 1.0 / m.sqrt()) - c;
    let off = c / d * (d - m * rise) / (d + c * k);
    (off, off + rise / d)
}

/// The covariance of one output over networks for two inputs.
pub(super) fn covariance(parameters: &Parameters, one: &Input, other: &Input) -> f64 {
    covariance_of_counts(parameters, one.ones().len(), other.ones().len(), one.overlap(other))
}

/// `K** − A K_X* − K_*X Aᵀ + A K_XX Aᵀ`, summed by which of the two inputs have a bit.
fn covariance_of_counts(parameters: &Parameters, ones: usize, other_ones: usize, overlap: usize) -> f64 {
    if ones == 1 || other_ones == 1 {
        // At a training input all networks agree.
        return 0.0;
    }
    let k = parameters.length as f64;
    let (m, n, both) = (ones as f64, other_ones as f64, overlap as f64);
    let neither = k - m - n + both;
    let (off, on) = means(parameters, ones);
    let (other_off, other_on) = means(parameters, other_ones);
    let (near, other_near) = (features(1.0 / m.sqrt()), features(1.0 / n.sqrt()));
    // Sum over training inputs of a weight that depends on membership times another.
    let sum = |on: f64, off: f64, other_on: f64, other_off: f64| {
        both * on * other_on
            + (m - both) * on * other_off
            + (n - both) * off * other_on
            + neither * off * other_off
    };
    let total = m * on + (k - m) * off;
    let other_total = n * other_on + (k - n) * other_off;
    let prior = if overlap == ones && overlap == other_ones { 0.5 } else { features(both / (m * n).sqrt()) };
    let cross = sum(on, off, other_near, C) + sum(near, C, other_on, other_off);
    let trained = (0.5 - C) * sum(on, off, other_on, other_off) + C * total * other_total;
    parameters.weight_variance * (prior - cross + trained) / k
}
