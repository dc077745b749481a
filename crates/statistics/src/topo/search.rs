//! The search over orders: a small state that can be stepped, saved and continued.

use backstitch_numerics::Matrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::order::{Move, check_order};
use super::problem::Problem;
use super::state::State;
use super::{Neighbourhood, candidates};
use crate::Error;

/// A score must fall by more than this share of itself to count as improved, so that rounding cannot make the search run
/// in circles.
const IMPROVED: f64 = 1e-11;

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// No neighbour that the search may look at is better.
    NoImprovement,
    /// The largest number of iterations was reached.
    IterationLimit,
}

/// The state of one search. It holds all that the next step depends on besides the [`Problem`]: save it between two steps,
/// and the continued search takes exactly the steps of an uninterrupted one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The current order, every parent before its children.
    pub order: Vec<usize>,
    /// Its score.
    pub score: f64,
    /// Orders changed so far.
    pub iterations: usize,
    /// Orders whose score was computed so far, the first one included.
    pub evaluations: usize,
    /// How often the large candidate set found an improvement.
    pub large_searches: usize,
    /// Why the search ended; none while it goes on.
    pub stopped: Option<Stop>,
}

impl Search {
    /// A search that stands at `order`.
    pub(super) fn at(problem: &Problem, order: Vec<usize>) -> Result<Self, Error> {
        check_order(&order, problem.columns())?;
        let score = problem.state(&order).score();
        Ok(Self { order, score, iterations: 0, evaluations: 1, large_searches: 0, stopped: None })
    }

    /// One iteration: looks at the neighbours and carries out, best first, every improving move whose interval of
    /// positions does not meet one already used. True while there is more to do.
    ///
    /// # Errors
    /// [`Error::Order`] if the state does not belong to a problem with this number of columns.
    pub fn step(&mut self, problem: &Problem) -> Result<bool, Error> {
        if self.stopped.is_some() {
            return Ok(false);
        }
        check_order(&self.order, problem.columns())?;
        let parameters = problem.parameters();
        if self.iterations >= parameters.iterations {
            self.stopped = Some(Stop::IterationLimit);
            return Ok(false);
        }
        let state = problem.state(&self.order);
        let improving = match parameters.neighbourhood {
            Neighbourhood::Insertions => self.improving_insertions(problem, &state),
            Neighbourhood::Candidates => {
                let paths =
                    candidates::path_weights(problem.columns(), |a, b| state.weight(&self.order, a, b));
                let moves = candidates::smallest(&paths, parameters.large, parameters.operation);
                let (small, rest) = moves.split_at(parameters.small.min(moves.len()));
                let mut improving = self.improving(problem, &state, small);
                if improving.is_empty() && self.large_searches < parameters.large_searches {
                    improving = self.improving(problem, &state, rest);
                    self.large_searches += usize::from(!improving.is_empty());
                }
                improving
            }
        };
        let mut next = self.order.clone();
        for step in without_overlap(improving) {
            step.apply(&mut next);
        }
        // The changes add up exactly, so this only stops a search whose improvements are rounding.
        let score = if next == self.order { self.score } else { problem.state(&next).score() };
        if score < self.score {
            self.order = next;
            self.score = score;
            self.iterations += 1;
        } else {
            self.stopped = Some(Stop::NoImprovement);
        }
        Ok(self.stopped.is_none())
    }

    /// The moves that lower the score, best first, ties in the order given.
    fn improving(&mut self, problem: &Problem, state: &State, moves: &[Move]) -> Vec<(f64, Move)> {
        self.evaluations += moves.len();
        let least = self.least();
        // Every move is judged on its own and the results keep their places: threads cannot change them.
        let changes: Vec<f64> =
            moves.par_iter().map(|&step| state.change(problem, &self.order, step)).collect();
        best_first(
            changes.into_iter().zip(moves.iter().copied()).filter(|(change, _)| *change < least).collect(),
        )
    }

    /// The same over all insertions, which least squares judges together.
    fn improving_insertions(&mut self, problem: &Problem, state: &State) -> Vec<(f64, Move)> {
        match state {
            State::LeastSquares(factor) => {
                let d = problem.columns();
                self.evaluations += (d - 1) * (d - 1);
                best_first(factor.insertions_below(self.least()))
            }
            State::Sparse { .. } => {
                self.improving(problem, state, &candidates::insertions(problem.columns()))
            }
        }
    }

    /// The largest change that counts as an improvement.
    fn least(&self) -> f64 {
        -IMPROVED * self.score.abs().max(f64::MIN_POSITIVE)
    }
}

/// A stable sort: ties stay in the order given.
fn best_first(mut moves: Vec<(f64, Move)>) -> Vec<(f64, Move)> {
    moves.sort_by(|x, y| x.0.total_cmp(&y.0));
    moves
}

/// The first move, and every later one that touches no position touched before.
fn without_overlap(moves: Vec<(f64, Move)>) -> Vec<Move> {
    let mut kept: Vec<Move> = Vec::new();
    for (_, step) in moves {
        if kept.iter().all(|other| step.last < other.first || other.last < step.first) {
            kept.push(step);
        }
    }
    kept
}

/// The dense weights of an order, node by node: entry (i, j) is the weight of i → j.
pub(super) fn dense_weights(state: &State, order: &[usize]) -> Matrix {
    let d = order.len();
    let mut weights = Matrix::zeros(d, d);
    for to in 0..d {
        for from in 0..to {
            weights[(order[from], order[to])] = state.weight(order, from, to);
        }
    }
    weights
}
