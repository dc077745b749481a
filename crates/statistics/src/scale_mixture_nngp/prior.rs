//! The prior of the scale s², and what data leave of it.

use std::f64::consts::{LN_2, PI};

use backstitch_numerics::Stream;
use libm::lgamma;
use rand_distr::{Distribution, Gamma};
use serde::{Deserialize, Serialize};

use super::mixing::{Mixing, Source};
use crate::Error;

/// The distribution of s², the variance that all weights of the last layer share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Prior {
    /// s² is 1: a Gaussian process.
    Fixed,
    /// Inverse gamma: a Student-t process of 2 `shape` degrees of freedom, in closed form.
    InverseGamma {
        /// Above ½.
        shape: f64,
        /// Above 0.
        scale: f64,
    },
    /// Burr XII: density `c k x^(c−1) (1 + x^c)^(−k−1)`.
    BurrXii {
        /// The exponent c.
        c: f64,
        /// The exponent k.
        k: f64,
    },
    /// s is half-Cauchy.
    HalfCauchy {
        /// Its median.
        scale: f64,
    },
    /// Gamma: a variance-gamma process.
    Gamma {
        /// Above 0.
        shape: f64,
        /// Above 0.
        rate: f64,
    },
}

/// What n values of squared length q (in the inverse of the kernel) leave of a prior.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScalePosterior {
    /// log E[(s²)^(−n/2) exp(−q / 2s²)] under the prior.
    pub log_evidence: f64,
    /// E[1/s²] given the data.
    pub mean_precision: f64,
    /// What new values are mixed with.
    pub mixing: Mixing,
}

/// Nodes of the quadrature. The integrand is analytic and vanishes at both ends, where the trapezoid rule converges exponentially.
const NODES: usize = 512;
/// How far below its maximum the logarithm of the integrand is at the ends.
const DEPTH: f64 = 45.0;

