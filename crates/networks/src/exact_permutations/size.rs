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

/// Natural logarithm of the probability that the average of `models` networks gets some bit wrong: of an input, or the sum of
/// that over all inputs.
pub(super) fn ln_error(parameters: &Parameters, coverage: Coverage, models: f64) -> f64 {
    ln_sum(parameters.length, &classes(parameters, coverage), models)
}

/// The smallest number of models with an error of at most `error`.
pub(super) fn models(parameters: &Parameters, coverage: Coverage, error: f64) -> Result<u64, Error> {
    let classes = classes(parameters, coverage);
    let wrong_too_often = |models: u64| ln_sum(parameters.length, &classes, models as f64) > error.ln();
    let mut enough = 1;
    while wrong_too_often(enough) {
        if enough >= MOST_MODELS {
            return Err(Error::TooManyModels { limit: MOST_MODELS });
        }
        enough *= 2;
    }
    let mut too_few = enough / 2;
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if wrong_too_often(middle) {
            too_few = middle;
        } else {
            enough = middle;
        }
    }
    Ok(enough)
}

/// Predictions by number of ones, each with the logarithm of how many inputs have it.
fn classes(parameters: &Parameters, coverage: Coverage) -> Vec<(f64, Prediction)> {
    let k = parameters.length;
    match coverage {
        Coverage::Ones(ones) => vec![(0.0, Prediction::new(parameters, ones))],
        Coverage::All => {
            let mut ln_inputs = (k as f64).ln();
            let class = |ones: usize| {
                ln_inputs += ((k - ones + 1) as f64 / ones as f64).ln();
                (ln_inputs, Prediction::new(parameters, ones))
            };
            (2..=k).map(class).collect()
        }
    }
}

fn ln_sum(length: usize, classes: &[(f64, Prediction)], models: f64) -> f64 {
    classes.iter().fold(f64::NEG_INFINITY, |sum, (ln_inputs, prediction)| {
        ln_add(sum, ln_inputs + ln_error_of(length, prediction, models))
    })
}

/// Of one input. Exact: the outputs are independent Gaussians.
fn ln_error_of(length: usize, prediction: &Prediction, models: f64) -> f64 {
    if prediction.ones == 1 {
        return f64::NEG_INFINITY;
    }
    let deviation = (prediction.variance / models).sqrt();
    let (m, rest) = (prediction.ones as f64, (length - prediction.ones) as f64);
    let on_tail = ln_upper_tail((prediction.on - prediction.threshold) / deviation);
    let off_tail = match rest {
        0.0 => f64::NEG_INFINITY,
        _ => ln_upper_tail((prediction.threshold - prediction.off) / deviation),
    };
    let first_order = ln_add(m.ln() + on_tail, rest.ln() + off_tail);
    // Below this, 1 − Π(1 − q) is Σq to rounding, and Σq may be too small for a float.
    if first_order < -40.0 {
        return first_order;
    }
    let right = m * (-on_tail.exp()).ln_1p() + rest * (-off_tail.exp()).ln_1p();
    (-right.exp_m1()).ln()
}

/// `ln(eˣ + eʸ)`.
fn ln_add(x: f64, y: f64) -> f64 {
    let (large, small) = if x > y { (x, y) } else { (y, x) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}
