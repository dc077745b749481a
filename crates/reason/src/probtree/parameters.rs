//! What the method can be told.

use serde::{Deserialize, Serialize};

use super::tree::Caps;
use crate::Error;

/// What the confidence of a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The mean log-probability of the tokens of the explanation, the paper's.
    Explanation,
    /// The mean log-probability of the tokens of the answer.
    Answer,
    /// The smallest log-probability of a token of the explanation.
    Smallest,
    /// The logarithm of the share of samples that give the same answer, for servers without log-probabilities.
    Agreement,
}

/// How the confidences of a tree become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combination {
    /// Their mean, the paper's.
    Mean,
    /// Their sum.
    Sum,
    /// The mean without the confidence of the decomposition.
    WithoutDecomposition,
}

/// Which answer of a question is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// That with the largest confidence, the paper's.
    MostConfident,
    /// Any, with equal probability: what the confidences are worth.
    Random,
}

/// Which answers a question is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// What the model knows by itself.
    pub closed_book: bool,
    /// From passages.
    pub open_book: bool,
    /// From the answers of the sub-questions; not for leaves.
    pub children: bool,
}

impl Modules {
    /// All of them.
    pub const ALL: Self = Self { closed_book: true, open_book: true, children: true };
    /// From sub-questions only: a tree without other ways.
    pub const CHILDREN: Self = Self { closed_book: false, open_book: false, children: true };
    /// What the model knows by itself only.
    pub const CLOSED_BOOK: Self = Self { closed_book: true, open_book: false, children: false };
    /// From passages only.
    pub const OPEN_BOOK: Self = Self { closed_book: false, open_book: true, children: false };
}

/// What [`ProbTree`](super::ProbTree) can be told. The default is the paper's method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Whether questions are taken apart (yes). Otherwise each is a leaf.
    pub decompose: bool,
    /// Answers of questions without sub-questions (all).
    pub leaves: Modules,
    /// Answers of questions with sub-questions (all).
    pub inner: Modules,
    /// Passages for a question, 1 to 100 (5).
    pub top_k: u32,
    /// Passages for each question below it, of a question with sub-questions, at most 100 (3, the paper's for MuSiQue and 2Wiki; it
    /// takes 0 for HotpotQA).
    pub descendant_passages: u32,
    /// Passages for each answer that was filled into a question without sub-questions, at most 100 (0; the paper takes as many as
    /// `top_k` for HotpotQA).
    pub entity_passages: u32,
    /// Most characters of all passages of a request, at least 100 (12,000). The last ones are left out; the first is always there.
    pub passage_characters: u32,
    /// What the confidence of a reply is (explanation).
    pub confidence: Confidence,
    /// How the confidences of a tree become one (mean).
    pub combination: Combination,
    /// Which answer is taken (the most confident).
    pub choice: Choice,
    /// Samples of every request for agreement confidence, 2 to 100 (5).
    pub samples: u32,
    /// Their temperature, above 0 to 2 (0.7). Without agreement every request is asked once, at 0.
    pub temperature: f64,
    /// Most levels of a tree, the question's own among them, 1 to 10 (3).
    pub most_levels: u32,
    /// Most questions of a tree, 1 to 100 (12).
    pub most_nodes: u32,
    /// Most tokens of an answer with its explanation (256).
    pub answer_tokens: u32,
    /// Most tokens of a tree (512).
    pub tree_tokens: u32,
    /// The seed of random choices, also sent with each request, for servers and models that take one (none, which is 0 for choices).
    pub seed: Option<u64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            decompose: true,
            leaves: Modules::ALL,
            inner: Modules::ALL,
            top_k: 5,
            descendant_passages: 3,
            entity_passages: 0,
            passage_characters: 12_000,
            confidence: Confidence::Explanation,
            combination: Combination::Mean,
            choice: Choice::MostConfident,
            samples: 5,
            temperature: 0.7,
            most_levels: 3,
            most_nodes: 12,
            answer_tokens: 256,
            tree_tokens: 512,
            seed: None,
        }
    }
}

impl Parameters {
    /// The same without passages.
    #[must_use]
    pub fn closed_book(self) -> Self {
        let without = |modules: Modules| Modules { open_book: false, ..modules };
        Self { leaves: without(self.leaves), inner: without(self.inner), ..self }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first field outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [
            (
                "top_k",
                self.top_k,
                1,
                100,
                "from 1 to 100",
                "use 5, the paper's, or answer from the closed book",
            ),
            ("descendant_passages", self.descendant_passages, 0, 100, "at most 100", "use 3, the paper's"),
            (
                "entity_passages",
                self.entity_passages,
                0,
                100,
                "at most 100",
                "0 searches by the question alone",
            ),
            (
                "passage_characters",
                self.passage_characters,
                100,
                u32::MAX,
                "at least 100",
                "12000 are some 3000 tokens",
            ),
            ("most_levels", self.most_levels, 1, 10, "from 1 to 10", "use 3"),
            ("most_nodes", self.most_nodes, 1, 100, "from 1 to 100", "use 12"),
            ("answer_tokens", self.answer_tokens, 1, u32::MAX, "at least 1", "use 256, the paper's"),
            ("tree_tokens", self.tree_tokens, 1, u32::MAX, "at least 1", "use 512, the paper's"),
        ];
        for (name, value, least, most, allowed, way_out) in counts {
            if !(least..=most).contains(&value) {
                return Err(Error::parameter(name, value, allowed, way_out));
            }
        }
        if self.confidence == Confidence::Agreement {
            if !(2..=100).contains(&self.samples) {
                let way_out = "one sample always agrees with itself; 5 to 20 are usual";
                return Err(Error::parameter("samples", self.samples, "from 2 to 100", way_out));
            }
            if !(self.temperature > 0.0 && self.temperature <= 2.0) {
                let way_out = "at 0 all samples are the same; 0.7 is usual";
                return Err(Error::parameter(
                    "temperature",
                    self.temperature,
                    "above 0 and at most 2",
                    way_out,
                ));
            }
        }
        if !(self.leaves.closed_book || self.leaves.open_book) {
            let way_out = "a question without sub-questions has no answers to put together";
            return Err(Error::parameter(
                "leaves",
                "without both",
                "closed book, open book, or both",
                way_out,
            ));
        }
        if !(self.inner.closed_book || self.inner.open_book || self.inner.children) {
            let way_out = "name at least one, or do not take questions apart";
            return Err(Error::parameter(
                "inner",
                "none",
                "closed book, open book, children, or several",
                way_out,
            ));
        }
        Ok(())
    }

    /// Whether passages are needed.
    pub fn reads_passages(&self) -> bool {
        self.leaves.open_book || (self.decompose && self.inner.open_book)
    }

    pub(super) fn caps(&self) -> Caps {
        Caps { levels: self.most_levels, nodes: self.most_nodes }
    }
}
