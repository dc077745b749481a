//! The marginal likelihood of the targets, its derivatives, and the search for hyper-parameters.

use backstitch_numerics::Matrix;

use super::kernel::Kernel;
use super::linear::{factor_with_jitter, inverse, log_determinant, solve_lower, solve_upper};
use super::parameters::{Architecture, Hyperparameters, Parameters};
use super::prior::{Prior, ScalePosterior, digamma, inverse_softplus, logistic, softplus};
use crate::Error;
use crate::minimise::minimise;

/// The evidence and its derivatives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// log p(y).
    pub value: f64,
    /// By weight_std, bias_std, last_weight_std and noise.
    pub by_hyperparameters: [f64; 4],
    /// By shape and scale of an inverse-gamma prior; zero for others.
    pub by_prior: [f64; 2],
    /// What was added to the diagonal to factor the kernel.
    pub jitter: f64,
}

/// The factored kernel of a table and what its targets leave of the scale.
pub(crate) struct Factored {
    /// L of K + εI = L Lᵀ, column-major, lower triangle.
    pub(crate) factor: Vec<f64>,
    /// (K + εI)⁻¹ y.
    pub(crate) weights: Vec<f64>,
    pub(crate) scale: ScalePosterior,
    pub(crate) evidence: f64,
    pub(crate) jitter: f64,
}

impl Factored {
    pub(crate) fn new(
        kernel: &Kernel,
        noise: f64,
        prior: &Prior,
        x: &Matrix,
        y: &[f64],
    ) -> Result<Self, Error> {
        let n = y.len();
        let mut matrix = kernel.lower(x);
        for i in 0..n {
            matrix[i * n + i] += noise;
        }
        let (factor, jitter) =
            factor_with_jitter(&matrix, n).map_err(|row| Error::NotPositiveDefinite { row, jitter: 1e-4 })?;
        drop(matrix);
        let mut weights = y.to_vec();
        solve_lower(&factor, n, &mut weights);
        let q: f64 = weights.iter().map(|w| w * w).sum();
        solve_upper(&factor, n, &mut weights);
        let scale = prior.posterior(n, q);
        let evidence =
            scale.log_evidence - 0.5 * (n as f64 * std::f64::consts::TAU.ln() + log_determinant(&factor, n));
        Ok(Self { factor, weights, scale, evidence, jitter })
    }
}

/// The evidence of targets y at rows of x, as they stand: nothing is standardised here.
///
/// # Errors
/// [`Error::Parameter`], [`Error::Shape`], [`Error::NotPositiveDefinite`].
pub fn evidence(
    architecture: Architecture,
    hyperparameters: &Hyperparameters,
    prior: &Prior,
    x: &Matrix,
    y: &[f64],
) -> Result<Evidence, Error> {
    let kernel = Kernel::new(architecture, hyperparameters)?;
    prior.validate()?;
    architecture.fits(x.rows(), x.columns())?;
    if y.len() != x.rows() || y.is_empty() {
        return Err(Error::Shape { what: "the target", found: (y.len(), 1), expected: (x.rows().max(1), 1) });
    }
    differentiated(&kernel, hyperparameters, prior, x, y)
}

fn differentiated(
    kernel: &Kernel,
    hyperparameters: &Hyperparameters,
    prior: &Prior,
    x: &Matrix,
    y: &[f64],
) -> Result<Evidence, Error> {
    let n = y.len();
    let factored = Factored::new(kernel, hyperparameters.noise, prior, x, y)?;
    // d log p = tr(M dK) with M = ½ (E[1/s²] α αᵀ − K⁻¹); the second term is there already, so the first is added to it.
    let mut weights = inverse(&factored.factor, n);
    let precision = factored.scale.mean_precision;
    let alpha = &factored.weights;
    let mut trace = 0.0;
    for column in 0..n {
        let values = &mut weights[column * n..(column + 1) * n];
        for row in column..n {
            values[row] = 0.5 * (precision * alpha[row] * alpha[column] - values[row]);
        }
        trace += values[column];
    }
    let [weight, bias, last] = kernel.weighted_derivatives(x, &weights);
    let by_prior = match *prior {
        Prior::InverseGamma { shape, scale } => {
            let q: f64 = y.iter().zip(alpha).map(|(y, a)| y * a).sum();
            let (after, rate) = (shape + 0.5 * n as f64, scale + 0.5 * q);
            [scale.ln() - digamma(shape) + digamma(after) - rate.ln(), shape / scale - after / rate]
        }
        _ => [0.0; 2],
    };
    Ok(Evidence {
        value: factored.evidence,
        by_hyperparameters: [
            2.0 * hyperparameters.weight_std * weight,
            2.0 * hyperparameters.bias_std * bias,
            2.0 * hyperparameters.last_weight_std * last,
            trace,
        ],
        by_prior,
        jitter: factored.jitter,
    })
}

