//! What the method can be told.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The norm of the gradients in a log, which follows from the optimizer of the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Sum of absolute values, for optimizers that scale each coordinate (Adam): weights are its inverse.
    L1,
    /// Euclidean, for SGD with or without momentum: weights are its inverse square.
    L2,
}

impl Norm {
    /// The power of the norm that weights are the inverse of.
    pub fn power(self) -> i32 {
        match self {
            Self::L1 => 1,
            Self::L2 => 2,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
        }
    }
}

impl FromStr for Norm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "l1" => Ok(Self::L1),
            "l2" => Ok(Self::L2),
            _ => Err(format!("unknown norm {text:?}: use l1 (for Adam) or l2 (for SGD)")),
        }
    }
}

/// What [`ScheduleRefinement`](super::ScheduleRefinement) can be told. The default is the paper's first algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// The norm that was logged (l2).
    pub norm: Norm,
    /// Length of the median filter's window as a share of the log (0.1); 0 for no smoothing.
    pub smoothing: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { norm: Norm::L2, smoothing: 0.1 }
    }
}

impl Parameters {
    /// Longest window: a log should hold three of them.
    pub const MOST_SMOOTHING: f64 = 1.0 / 3.0;

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..=Self::MOST_SMOOTHING).contains(&self.smoothing) {
            let allowed = "from 0 to 1/3";
            return Err(Error::parameter("smoothing", self.smoothing, allowed, "use 0.1, the paper's"));
        }
        Ok(())
    }

    /// Length of the window in rows, which is odd.
    pub fn window(&self, rows: usize) -> usize {
        2 * ((self.smoothing * rows as f64) as usize / 2) + 1
    }
}
