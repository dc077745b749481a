//! FOBAR: the answers of a language model are checked by recovering masked numbers of the question from them.
//!
//! # What it computes
//!
//! For a question q with numbers in it, the model gives `M_F` samples of an answer (*forward*). The distinct answers are the candidates a,
//! with
//!
//! ```text
//! P_f(a) = count(a) / Σ_a' count(a')
//! ```
//!
//! Each number of q is masked in turn: replaced by x. For each mask and candidate, the model is told that the answer is a, and gives
//! `M_B` samples of x (*backward*). With `Z_a` the number of samples, over all masks, in which x is the number that was masked,
//!
//! ```text
//! P_b(a) = (Z_a + ε/|A|) / (Σ_a' Z_a' + ε)          ε = 1e-8, |A| candidates
//! P(a)   ∝ P_f(a)^α · P_b(a)^(1−α)
//! ```
//!
//! and the answer is the a with the largest P, the first seen of equals. If no number is recovered at all, P_b is the same for all and P_f
//! decides. No backward question is asked where there is one candidate, or nothing to mask.
//!
//! # Paper
//!
//! *Forward-Backward Reasoning in Large Language Models for Mathematical Verification*, arXiv 2308.07758, Findings of ACL 2024. ε and
//! the order of equals are those of the official repository, `ws-jiang/fobar-public`.
//!
//! # When it helps, and when it does not
//!
//! - Where samples disagree, and the model can solve for an unknown: from a right answer it recovers numbers that it does not
//!   recover from a wrong one.
//! - Not where all samples agree, right or wrong: nothing is checked.
//! - Not by numbers that the answer does not depend on: any candidate recovers them. [`MaskEvidence::tells_apart`] shows them.
//! - It asks `M_B` samples per mask and candidate. The same number of further forward samples is the fair comparison.
//!
//! # Parameters
//!
//! See [`Parameters`]; defaults are the paper's for chat models. The special cases: `alpha = 1` is self-consistency, `alpha = 0` backward
//! verification only; [`Combination::Arithmetic`] takes the mean of the two; `most_masks = 1` masks one number.
//! [`Prompts`] holds all texts.
//!
//! # Deviations from the paper
//!
//! 1. Demonstrations (four each way), statement and system text are our own. Test: `prompts_hold_what_they_should`.
//! 2. Only the number is masked; units, currency and punctuation around it stay. Ordinals, dates, times and "one" as a pronoun are not
//!    masked. Test: `numbers_are_masked_and_labels_are_not`.
//! 3. The unknown is another letter where the question uses x as a word. Test: `the_unknown_is_not_a_word_of_the_question`.
//! 4. Answers are compared as exact fractions, and a reply without one is no candidate. [`Extraction::Paper`] compares texts as the
//!    official repository does, and lets such replies be a candidate. Test: `the_rule_of_the_repository`.
//! 5. For a multiple choice, the backward question states the option of the candidate (the repository states that of the right
//!    answer) and x is compared as a number (the repository compares a letter). Test: `options_are_stated_backward`.
//!
//! # Errors
//!
//! [`Error::Parameter`] names the parameter. A question that the model did not answer has [`Error::Model`] in its place; the others are
//! not touched.
//!
//! # Cost
//!
//! `M_F` samples per question; where the samples disagree, `M_B` × masks × candidates more, [`Fobar::most_backward`] at most. Two
//! batches in all.
//!
//! # Example
//!
//! ```no_run
//! use backstitch_llm::answer::Kind;
//! use backstitch_llm::{Budget, Cache, Endpoint, EndpointOptions, Stored, question::read_questions};
//! use backstitch_reason::fobar::{Fobar, Parameters, Prompts};
//! let questions = read_questions("questions.jsonl".as_ref(), Kind::Number)?;
//! let options = EndpointOptions::new("http://localhost:8000/v1", "Qwen/Qwen2.5-7B-Instruct");
//! let endpoint = Endpoint::new(options, None, Budget::unlimited().into())?;
//! let model = Stored::new(endpoint, Cache::open("replies.sqlite".as_ref())?);
//! let method = Fobar::new(Parameters::default(), Prompts::default())?;
//! for outcome in method.answer(&model, &questions) {
//!     let verified = outcome?;
//!     println!("{}: {:?}", verified.id, verified.answer);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod card;
mod mask;
mod parameters;
mod prompts;
pub mod score;
mod verified;

use std::collections::HashMap;

use backstitch_llm::answer::paper;
use backstitch_llm::answer::{Answer, Kind, extract, extract_behind};
use backstitch_llm::question::Question;
use backstitch_llm::{Estimate, Model, Prices, Reply, Request, estimate};

pub use card::CARD;
pub use mask::{Mask, masked, masks, unknown};
pub use parameters::{Combination, Extraction, Parameters};
pub use prompts::{BackwardDemonstration, Demonstration, Prompts};
pub use verified::{Candidate, MaskEvidence, Unchecked, Verified};

