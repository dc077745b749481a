//! What a standard normal becomes when its scale is drawn too: Student's t, or a weighted sum of normals.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use backstitch_numerics::Stream;
use backstitch_numerics::special::{beta_probability, student_t_quantile};
use libm::{erfc, lgamma};
use rand_distr::{Distribution, Gamma};

use super::prior::Prior;

/// The distribution of √s² times a standard normal, given the data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mixing {
    /// s² is 1.
    Gaussian,
    /// √factor times Student's t.
    StudentT {
        /// Degrees of freedom.
        degrees_of_freedom: f64,
        /// Its squared scale.
        factor: f64,
    },
    /// A sum of normals.
    Nodes {
        /// Their weights, which sum to 1.
        weights: Vec<f64>,
        /// Their variances.
        variances: Vec<f64>,
        /// What the sum is a quadrature of; `None` for draws.
        source: Option<Source>,
    },
}

/// The posterior that nodes stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// The prior of s².
    pub prior: Prior,
    /// How many values were seen.
    pub n: usize,
    /// Their squared length.
    pub q: f64,
    /// Their [`log_evidence`](super::ScalePosterior::log_evidence).
    pub log_evidence: f64,
}

impl Mixing {
    /// 1 / E[1/s²]: the squared scale of Student's t, and what stands for it in other mixtures.
    pub fn squared_scale(&self) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::StudentT { factor, .. } => *factor,
            Self::Nodes { weights, variances, .. } => {
                1.0 / weights.iter().zip(variances).map(|(weight, s)| weight / s).sum::<f64>()
            }
        }
    }

    /// 2 E[1/s²]² / Var[1/s²]: the degrees of freedom of Student's t; infinite for a normal.
    pub fn degrees_of_freedom(&self) -> f64 {
        match self {
            Self::Gaussian => f64::INFINITY,
            Self::StudentT { degrees_of_freedom, .. } => *degrees_of_freedom,
            Self::Nodes { weights, variances, .. } => {
                let mean: f64 = weights.iter().zip(variances).map(|(weight, s)| weight / s).sum();
                let spread: f64 =
                    weights.iter().zip(variances).map(|(weight, s)| weight * (1.0 / s - mean).powi(2)).sum();
                2.0 * mean * mean / spread
            }
        }
    }

    /// Logarithm of the density at z.
    pub fn log_density(&self, z: f64) -> f64 {
        match self {
            Self::Gaussian => -0.5 * (TAU.ln() + z * z),
            Self::StudentT { degrees_of_freedom: v, factor } => {
                lgamma(0.5 * (v + 1.0))
                    - lgamma(0.5 * v)
                    - 0.5 * (v * std::f64::consts::PI * factor).ln()
                    - 0.5 * (v + 1.0) * (z * z / (v * factor)).ln_1p()
            }
            // One more value's evidence over that of the others: right also where all nodes are far too narrow for z.
            Self::Nodes { source: Some(source), .. } => {
                let more = source.prior.by_quadrature(source.n + 1, source.q + z * z);
                more.log_evidence - source.log_evidence - 0.5 * TAU.ln()
            }
            Self::Nodes { weights, variances, source: None } => {
                let terms = || {
                    weights
                        .iter()
                        .zip(variances)
                        .filter(|(weight, _)| **weight > 0.0)
                        .map(|(weight, s)| weight.ln() - 0.5 * ((TAU * s).ln() + z * z / s))
                };
                let top = terms().fold(f64::NEG_INFINITY, f64::max);
                top + terms().map(|term| (term - top).exp()).sum::<f64>().ln()
            }
        }
    }

    /// A draw of s².
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::StudentT { degrees_of_freedom, factor } => {
                // Half the degrees of freedom are positive.
                let half = 0.5 * degrees_of_freedom;
                let gamma = Gamma::new(half, 1.0).map_or(f64::NAN, |gamma| gamma.sample(stream));
                factor * half / gamma
            }
            Self::Nodes { weights, variances, .. } => {
                let mut left = stream.uniform();
                let place = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                variances[place.unwrap_or(variances.len() - 1)]
            }
        }
    }

    /// The probability of a value above z.
    fn tail(&self, z: f64) -> f64 {
        match self {
            Self::Nodes { weights, variances, .. } => {
                let above = |s: f64| 0.5 * erfc(z * FRAC_1_SQRT_2 / s.sqrt());
                weights.iter().zip(variances).map(|(weight, &s)| weight * above(s)).sum()
            }
            _ => 0.5 * erfc(z * FRAC_1_SQRT_2),
        }
    }

    /// The probability of a value within z to both sides of 0.
    pub fn within(&self, z: f64) -> f64 {
        if let Self::StudentT { degrees_of_freedom: v, factor } = self {
            let square = z * z / factor;
            let share = if square.is_finite() { square / (v + square) } else { 1.0 };
            return beta_probability(share, 0.5, 0.5 * v);
        }
        1.0 - 2.0 * self.tail(z.abs())
    }

    /// The value that a share `level` of draws lies within, to both sides of 0. NaN unless 0 < level < 1.
    pub fn half_width(&self, level: f64) -> f64 {
        if !(level > 0.0 && level < 1.0) {
            return f64::NAN;
        }
        let outside = 0.5 * (1.0 - level);
        if let Self::StudentT { degrees_of_freedom, factor } = self {
            return -student_t_quantile(outside, *degrees_of_freedom) * factor.sqrt();
        }
        let mut upper = 1.0;
        while self.tail(upper) > outside && upper < 1e300 {
            upper *= 2.0;
        }
        let mut lower = 0.0;
        for _ in 0..100 {
            let middle = 0.5 * (lower + upper);
            if self.tail(middle) > outside {
                lower = middle;
            } else {
                upper = middle;
            }
        }
        0.5 * (lower + upper)
    }
}
