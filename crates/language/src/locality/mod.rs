//! Reasoning from the locality of experience: why going step by step answers what was never seen together.
//!
//! # What it computes
//!
//! A Bayes net over binary variables gives joint samples. A *policy* decides which variables of a sample are seen: those near a random
//! centre (local), near in another net's graph (wrong local), or all. Held-out pairs are never seen together. A model of text is
//! trained on samples `###\ntarget: X17\nX5=0\nX8=1\nX17=1\n` and then asked for P(t = 1 | c = v) of the held-out pairs by four routes:
//!
//! - **direct**: `###\ntarget: t\nc=v\nt=`, the probability of `1` among the tokens `0` and `1`;
//! - **scaffolded**: through S, a smallest set of variables that separates t from c, nearest to c first:
//!   `Σ_s P(t | c, s) Π_k P(s_k | c, s_<k)`, exactly or by sampling;
//! - **free**: the model itself chooses the next variable and its value until it chooses t;
//! - **negative**: as scaffolded, through as many variables that are drawn at random.
//!
//! The result is the mean squared error to the exact conditional probability (variable elimination) and to the marginal. On a chain
//! seen in neighbouring pairs only, the direct estimate is the marginal and the one through the chain is the truth:
//! [`CountModel`] shows it without a network.
//!
//! # Paper
//!
//! Prystawski, Li and Goodman, *Why think step by step? Reasoning emerges from the locality of experience*, NeurIPS 2023, arXiv
//! 2304.03843.
//!
//! # When it helps, and when it does not
//!
//! - It helps where neighbouring variables are seen together and distant ones are not, and the model learned the neighbours well.
//! - With everything seen together, the direct answer is about as good; with the wrong locality nothing helps.
//! - Pairs that hardly depend on each other show no gap whatever the model does; look at the row `marginal` of [`gap_table`].
//! - Variables are binary, and exact probabilities need a net that is nearly a tree: at most 22 variables in one table.
//! - From samples alone ([`Network::tree`]) the scaffolds are those of a tree: only as good as a tree describes the data.
//!
//! # Parameters
//!
//! [`NetworkParameters`] (100 variables, 100 edges, Beta(0.2, 0.2)), [`HeldOutParameters`] (25 of the 50 most informative pairs at
//! distance above 1), [`Policy`] (geometric radius 0.5, dropped with 0.2), [`FreeParameters`] (10 runs, 100 steps): all the paper's.
//! Queries with P(c = v) below 1e-3 are dropped and counted (ours).
//!
//! # Deviations from the paper
//!
//! 1. The scaffolded estimate is summed exactly; [`Estimator::scaffolded_by_sampling`] is the paper's. Test:
//!    `sampling_a_scaffold_approaches_the_exact_sum`.
//! 2. Negative scaffolds are drawn without replacement. Test: `negative_scaffolds_avoid_the_query_and_its_scaffold`.
//! 3. Tokens are variables and values, one each; values are shared by all variables, as in the paper, or each variable's own
//!    ([`ValueTokens`]). Test: `tokens_and_text_say_the_same`.
//! 4. A sample with nothing left is drawn again; one with a single variable is kept. Test:
//!    `held_out_pairs_are_never_seen_together`.
//! 5. Among smallest separating sets the one nearest to the condition is taken. Test: `scaffolds_are_smallest_and_separate`.
//!
//! # Errors
//!
//! [`crate::Error`] names the variable and what is wrong with it, the edge that closes a cycle with the cycle, the held-out pair
//! and the sample it slipped into, and the prompt to which a model's answer has the wrong shape. [`Estimates::warnings`] says where
//! the two value tokens together had a probability below 0.9.
//!
//! # Cost
//!
//! Samples: about nine random words per variable and 64 samples. All pairs: one elimination each over the pair's ancestors, exponential in
//! the induced width only. Estimates: one batch of prompts per step over all queries. Results do not depend on the number of threads.
//!
//! # Example
//!
//! ```
//! use backstitch_language::locality::{
//!     CountModel, Distances, Estimator, Observer, Policy, Radius, Samples, ValueTokens, Vocabulary, chain, gap_table, observe_all, queries,
//! };
//!
//! let net = chain(0.5, &[[0.2, 0.9]; 4])?;
//! let distances = net.distances();
//! let near = Policy { radius: Radius::Geometric { success: 1.0 }, drop: 0.2 };
//! let held_out = [(0, 2), (1, 3), (2, 4), (0, 4)];
//! let observer = Observer::new(near, &distances, &held_out)?;
//! let seen = observe_all(&Samples::draw(&net, 100_000, 0), &observer, 0)?;
//! let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
//! let model = CountModel::fit(&seen, &vocabulary);
//! let asked = queries(&net.pairs()?, &[(0, 4)], 1e-3).queries;
//! let through: Vec<Vec<usize>> =
//!     asked.iter().map(|query| if query.condition == 0 { vec![1, 2, 3] } else { vec![3, 2, 1] }).collect();
//! let mut estimator = Estimator::new(&vocabulary, |prompts: &[Vec<u32>]| model.next(prompts));
//! let direct = estimator.direct(&asked)?;
//! let scaffolded = estimator.scaffolded(&asked, &through)?;
//! let table = gap_table(&asked, &[("direct", &direct.values), ("scaffolded", &scaffolded.values)]);
//! assert!(table[2].to_truth < 0.1 * table[1].to_truth);
//! # Ok::<(), backstitch_language::Error>(())
//! ```

mod card;
mod counts;
mod estimate;
mod gap;
mod graph;
mod infer;
mod learn;
mod network;
mod observe;
mod query;
mod sample;
mod tree;
mod vocabulary;

pub use card::CARD;
pub use counts::{CountModel, chain};
pub use estimate::{Estimates, Estimator, FreeParameters, LARGEST_EXACT, LEAST_MASS, Mass};
pub use gap::{GapRow, gap_table, paired_differences, squared_errors};
pub use graph::{Distances, smallest_cut};
pub use infer::Pairs;
pub use learn::{LearnerParameters, Lessons, Shape, ask, learn};
pub use network::{MOST_PARENTS, Network, NetworkParameters, Variable};
pub use observe::{Observation, Observer, Policy, Radius, check_held_out, observe_all};
pub use query::{
    HeldOutParameters, Queries, Query, World, adjacent_pairs, held_out_pairs, negative_scaffolds, queries,
    scaffolds,
};
pub use sample::Samples;
pub use vocabulary::{FIRST_VARIABLE, START, ValueTokens, Vocabulary};
