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

    /// Turns predictions into slopes divided by their number of rows, many at once.
    pub(super) fn slopes(self, predictions: &mut [f64], labels: &[f64], share: f64) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let pairs = predictions.iter_mut().zip(labels);
                match self {
                    Self::Logistic => pairs.for_each(|(entry, label)| {
                        *entry = -label * share / (1.0 + exponential(label * *entry));
                    }),
                    Self::LeastSquares => {
                        pairs.for_each(|(entry, label)| *entry = 2.0 * share * (*entry - label));
                    }
                }
            },
        );
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
            Self::Bounded(strength) => pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (slope, weight) in gradient.iter_mut().zip(weights) {
                        let below = 1.0 + weight * weight;
                        *slope += 2.0 * strength * weight / (below * below);
                    }
                },
            ),
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

/// `exp`, within 2 units in the last place, in a form that a compiler turns into vector instructions. Below −708 it is that of −708,
/// above 708 that of 708; NaN stays NaN.
#[inline(always)]
pub(crate) fn exponential(x: f64) -> f64 {
    /// Added to a number of this size, it leaves the nearest whole number in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts, the first with zeros at its end.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.clamp(-708.0, 708.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // x = whole·ln 2 + rest, |rest| ≤ ½ ln 2.
    let rest = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // The series to the 13th power; the next term is below 2⁻⁵⁶.
    let mut sum = 1.0 / 6_227_020_800.0;
    for below in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = sum * rest + 1.0 / below;
    }
    // 2^whole, its exponent put together from the bits; from −1021 to 1021.
    sum * f64::from_bits((shifted.to_bits().wrapping_add(1023)) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        let mut x = -708.0;
        while x <= 708.0 {
            let (ours, exact) = (exponential(x), x.exp());
            assert!((ours / exact - 1.0).abs() <= 4.0 * f64::EPSILON, "{x}: {ours} {exact}");
            x += 0.001_37;
        }
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(1e9), exponential(708.0));
        assert_eq!(exponential(f64::NEG_INFINITY), exponential(-708.0));
        assert!(exponential(f64::NAN).is_nan());
    }

    #[test]
    fn slopes_of_many_are_slopes_of_one() {
        for loss in [Loss::Logistic, Loss::LeastSquares] {
            let predictions: Vec<f64> = (0..101).map(|place| f64::from(place) * 0.7 - 35.0).collect();
            let labels: Vec<f64> = (0..101).map(|place| if place % 3 == 0 { 1.0 } else { -1.0 }).collect();
            let mut slopes = predictions.clone();
            loss.slopes(&mut slopes, &labels, 0.25);
            for ((slope, prediction), label) in slopes.iter().zip(predictions).zip(labels) {
                let expected = 0.25 * loss.slope(prediction, label);
                assert!((slope - expected).abs() <= 1e-14 * expected.abs(), "{slope} {expected}");
            }
        }
    }
}
