//! Causal minimax: choose which stable columns to predict from, so that the worst risk over unseen environments is smallest.
//!
//! # What it computes
//!
//! Rows come from several environments E. In a causal graph over the columns, the children of E are *mutable* (X_M: their
//! mechanisms differ between environments), all other columns but the target Y are *stable* (X_S). For a stable subset S' the
//! predictor is
//!
//! ```text
//! f_S'(x) = E[Y | x_S', do(x_M)]
//! ```
//!
//! what S' and the mutable columns say of Y where nothing but chance sets the mutable columns. Its risk over all environments
//! that differ in the mechanisms of X_M is bounded by its worst-case risk
//!
//! ```text
//! h*(S') = max over J of  E[(Y − f_S'(X_S', X_M))²]   where every mutable M is set to J_M(PA_M)
//! ```
//!
//! with PA_M the parents of M, and everything below X_M following by its structural equation. The subset of smallest h* is
//! chosen. Risks are in units of the variance of Y over the training rows: 1 is what the mean of Y achieves where the
//! adversary cannot reach Y.
//!
//! Three steps make it feasible:
//!
//! 1. *The graph may decide.* With X_M⁰ the mutable children of Y and K their descendants, without themselves: if no child of Y
//!    is in K, all of X_S is optimal ([`Roles::whole_set_is_optimal`]).
//! 2. *Classes.* Otherwise subsets that are equivalent given the graph have the same predictor, and one of each class is judged
//!    ([`equivalence_classes`]). Their number is polynomial for sparse graphs; it is 2^d where everything stable is tied to Y.
//! 3. *Networks.* Structural equations, predictor and J are networks of one hidden layer. Columns of X_M are shuffled by one
//!    permutation and what is below them regenerated; on those rows Y is regressed on (X_S', X_M). J is found by ascent through
//!    the regenerated columns, from several random starts: h* is the largest risk *found*, a lower bound of the maximum.
//!
//! # Paper
//!
//! *Which Invariance Should We Transfer? A Causal Minimax Learning Approach*, ICML 2023, arXiv 2107.01876: the graphical
//! condition, the worst-case risk, and Algorithm 2 (`Recover`). The authors' code, under the MIT licence, is
//! `lmz123321/which_invariance`.
//!
//! # When it helps, and when it does not
//!
//! It helps where deployment will shift the same mechanisms that differed between the training environments, and further.
//! - The graph is an assumption. A missing edge E → M makes a shifting column count as stable, and no error shows it.
//! - The environment must not act on Y itself ([`Error::MutableTarget`]), and no common cause may be hidden.
//! - Where new environments resemble the old ones, or the mutable columns together reveal the environment of a row, plain regression
//!   on all columns is better: caution costs accuracy.
//! - In a linear model with Gaussian noise no mutable column can hurt any f_S' ([`LinearModel`]): the whole stable set is best, and
//!   there is nothing to search. What can be gained lies in the curvature of the mechanisms.
//! - The chosen predictor can be close to the mean of Y. Compare its risk to 1 before using it.
//!
//! # Parameters
//!
//! [`Parameters`]: the paper's sizes of networks, the penalty of its adversary, and ours where it has none (a bound `reach` on
//! the mutable columns, starts, iterations). [`Parameters::published`] follows the released code where it departs from the
//! definition.
//!
//! # Deviations from the paper
//!
//! 1. J is bounded: M = reach · tanh(network) training standard deviations from its mean. Unbounded, h* of a linear predictor is
//!    infinite (test `a_wider_reach_is_never_safer`). The published penalty is kept beside it.
//! 2. The predictor is fitted under do(X_M), its definition (test `the_linear_predictor_is_the_closed_form`); the released code
//!    intervenes on X_do*, which also cuts stable columns off from Y. [`Intervention::Published`] does so.
//! 3. Regenerated columns keep their rows' residuals. Without noise, as in the released code, a child of Y would reveal Y.
//! 4. Random starts and L-BFGS with a small weight penalty replace weights of one, Adam and early stopping (test
//!    `units_that_start_equal_stay_equal`).
//! 5. Classes are read off d-connection in the graph, without ancestral graphs (test `classes_are_those_of_the_released_code`).
//! 6. The predictor is fitted on several shuffles of the rows (`shuffles`), not one: the chance correlation of one shuffle is a
//!    dependence on the mutable columns that the adversary exploits.
//! 7. [`discover`] finds a graph by linear tests in place of kernel tests.
//!
//! # Errors
//!
//! [`Error`]: a target that the environment changes, one environment, an environment with too few rows, a constant column, values
//! that are not finite, a graph with cycles or undirected edges or into the environment, too many classes, a parameter outside its
//! range.
//!
//! # Cost
//!
//! Per class one regression and `adversary_starts` ascents, each step O(n · (units · inputs + Σ equations)); about half a second
//! per class at n = 1000, 10 columns. Classes are judged in parallel; results do not depend on the number of threads.
//!
//! # Example
//!
//! ```
//! use backstitch_numerics::{Matrix, Stream};
//! use backstitch_statistics::causal_minimax::{CausalMinimax, Form, Graph, Parameters};
//!
//! // Columns: environment, target, a mutable child of the target, a stable child of it.
//! let mut stream = Stream::new(0, "example");
//! let mut samples = Matrix::zeros(200, 4);
//! for row in 0..200 {
//!     let (environment, y) = ((row % 2) as f64, stream.normal());
//!     let mutable = (2.0 * environment - 0.5) * y + 0.1 * stream.normal();
//!     let stable = y + 0.5 * stream.normal();
//!     samples.row_mut(row).copy_from_slice(&[environment, y, mutable, stable]);
//! }
//! let graph = Graph::new(4, &[(0, 2), (1, 2), (1, 3)])?;
//! let parameters = Parameters { form: Form::Linear, ..Parameters::default() };
//! let fit = CausalMinimax::new(parameters)?.fit(&samples, 1, 0, &graph)?;
//! assert!(fit.roles.whole_set_is_optimal);
//! assert_eq!(fit.chosen().subset.iter().collect::<Vec<_>>(), [3]);
//! # Ok::<(), backstitch_statistics::Error>(())
//! ```

