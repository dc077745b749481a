//! What the method can be told.

use serde::{Deserialize, Serialize};

use super::alpha::Descent;
use crate::Error;

/// Some thirty years.
const MOST_SECONDS: f64 = 1e9;

/// How the Jacobian is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// Lines around every product of derivatives, propagated backward (the paper).
    Lines,
    /// The same, but an entry whose sign is not known is replaced by its interval, as RecurJac does.
    #[serde(rename = "recurjac")]
    RecurJac,
    /// Interval arithmetic, forward and backward.
    Interval,
    /// The product of the layers' norms, which holds everywhere.
    Global,
}

/// What [`Lipschitz`](super::Lipschitz) can be told. The default is the paper's, without branch and bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How the Jacobian is bounded (paper: lines).
    pub relaxation: Relaxation,
    /// Steps of the search for slopes in the forward bounds (released: 20); 0 leaves them.
    pub slope_steps: usize,
    /// Step size of that search (released: 0.5).
    pub slope_rate: f64,
    /// What the step size is multiplied by after each step (released: 0.98).
    pub slope_decay: f64,
    /// Whether the best bound over all layers is taken, not that of the last one only (ours).
    pub tighten: bool,
    /// Most regions that branch and bound looks at, over all outputs; 0 leaves it out.
    pub domains: usize,
    /// Most seconds of branch and bound; then its result depends on the machine (released: 60).
    pub seconds: Option<f64>,
    /// Random points that the lower bound is looked for at.
    pub samples: usize,
    /// Seed of those.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            relaxation: Relaxation::Lines,
            slope_steps: 20,
            slope_rate: 0.5,
            slope_decay: 0.98,
            tighten: true,
            domains: 0,
            seconds: None,
            samples: 1_000,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |fine: bool, name, value: String, allowed: &str, way_out| {
            if fine {
                Ok(())
            } else {
                Err(Error::Parameter { name, value, allowed: allowed.into(), way_out })
            }
        };
        let count = |name, value: usize, most: usize, way_out| {
            check(value <= most, name, value.to_string(), &format!("from 0 to {most}"), way_out)
        };
        count("slope_steps", self.slope_steps, 10_000, "use 20")?;
        count("domains", self.domains, 100_000_000, "use 10000")?;
        count("samples", self.samples, 100_000_000, "use 1000")?;
        let rate = self.slope_rate;
        check(
            rate.is_finite() && rate > 0.0,
            "slope_rate",
            rate.to_string(),
            "positive and finite",
            "use 0.5",
        )?;
        let decay = self.slope_decay;
        check(
            decay > 0.0 && decay <= 1.0,
            "slope_decay",
            decay.to_string(),
            "above 0 and at most 1",
            "use 0.98",
        )?;
        match self.seconds {
            Some(seconds) if !(seconds > 0.0 && seconds <= MOST_SECONDS) => {
                let allowed = format!("above 0 and at most {MOST_SECONDS}");
                check(false, "seconds", seconds.to_string(), &allowed, "leave it out for no limit")
            }
            Some(_) if self.domains == 0 => check(
                false,
                "seconds",
                "given".into(),
                "left out without branch and bound",
                "give domains too",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn descent(&self) -> Option<Descent> {
        let descent = Descent { steps: self.slope_steps, rate: self.slope_rate, decay: self.slope_decay };
        (self.slope_steps > 0).then_some(descent)
    }
}
