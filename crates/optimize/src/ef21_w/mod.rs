//! EF21 and EF21-W: distributed gradient descent in which clients send compressed differences, and the step sizes it may take.
//!
//! # What it computes
//!
//! A minimiser of `f(x) = (1/n) Σ_i f_i(x)`, x of length d, client i holding f_i. f is L-smooth and f_i is L_i-smooth. Clients send
//! vectors through a compressor C with `E‖C(v) − v‖² ≤ (1 − α)‖v‖²`. Client i and the server both know an estimate g_i of its gradient.
//! In every round
//!
//! ```text
//! x⁺   = x − γ Σ_i w_i g_i                         the server sends x⁺
//! u_i  = C(∇f_i(x⁺)/(n w_i) − g_i)                 client i answers
//! g_i⁺ = g_i + u_i                                 on both sides
//! ```
//!
//! with `w_i = 1/n` in EF21 and `w_i = L_i/Σ_j L_j` in EF21-W. With `ξ = (1 + √(1 − α))/α − 1` the step γ may be
//!
//! ```text
//! 1/(L + ξ L_QM)     L_QM = √((1/n) Σ L_i²)        known before
//! 1/(L + ξ L_AM)     L_AM = (1/n) Σ L_i            the paper's, for EF21-W and, by another analysis, for EF21 as it is
//! ```
//!
//! and then the mean of `E‖∇f(x)‖²` over the first T points is at most `2(f(x⁰) − inf f)/(γT) + G⁰/(θT)`, with `θ = 1 − √(1 − α)` and
//! `G⁰ = (1/n²) Σ_i ‖g_i⁰ − ∇f_i(x⁰)‖²/w_i`, zero where the first gradients are sent whole. [`Certificate`] has all of these numbers.
//!
//! If `C(cv) = c C(v)` for c > 0 and the same draws (Top-k, Random-k, identity), EF21-W's estimates are EF21's divided by `n w_i`, and
//! the points are the same. They differ with natural compression.
//!
//! # Paper
//!
//! *Error Feedback Reloaded: From Quadratic to Arithmetic Mean of Smoothness Constants*, P. Richtárik, E. Gasanov, K. Burlachenko,
//! ICLR 2024, arXiv 2402.10774.
//!
//! # When it helps, and when it does not
//!
//! - The step grows by up to L_QM/L_AM, at most √n, when few clients are much less smooth than the others.
//! - Not when the L_i are about equal, nor when ξ is small (most of a vector is sent) or L is much larger than L_AM ξ.
//! - A certified step is a worst case. Top-1 has ξ ≈ 2d, so the certified step is some 2d times shorter than gradient descent's,
//!   and sends some d/1.1 times fewer bits a round: what compression saves in bits it mostly loses in rounds, unless the step is
//!   tuned upwards ([`Step::Fixed`], without a guarantee).
//!
//! # Parameters
//!
//! See [`Parameters`]. Defaults are the paper's method: EF21-W, Top-1, the new step, all clients and rows.
//!
//! # Deviations from the paper
//!
//! 1. Partial participation ([`Contraction::partial`]): one probability p for all clients, and the best constants of the analysis in
//!    closed form. Test: `partial_participation_takes_the_best_constants`.
//! 2. Stochastic gradients ([`Contraction::noisy`]): our own constants for a bounded variance. Test:
//!    `the_guarantee_holds_with_batches`.
//! 3. Numbers are sent as `f64` and counted as 64 bits. Test: `bits_count_coordinates_too`.
//! 4. Smoothness constants are bounds from above, not estimates. Test: `bounds_hold_the_eigenvalue`.
//!
//! # Errors
//!
//! [`Error`] names the parameter, row or client. A client with smoothness 0 has weight 0 and is refused. Steps beyond the certified one
//! may diverge, which is an [`Outcome`] and no error.
//!
//! # Cost
//!
//! A round: one gradient per client (two multiplications per entry of its rows), O(d) for the compressor, O(k) per message on the
//! server. Memory: the rows once, and three vectors of length d per client.
//!
//! # Example
//!
//! ```
//! use backstitch_optimize::ef21_w::{Certificate, Ef21W, Parameters, Smoothness};
//!
//! // The paper's example: four clients, one of which is a hundred times less smooth.
//! let smoothness = Smoothness::of_clients_only(vec![1.0, 1.0, 1.0, 100.0])?;
//! assert_eq!(smoothness.arithmetic_mean(), 25.75);
//! assert!((smoothness.quadratic_mean() - 50.0).abs() < 0.01);
//!
//! let certificate = Ef21W::new(Parameters::default())?.certificate(&smoothness, 100)?;
//! assert!(certificate.new_step > 1.8 * certificate.old_step);
//! # Ok::<(), backstitch_optimize::Error>(())
//! ```

