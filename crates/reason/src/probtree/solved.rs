//! What comes out: the answer, and the whole tree behind it.

use serde::Serialize;

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Module {
    /// What the model knows by itself.
    ClosedBook,
    /// Passages that were found.
    OpenBook,
    /// The answers of the sub-questions.
    Children,
}

/// Why an answer, or its confidence, is not there. The official repository counts −100 in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// The reply reached the most tokens.
    CutOff,
    /// Prompt and reply do not fit into the context of the model.
    TooLong,
    /// The reply states no answer.
    NoAnswer,
    /// The model says that it does not know.
    Unknown,
    /// There is an answer, and no explanation before it.
    NoExplanation,
    /// There is an answer, but the tokens of the server do not spell its text.
    TokensDiffer,
    /// There is an answer, but none with a confidence to one of the sub-questions, or none of the decomposition.
    ChildAbsent,
    /// A sub-question that this one refers to has no answer.
    ReferenceAbsent,
    /// No passage shares a word with the question.
    NoPassage,
}

impl Absent {
    /// The same for a reader.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::CutOff => "the reply was cut off at the most tokens",
            Self::TooLong => "prompt and reply do not fit into the context of the model",
            Self::NoAnswer => "the reply states no answer",
            Self::Unknown => "the model says that it does not know",
            Self::NoExplanation => "there is no explanation before the answer",
            Self::TokensDiffer => "the tokens of the server do not spell its text",
            Self::ChildAbsent => "a sub-question has no answer with a confidence",
            Self::ReferenceAbsent => "a sub-question that this one refers to has no answer",
            Self::NoPassage => "no passage shares a word with the question",
        }
    }
}

/// An answer to a question of the tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Where it comes from.
    pub module: Module,
    /// The answer; none if there is none.
    pub answer: Option<String>,
    /// What the reply says before it.
    pub explanation: String,
    /// The confidence of this reply alone, a mean of natural logarithms of probabilities.
    pub own: Option<f64>,
    /// The confidence that is compared: for an answer from sub-questions that of the whole tree below, otherwise `own`.
    pub confidence: Option<f64>,
    /// Why there is no answer, or no confidence.
    pub absent: Option<Absent>,
}

/// A question of the tree with its answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SolvedNode {
    /// As it was asked: with the answers of siblings in the place of the placeholders. As it stands in the tree if such an answer is
    /// missing.
    pub question: String,
    /// As it stands in the tree.
    pub template: String,
    /// Its sub-questions, by their place in the tree.
    pub children: Vec<usize>,
    /// The confidence of the list of its sub-questions.
    pub decomposition: Option<f64>,
    /// Ids of the passages that the model was shown.
    pub passages: Vec<String>,
    /// Its answers.
    pub candidates: Vec<Candidate>,
    /// The one that was chosen.
    pub winner: Option<Module>,
    /// Its answer.
    pub answer: Option<String>,
    /// Its confidence.
    pub confidence: Option<f64>,
}

/// A question that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Solved {
    /// The question.
    pub id: String,
    /// The answer; none if no module gave one.
    pub answer: Option<String>,
    /// Its confidence, a mean of natural logarithms of probabilities: 0 is certain.
    pub confidence: Option<f64>,
    /// Whether it is the known answer, if one is known: the same words but for case, punctuation and articles.
    pub exact: Option<bool>,
    /// The share of words that it has in common with the known answer, if one is known (F1).
    pub f1: Option<f64>,
    /// Why the question was not taken apart, if it was to be and could not.
    pub undecomposed: Option<String>,
    /// The tree, children before their parent; the question itself is the last.
    pub nodes: Vec<SolvedNode>,
}

impl Solved {
    /// The candidate of a module at the root.
    pub fn at_root(&self, module: Module) -> Option<&Candidate> {
        self.nodes.last()?.candidates.iter().find(|candidate| candidate.module == module)
    }
}
