//! What the search can be told.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How an order is judged. Smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// `(1/2n)‖X − XW‖²_F`, no penalty: the paper's linear score. It identifies the order when all noise has the same
    /// variance and the columns keep their own scale.
    LeastSquares,
    /// `Σ_k ½ ln(residual variance of k) + (ln n / 2n)·(number of parents of k)`: Gaussian likelihood with a variance per
    /// node and a BIC charge per edge, parents chosen among the predecessors. For unequal noise and standardised columns.
    LogVariance,
    /// `(1/n) Σ [ln(1 + e^m) − x·m] + λ‖W‖₁` per 0/1 column, `m = XW`, with `λ = 1/(C·n)`.
    Logistic {
        /// The inverse penalty C (released: 0.1). Larger means less shrinkage.
        inverse_penalty: f64,
    },
}

/// What a candidate pair (i, j), j currently before i, does to the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The two nodes exchange their positions (released default, its option 1).
    Exchange,
    /// j moves to just after i (option 2).
    MoveAfter,
    /// i moves to just before j (option 3).
    MoveBefore,
}

/// Which neighbours of an order are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neighbourhood {
    /// The paper's: pairs with the smallest gradient of the acyclicity function, a small set first, then a large one.
    Candidates,
    /// Ours, not in the paper: every move of one node to another position, all evaluated exactly in every sweep.
    Insertions,
}

/// What [`Topo`](super::Topo) can be told. The default is the released setting of the linear method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// The score (paper: least squares).
    pub score: Score,
    /// Which neighbours are looked at (paper: candidates).
    pub neighbourhood: Neighbourhood,
    /// What a candidate pair does (released: exchange). Not used by [`Neighbourhood::Insertions`].
    pub operation: Operation,
    /// Size of the small candidate set, s0 (released: 100). Cut to the d(d−1)/2 pairs that there are.
    pub small: usize,
    /// Size of the large candidate set, s1 (released: 400). Cut likewise.
    pub large: usize,
    /// How often the large set may rescue the search (released: 1).
    pub large_searches: usize,
    /// Most iterations; a guard, far above what the search needs.
    pub iterations: usize,
    /// Random orders to start from when no order is given, the best end result being kept (released: 1).
    pub starts: usize,
    /// Seed of the random orders.
    pub seed: u64,
    /// Subtract the column means first (default true; the released code does not). For the logistic score: give every
    /// node an intercept that is not penalised.
    pub centre: bool,
    /// Divide the columns by their standard deviation first (default false). Weights are then per standard deviation, and
    /// the least-squares score no longer identifies the order.
    pub standardise: bool,
    /// Added to every variance, as a share of it (default 0). A way out of collinear columns: 1e-8.
    pub ridge: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            score: Score::LeastSquares,
            neighbourhood: Neighbourhood::Candidates,
            operation: Operation::Exchange,
            small: 100,
            large: 400,
            large_searches: 1,
            iterations: 100_000,
            starts: 1,
            seed: 0,
            centre: true,
            standardise: false,
            ridge: 0.0,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let fail =
            |name, value: String, allowed, way_out| Err(Error::Parameter { name, value, allowed, way_out });
        if self.small == 0 {
            return fail("small", "0".into(), "at least 1", "use 100, the released value");
        }
        if self.large < self.small {
            let value = format!("{} with small = {}", self.large, self.small);
            return fail(
                "large",
                value,
                "at least as large as small",
                "use 100 and 400, the released values",
            );
        }
        if self.starts == 0 {
            return fail("starts", "0".into(), "at least 1", "use 1, the released value");
        }
        if !(self.ridge.is_finite() && (0.0..=1.0).contains(&self.ridge)) {
            return fail(
                "ridge",
                self.ridge.to_string(),
                "from 0 to 1",
                "use 0, or 1e-8 for collinear columns",
            );
        }
        if let Score::Logistic { inverse_penalty } = self.score {
            if !(inverse_penalty.is_finite() && inverse_penalty > 0.0) {
                let value = inverse_penalty.to_string();
                return fail("inverse_penalty", value, "positive and finite", "use 0.1, the released value");
            }
            if self.standardise {
                let value = "true".into();
                return fail(
                    "standardise",
                    value,
                    "false for the logistic score",
                    "leave 0/1 columns as they are",
                );
            }
        }
        Ok(())
    }
}
