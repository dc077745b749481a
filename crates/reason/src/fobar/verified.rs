//! What comes out: the answer, and the evidence for it.

use backstitch_llm::answer::{Answer, Rational};
use serde::Serialize;

/// Why no backward question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unchecked {
    /// No reply held an answer.
    NoAnswer,
    /// All replies that held an answer held the same, or only one answer reached the threshold.
    OneCandidate,
    /// The question has no number that can be masked.
    NoMask,
    /// The weight of the backward probability is zero.
    ForwardOnly,
}

impl Unchecked {
    /// The same for a reader.
    pub fn sentence(self, id: &str) -> String {
        match self {
            Self::NoAnswer => format!("no reply to question {id} held an answer"),
            Self::OneCandidate => format!("question {id} has one candidate; it was kept without a check"),
            Self::NoMask => format!("no maskable number in question {id}; forward answer kept"),
            Self::ForwardOnly => format!("question {id} was answered by forward samples only, as alpha is 1"),
        }
    }
}

/// A candidate answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The answer as it is compared; empty for the replies without an answer, if they count.
    pub text: String,
    /// Forward samples that gave it.
    pub count: u32,
    /// Backward samples that recovered the masked number, of all masks; `None` if it was not checked.
    pub recovered: Option<u32>,
    /// `P_f`.
    pub forward: f64,
    /// `P_b`; `None` if no backward question was asked.
    pub backward: Option<f64>,
    /// The combined probability, `P_f` if no backward question was asked.
    pub combined: f64,
}

/// A masked number, and which candidates let the model recover it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskEvidence {
    /// The number as it stands in the question.
    pub text: String,
    /// Its first byte there.
    pub start: usize,
    /// Backward samples that recovered it, for each candidate; `None` for one that was not checked.
    pub recovered: Vec<Option<u32>>,
    /// Whether it tells candidates apart: not all of them recovered it equally often. A number that the answer does not depend
    /// on is recovered from any.
    pub tells_apart: bool,
}

/// A question that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// The question.
    pub id: String,
    /// The answer as it is compared: the candidate with the largest combined probability, the first seen of equals. `None` if no
    /// reply held one.
    pub answer: Option<String>,
    /// Whether it is the known answer, if one is known.
    pub correct: Option<bool>,
    /// What self-consistency would answer: the candidate with the most forward samples.
    pub majority: Option<String>,
    /// Whether that is the known answer, if one is known.
    pub majority_correct: Option<bool>,
    /// All candidates, in the order in which they were first seen.
    pub candidates: Vec<Candidate>,
    /// All masks, in the order of the text.
    pub masks: Vec<MaskEvidence>,
    /// Why no backward question was asked, if none was.
    pub unchecked: Option<Unchecked>,
    /// Backward samples that were taken.
    pub backward_samples: u32,
}

/// Whether two answers are the same: as numbers where both are.
pub(super) fn agree(text: &str, gold: &Answer) -> bool {
    match gold {
        Answer::Number(gold) => number(text) == Some(*gold),
        gold => gold.to_string().eq_ignore_ascii_case(text),
    }
}

/// The number that a compared answer is.
pub(super) fn number(text: &str) -> Option<Rational> {
    match backstitch_llm::answer::numbers(text).as_slice() {
        [number] if number.start == 0 && number.end == text.len() => Some(number.value),
        _ => None,
    }
}