impl Prior {
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        let range =
            |name, value: f64, least: f64, most: f64, allowed: &'static str, way_out: &'static str| {
                let inside = value > least && value <= most;
                if inside {
                    Ok(())
                } else {
                    Err(Error::Parameter { name, value: value.to_string(), allowed, way_out })
                }
            };
        let positive = "above 0 and at most 1e12";
        match *self {
            Self::Fixed => Ok(()),
            Self::InverseGamma { shape, scale } => {
                range(
                    "shape",
                    shape,
                    0.5,
                    1e12,
                    "above 0.5 and at most 1e12",
                    "with 2 shape degrees of freedom, the prior has no mean at 0.5 and below; 1 to 3 are usual",
                )?;
                range("scale", scale, 0.0, 1e12, positive, "give the shape, so that s² is about 1")
            }
            Self::BurrXii { c, k } => {
                let way_out = "2 is usual; what varies less is better a fixed scale";
                range("c", c, 0.0, 20.0, "above 0 and at most 20", way_out)?;
                range("k", k, 0.0, 1e3, "above 0 and at most 1000", way_out)
            }
            Self::HalfCauchy { scale } => range("scale", scale, 0.0, 1e12, positive, "give about 1"),
            Self::Gamma { shape, rate } => {
                range("shape", shape, 0.0, 1e6, "above 0 and at most 1e6", "1 to 3 are usual")?;
                range("rate", rate, 0.0, 1e12, positive, "give the shape, so that s² is about 1")
            }
        }
    }

    /// What data leave of it: n ≥ 1 values y with q = yᵀ K⁻¹ y ≥ 0. In closed form where there is one, else by quadrature.
    pub fn posterior(&self, n: usize, q: f64) -> ScalePosterior {
        let half = 0.5 * n as f64;
        match *self {
            Self::Fixed => {
                ScalePosterior { log_evidence: -0.5 * q, mean_precision: 1.0, mixing: Mixing::Gaussian }
            }
            Self::InverseGamma { shape, scale } => {
                let (after, rate) = (shape + half, scale + 0.5 * q);
                ScalePosterior {
                    log_evidence: shape * scale.ln() - after * rate.ln() + lgamma(after) - lgamma(shape),
                    mean_precision: after / rate,
                    mixing: Mixing::StudentT { degrees_of_freedom: 2.0 * after, factor: rate / after },
                }
            }
            _ => self.by_quadrature(n, q),
        }
    }

    /// The same by quadrature over log s², for any prior but the fixed scale.
    pub fn by_quadrature(&self, n: usize, q: f64) -> ScalePosterior {
        if *self == Self::Fixed {
            return self.posterior(n, q);
        }
        let half = 0.5 * n as f64;
        let integrand = |t: f64| self.log_density(t) - half * t - 0.5 * q * (-t).exp();
        let slope = |t: f64| self.slope(t) - half + 0.5 * q * (-t).exp();
        // Every prior here has a concave logarithm in log s², and so has the likelihood: there is one maximum.
        let start = if q > 0.0 { (q / n.max(1) as f64).ln() } else { 0.0 };
        let mode = root(start, slope);
        let top = integrand(mode);
        let drop = |t: f64| integrand(t) - top + DEPTH;
        let (lower, upper) = (edge(mode, -1.0, drop), edge(mode, 1.0, drop));
        let width = (upper - lower) / (NODES - 1) as f64;
        let nodes: Vec<f64> = (0..NODES).map(|node| lower + width * node as f64).collect();
        let mut weights: Vec<f64> = nodes.iter().map(|&t| (integrand(t) - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let variances: Vec<f64> = nodes.iter().map(|t| t.exp()).collect();
        let mean_precision = weights.iter().zip(&variances).map(|(weight, s)| weight / s).sum();
        let log_evidence = top + (total * width).ln();
        let source = Some(Source { prior: *self, n, q, log_evidence });
        ScalePosterior { log_evidence, mean_precision, mixing: Mixing::Nodes { weights, variances, source } }
    }

    /// The same by importance sampling from the prior, as the released code does: the oracle of the quadrature's test.
    pub fn by_sampling(&self, n: usize, q: f64, draws: usize, stream: &mut Stream) -> ScalePosterior {
        let half = 0.5 * n as f64;
        let variances: Vec<f64> = (0..draws).map(|_| self.sample(stream)).collect();
        let logs: Vec<f64> = variances.iter().map(|s| -half * s.ln() - 0.5 * q / s).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = logs.iter().map(|log| (log - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        ScalePosterior {
            log_evidence: top + (total / draws as f64).ln(),
            mean_precision: weights.iter().zip(&variances).map(|(weight, s)| weight / s).sum(),
            mixing: Mixing::Nodes { weights, variances, source: None },
        }
    }

    /// A draw of s².
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        let mut gamma = |shape: f64| {
            // The shape was checked to be positive and finite.
            Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(stream))
        };
        match *self {
            Self::Fixed => 1.0,
            Self::InverseGamma { shape, scale } => scale / gamma(shape),
            Self::Gamma { shape, rate } => gamma(shape) / rate,
            Self::BurrXii { c, k } => {
                let log = -(1.0 - stream.uniform()).ln() / k;
                log.exp_m1().powf(1.0 / c)
            }
            Self::HalfCauchy { scale } => (scale * (0.5 * PI * stream.uniform()).tan()).powi(2),
        }
    }

    /// log density of t = log s².
    fn log_density(&self, t: f64) -> f64 {
        match *self {
            Self::Fixed => f64::NEG_INFINITY,
            Self::InverseGamma { shape, scale } => {
                shape * (scale.ln() - t) - scale * (-t).exp() - lgamma(shape)
            }
            Self::BurrXii { c, k } => (c * k).ln() + c * t - (k + 1.0) * softplus(c * t),
            Self::HalfCauchy { scale } => {
                let u = t - 2.0 * scale.ln();
                -PI.ln() + 0.5 * u - softplus(u)
            }
            Self::Gamma { shape, rate } => shape * (t + rate.ln()) - rate * t.exp() - lgamma(shape),
        }
    }

    /// Its derivative.
    fn slope(&self, t: f64) -> f64 {
        match *self {
            Self::Fixed => 0.0,
            Self::InverseGamma { shape, scale } => scale * (-t).exp() - shape,
            Self::BurrXii { c, k } => c - (k + 1.0) * c * logistic(c * t),
            Self::HalfCauchy { scale } => 0.5 - logistic(t - 2.0 * scale.ln()),
            Self::Gamma { shape, rate } => shape - rate * t.exp(),
        }
    }
}

/// log(1 + e^x).
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The inverse of [`softplus`].
pub(crate) fn inverse_softplus(y: f64) -> f64 {
    y + (-(-y).exp_m1()).ln()
}

/// 1 / (1 + e^−x), the derivative of [`softplus`].
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ψ, the derivative of log Γ, for x > 0.
pub(crate) fn digamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < 12.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    // From Bernoulli numbers; the next term is below 1e-16 at 12.
    const COEFFICIENTS: [f64; 7] =
        [-1.0 / 12.0, 1.0 / 120.0, -1.0 / 252.0, 1.0 / 240.0, -1.0 / 132.0, 691.0 / 32_760.0, -1.0 / 12.0];
    let square = 1.0 / (x * x);
    shift + x.ln() - 0.5 / x
        + square * COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * square + coefficient)
}

