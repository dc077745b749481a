//! Penalty methods for bilevel optimisation: an outer choice judged on what an inner minimisation makes of it, by first derivatives only.
//!
//! # What it computes
//!
//! A stationary point x of `ψ(x) = min f(x, y)` over the minimisers y of `g(x, ·)` in Y, x in X; x of length p, y of length q, X and Y
//! closed and convex. g may have many minimisers. With the penalty parameter σ > 0,
//!
//! ```text
//! ψ_σ(x)  = ( min_y (σ f + g)(x, y) − min_y g(x, y) ) / σ
//! ∇ψ_σ(x) = ∇_x f(x, y) + ( ∇_x g(x, y) − ∇_x g(x, z) ) / σ      y minimises σ f + g, z minimises g
//! ```
//!
//! and ∇ψ_σ is within O(σ) of ∇ψ where an error bound holds: near the minimisers, the residual of the lower level is at least a constant
//! times the distance from them. [`PenaltyBilevel`] follows y and z by projected gradient steps while x descends along `∇ψ_σ`:
//!
//! ```text
//! u ← Proj_Y(u − γ (σ ∇_y f + ∇_y g + (u − y)/ρ))     and w, with z, alike for g alone
//! y ← y + b (u − y)                                     the centre of the proximal term
//! x ← Proj_X(x − α (∇_x f(x, u) + (∇_x g(x, u) − ∇_x g(x, w))/σ))
//! ```
//!
//! with several steps of u and w for one of x ([`Loop::Double`]) or one of each ([`Loop::Single`]), on whole gradients or on batches, the
//! latter also with STORM's estimator. [`Certificate`] says afterwards how far the levels are solved, how large the bias is and
//! whether the error bound looks violated.
//!
//! # Paper
//!
//! *On Penalty Methods for Nonconvex Bilevel Optimization and First-Order Stochastic Approximation*, J. Kwon, D. Kwon, S. Wright,
//! R. Nowak, ICLR 2024, arXiv 2309.01753: the double loop and the single loop with momentum.
//!
//! # When it helps, and when it does not
//!
//! - Many lower-level minimisers, constraints, or second derivatives that are not at hand.
//! - Not a lower level that is small and strongly convex: [`hypergradient`] is exact and cheaper there.
//! - Not where minimisers of g jump as x moves ([`Jump`]): ψ itself jumps.
//! - σ trades bias for speed: the lower level has a condition of up to L/σ, so a tenth of the bias costs several times the steps.
//!
//! # Parameters
//!
//! See [`Parameters`]; [`Parameters::convex`] for lower levels that are convex, as in the ready problems [`PenaltySelection`] and
//! [`DataCleaning`].
//!
//! # Deviations from the paper
//!
//! 1. The updates follow the paper's description (steps on the two proximal lower-level problems, a penalised gradient step of x, momentum
//!    by STORM); they were not compared with its pseudocode line by line. The constants of all steps are ours; the paper gives orders.
//!    Test: `the_loops_find_the_closed_form`.
//! 2. One batch serves y and z, so that its noise cancels in their difference. Test:
//!    `stochastic_loops_come_near_and_depend_on_the_seed_only`.
//! 3. Accelerated lower-level steps, Adam for x, σ that falls with the residual ([`Sigma::Adaptive`]) and extrapolation are ours. Tests:
//!    `the_loops_find_the_closed_form`, `extrapolation_removes_the_first_order`.
//! 4. The residual is the length of the gradient mapping, which is that of the proximal step up to a factor; the constant of the error
//!    bound is the least ratio among points that were visited. Test: `the_jump_is_reported_and_the_flat_is_not`.
//!
//! # Errors
//!
//! [`Error`] names the parameter, row or set. [`Error::LowerResidual`] where the lower level was not solved far enough for its gradient
//! to mean anything, [`Error::ErrorBound`] where the certificate finds the bound violated. Steps of x that are too long diverge, which
//! is an [`Outcome`] and no error.
//!
//! # Cost
//!
//! An iteration of the double loop with T lower-level steps: 2T gradients of g and T of f in y, two and one in x. Memory: a few vectors
//! of lengths p and q.
//!
//! # Example
//!
//! ```
//! use backstitch_optimize::penalty_bilevel::{
//!     Everything, FlatLeastSquares, Loop, Parameters, PenaltyBilevel, Sets, Sigma, UpperStep,
//! };
//!
//! // Minimisers of the lower level fill a flat of three dimensions.
//! let problem = FlatLeastSquares::drawn(7, false)?;
//! let sets = Sets { upper: &Everything, lower: &Everything };
//! let parameters = Parameters {
//!     sigma: Sigma::Fixed(0.01),
//!     upper_step: UpperStep::Gradient(Some(0.2)),
//!     iterations: 400,
//!     lower_steps: 100,
//!     ..Parameters::convex()
//! };
//! let fit = PenaltyBilevel::new(parameters)?.fit(&problem, sets, &[0.0; 3], &[0.0; 6])?;
//! let slope = problem.hyper_gradient(&fit.x);
//! assert!(slope.iter().all(|entry| entry.abs() < 0.05));
//! # Ok::<(), backstitch_optimize::Error>(())
//! ```

mod card;
mod certificate;
mod cleaning;
mod fit;
mod gradient;
mod implicit;
mod lower;
mod model_problems;
mod parameters;
mod problem;
mod selection;
mod sets;
mod softmax;
mod upper;

pub use card::CARD;
pub use certificate::Certificate;
pub use cleaning::{Classified, DataCleaning};
pub use fit::{Fit, Measurement, Outcome};
pub use gradient::{PenaltyGradient, Sets, lower_minimiser, penalty_gradient};
pub use implicit::{Inversion, hypergradient};
pub use lower::Effort;
pub use model_problems::{FlatLeastSquares, Jump};
pub use parameters::{Estimate, Loop, Parameters, Sigma, UpperStep};
pub use problem::{Bilevel, Calls, Samples, Slopes};
pub use selection::{Labelled, PenaltySelection, Sharing, with_ones};
pub use sets::{Affine, Ball, Bounds, ConvexSet, Everything, Simplex};
pub use softmax::MOST_CLASSES;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct PenaltyBilevel {
    parameters: Parameters,
}

impl PenaltyBilevel {
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

    /// Runs the method from x and y, which are moved into their sets first. z begins where y does.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], [`Error::Parameter`] for a start, a set or a step that does not fit.
    pub fn fit<P: Bilevel + ?Sized>(
        &self,
        problem: &P,
        sets: Sets<'_>,
        x: &[f64],
        y: &[f64],
    ) -> Result<Fit, Error> {
        sets.check(problem, x, y)?;
        if matches!(self.parameters.upper_step, UpperStep::Adam(_)) && !sets.upper.is_separable() {
            let allowed = "plain gradient steps where the set of x is not separable";
            let way_out = "keep x in a box or everywhere, or take gradient steps";
            return Err(Error::parameter("upper_step", "adam", allowed, way_out));
        }
        Ok(fit::run(&self.parameters, problem, sets, x, y))
    }

    /// Solves both levels anew at a point that was found, at σ and smaller, and measures what its gradient is worth.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn certificate<P: Bilevel + ?Sized>(
        &self,
        problem: &P,
        sets: Sets<'_>,
        x: &[f64],
        y: &[f64],
        effort: Effort,
    ) -> Result<Certificate, Error> {
        sets.check(problem, x, y)?;
        Ok(certificate::certificate(
            problem,
            sets,
            x,
            y,
            self.parameters.sigma.last(),
            effort,
            self.parameters.seed,
        ))
    }
}
