//! Parameters of the method.

use crate::Error;

/// Parameters of weight matching.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Most sweeps over all permutations: 1 to 100,000. 300, as in the released code of the follow-up.
    pub sweeps: usize,
    /// Least gain of a step, as a share of the product of the norms of both networks: 0 to 1. 1e-12: above the rounding of double
    /// precision, so that ties do not go round in circles.
    pub tolerance: f64,
    /// Decides the order in which permutations are visited, and batches of the straight-through estimator.
    pub seed: u64,
    /// Passes of the straight-through estimator over the data: 1 to 100,000. 10.
    pub epochs: usize,
    /// Rows of its batches: 1 or more. 256.
    pub batch: usize,
    /// Its step size, by Adam: above 0. 1e-3.
    pub rate: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { sweeps: 300, tolerance: 1e-12, seed: 0, epochs: 10, batch: 256, rate: 1e-3 }
    }
}

impl Parameters {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, value: String, allowed: &str, way_out| {
            Err(Error::Parameter { name, value, allowed: allowed.into(), way_out })
        };
        if !(1..=100_000).contains(&self.sweeps) {
            return refuse(
                "sweeps",
                self.sweeps.to_string(),
                "from 1 to 100000",
                "300 is usual, and seldom reached",
            );
        }
        if !(0.0..=1.0).contains(&self.tolerance) {
            return refuse("tolerance", self.tolerance.to_string(), "from 0 to 1", "1e-12 is usual");
        }
        if !(1..=100_000).contains(&self.epochs) {
            return refuse("epochs", self.epochs.to_string(), "from 1 to 100000", "10 is usual");
        }
        if self.batch == 0 {
            return refuse("batch", "0".into(), "at least 1", "256 is usual");
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return refuse("rate", self.rate.to_string(), "positive and finite", "1e-3 is usual");
        }
        Ok(())
    }
}