/// Where a decreasing function crosses zero.
fn root(start: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut lower, mut upper) = (start - 1.0, start + 1.0);
    let mut step = 1.0;
    while function(lower) < 0.0 && step < 1e9 {
        lower -= step;
        step *= 2.0;
    }
    step = 1.0;
    while function(upper) > 0.0 && step < 1e9 {
        upper += step;
        step *= 2.0;
    }
    for _ in 0..80 {
        let middle = 0.5 * (lower + upper);
        if function(middle) > 0.0 {
            lower = middle;
        } else {
            upper = middle;
        }
    }
    0.5 * (lower + upper)
}

/// Where a function that is positive at `from` and falls away from it becomes negative.
fn edge(from: f64, direction: f64, function: impl Fn(f64) -> f64) -> f64 {
    let mut step = LN_2;
    while function(from + direction * step) > 0.0 && step < 1e9 {
        step *= 2.0;
    }
    let (mut inside, mut outside) = (0.0, step);
    for _ in 0..30 {
        let middle = 0.5 * (inside + outside);
        if function(from + direction * middle) > 0.0 {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    from + direction * outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_integrate_to_one_and_slopes_are_their_derivatives() {
        let priors = [
            Prior::InverseGamma { shape: 0.8, scale: 2.0 },
            Prior::BurrXii { c: 2.0, k: 1.5 },
            Prior::BurrXii { c: 20.0, k: 0.3 },
            Prior::HalfCauchy { scale: 3.0 },
            Prior::Gamma { shape: 2.5, rate: 0.5 },
        ];
        for prior in priors {
            // Without data the evidence is 1.
            let nothing = prior.by_quadrature(0, 0.0);
            assert!(nothing.log_evidence.abs() < 1e-12, "{prior:?}: {}", nothing.log_evidence);
            for t in [-3.0, -0.2, 0.0, 1.7] {
                let central = (prior.log_density(t + 1e-5) - prior.log_density(t - 1e-5)) / 2e-5;
                assert!((central - prior.slope(t)).abs() < 1e-6 * (1.0 + central.abs()), "{prior:?} {t}");
            }
        }
    }

    #[test]
    fn special_functions_have_their_known_values() {
        assert!((digamma(1.0) + 0.577_215_664_901_532_9).abs() < 1e-14);
        assert!((digamma(0.5) + 1.963_510_026_021_423_5).abs() < 1e-14);
        assert!((softplus(inverse_softplus(1e-6)) / 1e-6 - 1.0).abs() < 1e-9);
        assert!((inverse_softplus(800.0) - 800.0).abs() < 1e-12);
        assert!((logistic(0.3) - (softplus(0.300_01) - softplus(0.299_99)) / 2e-5).abs() < 1e-9);
    }
}
