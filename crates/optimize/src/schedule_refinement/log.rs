//! The gradient norms that a run has logged, checked.

use std::fmt;

use super::schedule::MOST_STEPS;
use crate::Error;

/// Fewest norms that a schedule is made from.
pub const FEWEST_NORMS: usize = 10;
/// Norms are raised to this share of their median.
const FLOOR: f64 = 1e-8;
/// A log with fewer norms than this is smoothed over a handful of them.
const FEW: usize = 100;
/// A gap between two rows this many times the usual one is said.
const GAP: f64 = 10.0;

/// Largest step: 2^53.
const MOST_STEP: f64 = 9_007_199_254_740_992.0;

/// Norms of the gradient at evenly spread steps of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientLog {
    norms: Vec<f64>,
    warnings: Vec<Warning>,
}

/// What is odd in a log, but no error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Infinite norms, as mixed precision leaves where it skips a step.
    Infinite {
        /// How many were dropped.
        dropped: usize,
    },
    /// Rows that say again what the row before says.
    Repeated {
        /// How many were dropped.
        dropped: usize,
    },
    /// Norms of zero or next to it.
    Tiny {
        /// How many were raised.
        raised: usize,
        /// To what.
        floor: f64,
    },
    /// Half or more of the norms are the largest norm.
    Clipped {
        /// The largest norm.
        norm: f64,
        /// How many norms are it.
        rows: usize,
        /// Out of how many.
        of: usize,
    },
    /// Steps that are not evenly spread.
    Uneven,
    /// A long stretch without rows.
    Gap {
        /// Its first step.
        from: f64,
        /// Its last.
        to: f64,
    },
    /// A short log.
    Few {
        /// How many norms there are.
        norms: usize,
    },
}

impl GradientLog {
    /// Norms that are logged at evenly spread steps.
    ///
    /// # Errors
    /// As [`Self::with_steps`].
    pub fn new(norms: &[f64]) -> Result<Self, Error> {
        let kept = usable(norms)?;
        let dropped = norms.len() - kept.len();
        let mut warnings = Vec::new();
        if dropped > 0 {
            warnings.push(Warning::Infinite { dropped });
        }
        Self::finish(kept.into_iter().map(|row| norms[row]).collect(), warnings)
    }

