//! Learning rates over the steps of a run.

use crate::error::NnError;

/// The factor on the peak learning rate at each step.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// Warm-up, then linear down to `last`.
    Linear {
        /// Share of the steps spent warming up, linearly from 0.
        warm_up: f64,
        /// Factor at the end.
        last: f64,
    },
    /// Warm-up, then half a cosine down to `last`.
    Cosine {
        /// Share of the steps spent warming up, linearly from 0.
        warm_up: f64,
        /// Factor at the end.
        last: f64,
    },
    /// Warm-up, then 1.
    WarmUp {
        /// Share of the steps spent warming up, linearly from 0.
        warm_up: f64,
    },
}

impl Schedule {
    /// Checks the shares.
    ///
    /// # Errors
    /// Names the share that is outside [0, 1].
    pub fn validate(&self) -> Result<(), NnError> {
        let (warm_up, last) = self.shares();
        for (name, value) in [("warm_up", warm_up), ("last", last)] {
            if !(0.0..=1.0).contains(&value) {
                let (value, hint) = (value.to_string(), "0.05 and 0.1 are usual");
                return Err(NnError::Parameter { name, value, allowed: "in [0, 1]", hint });
            }
        }
        Ok(())
    }

    /// The factor of step `step` (counted from 1) of `steps`. The first step after the warm-up has factor 1, the last `last`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let (warm_up, last) = self.shares();
        let warm = (warm_up * steps as f64).floor();
        let step = step as f64;
        if step <= warm {
            return step / (warm + 1.0);
        }
        let rest = (steps as f64 - warm - 1.0).max(1.0);
        let done = ((step - warm - 1.0) / rest).clamp(0.0, 1.0);
        match self {
            Self::Constant | Self::WarmUp { .. } => 1.0,
            Self::Linear { .. } => 1.0 + (last - 1.0) * done,
            Self::Cosine { .. } => last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }

    fn shares(&self) -> (f64, f64) {
        match *self {
            Self::Constant => (0.0, 1.0),
            Self::WarmUp { warm_up } => (warm_up, 1.0),
            Self::Linear { warm_up, last } | Self::Cosine { warm_up, last } => (warm_up, last),
        }
    }
}
