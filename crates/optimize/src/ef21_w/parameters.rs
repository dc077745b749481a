//! What the method can be told.

use serde::{Deserialize, Serialize};

use super::compressor::Compressor;
use super::constants::check_participation;
use crate::Error;

/// How clients and server use what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// EF21: every client sends the compressed difference to what it sent so far; the server takes the plain mean.
    Ef21,
    /// EF21-W: the same on gradients divided by n·w_i, and the server takes the mean with weights w_i = L_i/ΣL_j.
    Ef21W,
    /// EF14, the older error feedback: what compression left out is kept and added to the next step. A baseline.
    Ef14,
    /// Compressed gradients without feedback (DCGD). A baseline; it may diverge.
    Dcgd,
    /// Gradient descent: nothing is compressed, whatever the compressor. A baseline.
    GradientDescent,
}

impl Algorithm {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ef21 => "ef21",
            Self::Ef21W => "ef21-w",
            Self::Ef14 => "ef14",
            Self::Dcgd => "dcgd",
            Self::GradientDescent => "gradient-descent",
        }
    }
}

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// `1/(L + L_AM ξ)`, certified by the paper.
    New,
    /// `1/(L + L_QM ξ)`, what was certified before.
    Old,
    /// This number. No guarantee if it is above the new certified step.
    Fixed(f64),
}

/// What a client's first estimate of its gradient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// The gradient itself, sent whole once.
    Exact,
    /// The compressed gradient.
    Compressed,
}

/// What [`Ef21W`](super::Ef21W) can be told. The default is the paper's method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// The algorithm (EF21-W).
    pub algorithm: Algorithm,
    /// The compressor (Top-1).
    pub compressor: Compressor,
    /// The step (the new certified one).
    pub step: Step,
    /// Most rounds T (1000).
    pub rounds: usize,
    /// Ends before that when ‖∇f‖² is at most this; 0 for never.
    pub tolerance: f64,
    /// The probability that a client takes part in a round (1). Those who do not keep what they sent last.
    pub participation: f64,
    /// Rows per client and round that gradients are made of; `None` for all.
    pub batch: Option<usize>,
    /// The first estimates (exact).
    pub initial: Initial,
    /// With partial participation or batches, ‖∇f‖ costs gradients of its own: it is measured every so many rounds (10). Otherwise it
    /// comes for nothing, every round.
    pub measure_every: usize,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Ef21W,
            compressor: Compressor::Top(1),
            step: Step::New,
            rounds: 1000,
            tolerance: 0.0,
            participation: 1.0,
            batch: None,
            initial: Initial::Exact,
            measure_every: 10,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every field that can be checked without the problem.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        const MOST_ROUNDS: usize = 1_000_000_000;
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            let allowed = format!("from 1 to {MOST_ROUNDS}");
            return Err(Error::parameter("rounds", self.rounds, allowed, "use 1000"));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(Error::parameter(
                "tolerance",
                self.tolerance,
                "a finite number from 0 up",
                "use 1e-8, or 0 for never",
            ));
        }
        check_participation(self.participation)?;
        if self.batch == Some(0) {
            return Err(Error::parameter("batch", 0, "1 or more rows", "leave it out to use all rows"));
        }
        if self.measure_every == 0 {
            return Err(Error::parameter("measure_every", 0, "1 or more rounds", "use 10"));
        }
        if let Step::Fixed(step) = self.step
            && !(step.is_finite() && step > 0.0)
        {
            return Err(Error::parameter("step", step, "positive and finite", "use the new certified step"));
        }
        let partial = self.participation < 1.0 || self.batch.is_some();
        if partial && matches!(self.algorithm, Algorithm::GradientDescent) {
            let way_out = "use EF21 with the identity as compressor for stochastic gradient descent";
            return Err(Error::parameter(
                "algorithm",
                self.algorithm.name(),
                "one that takes batches and absent clients",
                way_out,
            ));
        }
        if self.participation < 1.0 && matches!(self.algorithm, Algorithm::Ef14 | Algorithm::Dcgd) {
            let way_out = "use ef21 or ef21-w, whose absent clients keep what they sent last";
            return Err(Error::parameter(
                "participation",
                self.participation,
                "1 with ef14 and dcgd",
                way_out,
            ));
        }
        Ok(())
    }
}
