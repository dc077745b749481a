//! Trees that the official repository published with their answers and scores, and the choice made again from these.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::parameters::Combination;
use super::score::{combined, most_confident};
use super::solved::Module;

/// The number that the official repository writes where there is no confidence.
const ABSENT: f64 = -100.0;

/// A published tree: children before their parent, the root last.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedTree {
    /// The nodes.
    pub nodes: Vec<RecordedNode>,
}

/// A node of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedNode {
    /// The question as it was asked.
    pub question: String,
    /// Places of its sub-questions.
    pub children: Vec<usize>,
    /// The confidence of the list of sub-questions.
    pub decomposition: Option<f64>,
    /// Its answers, in the order in which equals are decided: closed book, open book, children. Of the last the confidence is that of the
    /// reply alone.
    pub candidates: Vec<RecordedAnswer>,
    /// The published choice: text and score.
    pub published: (String, f64),
}

/// An answer of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAnswer {
    /// Where it comes from.
    pub module: Module,
    /// Its text; empty if there is none.
    pub text: String,
    /// Its confidence.
    pub confidence: Option<f64>,
}

/// The choice made again at a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The place among the candidates; none if all are absent.
    pub place: Option<usize>,
    /// The confidences that were compared.
    pub confidences: Vec<Option<f64>>,
}

/// Why a file of trees was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// It cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not JSON, or not of trees.
    #[error("{}: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A node refers to one that does not come before it.
    #[error("{}, tree {tree}, node {node}: {problem}", file.display())]
    Tree {
        /// The file.
        file: PathBuf,
        /// The tree, counted from 0.
        tree: usize,
        /// The node, counted from 0.
        node: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Right answers, found by the words of a question.
#[derive(Clone, Debug)]
pub struct Gold {
    answers: HashMap<String, String>,
}

impl Gold {
    /// Reads a JSON array of `{"question": …, "answer": …}`. Where questions with the same words have different answers, they have none.
    ///
    /// # Errors
    /// [`RecordedError`].
    pub fn read(file: &Path) -> Result<Self, RecordedError> {
        #[derive(Deserialize)]
        struct Pair {
            question: String,
            answer: String,
        }
        let pairs: Vec<Pair> = read_json(file)?;
        let mut answers: HashMap<String, Option<String>> = HashMap::new();
        for Pair { question, answer } in pairs {
            let kept = answers.entry(words(&question)).or_insert_with(|| Some(answer.clone()));
            if kept.as_ref() != Some(&answer) {
                *kept = None;
            }
        }
        Ok(Self {
            answers: answers.into_iter().filter_map(|(question, answer)| Some((question, answer?))).collect(),
        })
    }

    /// The right answer of a question, whatever its case, punctuation and spacing.
    pub fn of(&self, question: &str) -> Option<&str> {
        self.answers.get(&words(question)).map(String::as_str)
    }
}

/// Lower case and single spaces, no ASCII punctuation.
fn words(question: &str) -> String {
    let bare: String = question.to_lowercase().chars().filter(|one| !one.is_ascii_punctuation()).collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, RecordedError> {
    let bytes = std::fs::read(file).map_err(|source| RecordedError::Read { file: file.into(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| RecordedError::Json { file: file.into(), source })
}

#[derive(Deserialize)]
struct Line {
    question: String,
    sons: Vec<usize>,
    qd_logprob: Option<f64>,
    cb_answer: (String, f64),
    ob_answer: (String, f64),
    child_answer: Option<(String, f64)>,
    answer: (String, f64),
}

/// Reads trees in the form of the official repository's HotpotQA file, in which the score of an answer from sub-questions is that of the
/// reply alone.
///
/// # Errors
/// [`RecordedError`].
pub fn read_recorded(file: &Path) -> Result<Vec<RecordedTree>, RecordedError> {
    let trees: Vec<Vec<Line>> = read_json(file)?;
    let refused = |tree, node, problem| RecordedError::Tree { file: file.into(), tree, node, problem };
    let mut read = Vec::with_capacity(trees.len());
    for (place, lines) in trees.into_iter().enumerate() {
        if lines.is_empty() {
            return Err(refused(place, 0, "there is no node"));
        }
        let mut nodes = Vec::with_capacity(lines.len());
        for (number, line) in lines.into_iter().enumerate() {
            if line.sons.iter().any(|child| *child >= number) {
                return Err(refused(place, number, "a sub-question does not come before it"));
            }
            if line.sons.is_empty() != line.child_answer.is_none() {
                return Err(refused(
                    place,
                    number,
                    "sub-questions without an answer from them, or the other way round",
                ));
            }
            nodes.push(node(line));
        }
        read.push(RecordedTree { nodes });
    }
    Ok(read)
}

fn node(line: Line) -> RecordedNode {
    let answers = [
        (Module::ClosedBook, Some(line.cb_answer), "Unknown"),
        (Module::OpenBook, Some(line.ob_answer), "Unknown"),
        // Its own, shorter word for the same.
        (Module::Children, line.child_answer, "Unknow"),
    ];
    let answer = |(module, answer, unknown): (Module, Option<(String, f64)>, &str)| {
        let (text, score) = answer?;
        let refused = text.contains("ERROR") || text.contains(unknown);
        let confidence = Some(score).filter(|score| *score != ABSENT && !refused);
        Some(RecordedAnswer { module, text: if refused { String::new() } else { text }, confidence })
    };
    RecordedNode {
        question: line.question,
        children: line.sons,
        decomposition: line.qd_logprob,
        candidates: answers.into_iter().filter_map(answer).collect(),
        published: line.answer,
    }
}

impl RecordedTree {
    /// The choices made again, node by node, each with the scores that were chosen below it.
    pub fn choose(&self, combination: Combination) -> Vec<Chosen> {
        let mut chosen: Vec<Chosen> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let below: Vec<Option<f64>> = node
                .children
                .iter()
                .map(|child| chosen[*child].place.and_then(|place| chosen[*child].confidences[place]))
                .collect();
            let confidences: Vec<Option<f64>> = node
                .candidates
                .iter()
                .map(|candidate| match candidate.module {
                    Module::Children => {
                        combined(candidate.confidence, node.decomposition, &below, combination)
                    }
                    _ => candidate.confidence,
                })
                .collect();
            let answers: Vec<(bool, Option<f64>)> = node
                .candidates
                .iter()
                .zip(&confidences)
                .map(|(candidate, confidence)| (!candidate.text.is_empty(), *confidence))
                .collect();
            chosen.push(Chosen { place: most_confident(&answers), confidences });
        }
        chosen
    }

    /// The question itself.
    pub fn root(&self) -> Option<&RecordedNode> {
        self.nodes.last()
    }
}
