//! What the method can be told.

use serde::{Deserialize, Serialize};

use super::fit::TOLERANCE;
use super::gradient::check_sigma;
use crate::Error;

/// How the two levels are interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loop {
    /// Several lower-level steps before every step of x.
    Double,
    /// One of each.
    Single,
}

/// The penalty parameter σ along the way. The smaller, the nearer to the bilevel problem, and the harder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sigma {
    /// One number.
    Fixed(f64),
    /// `max(last, first·k^(−1/3))` in iteration k, counted from 1.
    Continuation {
        /// The first one.
        first: f64,
        /// None is below this.
        last: f64,
    },
    /// From the first one down to the last, a tenth less whenever the measured residual of the lower level is at most σ²/10. Ours.
    Adaptive {
        /// The first one.
        first: f64,
        /// None is below this.
        last: f64,
    },
}

impl Sigma {
    /// The smallest one that is used.
    pub fn last(self) -> f64 {
        match self {
            Self::Fixed(sigma) => sigma,
            Self::Continuation { last, .. } | Self::Adaptive { last, .. } => last,
        }
    }

    /// σ of an iteration, counted from 1, after one with this σ and residual.
    pub(super) fn next(self, iteration: usize, before: f64, residual: f64) -> f64 {
        match self {
            Self::Fixed(sigma) => sigma,
            Self::Continuation { first, last } => (first * (iteration as f64).powf(-1.0 / 3.0)).max(last),
            Self::Adaptive { last, .. } if residual <= TOLERANCE * before * before => {
                (0.9 * before).max(last)
            }
            Self::Adaptive { .. } => before,
        }
    }

    pub(super) fn first(self) -> f64 {
        match self {
            Self::Fixed(sigma) => sigma,
            Self::Continuation { first, last } | Self::Adaptive { first, last } => first.max(last),
        }
    }
}

/// How x moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpperStep {
    /// Projected gradient steps of this length α; `None` takes `0.2 σ`, for problems whose curvature is about 1.
    Gradient(Option<f64>),
    /// Steps of about this length in every coordinate, by running means of the gradient and its square (Adam). Ours, for variables whose
    /// gradients differ much in size; needs a set that is separable.
    Adam(f64),
}

/// What stands for a gradient when batches are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimate {
    /// The gradient of the batch.
    Batch,
    /// STORM: `d = G(v; ξ) + (1 − η)(d⁻ − G(v⁻; ξ))`, the gradient at the point before taken on the same batch. Two gradients per
    /// iteration instead of one.
    Storm {
        /// η, above 0 and at most 1; 1 is the gradient of the batch.
        share: f64,
    },
}

/// What [`PenaltyBilevel`](super::PenaltyBilevel) can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How the levels are interleaved (double).
    pub interleaving: Loop,
    /// σ (0.01).
    pub sigma: Sigma,
    /// The step of x (0.2 σ).
    pub upper_step: UpperStep,
    /// The step γ of y and z; `None` takes half of one over the curvature of what is minimised, the whole of it
    /// when accelerated.
    pub lower_step: Option<f64>,
    /// Lower-level steps T between two steps of x, with the double loop (10).
    pub lower_steps: usize,
    /// Lower-level steps with Nesterov's momentum (no). Ours, for convex lower levels and the double loop on whole gradients.
    pub accelerated: bool,
    /// Whether a proximal term `‖y − centre‖²/2ρ` is added, with `ρ = 1/2L` (yes). Needed where the lower level is not convex;
    /// in its absence the lower level moves faster.
    pub proximal: bool,
    /// Share b of the way from the centre to the new point that the centre moves (0.5).
    pub mixing: f64,
    /// Samples per lower-level step; `None` for all.
    pub batch: Option<usize>,
    /// Samples per step of x; `None` for as many as `batch`.
    pub upper_batch: Option<usize>,
    /// What stands for a gradient (the batch's).
    pub estimate: Estimate,
    /// Richardson extrapolation `2∇ψ_(σ/2) − ∇ψ_σ` (no). Ours: it removes the bias of first order, for one more y.
    pub extrapolate: bool,
    /// Most iterations (1000).
    pub iterations: usize,
    /// Ends before that once the gradient mapping of x is at most this, measured on whole gradients; 0 for never.
    pub tolerance: f64,
    /// A line of the trace every so many iterations (10).
    pub measure_every: usize,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            interleaving: Loop::Double,
            sigma: Sigma::Fixed(0.01),
            upper_step: UpperStep::Gradient(None),
            lower_step: None,
            lower_steps: 10,
            accelerated: false,
            proximal: true,
            mixing: 0.5,
            batch: None,
            upper_batch: None,
            estimate: Estimate::Batch,
            extrapolate: false,
            iterations: 1000,
            tolerance: 0.0,
            measure_every: 10,
            seed: 0,
        }
    }
}

