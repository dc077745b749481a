//! TOPO: learn a weighted directed acyclic graph by descending a score over topological orders.
//!
//! # What it computes
//!
//! Given samples `X` (n × d, one row per observation), a weighted directed acyclic graph `W` (d × d, `W_ij` the weight of the
//! edge i → j, in units of column j per unit of column i) with a small score Q. For an order π of the columns, only edges from
//! earlier to later columns are allowed, and the best weights separate over the columns:
//!
//! ```text
//! W_π = argmin { Q(W) : W_ij = 0 unless i stands before j in π },     Q(W) = (1/2n) ‖X − XW‖²_F   (least squares)
//! ```
//!
//! The method walks over orders. At the current one it ranks the forbidden pairs (i, j), j before i, by
//! `G_h[i, j] = [(I − |W_π|)⁻¹]_ji`, the weight of all paths from j to i: the smaller, the less stands against the edge i → j. It
//! tries the `small` pairs of smallest rank by exchanging i and j, and carries out, best first, every improving exchange whose
//! interval of positions does not meet one already used. If none improves, the next pairs up to `large` are tried, but only
//! `large_searches` times with success; then the search ends.
//!
//! The least-squares score of an order is `½ Σ_k L_kk²`, L the Cholesky factor of the covariance in that order, and the score
//! of a neighbour follows from the factor at hand in O(w) for an insertion and O(w²) for an exchange over w positions, with no
//! regression at all.
//!
//! # Paper
//!
//! *Optimizing NOTEARS Objectives via Topological Swaps*, ICML 2023, arXiv 2305.17277. The authors' code, which has no
//! licence file, is not used here.
//!
//! # When it helps, and when it does not
//!
//! - With equal noise variances and columns in their own units, the order of smallest least-squares score is the true one as n
//!   grows, and the search finds it fast. As a post-processor ([`Topo::fit_from`] with the [`topological_order`] of another
//!   learner's graph) it never raises the score.
//! - On such data the variances often give the order away; sorting by them ([`Problem::sort_and_regress`]) is the baseline to
//!   beat, and [`Warning::VarianceOrder`] says when it comes within 1 %.
//! - On standardised columns, or with unequal noise, least squares prefers wrong orders. [`Score::LogVariance`] is for those;
//!   with Gaussian noise the data then decide only which pairs are joined and some directions.
//! - From a random order at d = 100, the published set sizes (100 and 400 of 4950 pairs) end far above the true order's score;
//!   [`Neighbourhood::Insertions`] does not. Use it from about 50 columns up.
//! - Edges are causal only under the model's assumptions: no hidden common causes, linear effects, no cycles.
//!
//! # Parameters
//!
//! See [`Parameters`]. Defaults are the released ones (`small` 100, `large` 400, one large search, exchanges, one random start);
//! `centre` is ours (the released code has no intercept and does not centre). Weights below 0.3 are dropped by [`threshold`]
//! (released), or one at a time with a refit between by [`prune`] (ours, less noisy).
//!
//! # Deviations from the paper
//!
//! 1. Scores of neighbours come from Cholesky identities, not from regressions. Test:
//!    `all_routes_to_the_score_after_a_move_agree`.
//! 2. The paper's candidate set also filters pairs by the gradient of the score; like the released code we do not (the pair's
//!    exact change of score is computed anyway). Test: `plain_thresholding_is_as_good_as_the_true_order_allows`.
//! 3. Set sizes are cut to the d(d − 1)/2 pairs there are, where the released code refuses; ties beyond the set size are
//!    decided by position. Test: `the_prototyped_figures_hold_with_the_best_of_three_random_starts` (d = 10 has 45 pairs).
//! 4. Columns are centred unless told otherwise. Test: `scores_and_weights_are_those_of_numpy`, both ways.
//! 5. [`Score::LogVariance`] carries a BIC charge per edge and chooses parents among the predecessors. `Σ ln` residual variance
//!    alone is `ln det` of the covariance for every order when all earlier columns are parents, so it cannot rank orders.
//!    Test: `with_dense_fits_the_sum_of_log_variances_is_the_same_for_every_order`.
//! 6. [`Score::Logistic`] fits and scores with the same penalty, `λ = 1/(C·n)` on the mean loss; the released script fits with
//!    that and scores with `1/C`. Its logistic model is otherwise the same, without intercept when `centre` is false. Test:
//!    `the_logistic_fit_is_that_of_a_general_optimiser`.
//! 7. [`Neighbourhood::Insertions`], [`prune`], several starts and the exact search ([`Problem::exact_order`]) are ours. Tests:
//!    `at_d_100_insertions_reach_the_true_order_and_the_published_candidate_sets_do_not`,
//!    `the_exact_optimum_is_that_of_all_permutations`.
//! 8. The multilayer-perceptron score of the paper is not here.
//!
//! # Errors
//!
//! [`Error`] names the parameter, or the row, column and value. Constant columns, values that are not finite, collinear
//! columns and fewer rows than columns (both: unless `ridge` is set), columns that are not 0/1 under the logistic score, orders
//! that are not permutations, graphs with cycles.
//!
//! # Cost
//!
//! Once: O(n d²) for the covariance. An iteration: O(d³) for the factor, its inverse and the path weights, plus O(d²) for
//! all insertions or O(small · d²) at worst for exchanges. Memory: O(d²) beside the table, nothing that grows with n. The
//! logistic score costs O(n) per fit and keeps the table.
//!
//! # Example
//!
//! ```
//! use backstitch_data::dag::{DagParameters, generate};
//! use backstitch_statistics::topo::{Parameters, Topo, prune, shd};
//!
//! let sample = generate(&DagParameters { nodes: 10, edges: 20, ..DagParameters::default() }, 0)?;
//! let topo = Topo::new(Parameters { starts: 3, ..Parameters::default() })?;
//! let fit = topo.fit(&sample.samples)?;
//! let (graph, _score) = prune(topo.prepare(&sample.samples)?.covariance(), &fit.weights, 0.3)?;
//! assert_eq!(shd(&graph, &sample.weights)?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
