//! Private running sums, histograms and maxima of a stream, one answer per row.

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
pub use reduction::{auc, marginals_by_reduction, reduction_horizon, tracing_scores};
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
