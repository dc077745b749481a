//! What TOPO is compared with: sorting by variance, and random orders with the same budget.

use backstitch_numerics::Stream;

use super::order::Move;
use super::{Operation, Problem, Search};
use crate::Error;

impl Problem {
    /// *sortnregress* (Reisach, Seiler and Weichwald 2021): the order of rising variance with its best weights; no search. A
    /// method that does not beat it has shown nothing about order. Its dense weights are [`Problem::weights_of_order`];
    /// here is the state, standing still, that [`Problem::fit_of`] turns into a fit.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn sort_and_regress(&self) -> Result<Search, Error> {
        self.start_from(&self.variance_order())
    }

    /// Independent random orders, the best of `evaluations` kept: what the same number of scores buys without any idea.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `evaluations` is zero.
    pub fn random_orders(&self, evaluations: usize, seed: u64) -> Result<Search, Error> {
        check_budget(evaluations)?;
        let mut stream = Stream::new(seed, "topo random orders");
        let mut best = self.start_from(&stream.permutation(self.columns()))?;
        for _ in 1..evaluations {
            let order = stream.permutation(self.columns());
            let score = self.score_of_order(&order)?;
            if score < best.score {
                (best.order, best.score) = (order, score);
                best.iterations += 1;
            }
        }
        best.evaluations = evaluations;
        Ok(best)
    }

    /// Random-restart hill climbing: from a random order, exchanges of two random positions are tried and kept when they
    /// improve; after d(d−1)/2 failures in a row the climb ends and another random order is drawn, until `evaluations`
    /// scores were computed. The best order of all climbs is kept. It differs from TOPO only in which exchanges it tries.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `evaluations` is zero.
    pub fn random_restarts(&self, evaluations: usize, seed: u64) -> Result<Search, Error> {
        check_budget(evaluations)?;
        let d = self.columns();
        let mut stream = Stream::new(seed, "topo random restarts");
        let mut current = self.start_from(&stream.permutation(d))?;
        let mut state = self.state(&current.order);
        let mut best = current.clone();
        let (mut used, mut failures, mut iterations) = (1, 0, 0);
        while used < evaluations {
            used += 1;
            if d < 2 || failures >= d * (d - 1) / 2 {
                current = self.start_from(&stream.permutation(d))?;
                state = self.state(&current.order);
                failures = 0;
            } else {
                let one = stream.below(d);
                let other = (one + 1 + stream.below(d - 1)) % d;
                let step =
                    Move { first: one.min(other), last: one.max(other), operation: Operation::Exchange };
                if state.change(self, &current.order, step) < -1e-11 * current.score.abs() {
                    step.apply(&mut current.order);
                    state = self.state(&current.order);
                    current.score = state.score();
                    iterations += 1;
                    failures = 0;
                } else {
                    failures += 1;
                }
            }
            if current.score < best.score {
                best = current.clone();
            }
        }
        Ok(Search { evaluations, iterations, ..best })
    }
}

fn check_budget(evaluations: usize) -> Result<(), Error> {
    if evaluations == 0 {
        return Err(Error::Parameter {
            name: "evaluations",
            value: "0".into(),
            allowed: "at least 1",
            way_out: "give the number of evaluations that the method used",
        });
    }
    Ok(())
}
