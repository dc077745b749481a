//! Learning-rate schedules, and their refinement by the gradient norms of a run that is over.
//!
//! # What it computes
//!
//! For T steps `x_{t+1} = x_t − η_t g_t`, judged at the last point, multipliers of the peak learning rate. From the norms `G_1 … G_T`
//! that a run has logged:
//!
//! ```text
//! Ĝ   = sliding median of G, window 2⌊τT/2⌋ + 1                       τ = 0.1
//! w_t = Ĝ_t^-2 with l2 norms (SGD),  Ĝ_t^-1 with l1 norms (Adam)
//! η_t = w_t Σ_{p>t} w_p,  divided by its largest value
//! ```
//!
//! Equal norms give linear decay, `1 − t/(T − 1)` from t = 0. Norms that are large at first give a warm-up, norms that grow at the end a
//! faster fall. [`Schedule`] has the usual shapes in closed form, [`LastIterate`] the general rule behind them, which turns steps of
//! any optimizer with known regret into steps with a guarantee for the last point.
//!
//! Weights w have the bound `(D² + Σ w² G²)/(2 Σ w)` for a convex loss with gradients of norms G and a minimiser at distance D;
//! `w ∝ G^-2` minimises it ([`best_weights`]). [`best_steps`] minimises a sharper bound numerically, as a check.
//!
//! # Paper
//!
//! *When, Why and How Much? Adaptive Learning Rate Scheduling by Refinement* (in its second version *Optimal Linear Decay Learning Rate
//! Schedules and Further Refinements*), A. Defazio, A. Cutkosky, H. Mehta, K. Mishchenko, arXiv 2310.07831: its two algorithms.
//!
//! # When it helps, and when it does not
//!
//! - When a task is trained again and a run has left its norms. The next run needs the same length in terms of progress, not of
//!   steps: schedules are resampled to any number of steps.
//! - Not for one run only: linear decay is the default then, and hard to beat.
//! - Norms must be those before clipping, of the batch size that will be used.
//! - A model that fits its data sees its norms fall to nothing. The refined schedule then rises late; compare it with linear decay.
//! - The largest multiplier is always 1, so the best peak learning rate is another one: search it again, or, without a search,
//!   keep the sum of all steps.
//!
//! # Parameters
//!
//! See [`Parameters`]. Defaults are the paper's: l2 norms, τ = 0.1.
//!
//! # Deviations from the paper
//!
//! 1. Logs are not resampled to 10,000 points first; the window is a share of their own length. Test: `every_length_has_its_window`.
//! 2. Norms below 1e-8 of their median are raised to that ([`Warning::Tiny`]). Test: `tiny_norms_are_raised`.
//! 3. Rows at uneven steps are interpolated to even ones. Test: `uneven_steps_are_spread`.
//! 4. Several logs are combined by the mean of their schedules ([`ScheduleRefinement::refine_all`]). Test:
//!    `several_logs_give_their_mean_and_a_band`.
//!
//! # Errors
//!
//! [`Error`] names the row. Negative norms and NaN, steps that fall back (a restart) or that stand twice with different norms, fewer than
//! ten norms, and logs that are mostly zero are refused.
//!
//! # Cost
//!
//! O(T log w) for a window of w rows, shared by threads; 60 bytes per row.
//!
//! # Example
//!
//! ```
//! use backstitch_optimize::schedule_refinement::{GradientLog, Parameters, ScheduleRefinement, Shape};
//!
//! // Norms that start high and settle.
//! let norms: Vec<f64> = (0..1000).map(|t| 1.0 + 4.0 * (-f64::from(t) / 100.0).exp()).collect();
//! let refined = ScheduleRefinement::new(Parameters::default())?.refine(&GradientLog::new(&norms)?)?;
//! assert!(refined.multipliers[0] < 0.1);
//! let shape = Shape::of(&refined.multipliers)?;
//! assert!(shape.warm_up > 0.15 && shape.warm_up < 0.4);
//! # Ok::<(), backstitch_optimize::Error>(())
//! ```

mod bound;
mod card;
mod drawing;
mod last_iterate;
mod log;
mod median;
mod parameters;
mod refine;
mod schedule;
mod shape;

pub use bound::{best_steps, best_weights, bound_of_steps, bound_of_weights};
pub use card::CARD;
pub use drawing::{Line, draw};
pub use last_iterate::LastIterate;
pub use log::{FEWEST_NORMS, GradientLog, Warning};
pub use median::median_filter;
pub use parameters::{Norm, Parameters};
pub use refine::{Combined, Refined, schedule_of_weights};
pub use schedule::{MOST_STEPS, Schedule, resample};
pub use shape::Shape;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleRefinement {
    parameters: Parameters,
}

impl ScheduleRefinement {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The schedule that follows from one log, with as many steps as the log has norms.
    ///
    /// # Errors
    /// None that a checked log can cause.
    pub fn refine(&self, log: &GradientLog) -> Result<Refined, Error> {
        refine::refine(&self.parameters, log)
    }

    /// The schedule of so many steps that follows from several logs of one task, such as runs with other seeds.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the number of steps; [`Error::Length`] for no log.
    pub fn refine_all(&self, logs: &[GradientLog], steps: usize) -> Result<Combined, Error> {
        if logs.is_empty() {
            return Err(Error::Length { what: "the list of logs".into(), found: 0, expected: 1 });
        }
        schedule::check_steps(steps)?;
        let runs = logs.iter().map(|log| self.refine(log)).collect::<Result<Vec<_>, _>>()?;
        refine::combine(runs, steps)
    }
}
