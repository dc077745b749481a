//! ProbTree: a question is taken apart into a tree, and every question of the tree takes the answer that the model is surest of.
//!
//! # What it computes
//!
//! The model writes a tree of sub-questions. From the leaves up, each question gets up to three answers, each with an explanation before
//! it: from what the model knows (*closed book*), from passages that a search finds (*open book*), and, if it has
//! sub-questions, from their answers (*children*). With p(t) the probability that the model gave to a token,
//!
//! ```text
//! c  = mean over the tokens of the explanation of ln p(t)          of each answer
//! d  = mean over the tokens of the list of sub-questions of ln p(t)
//! ca = (c + d + Σ s_i) / (n + 2)          s_i: the confidence chosen for each of the n sub-questions
//! ```
//!
//! The confidence of a closed-book or open-book answer is c, that of an answer from children is ca. The largest wins, the first of equals in
//! the order above. The tokens of the answer itself do not count. Confidences are natural logarithms: 0 is certain.
//!
//! # Paper
//!
//! *Probabilistic Tree-of-thought Reasoning for Answering Knowledge-intensive Complex Questions*, arXiv 2311.13982, Findings of EMNLP
//! 2023. The formulas are those of the official repository, `THU-KEG/ProbTree`; [`recorded`] makes the choices of its published
//! trees again.
//!
//! # When it helps, and when it does not
//!
//! - Where a question takes several facts, and neither the model nor the passages have them all.
//! - Not where one search finds all that is needed: in the published HotpotQA run, answering the whole question from passages at once had an
//!   F1 of 63.9, the tree 64.1.
//! - Not where the model is as sure of what it makes up, or copies from a wrong passage with the same confidence.
//! - c is a mean over tokens: a long fluent explanation of something wrong wins over a short right one. [`Confidence`] has others.
//! - It asks two or three times per question of the tree. Samples of one prompt for the same number of tokens are the fair comparison.
//!
//! # Parameters
//!
//! See [`Parameters`]; defaults are the paper's. The special cases: no decomposition and one module are its baselines;
//! [`Modules::CHILDREN`] for inner questions is a tree without other ways; [`Choice::Random`] shows what confidences are worth;
//! [`Parameters::closed_book`] needs no passages; [`Confidence::Agreement`] needs no log-probabilities. [`Prompts`] holds all texts.
//!
//! # Deviations from the paper
//!
//! 1. Demonstrations, instructions and system text are our own. Test: `prompts_hold_what_they_should`.
//! 2. The mark "So the answer is:" is found in the text, with or without its colon, and mapped to tokens by bytes. The official
//!    repository looks for its five words among the tokens, and counts −100 for replies whose tokens are cut otherwise. Test:
//!    `the_mark_is_found_however_it_is_spaced`.
//! 3. A missing confidence is absent: it is never chosen before one that is there, and what is put together from it is absent too. The
//!    official repository counts −100 and takes means of it. Test: `what_is_absent_does_not_spoil_the_mean`.
//! 4. A question whose tree cannot be read is answered as a whole, and [`Solved::undecomposed`] says why. Test:
//!    `a_tree_that_cannot_be_read_leaves_a_leaf`.
//! 5. Too many passages for [`Parameters::passage_characters`] lose the last ones; the official repository searches again for fewer.
//!    Test: `passages_that_do_not_fit_are_left_out`.
//! 6. An answer is none if it is "Unknown", alone or before a mark; the official repository drops every answer with the word in it. Test:
//!    `answers_without_a_confidence_are_the_last_resort`.
//! 7. Passages are the user's, by BM25; the web search that the official repository adds for HotpotQA is left out.
//!
//! # Errors
//!
//! [`Error::Parameter`] names the parameter. A question that the model did not answer has [`Error::Model`] in its place; the others are
//! not touched.
//!
//! # Cost
//!
//! One request for the tree; two per leaf and three per inner question. Leaves that do not wait for one another are asked in one batch
//! over all questions, so the number of batches is that of the longest chain of references, plus one per level and one for the trees.
//!
//! # Example
//!
//! ```no_run
//! use backstitch_data::bm25::Bm25Parameters;
//! use backstitch_data::passages::read_passages;
//! use backstitch_llm::answer::Kind;
//! use backstitch_llm::{Budget, Cache, Endpoint, EndpointOptions, Stored, question::read_questions};
//! use backstitch_reason::probtree::{Parameters, Passages, ProbTree, Prompts};
//! let questions = read_questions("questions.jsonl".as_ref(), Kind::Text)?;
//! let passages = Passages::new(read_passages("passages.jsonl".as_ref())?, Bm25Parameters::default())?;
//! let options = EndpointOptions::new("http://localhost:8000/v1", "Qwen/Qwen2.5-7B-Instruct");
//! let endpoint = Endpoint::new(options, None, Budget::unlimited().into())?;
//! let model = Stored::new(endpoint, Cache::open("replies.sqlite".as_ref())?);
//! let method = ProbTree::new(Parameters::default(), Prompts::default(), Some(passages))?;
//! for outcome in method.answer(&model, &questions) {
//!     let solved = outcome?;
//!     println!("{}: {:?} ({:?})", solved.id, solved.answer, solved.confidence);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod card;
mod confidence;
mod parameters;
mod prompts;
pub mod recorded;
mod scan;
pub mod score;
mod search;
mod solve;
mod solved;
mod tree;

