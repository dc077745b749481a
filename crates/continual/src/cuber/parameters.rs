//! What can be set.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How earlier tasks are kept from being forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The paper's: selective updates of what earlier tasks use.
    Cuber,
    /// Nothing that earlier tasks use is updated; the most related ones are reused through scales (TRGP).
    Trgp,
    /// Nothing that earlier tasks use is updated (GPM).
    Gpm,
    /// Updates of weights that mattered cost more (elastic weight consolidation).
    Ewc,
    /// Nothing is done about it.
    Naive,
}

/// Outputs of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heads {
    /// All tasks share one last layer, which is protected like any other.
    Shared,
    /// Every task has a last layer of its own, which later tasks leave alone.
    Own,
}

/// What can be set. `Default` is the paper's setting for permuted MNIST, where the paper gives one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How earlier tasks are kept from being forgotten.
    pub strategy: Strategy,
    /// Shared or own.
    pub heads: Heads,
    /// Units of every hidden layer.
    pub hidden: Vec<usize>,
    /// Whether every layer sees a constant 1 beside its inputs. Protected like any other input.
    pub bias: bool,
    /// Passes over the rows of a task.
    pub epochs: usize,
    /// Rows of a step.
    pub batch: usize,
    /// Step of stochastic gradient descent, of weights and scales.
    pub rate: f64,
    /// Share of the squares of a layer's inputs that the directions kept for a task must hold: of the first layer, the second and so on; the
    /// last one holds for all further layers.
    pub thresholds: Vec<f64>,
    /// By how much the thresholds grow with every task, up to 1.
    pub threshold_growth: f64,
    /// Rows that directions and the first gradient of a task are taken from.
    pub samples: usize,
    /// Share of the gradient that must lie in the directions of an earlier task for that to count as related (ε₁).
    pub sufficient: f64,
    /// Cosine between the gradients of two tasks above which a related one may be updated (ε₂).
    pub positive: f64,
    /// Most related tasks of a layer.
    pub related: usize,
    /// Price of moving weights in the directions of an earlier task that may be updated (λ).
    pub penalty: f64,
    /// Price of elastic weight consolidation.
    pub elasticity: f64,
    /// Of initial weights and batches.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            strategy: Strategy::Cuber,
            heads: Heads::Shared,
            hidden: vec![100, 100],
            bias: false,
            epochs: 5,
            batch: 10,
            rate: 0.01,
            thresholds: vec![0.95, 0.99],
            threshold_growth: 0.0,
            samples: 300,
            sufficient: 0.5,
            positive: 0.0,
            related: 2,
            penalty: 0.1,
            elasticity: 3.0,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first number outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, value, allowed, way_out| Err(Error::Parameter { name, value, allowed, way_out });
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch), ("samples", self.samples)] {
            if value == 0 {
                return refuse(name, 0.0, "at least 1", "leave it out for the default");
            }
        }
        for &units in &self.hidden {
            if units == 0 {
                return refuse("the number of hidden units", 0.0, "at least 1", "leave that layer out");
            }
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return refuse("rate", self.rate, "positive and finite", "0.01 is the paper's");
        }
        if self.thresholds.is_empty() {
            return refuse(
                "the number of thresholds",
                0.0,
                "at least 1",
                "give one for every layer, or one for all",
            );
        }
        for &threshold in &self.thresholds {
            if !(threshold > 0.0 && threshold <= 1.0) {
                return refuse(
                    "a threshold",
                    threshold,
                    "above 0 and at most 1",
                    "the paper takes 0.95 to 0.99",
                );
            }
        }
        for (name, value) in [
            ("threshold growth", self.threshold_growth),
            ("penalty", self.penalty),
            ("elasticity", self.elasticity),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(name, value, "finite and at least 0", "0 switches it off");
            }
        }
        if !(0.0..=1.0).contains(&self.sufficient) {
            return refuse("sufficient", self.sufficient, "from 0 to 1", "0.5 is the paper's");
        }
        if !(-1.0..=1.0).contains(&self.positive) {
            return refuse("positive", self.positive, "from -1 to 1", "0 is the paper's");
        }
        Ok(())
    }

    /// Of a layer (counted from 0) and a task (counted from 0).
    pub(super) fn threshold(&self, layer: usize, task: usize) -> f64 {
        let own = self.thresholds[layer.min(self.thresholds.len() - 1)];
        (own + self.threshold_growth * task as f64).min(1.0)
    }
}