impl Parameters {
    /// What the ready problems take, whose lower level is convex: no proximal term, accelerated lower-level steps, and steps of x that
    /// are scaled by coordinate.
    pub fn convex() -> Self {
        Self {
            upper_step: UpperStep::Adam(0.1),
            lower_steps: 20,
            accelerated: true,
            proximal: false,
            mixing: 1.0,
            ..Self::default()
        }
    }

    /// Checks every field that can be checked without the problem.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        const MOST: usize = 1_000_000_000;
        check_sigma("sigma", self.sigma.last())?;
        check_sigma("the first sigma", self.sigma.first())?;
        if let Sigma::Continuation { first, last } | Sigma::Adaptive { first, last } = self.sigma
            && first < last
        {
            let allowed = format!("at least the last one, which is {last}");
            return Err(Error::parameter("the first sigma", first, allowed, "swap the two"));
        }
        let positive = |name, value: f64, way_out| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::parameter(name, value, "positive and finite", way_out))
            }
        };
        match self.upper_step {
            UpperStep::Gradient(Some(step)) | UpperStep::Adam(step) => {
                positive("upper_step", step, "use 0.1 with Adam, or leave it out")?;
            }
            UpperStep::Gradient(None) => {}
        }
        if let Some(step) = self.lower_step {
            positive("lower_step", step, "leave it out to take it from the curvature")?;
        }
        if !(self.mixing > 0.0 && self.mixing <= 1.0) {
            return Err(Error::parameter("mixing", self.mixing, "above 0 and at most 1", "use 0.5"));
        }
        for (name, value) in [("lower_steps", self.lower_steps), ("iterations", self.iterations)] {
            if !(1..=MOST).contains(&value) {
                return Err(Error::parameter(name, value, format!("from 1 to {MOST}"), "use the default"));
            }
        }
        for (name, batch) in [("batch", self.batch), ("upper_batch", self.upper_batch)] {
            if batch == Some(0) {
                return Err(Error::parameter(name, 0, "1 or more samples", "leave it out"));
            }
        }
        if self.upper_batch.is_some() && (self.batch.is_none() || self.interleaving == Loop::Single) {
            let way_out = "give a batch and the double loop, or leave it out";
            let allowed = "absent unless the double loop draws batches";
            return Err(Error::parameter("upper_batch", self.upper_batch.unwrap_or(0), allowed, way_out));
        }
        if let Estimate::Storm { share } = self.estimate {
            if !(share > 0.0 && share <= 1.0) {
                return Err(Error::parameter(
                    "the share of STORM",
                    share,
                    "above 0 and at most 1",
                    "use 0.1",
                ));
            }
            if self.interleaving == Loop::Double || self.batch.is_none() {
                let way_out = "take the single loop and give a batch, or estimate by batches";
                return Err(Error::parameter(
                    "estimate",
                    "storm",
                    "batch unless the single loop draws batches",
                    way_out,
                ));
            }
        }
        if self.accelerated && (self.interleaving == Loop::Single || self.batch.is_some()) {
            let way_out = "take the double loop without a batch";
            return Err(Error::parameter(
                "accelerated",
                true,
                "false with batches or the single loop",
                way_out,
            ));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(Error::parameter(
                "tolerance",
                self.tolerance,
                "a finite number from 0 up",
                "use 0 for never",
            ));
        }
        if self.measure_every == 0 {
            return Err(Error::parameter("measure_every", 0, "1 or more iterations", "use 10"));
        }
        Ok(())
    }
}