use backstitch_llm::question::Question;
use backstitch_llm::{Estimate, Model, Prices, Request, estimate};

pub use card::CARD;
pub use parameters::{Choice, Combination, Confidence, Modules, Parameters};
pub use prompts::{AnsweredQuestion, DecomposedQuestion, Prompts, Task};
pub use search::Passages;
pub use solved::{Absent, Candidate, Module, Solved, SolvedNode};
pub use tree::{Caps, Node, Tree};

use crate::Error;
use search::shown;

/// The method: parameters, prompts and passages that were checked.
#[derive(Clone, Debug)]
pub struct ProbTree {
    parameters: Parameters,
    prompts: Prompts,
    passages: Option<Passages>,
}

impl ProbTree {
    /// The method with these parameters, prompts and passages.
    ///
    /// # Errors
    /// [`Error::Parameter`]; passages are missing where answers are to come from them.
    pub fn new(parameters: Parameters, prompts: Prompts, passages: Option<Passages>) -> Result<Self, Error> {
        parameters.validate()?;
        prompts.validate()?;
        if passages.is_none() && parameters.reads_passages() {
            let way_out = "give some, or answer from the closed book only";
            return Err(Error::parameter(
                "passages",
                "none",
                "there for answers from the open book",
                way_out,
            ));
        }
        Ok(Self { parameters, prompts, passages })
    }

    /// The requests for the trees, one per question; none if questions are not taken apart.
    pub fn decomposition_requests(&self, questions: &[Question]) -> Vec<Request> {
        if !self.parameters.decompose {
            return Vec::new();
        }
        questions
            .iter()
            .map(|question| self.prompts.decomposition(&question.text, &self.parameters))
            .collect()
    }

    /// What answering takes at most, trees not counted: for each question a tree of the most nodes, and the longest passages.
    pub fn most_answers(&self, questions: &[Question], prices: Option<Prices>) -> Estimate {
        let Parameters { leaves, inner, decompose, most_nodes, most_levels, .. } = self.parameters;
        // A leaf below every chain of inner questions is the most that asks: inner ones have a further module.
        let leaf_nodes = match most_levels {
            1 => most_nodes,
            levels => (most_nodes - 1).div_ceil(levels - 1),
        };
        let inner_nodes = if decompose { most_nodes - leaf_nodes } else { 0 };
        let longest = self.longest_passages();
        let mut all = estimate(&[], prices);
        for question in questions {
            let mut add = |count: u32, modules: Modules, is_inner: bool| {
                let mut requests = Vec::new();
                if modules.closed_book {
                    requests.push(self.prompts.closed_book(&question.text, &self.parameters));
                }
                if modules.open_book {
                    requests.push(self.prompts.open_book(
                        &longest,
                        &question.text,
                        is_inner,
                        &self.parameters,
                    ));
                }
                if modules.children && is_inner {
                    let line = (question.text.clone(), "a short answer".to_owned());
                    let context = vec![line; most_nodes as usize];
                    requests.push(self.prompts.children(&context, &question.text, &self.parameters));
                }
                all = all + estimate(&requests, prices).times(count.into());
            };
            add(if decompose { leaf_nodes } else { 1 }, leaves, false);
            add(inner_nodes, inner, true);
        }
        all
    }

    /// Answers questions: all trees, then all sub-questions that wait for no other, and so on to the questions themselves. An outcome per
    /// question, in their order.
    pub fn answer(&self, model: &dyn Model, questions: &[Question]) -> Vec<Result<Solved, Error>> {
        self.solve(model, questions)
    }

    /// The longest passages that a request may hold.
    fn longest_passages(&self) -> Vec<String> {
        let Some(passages) = &self.passages else { return Vec::new() };
        let mut texts: Vec<String> = passages.all().iter().map(shown).collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let parameters = &self.parameters;
        let descendants = if parameters.decompose { parameters.most_nodes - 1 } else { 0 };
        texts.truncate((parameters.top_k + descendants * parameters.descendant_passages) as usize);
        let mut left = parameters.passage_characters as usize;
        let fits = |text: &String| {
            let length = text.chars().count();
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        };
        let fitting = texts.iter().skip(1).cloned().take_while(fits).collect::<Vec<_>>();
        texts.into_iter().take(1).chain(fitting).collect()
    }
}
