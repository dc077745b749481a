//! Losses of a prediction and regularisers of the weights.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What a row's prediction `z = aᵀx` costs when its label is `y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `log(1 + exp(−yz))`, labels −1 and 1.
    Logistic,
    /// `(z − y)²`, any labels.
    LeastSquares,
}

impl Loss {
    /// The loss.
    #[inline]
    pub fn value(self, prediction: f64, label: f64) -> f64 {
        match self {
            Self::Logistic => {
                let margin = label * prediction;
                // Neither overflows nor cancels.
                (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
            }
            Self::LeastSquares => (prediction - label) * (prediction - label),
        }
    }

    /// Its derivative in the prediction.
    #[inline]
    pub fn slope(self, prediction: f64, label: f64) -> f64 {
        match self {
            Self::Logistic => -label / (1.0 + (label * prediction).exp()),
            Self::LeastSquares => 2.0 * (prediction - label),
        }
    }

    /// The largest second derivative in the prediction: 1/4 and 2.
    pub fn curvature(self) -> f64 {
        match self {
            Self::Logistic => 0.25,
            Self::LeastSquares => 2.0,
        }
    }

    /// The largest absolute slope, where there is one.
    pub fn steepest(self) -> Option<f64> {
        match self {
            Self::Logistic => Some(1.0),
            Self::LeastSquares => None,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::LeastSquares => "least-squares",
        }
    }
}

/// What the size of the weights costs. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regulariser {
    /// Nothing.
    None,
    /// `(λ/2)‖x‖²`.
    Ridge(f64),
    /// `λ Σ_j x_j²/(1 + x_j²)`, bounded and not convex.
    Bounded(f64),
}

impl Regulariser {
    /// Checks the strength.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless it is finite and not negative.
    pub fn validate(self) -> Result<(), Error> {
        let strength = self.strength();
        if strength.is_finite() && strength >= 0.0 {
            return Ok(());
        }
        Err(Error::parameter("regulariser", strength, "a finite number from 0 up", "use 0.001"))
    }

    /// The strength λ; 0 for none.
    pub fn strength(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Ridge(strength) | Self::Bounded(strength) => strength,
        }
    }

    /// The cost of some weights.
    pub fn value(self, weights: &[f64]) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Ridge(strength) => 0.5 * strength * super::squared_norm(weights),
            Self::Bounded(strength) => {
                strength * weights.iter().map(|weight| bounded(weight * weight)).sum::<f64>()
            }
        }
    }

    /// Adds the gradient at some weights.
    pub fn add_gradient(self, weights: &[f64], gradient: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Ridge(strength) => {
                for (slope, weight) in gradient.iter_mut().zip(weights) {
                    *slope += strength * weight;
                }
            }
            Self::Bounded(strength) => {
                for (slope, weight) in gradient.iter_mut().zip(weights) {
                    let below = 1.0 + weight * weight;
                    *slope += 2.0 * strength * weight / (below * below);
                }
            }
        }
    }

    /// The largest absolute second derivative: λ and 2λ.
    pub fn smoothness(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Ridge(strength) => strength,
            Self::Bounded(strength) => 2.0 * strength,
        }
    }
}

/// `s/(1 + s)`, also for a square that overflowed.
fn bounded(square: f64) -> f64 {
    if square.is_infinite() { 1.0 } else { square / (1.0 + square) }
}