mod adversary;
mod card;
mod classes;
mod discover;
mod exact;
mod gml;
mod graph;
mod model;
mod network;
mod parameters;
mod problem;
mod regression;
mod roles;
mod set;
mod solve;

use backstitch_numerics::Matrix;
use rayon::prelude::*;

pub use card::CARD;
pub use classes::{Class, equivalence_classes};
pub use discover::{Discovery, discover};
pub use exact::LinearModel;
pub use gml::{GmlError, NamedGraph, read_gml};
pub use graph::Graph;
pub use model::{Model, Scale};
pub use parameters::{Form, Intervention, Parameters};
pub use problem::{Judged, Problem};
pub use roles::Roles;
pub use set::{MAX_COLUMNS, Set};

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct CausalMinimax {
    parameters: Parameters,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// The parts of the columns.
    pub roles: Roles,
    /// All classes of stable subsets.
    pub classes: Vec<Class>,
    /// The classes that were judged, by their shortest member, smallest worst-case risk first. Only the class of the whole
    /// stable set if the graph says that it is optimal, unless asked for all.
    pub ranking: Vec<Ranked>,
}

/// A class and the judgement of its shortest member.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The class.
    pub class: Class,
    /// Its shortest member, judged.
    pub judged: Judged,
}

impl Fit {
    /// The subset of smallest worst-case risk.
    pub fn chosen(&self) -> &Judged {
        // There is always a class: that of the empty set or a larger one.
        &self.ranking[0].judged
    }
}

impl CausalMinimax {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Checks a table (one row per observation; the graph is over its columns) and fits the structural equations.
    ///
    /// # Errors
    /// See the module.
    pub fn prepare(
        &self,
        samples: &Matrix,
        target: usize,
        environment: usize,
        graph: &Graph,
    ) -> Result<Problem, Error> {
        Problem::new(&self.parameters, samples, target, environment, graph)
    }

    /// Finds the classes, judges one subset of each and ranks them.
    ///
    /// # Errors
    /// See the module; [`Error::TooManyClasses`].
    pub fn fit(
        &self,
        samples: &Matrix,
        target: usize,
        environment: usize,
        graph: &Graph,
    ) -> Result<Fit, Error> {
        let problem = self.prepare(samples, target, environment, graph)?;
        let roles = problem.roles().clone();
        let stable = roles.stable_graph(graph);
        let classes = equivalence_classes(&stable, target, roles.stable, self.parameters.classes)?;
        let search = self.parameters.search_always || !roles.whole_set_is_optimal;
        let judge =
            |class: &Class| problem.judge(class.required).map(|judged| Ranked { class: *class, judged });
        let mut ranking: Vec<Ranked> = classes
            .par_iter()
            .filter(|class| search || class.contains(roles.stable))
            .map(judge)
            .collect::<Result<_, _>>()?;
        // Ties go to the shorter subset, which the classes are ordered by.
        ranking.sort_by(|one, other| one.judged.worst_case_risk.total_cmp(&other.judged.worst_case_risk));
        Ok(Fit { roles, classes, ranking })
    }
}