    /// Norms with the steps they were logged at, ascending. Where steps are not evenly spread, the norms are interpolated to as many
    /// even ones.
    ///
    /// # Errors
    /// [`Error::Norm`] for a norm that is negative or NaN, [`Error::StepsFall`] and [`Error::StepTwice`] for steps that are not those
    /// of one run, [`Error::ShortLog`], [`Error::ZeroNorms`].
    pub fn with_steps(steps: &[f64], norms: &[f64]) -> Result<Self, Error> {
        if steps.len() != norms.len() {
            let (what, found) = ("the list of steps".into(), steps.len());
            return Err(Error::Length { what, found, expected: norms.len() });
        }
        if let Some(step) = steps.iter().find(|step| !(-MOST_STEP..=MOST_STEP).contains(*step)) {
            let allowed = "a number of at most 2^53, up to which steps can be told apart";
            return Err(Error::parameter("a step", *step, allowed, "name the column of the steps"));
        }
        if let Some(row) = (1..steps.len()).find(|&row| steps[row] < steps[row - 1]) {
            return Err(Error::StepsFall { row, from: steps[row - 1], to: steps[row] });
        }
        let mut rows = usable(norms)?;
        let (mut warnings, finite) = (Vec::new(), rows.len());
        if finite < norms.len() {
            warnings.push(Warning::Infinite { dropped: norms.len() - finite });
        }
        if let Some(pair) =
            rows.windows(2).find(|pair| steps[pair[0]] == steps[pair[1]] && norms[pair[0]] != norms[pair[1]])
        {
            return Err(Error::StepTwice { row: pair[1], step: steps[pair[1]] });
        }
        rows.dedup_by_key(|row| steps[*row]);
        if rows.len() < finite {
            warnings.push(Warning::Repeated { dropped: finite - rows.len() });
        }
        let steps: Vec<f64> = rows.iter().map(|&row| steps[row]).collect();
        let mut norms: Vec<f64> = rows.iter().map(|&row| norms[row]).collect();
        if let Some(usual) = usual_distance(&steps)
            && steps.windows(2).any(|pair| pair[1] - pair[0] != usual)
        {
            norms = spread(&steps, &norms);
            let widest = steps.windows(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])));
            warnings.push(match widest {
                Some(&[from, to]) if to - from >= GAP * usual => Warning::Gap { from, to },
                _ => Warning::Uneven,
            });
        }
        Self::finish(norms, warnings)
    }

    fn finish(mut norms: Vec<f64>, mut warnings: Vec<Warning>) -> Result<Self, Error> {
        if norms.len() < FEWEST_NORMS {
            return Err(Error::ShortLog { found: norms.len() });
        }
        if norms.len() > MOST_STEPS {
            let (value, allowed) = (norms.len(), format!("at most {MOST_STEPS}"));
            return Err(Error::parameter("the number of norms", value, allowed, "keep every tenth row"));
        }
        if norms.len() < FEW {
            warnings.push(Warning::Few { norms: norms.len() });
        }
        let middle = norms.len() / 2;
        let median = *norms.clone().select_nth_unstable_by(middle, f64::total_cmp).1;
        let floor = FLOOR * median;
        if floor < f64::MIN_POSITIVE {
            return Err(Error::ZeroNorms);
        }
        let largest = norms.iter().copied().fold(0.0, f64::max);
        // A constant log may be honest (a test, a normalised gradient); then its schedule is linear decay, which does no harm.
        let rows = norms.iter().filter(|norm| **norm >= largest * (1.0 - 1e-6)).count();
        if 2 * rows >= norms.len() {
            warnings.push(Warning::Clipped { norm: largest, rows, of: norms.len() });
        }
        let raised = norms.iter().filter(|norm| **norm < floor).count();
        if raised > 0 {
            norms.iter_mut().for_each(|norm| *norm = norm.max(floor));
            warnings.push(Warning::Tiny { raised, floor });
        }
        Ok(Self { norms, warnings })
    }

    /// The norms, all positive and finite, first step first.
    pub fn norms(&self) -> &[f64] {
        &self.norms
    }

    /// What is odd.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        match self {
            Self::Infinite { dropped } => {
                write!(formatter, "{} with an infinite norm dropped", rows(*dropped))
            }
            Self::Repeated { dropped } => {
                write!(formatter, "{} dropped that repeat the step and norm before", rows(*dropped))
            }
            Self::Tiny { raised, floor } => {
                write!(
                    formatter,
                    "{} with a norm next to zero raised to {floor:e}, 1e-8 of the median",
                    rows(*raised)
                )
            }
            Self::Clipped { norm, rows, of } => write!(
                formatter,
                "{rows} of {of} norms are {norm}, the largest: they look clipped; log the norm before clipping"
            ),
            Self::Uneven => {
                write!(formatter, "steps are not evenly spread; norms were interpolated to even ones")
            }
            Self::Gap { from, to } => write!(
                formatter,
                "no row between the steps {from} and {to}; norms were interpolated to even steps"
            ),
            Self::Few { norms } => {
                write!(formatter, "only {norms} norms: the schedule follows their noise; log more often")
            }
        }
    }
}

/// The rows with finite norms.
fn usable(norms: &[f64]) -> Result<Vec<usize>, Error> {
    if let Some(row) = norms.iter().position(|norm| norm.is_nan() || *norm < 0.0) {
        return Err(Error::Norm { row, value: norms[row] });
    }
    Ok((0..norms.len()).filter(|&row| norms[row].is_finite()).collect())
}

/// The median distance of neighbours.
fn usual_distance(steps: &[f64]) -> Option<f64> {
    let mut distances: Vec<f64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied()
}

/// Norms at as many even steps from the first to the last; steps ascend strictly.
fn spread(steps: &[f64], norms: &[f64]) -> Vec<f64> {
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let mut right = 1;
    let at = |place: usize| {
        let step = first + (last - first) * place as f64 / (steps.len() - 1) as f64;
        while right + 1 < steps.len() && steps[right] < step {
            right += 1;
        }
        let share = ((step - steps[right - 1]) / (steps[right] - steps[right - 1])).clamp(0.0, 1.0);
        norms[right - 1] * (1.0 - share) + norms[right] * share
    };
    (0..steps.len()).map(at).collect()
}
