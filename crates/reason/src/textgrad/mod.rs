//! TextGrad: texts are improved by feedback in words, which goes back through a graph of what was computed from them.
//!
//! # What it computes
//!
//! A [`Variable`] is a text v with a role r(v), in words. Operations make variables of variables: a language model called with a system text and
//! an input ([`LlmCall`], [`FormattedLlmCall`]), any function of texts ([`StringFunction`]), a [`sum`], an [`aggregate`]. The outcome L is a
//! loss: an evaluation in words ([`TextLoss`], [`MultiFieldEvaluation`], [`AnswerCritic`], [`ScoredEvaluation`]) or by a program
//! ([`exact_match`], any string function). [`Variable::backward`] goes through the graph in reversed topological order and gives every text that
//! is to be improved its gradients, which are texts:
//!
//! ```text
//! ∂L/∂v = { critic(r(v), v, call, ∂L/∂w) : w was made of v by call }        of a function or a model
//! ∂L/∂v = "feedback on all parts: " ∂L/∂w                                   of a sum w; nothing where w has none
//! ```
//!
//! where `call` is the conversation (system text, input, output) or the function with what went in and came out. For the loss itself the critic is
//! told that the output is an evaluation to be improved. Gradients that came through the same aggregate are merged into one by the critic before
//! they are used. One step of [`TextualGradientDescent`] is
//!
//! ```text
//! v ← optimiser(r(v), v, ∂L/∂v with its conversations, last m (v, ∂L/∂v), last g feedbacks, constraints, examples)
//! ```
//!
//! and the new text is what stands between the first pair of tags of the reply.
//!
//! # Paper
//!
//! *TextGrad: Automatic "Differentiation" via Text*, arXiv 2406.07496; Nature 639 (2025), 609-616. Semantics follow the official repository,
//! `zou-group/textgrad`, commit 75e912e, its defects left out.
//!
//! # When it helps, and when it does not
//!
//! - Where something says what is wrong with a text: tests of a program, right answers to training questions, a critic that finds faults more easily
//!   than it avoids them.
//! - Not where the model cannot criticise what it wrote: feedback is then noise. Momentum helps against some of it.
//! - Not as a replacement for a vote: on one of the three sets whose trajectories the authors published every update is worse than the first answer,
//!   and only the vote over all versions is better. The same number of independent samples is the fair comparison.
//! - A prompt that was chosen by its validation score has a validation score that is too good: look at test questions.
//!
//! # Parameters
//!
//! [`Parameters`] says how models are asked (temperature 0, top-p 0.99, 2,000 tokens, the paper's), [`Prompts`] holds all texts, the methods of
//! [`TextualGradientDescent`] set constraints, examples, momentum (0) and gradient memory (0). [`jobs`] has the paper's three uses with their
//! steps: solutions (3), prompts (12, batches of 3), programs (5).
//!
//! # Deviations from the paper
//!
//! 1. All prompts are our own. Tests: `textgrad_transcripts`.
//! 2. Texts are shown whole; [`Parameters::excerpt_words`] = 10 shows them as the official code does. Test:
//!    `long_texts_are_shown_whole_or_as_the_paper_shows_them`.
//! 3. Gradients have a fixed order, and a sum gives its feedback once. Tests: `requests_do_not_change_from_run_to_run`,
//!    `a_sum_gives_its_feedback_once`, `below_a_sum_without_feedback_stands_the_evaluation`.
//! 4. Momentum shows earlier texts with their feedback, the present one left out; gradient memory is shown at all. Tests:
//!    `momentum_shows_past_texts_with_their_feedback`, `gradient_memory_reaches_the_prompt`.
//! 5. Every part of an aggregate gets feedback; feedback outside of it is kept. Test: `an_aggregate_merges_what_meets_and_every_part_gets_feedback`.
//! 6. Blank feedback ends the way back there, and a text without feedback stays. Test: `where_there_is_nothing_to_say_nothing_is_asked_further`.
//! 7. Going back replaces the feedback on what came out of operations, and `zero_grad` forgets contexts too. Tests:
//!    `going_back_twice_doubles_nothing_in_between`, `zero_grad_forgets_contexts_too`.
//! 8. A reply without a usable text is asked again once; refusals in the place of a text are caught by length and by rules. Tests:
//!    `replies_without_tags_are_asked_again_once`, `what_cannot_be_used_is_a_typed_error_and_changes_nothing`.
//! 9. Tags get a nonce where a text holds one of them. Test: `a_text_that_holds_the_tag_gets_other_tags`.
//! 10. Labels of [`MultiFieldEvaluation`] do not change the roles of the texts. Test: `constants_get_no_feedback`.
//!
//! # Errors
//!
//! [`Error::Parameter`](crate::Error::Parameter) names the parameter; [`Error::Call`](crate::Error::Call) the text a model did not answer about;
//! [`Error::Malformed`](crate::Error::Malformed) what is wrong with a reply. A step that fails changes no text.
//!
//! # Cost
//!
//! One call per operation with a model; one per gradient; one per text and step. A step over B questions with a prompt and a loss in words is B + B
//! + 2 B + 1 calls, B less for a loss by a program. All calls of a level of the graph are asked at once: the time is that of the depth.
//!
//! # Example
//!
//! ```no_run
//! use backstitch_llm::{Budget, Cache, Endpoint, EndpointOptions, Stored};
//! use backstitch_reason::textgrad::{Engine, TextLoss, TextualGradientDescent, Variable};
//! let options = EndpointOptions::new("http://localhost:8000/v1", "Qwen/Qwen2.5-7B-Instruct");
//! let endpoint = Endpoint::new(options, None, Budget::unlimited().into())?;
//! let model = Stored::new(endpoint, Cache::open("replies.sqlite".as_ref())?);
//! let engine = Engine::new(&model);
//!
//! let solution = Variable::new("x² = 4, so x = 2.", "solution of x² = 4 over the real numbers")?;
//! let loss = TextLoss::new("Look for errors in this solution. Do not solve the problem yourself.")?;
//! let mut optimizer = TextualGradientDescent::new([solution.clone()])?.with_constraints(["One line."]);
//! for _ in 0..3 {
//!     optimizer.zero_grad();
//!     loss.evaluate(&engine, &solution)?.backward(&engine)?;
//!     optimizer.step(&engine)?;
//! }
//! println!("{solution}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backward;
mod card;
mod engine;
pub mod jobs;
mod loss;
mod operations;
mod optimizer;
mod prompts;
mod template;
mod variable;

pub use backward::Feedback;
pub use card::CARD;
pub use engine::{Calls, Engine, Parameters};
pub use loss::{AnswerCritic, MultiFieldEvaluation, ScoredEvaluation, TextLoss, exact_match};
pub use operations::{FormattedLlmCall, LlmCall, StringFunction, aggregate, sum};
pub use optimizer::{Step, TextualGradientDescent};
pub use prompts::Prompts;
pub use variable::{Context, Gradient, Variable};
