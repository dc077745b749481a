//! Parameters of the method.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::Error;

/// Which block is updated next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Any, with equal chances.
    Random,
    /// One after the other; variable blocks are drawn anew in every cycle.
    Cyclic,
    /// With chances in proportion to Lipschitz constants.
    Lipschitz,
    /// The one with the longest gradient (Gauss–Southwell).
    Gs,
    /// The one that promises most with its Lipschitz constant; variable blocks: with a diagonal that majorises the Hessian.
    Gsl,
    /// The one that promises most with the Lipschitz constants of its coordinates.
    Gsd,
    /// The one that promises most with its matrix; variable blocks: by iterative hard thresholding.
    Gsq,
}

impl Rule {
    /// The name in messages and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Cyclic => "cyclic",
            Self::Lipschitz => "lipschitz",
            Self::Gs => "gs",
            Self::Gsl => "gsl",
            Self::Gsd => "gsd",
            Self::Gsq => "gsq",
        }
    }

    /// Whether it looks at the gradient of all coordinates.
    pub fn is_greedy(self) -> bool {
        matches!(self, Self::Gs | Self::Gsl | Self::Gsd | Self::Gsq)
    }
}

/// How coordinates are put into fixed blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partition {
    /// As they come.
    Order,
    /// By ascending Lipschitz constant.
    Sorted,
    /// Those with small constants beside those with large ones, so that blocks are alike.
    Averaged,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocks {
    /// [`Self::Growing`], or [`Self::GreedyTree`] for a quadratic without penalty and bounds.
    Automatic,
    /// Ours: every coordinate that is not at rest, and as many again that promise most.
    Growing,
    /// So many coordinates, others in every iteration.
    Variable(usize),
    /// Fixed blocks of so many coordinates.
    Fixed {
        /// Which coordinates go together.
        partition: Partition,
        /// Coordinates of a block.
        size: usize,
    },
    /// Classes without an edge inside, for quadratics: red and black on a lattice.
    Colours,
    /// Forests that cover all nodes, for quadratics.
    Trees,
    /// A forest grown in every iteration from the nodes that promise most, for quadratics.
    GreedyTree,
}

impl Blocks {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Growing => "growing",
            Self::Variable(_) => "variable",
            Self::Fixed { .. } => "fixed",
            Self::Colours => "colours",
            Self::Trees => "trees",
            Self::GreedyTree => "greedy-tree",
        }
    }
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// A step of length 1/L along the gradient, L a bound of the block's largest eigenvalue; a proximal step under a penalty.
    Gradient,
    /// The same with L doubled from below until the decrease it promises is there.
    LineSearch,
    /// The minimiser of the quadratic bound with the constant matrix of the block; exact for least squares and quadratics.
    Matrix,
    /// The minimiser of the quadratic model with the Hessian, and a line search; exact for least squares and quadratics.
    Newton,
    /// Two-metric projection, for bounds: Newton for coordinates inside, gradient for those held by a bound.
    TwoMetric,
}

/// How a problem is solved. The default is what works best on sparse data and on graphs; the paper compares all the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Which block is next.
    pub rule: Rule,
    /// What a block is.
    pub blocks: Blocks,
    /// What is done with it.
    pub update: Update,
    /// Ends when the certificate is at most this share of its unit: a duality gap relative to the loss at zero, a gradient mapping
    /// relative to the first one.
    pub tolerance: f64,
    /// Most updates of a block.
    pub iterations: usize,
    /// Whether coordinates that are not at rest are taken as one block, for a Newton step, once their set stays the same.
    pub end_game: bool,
    /// Updates between two measurements; nothing for each one with a greedy rule, otherwise about one a cycle.
    pub measure_every: Option<usize>,
    /// Seed of random rules.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            rule: Rule::Gsl,
            blocks: Blocks::Automatic,
            update: Update::Newton,
            tolerance: 1e-8,
            iterations: 10_000,
            end_game: true,
            measure_every: None,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks what does not depend on the problem.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            let way_out = "use 1e-8; 0 takes all iterations";
            return Err(Error::parameter("tolerance", self.tolerance, "a finite number from 0 up", way_out));
        }
        if self.measure_every == Some(0) {
            return Err(Error::parameter("measure_every", 0, "1 or more", "leave it out"));
        }
        match self.blocks {
            Blocks::Variable(0) | Blocks::Fixed { size: 0, .. } => {
                Err(Error::parameter("block size", 0, "1 or more", "use 1 for single coordinates"))
            }
            Blocks::Growing if !self.rule.is_greedy() => Err(Error::parameter(
                "rule",
                self.rule.name(),
                "greedy for growing blocks (gs, gsl, gsd or gsq)",
                "use gsl, or variable blocks",
            )),
            _ => Ok(()),
        }
    }

    /// The blocks for a problem.
    ///
    /// # Errors
    /// [`Error::Parameter`] if problem, blocks and update do not go together.
    pub(super) fn resolved(&self, problem: &Problem) -> Result<Blocks, Error> {
        let free_graph = problem.matrix().is_some() && problem.penalty().is_none();
        let blocks = match self.blocks {
            Blocks::Automatic if free_graph && self.update != Update::TwoMetric => Blocks::GreedyTree,
            Blocks::Automatic if self.rule.is_greedy() => Blocks::Growing,
            Blocks::Automatic => Blocks::Variable(1),
            blocks => blocks,
        };
        if matches!(blocks, Blocks::Colours | Blocks::Trees | Blocks::GreedyTree) {
            if !free_graph {
                let allowed = "growing, variable or fixed for a loss of rows, a penalty or bounds";
                return Err(Error::parameter("blocks", blocks.name(), allowed, "use growing"));
            }
            if blocks == Blocks::GreedyTree && matches!(self.rule, Rule::Cyclic | Rule::Lipschitz) {
                let way_out = "use gsl, or trees";
                return Err(Error::parameter(
                    "rule",
                    self.rule.name(),
                    "greedy or random for greedy trees",
                    way_out,
                ));
            }
        }
        if self.update == Update::TwoMetric {
            let penalty = problem.penalty();
            if !penalty.is_bounded() || (penalty.l1 > 0.0 && penalty.lower < 0.0) {
                let allowed = "another one unless there are bounds, from 0 up where there is an L1 penalty";
                return Err(Error::parameter("update", "two-metric", allowed, "use newton"));
            }
        }
        Ok(blocks)
    }
}