/// Least noise that the search goes to, the smallest of the released grid: below, a handful of rows is interpolated with a confidence
/// that no test row bears out, and the kernel of rows that are nearly equal cannot be factored.
const LEAST_NOISE: f64 = 1e-6;
/// Least deviation that the search goes to, and starts from: at zero it would stay there.
const LEAST_DEVIATION: f64 = 1e-6;
/// How far from where it began the search lets a deviation or the noise go: a factor.
const REACH: f64 = 1e4;

/// Hyper-parameters of largest evidence from where `parameters` begin, and the prior, fitted if they say so.
pub(crate) fn search(
    parameters: &Parameters,
    x: &Matrix,
    y: &[f64],
) -> Result<(Hyperparameters, Prior), Error> {
    let Parameters { initial, prior, .. } = parameters;
    let start = [initial.weight_std, initial.bias_std, initial.last_weight_std, initial.noise];
    let least = [LEAST_DEVIATION, LEAST_DEVIATION, LEAST_DEVIATION, LEAST_NOISE];
    let mut point: Vec<f64> =
        start.iter().zip(least).map(|(&value, least)| inverse_softplus((value - least).max(least))).collect();
    if let (true, Prior::InverseGamma { shape, scale }) = (parameters.fit_prior, prior) {
        point.extend([inverse_softplus(shape - 0.5), inverse_softplus(*scale)]);
    }
    let read = |point: &[f64]| {
        let value = |place: usize| softplus(point[place]);
        let above = |place: usize| least[place] + value(place);
        let hyperparameters = Hyperparameters {
            weight_std: above(0),
            bias_std: above(1),
            last_weight_std: above(2),
            noise: above(3),
        };
        let prior = if point.len() > 4 {
            Prior::InverseGamma { shape: 0.5 + value(4), scale: value(5) }
        } else {
            *prior
        };
        (hyperparameters, prior)
    };
    // A first evaluation outside the search, so that what is wrong with the data is an error and not an early end.
    let (hyperparameters, first) = read(&point);
    Factored::new(
        &Kernel::unchecked(parameters.architecture, &hyperparameters),
        hyperparameters.noise,
        &first,
        x,
        y,
    )?;
    let end = minimise(point, parameters.iterations, |point, gradient| {
        let (hyperparameters, prior) = read(point);
        let now = [hyperparameters.weight_std, hyperparameters.bias_std, hyperparameters.last_weight_std];
        let far = now.iter().zip(&start).any(|(now, start)| *now > REACH * start.max(1.0));
        if far || prior.validate().is_err() || hyperparameters.noise > REACH {
            gradient.fill(f64::NAN);
            return f64::INFINITY;
        }
        let kernel = Kernel::unchecked(parameters.architecture, &hyperparameters);
        let Ok(found) = differentiated(&kernel, &hyperparameters, &prior, x, y) else {
            gradient.fill(f64::NAN);
            return f64::INFINITY;
        };
        let all = found.by_hyperparameters.iter().chain(&found.by_prior);
        for ((slot, by), at) in gradient.iter_mut().zip(all).zip(point) {
            *slot = -by * logistic(*at) / y.len() as f64;
        }
        -found.value / y.len() as f64
    });
    Ok(read(&end))
}
