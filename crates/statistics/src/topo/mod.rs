//! TOPO: learn a weighted directed acyclic graph by descending a score over topological orders.

mod baselines;
mod candidates;
mod card;
mod conditions;
mod dagma;
mod drawing;
mod exact;
mod factor;
mod graph;
mod log_variance;
mod logistic;
mod metrics;
mod moments;
mod order;
mod parameters;
mod problem;
mod search;
mod state;
mod warnings;

use backstitch_numerics::Matrix;

pub use card::CARD;
pub use dagma::{DagmaFit, DagmaParameters, dagma};
pub use drawing::draw;
pub use graph::{prune, refit, score_of_weights, threshold, topological_order};
pub use metrics::{Comparison, shd, varsortability};
pub use parameters::{Neighbourhood, Operation, Parameters, Score};
pub use problem::Problem;
pub use search::{Search, Stop};
pub use warnings::Warning;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct Topo {
    parameters: Parameters,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// d × d, entry (i, j) for the edge i → j: the best weights on the final order. Dense for least squares; apply
    /// [`threshold`] for a graph.
    pub weights: Matrix,
    /// All columns, every parent before its children.
    pub order: Vec<usize>,
    /// The score of `weights`.
    pub score: f64,
    /// True if the search ended by itself and no edge against the order could be added without a cycle and would lower the
    /// score: the paper's condition for a KKT point. With dense least squares every earlier node reaches every later one,
    /// so it is nearly always met; with the sparse scores it says something.
    pub kkt: bool,
    /// Orders whose score was computed.
    pub evaluations: usize,
    /// Orders walked through.
    pub iterations: usize,
    /// What the user should know before trusting the result.
    pub warnings: Vec<Warning>,
}

impl Topo {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Checks a table (n × d, one row per observation) and computes its moments.
    ///
    /// # Errors
    /// Everything that can be wrong with a table; see [`Error`].
    pub fn prepare(&self, samples: &Matrix) -> Result<Problem, Error> {
        Problem::new(samples, &self.parameters)
    }

    /// Searches from random orders ([`Parameters::starts`] of them) and keeps the best result.
    ///
    /// # Errors
    /// See [`Topo::prepare`].
    pub fn fit(&self, samples: &Matrix) -> Result<Fit, Error> {
        let problem = self.prepare(samples)?;
        let mut best: Option<Search> = None;
        let (mut evaluations, mut iterations) = (0, 0);
        for start in 0..self.parameters.starts {
            let search = problem.run(problem.start(start)?)?;
            evaluations += search.evaluations;
            iterations += search.iterations;
            if best.as_ref().is_none_or(|found| search.score < found.score) {
                best = Some(search);
            }
        }
        // `starts` is at least 1, so there is a best one.
        let best = best.map_or_else(|| problem.start(0), Ok)?;
        problem.fit_of(&Search { evaluations, iterations, ..best })
    }

    /// Searches from a given order: post-processing of another learner ([`topological_order`] makes an order of its graph).
    /// The score never rises.
    ///
    /// # Errors
    /// See [`Topo::prepare`]; [`Error::Order`] if the order is not a permutation of the columns.
    pub fn fit_from(&self, samples: &Matrix, order: &[usize]) -> Result<Fit, Error> {
        let problem = self.prepare(samples)?;
        let search = problem.run(problem.start_from(order)?)?;
        problem.fit_of(&search)
    }
}

impl Problem {
    /// Steps a search to its end.
    ///
    /// # Errors
    /// [`Error::Order`] if the search belongs to another problem.
    pub fn run(&self, mut search: Search) -> Result<Search, Error> {
        while search.step(self)? {}
        Ok(search)
    }

    /// The fit at the order where a search stands.
    ///
    /// # Errors
    /// [`Error::Order`] if the search belongs to another problem.
    pub fn fit_of(&self, search: &Search) -> Result<Fit, Error> {
        let weights = self.weights_of_order(&search.order)?;
        let ended = search.stopped == Some(Stop::NoImprovement);
        Ok(Fit {
            kkt: ended && conditions::holds(self, &search.order, &weights),
            warnings: warnings::collect(self, search)?,
            weights,
            order: search.order.clone(),
            score: search.score,
            evaluations: search.evaluations,
            iterations: search.iterations,
        })
    }
}
