//! How many models: exact error probabilities from Gaussian tails, and the smallest ensemble for a given error.

use serde::{Deserialize, Serialize};

use super::tail::ln_upper_tail;
use super::{Parameters, Prediction};
use crate::Error;

/// Most models counted.
pub const MOST_MODELS: u64 = 1 << 52;

/// Which inputs must come out right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// One input with this many ones (all its bits).
    Ones(usize),
    /// All 2^k − 1 inputs at once, by the union bound over inputs.
    All,
}

/// Natural logarithm of the probability that the average of `models` networks gets some bit of an input wrong. Exact: the
/// outputs are independent Gaussians.
pub(super) fn ln_error(parameters: &Parameters, ones: usize, models: f64) -> f64 {
    let prediction = Prediction::new(parameters, ones);
    if ones == 1 {
        return f64::NEG_INFINITY;
    }
    let deviation = (prediction.variance / models).sqrt();
    let (on_tail, off_tail) = (
        ln_upper_tail((prediction.on - prediction.threshold) / deviation),
        ln_upper_tail((prediction.threshold - prediction.off) / deviation),
    );
    let (m, rest) = (ones as f64, (parameters.length - ones) as f64);
    let first_order =
        ln_add(m.ln() + on_tail, if rest > 0.0 { rest.ln() + off_tail } else { f64::NEG_INFINITY });
    // Below this, 1 − Π(1 − q) is Σq to rounding, and Σq may be too small for a float.
    if first_order < -40.0 {
        return first_order;
    }
    let right =
        m * (-on_tail.exp()).ln_1p() + if rest > 0.0 { rest * (-off_tail.exp()).ln_1p() } else { 0.0 };
    (-right.exp_m1()).ln()
}

/// Natural logarithm of the sum over all inputs of [`ln_error`].
pub(super) fn ln_error_of_all(parameters: &Parameters, models: f64) -> f64 {
    let k = parameters.length;
    let mut ln_inputs = (k as f64).ln();
    let mut sum = f64::NEG_INFINITY;
    for ones in 2..=k {
        ln_inputs += ((k - ones + 1) as f64 / ones as f64).ln();
        sum = ln_add(sum, ln_inputs + ln_error(parameters, ones, models));
    }
    sum
}

/// The smallest number of models with an error of at most `error`.
pub(super) fn models(parameters: &Parameters, coverage: Coverage, error: f64) -> Result<u64, Error> {
    let ln_error_at = |models: u64| match coverage {
        Coverage::Ones(ones) => ln_error(parameters, ones, models as f64),
        Coverage::All => ln_error_of_all(parameters, models as f64),
    };
    let wanted = error.ln();
    let mut enough = 1;
    while ln_error_at(enough) > wanted {
        if enough >= MOST_MODELS {
            return Err(Error::TooManyModels { limit: MOST_MODELS });
        }
        enough *= 2;
    }
    let mut too_few = enough / 2;
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if ln_error_at(middle) <= wanted {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(enough)
}

/// `ln(eˣ + eʸ)`.
fn ln_add(x: f64, y: f64) -> f64 {
    let (large, small) = if x > y { (x, y) } else { (y, x) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}