use crate::Error;
use crate::options::{with_options, with_options_of};
use prompts::{FORWARD_MARK, backward_mark};
use verified::{agree, number};

/// The method: parameters and prompts that were checked.
#[derive(Clone, Debug)]
pub struct Fobar {
    parameters: Parameters,
    prompts: Prompts,
}

/// A question on its way.
struct Open<'a> {
    question: &'a Question,
    /// Candidates and their counts, in the order in which they were first seen.
    counts: Vec<(String, u32)>,
    masks: Vec<Mask>,
    unknown: String,
    unchecked: Option<Unchecked>,
    /// Recovered masks, by mask and candidate; `None` for a candidate that is not checked.
    recovered: Vec<Vec<Option<u32>>>,
    error: Option<Error>,
}

/// What a backward request is about.
struct Check {
    question: usize,
    mask: usize,
    candidate: usize,
}

impl Fobar {
    /// The method with these parameters and prompts.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters, prompts: Prompts) -> Result<Self, Error> {
        parameters.validate()?;
        prompts.validate()?;
        Ok(Self { parameters, prompts })
    }

    /// The requests of the forward stage, one per question: what a dry run can count before anything is sent.
    pub fn forward_requests(&self, questions: &[Question]) -> Vec<Request> {
        questions
            .iter()
            .map(|question| self.prompts.forward(&with_options(question), &self.parameters))
            .collect()
    }

    /// What the backward stage takes at most: every forward sample another candidate.
    pub fn most_backward(&self, questions: &[Question], prices: Option<Prices>) -> Estimate {
        let candidates = match self.parameters.forward_samples / self.parameters.threshold {
            0 | 1 => 0,
            _ if self.parameters.alpha == 1.0 => 0,
            candidates => u64::from(candidates),
        };
        let mut requests = Vec::new();
        for question in questions {
            let unknown = unknown(&with_options(question));
            for mask in self.masks(question) {
                let hidden = with_options_of(&masked(&question.text, &mask, &unknown), &question.options);
                requests.push(self.prompts.backward(&hidden, &unknown, "1000", &self.parameters));
            }
        }
        estimate(&requests, prices).times(candidates)
    }

    /// Answers questions: all forward samples, then all backward ones. An outcome per question, in their order.
    pub fn answer(&self, model: &dyn Model, questions: &[Question]) -> Vec<Result<Verified, Error>> {
        let replies = model.complete(&self.forward_requests(questions));
        let mut open: Vec<Open<'_>> =
            questions.iter().zip(replies).map(|(question, reply)| self.open(question, reply)).collect();
        let (checks, requests): (Vec<Check>, Vec<Request>) = self.checks(&open).into_iter().unzip();
        for (check, reply) in checks.iter().zip(model.complete(&requests)) {
            let open = &mut open[check.question];
            match reply {
                Ok(reply) => {
                    open.recovered[check.mask][check.candidate] =
                        Some(self.recovered(open, check.mask, &reply));
                }
                Err(source) => {
                    let error = Error::model(&open.question.id, "backward", source);
                    open.error.get_or_insert(error);
                }
            }
        }
        open.into_iter().map(|open| self.decide(open)).collect()
    }

    /// Counts the forward answers.
    fn open<'a>(&self, question: &'a Question, reply: Result<Reply, backstitch_llm::Error>) -> Open<'a> {
        let mut open = Open {
            question,
            counts: Vec::new(),
            masks: self.masks(question),
            unknown: unknown(&with_options(question)),
            unchecked: None,
            recovered: Vec::new(),
            error: None,
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(source) => {
                open.error = Some(Error::model(&question.id, "forward", source));
                return open;
            }
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        for sample in &reply.samples {
            let Some(text) = self.forward_answer(&sample.text, question.kind) else { continue };
            let place = *places.entry(text.clone()).or_insert_with(|| {
                open.counts.push((text, 0));
                open.counts.len() - 1
            });
            open.counts[place].1 += 1;
        }
        let candidates = open.counts.iter().filter(|(_, count)| *count >= self.parameters.threshold).count();
        open.unchecked = if open.counts.is_empty() {
            Some(Unchecked::NoAnswer)
        } else if self.parameters.alpha == 1.0 {
            Some(Unchecked::ForwardOnly)
        } else if candidates < 2 {
            Some(Unchecked::OneCandidate)
        } else if open.masks.is_empty() {
            Some(Unchecked::NoMask)
        } else {
            None
        };
        if open.unchecked.is_none() {
            open.recovered = vec![vec![None; open.counts.len()]; open.masks.len()];
        }
        open
    }

    /// All backward requests, in the order of questions, masks and candidates.
    fn checks(&self, open: &[Open<'_>]) -> Vec<(Check, Request)> {
        let mut checks = Vec::new();
        for (question, open) in open.iter().enumerate() {
            if open.unchecked.is_some() || open.error.is_some() {
                continue;
            }
            for (mask, span) in open.masks.iter().enumerate() {
                let hidden = masked(&open.question.text, span, &open.unknown);
                let text = with_options_of(&hidden, &open.question.options);
                for (candidate, (answer, count)) in open.counts.iter().enumerate() {
                    if *count < self.parameters.threshold {
                        continue;
                    }
                    let stated = stated_answer(open.question, answer);
                    let request = self.prompts.backward(&text, &open.unknown, &stated, &self.parameters);
                    checks.push((Check { question, mask, candidate }, request));
                }
            }
        }
        checks
    }

    /// How many samples recovered a mask.
    fn recovered(&self, open: &Open<'_>, mask: usize, reply: &Reply) -> u32 {
        let mark = backward_mark(&open.unknown);
        let value = open.masks[mask].value;
        let recovers = |text: &str| match self.parameters.extraction {
            Extraction::Robust => {
                let (stated, equation) = (mark.to_lowercase(), format!("{} =", open.unknown));
                let is_stated = text.to_lowercase().contains(&stated);
                let found =
                    extract_behind(text, &[if is_stated { &stated } else { &equation }], Kind::Number);
                found == Some(Answer::Number(value))
            }
            Extraction::Paper => number(&paper::fobar(text, &mark)) == Some(value),
        };
        reply.samples.iter().filter(|sample| recovers(&sample.text)).count() as u32
    }

    fn decide(&self, open: Open<'_>) -> Result<Verified, Error> {
        if let Some(error) = open.error {
            return Err(error);
        }
        let counts: Vec<u32> = open.counts.iter().map(|(_, count)| *count).collect();
        let forward = score::forward(&counts);
        let sum =
            |candidate: usize| -> Option<u32> { open.recovered.iter().map(|mask| mask[candidate]).sum() };
        let recovered: Vec<Option<u32>> = match open.unchecked {
            Some(_) => vec![None; counts.len()],
            None => (0..counts.len()).map(sum).collect(),
        };
        let backward = open.unchecked.is_none().then(|| score::backward(&recovered));
        let combined = match &backward {
            Some(backward) => {
                score::combine(&forward, backward, self.parameters.alpha, self.parameters.combination)
            }
            None => forward.clone(),
        };
        let text_of = |place: usize| open.counts[place].0.clone();
        let answer = score::first_largest(&combined).map(text_of);
        let majority = score::first_largest(&forward).map(text_of);
        let correct = |answer: &Option<String>| {
            let gold = open.question.gold.as_ref();
            gold.map(|gold| answer.as_ref().is_some_and(|answer| agree(answer, gold)))
        };
        let checked = recovered.iter().flatten().count() * open.recovered.len();
        Ok(Verified {
            id: open.question.id.clone(),
            correct: correct(&answer),
            answer,
            majority_correct: correct(&majority),
            majority,
            candidates: (0..counts.len())
                .map(|place| Candidate {
                    text: text_of(place),
                    count: counts[place],
                    recovered: recovered[place],
                    forward: forward[place],
                    backward: backward.as_ref().map(|backward| backward[place]),
                    combined: combined[place],
                })
                .collect(),
            masks: open
                .masks
                .iter()
                .zip(&open.recovered)
                .map(|(mask, recovered)| {
                    let checked: Vec<u32> = recovered.iter().flatten().copied().collect();
                    MaskEvidence {
                        text: open.question.text[mask.start..mask.end].to_owned(),
                        start: mask.start,
                        tells_apart: checked.windows(2).any(|pair| pair[0] != pair[1]),
                        recovered: recovered.clone(),
                    }
                })
                .collect(),
            unchecked: open.unchecked,
            backward_samples: checked as u32 * self.parameters.backward_samples,
        })
    }

    /// The answer of a forward reply as it is compared.
    fn forward_answer(&self, reply: &str, kind: Kind) -> Option<String> {
        match (self.parameters.extraction, kind) {
            (Extraction::Paper, Kind::Number) => Some(paper::fobar(reply, FORWARD_MARK)),
            (Extraction::Paper, Kind::Choice { .. }) => Some(paper::fobar_choice(reply, FORWARD_MARK)),
            _ => extract(reply, kind).map(|answer| answer.to_string()),
        }
    }

    fn masks(&self, question: &Question) -> Vec<Mask> {
        let mut masks = masks(&question.text);
        if let Some(most) = self.parameters.most_masks {
            masks.truncate(most as usize);
        }
        masks
    }
}

/// What a candidate states: its option for a multiple choice, or itself.
fn stated_answer(question: &Question, answer: &str) -> String {
    let letter = answer.bytes().next().filter(|_| answer.len() == 1 && !question.options.is_empty());
    let option = letter.and_then(|letter| question.options.get(usize::from(letter.wrapping_sub(b'A'))));
    option.cloned().unwrap_or_else(|| answer.to_owned())
}
