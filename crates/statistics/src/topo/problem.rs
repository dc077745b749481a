//! A table made ready for the search: its moments and the score.

use backstitch_numerics::{Matrix, Stream};

use super::factor::score_of_order;
use super::logistic::Columns;
use super::moments::Moments;
use super::order::check_order;
use super::search::{Search, dense_weights};
use super::state::State;
use super::{Parameters, Score};
use crate::Error;

/// A checked table with its covariance and the parameters of the search. Make it once with
/// [`Topo::prepare`](super::Topo::prepare), then score orders and run searches on it.
#[derive(Clone, Debug)]
pub struct Problem {
    parameters: Parameters,
    moments: Moments,
    binary: Option<Columns>,
}

impl Problem {
    pub(super) fn new(samples: &Matrix, parameters: &Parameters) -> Result<Self, Error> {
        let moments = Moments::new(samples, parameters)?;
        let binary = match parameters.score {
            Score::Logistic { inverse_penalty } => {
                let values = (0..samples.columns()).map(|c| samples.column(c).collect()).collect();
                let penalty = 1.0 / (inverse_penalty * samples.rows() as f64);
                Some(Columns::new(values, penalty, parameters.centre))
            }
            _ => None,
        };
        Ok(Self { parameters: parameters.clone(), moments, binary })
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

    /// What was subtracted from each column (zeros if nothing was) and what it was then divided by (ones likewise).
    pub fn centres_and_scales(&self) -> (&[f64], &[f64]) {
        (&self.moments.means, &self.moments.scales)
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
        State::new(self, order)
    }

    /// The table itself, which only the logistic score needs after the moments.
    pub(super) fn columns_of_zeros_and_ones(&self) -> Option<&Columns> {
        self.binary.as_ref()
    }
}
