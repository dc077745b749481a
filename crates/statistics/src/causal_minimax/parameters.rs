//! What the method can be told.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What the functions between columns look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One hidden layer of logistic units (the paper's).
    Network,
    /// Linear equations and a linear predictor; the adversary keeps its network. For few rows, and for closed forms.
    Linear,
}

/// Which columns are shuffled before the predictor is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervention {
    /// The mutable columns, the others regenerated from their parents: the definition E[Y | x, do(x_M)].
    Mutable,
    /// X_do*, the released code's: also stable descendants of mutable children that are no children of the target.
    Published,
}

/// What [`CausalMinimax`](super::CausalMinimax) can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Form of the functions (paper: network).
    pub form: Form,
    /// What is shuffled (ours: the mutable columns).
    pub intervention: Intervention,
    /// Regenerated columns keep the residual of their row (ours: true; the released code: false).
    pub keep_residuals: bool,
    /// Shuffles of the rows that the predictor is fitted on (ours: 3; released: 1). One leaves the target a chance correlation
    /// with the shuffled columns, which the adversary exploits.
    pub shuffles: usize,
    /// Hidden units of the predictor (released: 12).
    pub predictor_units: usize,
    /// How far the adversary may take a mutable column from its training mean, in training standard deviations (ours: 3;
    /// the paper has no bound).
    pub reach: f64,
    /// Factor of the summed Euclidean norms of the weights of the adversary's layers (released: 0.01).
    pub adversary_penalty: f64,
    /// Random starts of the adversary, the worst end being kept (released: 1, not random).
    pub adversary_starts: usize,
    /// Most steps of the adversary's optimiser from one start.
    pub adversary_iterations: usize,
    /// Random starts of every other network, the best end being kept.
    pub fit_starts: usize,
    /// Most steps of their optimiser.
    pub fit_iterations: usize,
    /// Factor of half the squared weights when a network is fitted (ours: 3e-3; released: none, but early stopping).
    pub decay: f64,
    /// Most equivalence classes that are searched.
    pub classes: usize,
    /// Search the classes even where the graph says that the whole stable set is optimal.
    pub search_always: bool,
    /// Fewest rows of an environment.
    pub rows: usize,
    /// Seed of the shuffles and of the starts.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            form: Form::Network,
            intervention: Intervention::Mutable,
            keep_residuals: true,
            shuffles: 3,
            predictor_units: 12,
            reach: 3.0,
            adversary_penalty: 0.01,
            adversary_starts: 3,
            adversary_iterations: 200,
            fit_starts: 2,
            fit_iterations: 200,
            decay: 3e-3,
            classes: 4096,
            search_always: false,
            rows: 5,
            seed: 0,
        }
    }
}

impl Parameters {
    /// The choices of the released code, where this method can make them: X_do* is shuffled and columns are regenerated
    /// without noise.
    pub fn published() -> Self {
        Self { intervention: Intervention::Published, keep_residuals: false, shuffles: 1, ..Self::default() }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [
            (
                "predictor_units",
                self.predictor_units,
                1,
                1000,
                "from 1 to 1000",
                "use 12, the released value",
            ),
            ("shuffles", self.shuffles, 1, 1000, "from 1 to 1000", "use 3"),
            ("adversary_starts", self.adversary_starts, 1, 1000, "from 1 to 1000", "use 3"),
            ("adversary_iterations", self.adversary_iterations, 1, 1_000_000, "from 1 to 1000000", "use 200"),
            ("fit_starts", self.fit_starts, 1, 1000, "from 1 to 1000", "use 2"),
            ("fit_iterations", self.fit_iterations, 1, 1_000_000, "from 1 to 1000000", "use 200"),
            ("classes", self.classes, 1, 1_000_000, "from 1 to 1000000", "use 4096"),
            ("rows", self.rows, 2, usize::MAX, "at least 2", "use 5"),
        ];
        for (name, value, least, most, allowed, way_out) in counts {
            if !(least..=most).contains(&value) {
                return Err(Error::Parameter { name, value: value.to_string(), allowed, way_out });
            }
        }
        let numbers = [
            ("reach", self.reach, 1e-3, 1e3, "from 0.001 to 1000", "use 3, or the range you fear"),
            (
                "adversary_penalty",
                self.adversary_penalty,
                0.0,
                1e3,
                "from 0 to 1000",
                "use 0.01, the released value",
            ),
            ("decay", self.decay, 0.0, 1e3, "from 0 to 1000", "use 0.003"),
        ];
        for (name, value, least, most, allowed, way_out) in numbers {
            if !(value.is_finite() && (least..=most).contains(&value)) {
                return Err(Error::Parameter { name, value: value.to_string(), allowed, way_out });
            }
        }
        Ok(())
    }
}
