//! The reversal curse: does a model that learned "A is B" also know "B is A"?
//!
//! # What it computes
//!
//! For facts (name A, description B) and questions in both directions ([`crate::facts`]), two scores of a model:
//!
//! - **exact match**: the model completes the prompt greedily; the answer counts if it starts with the target, whatever the
//!   case ([`exact_match`]);
//! - **ranking and log-probability**: every candidate target c gets `log p(c | prompt)`; the answer counts if the correct one
//!   is strictly first (`top-1`), and `Δ = log p(correct) − log p(random other of the same group)` is kept, in nats.
//!
//! Candidates are ranked twice: among all facts, and among the facts of the same group, because a model can learn that names of
//! one group never follow a description and then falls below chance among all names. Results are means per fact with Student's
//! t interval over facts: ten wordings of one question are not ten observations.
//!
//! [`crate::train::Witness`] puts a checkpoint behind both scores, and [`crate::train::Course`] trains a small decoder on the facts.
//!
//! [`audit`] needs no model: it reads a corpus and says which facts it states in one direction only.
//!
//! # Paper
//!
//! Berglund et al., *The Reversal Curse: LLMs trained on "A is B" fail to learn "B is A"*, ICLR 2024, arXiv 2309.12288, experiment
//! 1; the symbolic setting follows the small replication of arXiv 2405.04669.
//!
//! # When it helps, and when it does not
//!
//! - It tells what fine-tuning on one-directional sentences will not teach, and which facts of a corpus are at risk.
//! - It says nothing about facts given in the prompt: there models reverse well.
//! - A reversed score near zero means little if forward questions fail too, or if the question's form was never trained; report
//!   forward questions and the facts trained both ways beside it, as [`Evaluation::summary`] does.
//!
//! # Parameters
//!
//! [`Parameters`]: `per_token` (mean instead of sum of log-probabilities; ours, default off as in the paper) and the seed of the
//! random other.
//!
//! # Deviations from the paper
//!
//! 1. Standard errors cluster by fact; the paper tests over prompts. Test: `prompts_of_one_fact_are_one_observation`.
//! 2. Ranking among candidates is ours. Test: `ranking_counts_ties_against_the_model`.
//! 3. The random other comes from the same group, for every question. Test: `the_random_other_is_of_the_same_group`.
//! 4. The whole target is scored; the paper scores the first two words of a name. Test: `exact_match_ignores_case_and_leading_space`.
//!
//! # Errors
//!
//! [`crate::Error::NoSuchFact`], [`crate::Error::Answer`] for an answer of the wrong shape or a log-probability that is not a
//! number or positive, [`crate::Error::Model`] from the model.
//!
//! # Cost
//!
//! One completion per question, and questions × facts scores; prompts come one at a time with all their candidates, so that a
//! scorer can share the prompt. The audit is linear in the corpus.
//!
//! # Example
//!
//! ```
//! use backstitch_language::facts::{PeopleParameters, people};
//! use backstitch_language::reversal_curse::{Parameters, Score, evaluate};
//!
//! let set = people(&PeopleParameters::default(), 0)?;
//! // A model that knows every description, and no name.
//! let knows = |prompt: &str| set.facts.iter().find(|fact| prompt.contains(&fact.name));
//! let complete = |prompts: &[String]| {
//!     Ok(prompts.iter().map(|p| knows(p).map_or("nobody".into(), |fact| fact.description.clone())).collect())
//! };
//! let score = |prompt: &str, candidates: &[String]| {
//!     let answer = knows(prompt).map(|fact| format!(" {}", fact.description));
//!     Ok(candidates
//!         .iter()
//!         .map(|c| Score { log_probability: if Some(c) == answer.as_ref() { -0.1 } else { -9.0 }, tokens: 4 })
//!         .collect())
//! };
//! let evaluation = evaluate(&set, &set.test, &Parameters::default(), complete, score)?;
//! for row in evaluation.summary() {
//!     let knows_it = row.direction.as_str() == "name-to-description";
//!     assert_eq!(row.exact.estimate, f64::from(u8::from(knows_it)));
//! }
//! # Ok::<(), backstitch_language::Error>(())
//! ```

mod audit;
mod card;
mod evaluate;
mod summary;

pub use audit::{Audit, FactAudit, Stored, audit, read_corpus};
pub use card::CARD;
pub use evaluate::{Answer, Evaluation, Parameters, Score, evaluate, exact_match};
pub use summary::SummaryRow;
