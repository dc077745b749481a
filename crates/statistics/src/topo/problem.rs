//! A table made ready for the search: its moments and the score.

use backstitch_numerics::{Matrix, Stream};

use super::factor::{Factor, score_of_order};
use super::moments::Moments;
use super::order::{Move, check_order};
use super::search::{Search, dense_weights};
use super::{Parameters, Score};
use crate::Error;

/// A checked table with its covariance and the parameters of the search. Make it once with
/// [`Topo::prepare`](super::Topo::prepare), then score orders and run searches on it.
#[derive(Clone, Debug)]
pub struct Problem {
    parameters: Parameters,
    moments: Moments,
}

impl Problem {
    pub(super) fn new(samples: &Matrix, parameters: &Parameters) -> Result<Self, Error> {
        let moments = Moments::new(samples, parameters)?;
        Ok(Self { parameters: parameters.clone(), moments })
    }

    /// The parameters it was made with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Number of rows, n.
    pub fn rows(&self) -> usize {
        self.moments.rows
    }

    /// Number of columns, d.
    pub fn columns(&self) -> usize {
        self.moments.covariance.columns()
    }

    /// d × d second moments `X'X/n` after centring, scaling and ridge.
    pub fn covariance(&self) -> &Matrix {
        &self.moments.covariance
    }

    /// The score of an order: that of its best weights.
    ///
    /// # Errors
    /// [`Error::Order`] if it is not a permutation of the columns.
    pub fn score_of_order(&self, order: &[usize]) -> Result<f64, Error> {
        check_order(order, self.columns())?;
        Ok(match self.parameters.score {
            Score::LeastSquares => score_of_order(&self.moments.covariance, order),
            _ => self.state(order).score(),
        })
    }

    /// The best weights of an order, d × d, entry (i, j) for i → j.
    ///
    /// # Errors
    /// [`Error::Order`] if it is not a permutation of the columns.
    pub fn weights_of_order(&self, order: &[usize]) -> Result<Matrix, Error> {
        check_order(order, self.columns())?;
        Ok(dense_weights(&self.state(order), order))
    }

    /// All columns by rising variance, the order that scale alone suggests.
    pub fn variance_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns()).collect();
        let covariance = &self.moments.covariance;
        order.sort_by(|&i, &j| covariance[(i, i)].total_cmp(&covariance[(j, j)]));
        order
    }

    /// A search from the `start`-th random order of the parameters' seed.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn start(&self, start: usize) -> Result<Search, Error> {
        let purpose = format!("topo start {start}");
        Search::at(self, Stream::new(self.parameters.seed, &purpose).permutation(self.columns()))
    }

    /// A search from a given order: post-processing.
    ///
    /// # Errors
    /// [`Error::Order`] if it is not a permutation of the columns.
    pub fn start_from(&self, order: &[usize]) -> Result<Search, Error> {
        Search::at(self, order.to_vec())
    }

    pub(super) fn state(&self, order: &[usize]) -> State {
        match self.parameters.score {
            Score::LeastSquares => State::LeastSquares(Factor::new(&self.moments.covariance, order)),
            Score::LogVariance | Score::Logistic { .. } => unimplemented!(),
        }
    }
}

/// What is known about the current order.
pub(super) enum State {
    LeastSquares(Factor),
}

impl State {
    pub(super) fn score(&self) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.score(),
        }
    }

    /// Weight of the edge between two positions.
    pub(super) fn weight(&self, _order: &[usize], from: usize, to: usize) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.weight(from, to),
        }
    }

    /// Score after the move minus score before it.
    pub(super) fn change(&self, _problem: &Problem, _order: &[usize], step: Move) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.change(step),
        }
    }
}