mod card;
mod client;
mod compressor;
mod constants;
mod exchange;
mod federated;
mod fit;
mod model;
mod parameters;
#[cfg(feature = "mpi")]
mod ranks;

pub use card::CARD;
pub use compressor::{Compressed, Compressor};
pub use constants::{Certificate, Contraction, Smoothness};
pub use exchange::{Alone, Exchange, Measured, Packet};
pub use federated::{Federated, Split, smoothness_of_rows};
pub use fit::{Fit, Measurement, Outcome};
pub use model::{Model, Prediction};
pub use parameters::{Algorithm, Initial, Parameters, Step};
#[cfg(feature = "mpi")]
pub use ranks::{RankExchange, Ranks};

use crate::Error;
use crate::objective::Objective;

/// Vectors that a client keeps: its estimate, its gradient, and what is compressed.
pub(crate) const VECTORS: usize = 3;
/// Most numbers that clients keep together: 32 GiB.
const MOST_NUMBERS: usize = 1 << 32;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct Ef21W {
    parameters: Parameters,
}

impl Ef21W {
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

    /// The step sizes for constants that are known, without a problem: gradients are taken to be exact.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the compressor does not fit the dimension.
    pub fn certificate(&self, smoothness: &Smoothness, dimension: usize) -> Result<Certificate, Error> {
        Ok(fit::Plan::new(&self.parameters, smoothness, dimension, None)?.certificate)
    }

    /// Runs the method from zero, all clients in this process.
    ///
    /// # Errors
    /// [`Error::Parameter`], [`Error::Length`], [`Error::TooManyNumbers`].
    pub fn fit<O: Objective>(&self, clients: &[O], smoothness: &Smoothness) -> Result<Fit, Error> {
        let dimension = clients.first().map_or(0, Objective::dimension);
        check_size(clients.len(), dimension)?;
        self.fit_from(clients, smoothness, vec![0.0; dimension])
    }

    /// Runs the method from a point.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_from<O: Objective>(
        &self,
        clients: &[O],
        smoothness: &Smoothness,
        start: Vec<f64>,
    ) -> Result<Fit, Error> {
        if clients.len() != smoothness.clients() {
            let (found, expected) = (clients.len(), smoothness.clients());
            return Err(Error::Length { what: "the list of clients".into(), found, expected });
        }
        self.fit_shared(clients, 0, smoothness, start, &mut Alone)
    }

    /// Runs the method on one rank of several: `own` are its clients, from number `first` on, and `exchange` brings the messages of
    /// the others. All ranks must be given the same parameters, constants and start; they get the same points.
    ///
    /// # Errors
    /// As [`Self::fit`]; [`Error::Exchange`].
    pub fn fit_shared<O: Objective>(
        &self,
        own: &[O],
        first: usize,
        smoothness: &Smoothness,
        start: Vec<f64>,
        exchange: &mut impl Exchange,
    ) -> Result<Fit, Error> {
        let clients = smoothness.clients();
        if own.is_empty() || first + own.len() > clients {
            let (what, found) = ("the list of clients of this rank".into(), first + own.len());
            return Err(Error::Length { what, found, expected: clients });
        }
        let dimension = own[0].dimension();
        if dimension == 0 {
            return Err(Error::NoFeatures);
        }
        check_size(own.len(), dimension)?;
        for (place, objective) in own.iter().enumerate() {
            if objective.dimension() != dimension {
                let what = format!("the argument of client {}", first + place);
                return Err(Error::Length { what, found: objective.dimension(), expected: dimension });
            }
        }
        if start.len() != dimension {
            return Err(Error::Length { what: "the start".into(), found: start.len(), expected: dimension });
        }
        if let Some(place) = start.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "the start", row: place, value: start[place] });
        }
        let variances: Option<Vec<Option<f64>>> = self.parameters.batch.map(|batch| {
            let mut variances: Vec<_> =
                own.iter().map(|objective| objective.sample_variance(batch)).collect();
            // Other ranks' batches have noise too, of which this one knows nothing.
            variances.resize(clients, None);
            variances
        });
        let plan = fit::Plan::new(&self.parameters, smoothness, dimension, variances.as_deref())?;
        fit::run(plan, own, first, start, exchange)
    }
}

/// Refuses what would not fit a machine before any of it is asked for.
fn check_size(clients: usize, features: usize) -> Result<(), Error> {
    let numbers = clients.checked_mul(features).and_then(|numbers| numbers.checked_mul(VECTORS));
    match numbers.filter(|numbers| *numbers <= MOST_NUMBERS) {
        Some(_) => Ok(()),
        None => Err(Error::TooManyNumbers { clients, features, most: MOST_NUMBERS }),
    }
}
