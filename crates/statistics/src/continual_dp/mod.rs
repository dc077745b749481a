//! Private running sums, histograms and maxima of a stream: one answer per row, in memory that does not grow with the rows.
//!
//! # What it computes
//!
//! Rows `x_1, …, x_T` arrive one by one, T (the horizon) is known. After each, the running sums `A x` are released with noise, `A`
//! the lower triangle of ones (T × T), per column of the row. With `A = L R`, what is released is `L (R x + z)`: z has independent
//! entries of scale σ, and σ follows from the sensitivity, the largest column norm of R times what one row may change.
//!
//! ```text
//! Tree, Honaker          R sums over the nodes of a binary tree; every row is in ⌈log2 T⌉ + 1 of them
//! SquareRoot             L = R = C,  C_tk = b_(t−k),  b_k = C(2k, k)/4^k
//! NormalisedSquareRoot   R = C D with D_k = 1/‖column k of C‖,  L = A D⁻¹ C⁻¹
//! ```
//!
//! The error factor at t, `‖row t of L‖ · max_k ‖column k of R‖`, at T = 1024 is at most 10.49 (tree), 7.99 (Honaker), 3.273 and
//! 3.081 (square roots); no factorisation has less than 2.910.
//!
//! [`MaxSum`] releases `max_j Σ_t x_t[j]` or the column j that has it, for 0/1 rows: by a counter per column, by recomputing
//! every r rows, or by answering 0, whichever has the smallest predicted error.
//!
//! # Paper
//!
//! *The Price of Differential Privacy under Continual Observation*, ICML 2023, arXiv 2112.00828: mechanisms and lower bounds for
//! the maximum; [`marginals_by_reduction`] and [`selections_by_reduction`] are its reductions. The counters are from the work it
//! builds on: the binary tree, Honaker's estimates from below, and the square-root factorisation.
//!
//! # When it helps, and when it does not
//!
//! - Answers after every row: the error grows with log T. One answer at the end needs none of this.
//! - [`Neighbours::Event`] hides one row, replaced by any allowed one. A person with k rows needs [`Neighbours::User`], and k times
//!   the noise. The number of rows is never hidden.
//! - The maximum over many columns costs about `(T/ρ)^(1/3)`, and by the lower bound no method avoids that.
//! - The streams may be chosen adaptively: the rows after an answer may depend on it. For zCDP this is composition with a fixed
//!   total; the exact (ε, δ) curve is for Gaussian noise, to which the discrete one is that close.
//!
//! # Parameters
//!
//! See [`Parameters`] and [`MaxParameters`]. The paper has no defaults; ours is the normalised square root at ε = 1, δ = 1e-6.
//!
//! # What is exact, and what is floating point
//!
//! - Noise is drawn by integer arithmetic alone, exactly but for a table cut off at 2^−187.
//! - For trees, sums and noise are integers in grid steps; what follows (Honaker's weights) is post-processing.
//! - For square roots, `R x` is computed in floating point and rounded to the grid. Both errors are bounded over the horizon and
//!   added to the sensitivity; after the noise is added, everything is post-processing. The grid is some 2^30 times finer than σ.
//! - (ε, δ) uses the continuous Gaussian's curve, and charges `(1 + e^ε)` times the distance of all discrete draws from rounded
//!   continuous ones, at most 0.05/scale² each, to δ. The curve itself is evaluated in floating point, to about 1e-12.
//!
//! # Deviations from the paper
//!
//! 1. C has the coefficients `Σ_i weight_i decay_i^(k−1)` in place of `b_k` ([`Exponentials`]), so that it and its inverse run in
//!    bounded memory (12 numbers at T = 10^6). Privacy is that of this C; its error stays within 2 % of the exact one. Tests:
//!    `the_bounded_memory_form_is_within_two_per_cent_of_the_exact_factorisation`, `…_at_a_million_rows`.
//! 2. Noise is discrete ([`discrete_gaussian`], [`discrete_laplace`]). Test: `the_discrete_gaussian_has_its_law`.
//! 3. (ε, δ) by the exact curve. Test: `the_calibration_is_that_of_scipy_and_never_below_the_demand`.
//! 4. SumSelect by the exponential mechanism, by rejection. Test: `the_exponential_mechanism_has_its_law`.
//! 5. Not here: noise for an unknown horizon, k-ary trees for pure ε, the sparse-vector maximum.
//!
//! # Errors
//!
//! [`Error`](crate::Error) names the parameter, or the row, column and value. After the last row of the horizon:
//! [`Error::Horizon`](crate::Error::Horizon). A refused row changes nothing.
//!
//! # Cost
//!
//! Per row and column: O(log T) for trees, about 12 buffers twice for square roots, and a draw of noise; per row also the square of
//! the buffers for the standard error. Memory: the buffers. [`MaxSum`]: O(columns) per recomputation.
//!
//! # Example
//!
//! ```
//! use backstitch_statistics::continual_dp::{ContinualDp, Key, Parameters};
//!
//! let method = ContinualDp::new(Parameters { horizon: 1000, ..Parameters::default() })?;
//! // In production the key is 32 bytes from the operating system: `Key::new(bytes)`.
//! let mut release = method.start(Key::from_seed(0));
//! let answer = release.push(&[1.0])?;
//! assert!((answer.values[0] - 1.0).abs() < 7.0 * answer.standard_error);
//! # Ok::<(), backstitch_statistics::Error>(())
//! ```

mod card;
mod factor;
mod max_sum;
mod noise;
mod parameters;
mod privacy;
mod reduction;
mod release;

pub use card::CARD;
pub use factor::{
    ErrorFactor, Exponentials, honaker_error, honaker_weight, levels, lower_bound,
    normalised_square_root_error, square_root_coefficients, square_root_error, tree_error,
};
pub use max_sum::{MaxAnswer, MaxMechanism, MaxParameters, MaxState, MaxSum, Row};
pub use noise::{
    Key, MAX_SCALE, discrete_gaussian, discrete_gaussian_by_rejection, discrete_laplace,
    exponential_mechanism,
};
pub use parameters::{Mechanism, Neighbours, Parameters, Plan, Privacy, Query};
pub use privacy::{
    Entry, Ledger, gaussian_delta, gaussian_epsilon, gaussian_multiplier, zcdp_delta, zcdp_epsilon, zcdp_rho,
};
pub use reduction::{
    auc, marginals_by_reduction, reduction_horizon, selection_scores, selections_by_reduction, tracing_scores,
};
pub use release::{Answer, Release, State};

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct ContinualDp {
    parameters: Parameters,
    plan: Plan,
}

impl ContinualDp {
    /// Checks the parameters and computes the noise.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        let plan = parameters.plan()?;
        Ok(Self { parameters, plan })
    }

    /// The noise and what the release will spend.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Starts a release. A key serves one release: two under the same key share their noise.
    pub fn start(&self, key: Key) -> Release {
        Release::start(self.parameters.clone(), self.plan, key)
    }
}
