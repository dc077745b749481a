//! The schedules that a refined one is compared with, in closed form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Most steps of a schedule.
pub const MOST_STEPS: usize = 100_000_000;

/// The shape of a learning rate from its peak on: a function of the progress p = t/T, which is 0 at the first step after the warm-up
/// and stays below 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// 1.
    Flat,
    /// `1/(1 + r·p)`. After a warm-up of share s, r = (1 − s)/s makes it warm-up steps divided by steps.
    Inverse {
        /// The rate r.
        rate: f64,
    },
    /// `1/√(1 + r·p)`.
    InverseSquareRoot {
        /// The rate r.
        rate: f64,
    },
    /// `(1 + cos πp)/2`.
    Cosine,
    /// The factor to the power of the milestones passed.
    Stepwise {
        /// Values of p, ascending, within (0, 1).
        milestones: Vec<f64>,
        /// What each of them multiplies by.
        factor: f64,
    },
    /// `1 − p`, which is the best for the worst case.
    Linear,
    /// `(1 − p)^power`.
    Polynomial {
        /// The power.
        power: f64,
    },
}

impl Schedule {
    /// A tenth after 30, 60 and 90 %.
    pub fn thirty_sixty_ninety() -> Self {
        Self::Stepwise { milestones: vec![0.3, 0.6, 0.9], factor: 0.1 }
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        let at_least_zero = |name, value: f64, way_out| {
            if value.is_finite() && value >= 0.0 {
                Ok(())
            } else {
                Err(Error::parameter(name, value, "a finite number from 0 up", way_out))
            }
        };
        match self {
            Self::Flat | Self::Cosine | Self::Linear => Ok(()),
            Self::Inverse { rate } | Self::InverseSquareRoot { rate } => {
                at_least_zero("rate", *rate, "use 19, which fits a warm-up of 5 %")
            }
            Self::Polynomial { power } => at_least_zero("power", *power, "use 1 for linear decay"),
            Self::Stepwise { milestones, factor } => {
                at_least_zero("factor", *factor, "use 0.1")?;
                let inside = milestones.iter().all(|place| *place > 0.0 && *place < 1.0);
                if !inside || milestones.windows(2).any(|pair| pair[0] >= pair[1]) {
                    let allowed = "ascending numbers above 0 and below 1";
                    let value = format!("{milestones:?}");
                    return Err(Error::parameter("milestones", value, allowed, "use 0.3, 0.6 and 0.9"));
                }
                Ok(())
            }
        }
    }

    /// The multiplier at progress p.
    pub fn at(&self, progress: f64) -> f64 {
        match self {
            Self::Flat => 1.0,
            Self::Inverse { rate } => 1.0 / (1.0 + rate * progress),
            Self::InverseSquareRoot { rate } => 1.0 / (1.0 + rate * progress).sqrt(),
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Stepwise { milestones, factor } => {
                let passed = milestones.iter().filter(|place| progress >= **place).count();
                // At most as many as there are milestones in memory.
                factor.powi(passed.min(i32::MAX as usize) as i32)
            }
            Self::Linear => 1.0 - progress,
            Self::Polynomial { power } => (1.0 - progress).powf(*power),
        }
    }

    /// The multipliers of so many steps. The first `warm_up` of them (a share, rounded to steps) rise in equal parts to 1; the shape
    /// follows. With W steps of warm-up, step t (from 0) gets `(t + 1)/W` before W and the shape at `(t − W)/(steps − W)` from there.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn multipliers(&self, steps: usize, warm_up: f64) -> Result<Vec<f64>, Error> {
        self.validate()?;
        check_steps(steps)?;
        if !(0.0..=1.0).contains(&warm_up) {
            return Err(Error::parameter(
                "warm_up",
                warm_up,
                "a share from 0 to 1",
                "use 0.05, or 0 for none",
            ));
        }
        let rising = (warm_up * steps as f64).round() as usize;
        let falling = (steps - rising) as f64;
        let rise = (1..=rising).map(|step| step as f64 / rising as f64);
        Ok(rise.chain((0..steps - rising).map(|step| self.at(step as f64 / falling))).collect())
    }
}

/// The name on the command line.
impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Flat => "flat",
            Self::Inverse { .. } => "inverse",
            Self::InverseSquareRoot { .. } => "inverse-square-root",
            Self::Cosine => "cosine",
            Self::Stepwise { .. } => "stepwise",
            Self::Linear => "linear",
            Self::Polynomial { .. } => "polynomial",
        })
    }
}

/// Values at so many places, spread evenly from the first value to the last, by linear interpolation.
///
/// # Errors
/// [`Error::Parameter`] for fewer than two steps; [`Error::Length`] for fewer than two values.
pub fn resample(values: &[f64], steps: usize) -> Result<Vec<f64>, Error> {
    check_steps(steps)?;
    if values.len() < 2 {
        return Err(Error::Length { what: "the schedule".into(), found: values.len(), expected: 2 });
    }
    if values.len() == steps {
        return Ok(values.to_vec());
    }
    let last = values.len() - 1;
    let at = |step: usize| {
        // Exact at both ends, and at every value where steps − 1 is a multiple of last.
        let place = (step as f64 * last as f64) / (steps - 1) as f64;
        let below = (place as usize).min(last - 1);
        let share = place - below as f64;
        values[below] * (1.0 - share) + values[below + 1] * share
    };
    Ok((0..steps).map(at).collect())
}

pub(super) fn check_steps(steps: usize) -> Result<(), Error> {
    if !(2..=MOST_STEPS).contains(&steps) {
        let allowed = format!("from 2 to {MOST_STEPS}");
        return Err(Error::parameter("steps", steps, allowed, "give the number of steps of the next run"));
    }
    Ok(())
}
