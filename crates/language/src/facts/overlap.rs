//! What a question shares with the training text, in runs of words.

use std::collections::{HashMap, HashSet};

use crate::Error;

/// All runs of `n` words of a training text. Words are what stands between white space; runs do not cross texts.
#[derive(Clone, Debug)]
pub struct NGrams {
    n: usize,
    vocabulary: HashMap<String, u32>,
    runs: HashSet<Box<[u32]>>,
}

impl NGrams {
    /// Collects the runs of the texts.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `n` is zero.
    pub fn new<'a>(n: usize, texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        if n == 0 {
            return Err(Error::Parameter {
                name: "n",
                value: "0".into(),
                allowed: "at least 1".into(),
                way_out: "give the length of the runs in words",
            });
        }
        let mut vocabulary: HashMap<String, u32> = HashMap::new();
        let mut runs = HashSet::new();
        for text in texts {
            let words: Vec<u32> = text
                .split_whitespace()
                .map(|word| {
                    let next = vocabulary.len() as u32;
                    *vocabulary.entry(word.to_owned()).or_insert(next)
                })
                .collect();
            for run in words.windows(n) {
                if !runs.contains(run) {
                    runs.insert(run.into());
                }
            }
        }
        Ok(Self { n, vocabulary, runs })
    }

    /// How many runs of a text stand in training, and how many runs it has.
    pub fn shared(&self, text: &str) -> (usize, usize) {
        let words: Vec<u32> = text
            .split_whitespace()
            .map(|word| self.vocabulary.get(word).copied().unwrap_or(u32::MAX))
            .collect();
        let shared = words.windows(self.n).filter(|run| self.runs.contains(*run)).count();
        (shared, (words.len() + 1).saturating_sub(self.n))
    }

    /// How many runs that contain the join of `prompt` and `answer` (at least one word of each) stand in training: the
    /// overlap that would let a model answer by recall. Zero puts a question in the zero-overlap subset.
    pub fn across(&self, prompt: &str, answer: &str) -> usize {
        let id = |word: &str| self.vocabulary.get(word).copied().unwrap_or(u32::MAX);
        let before: Vec<u32> = prompt.split_whitespace().map(id).collect();
        let after = answer.split_whitespace().map(id);
        let start = before.len().saturating_sub(self.n.saturating_sub(1));
        let words: Vec<u32> = before[start..].iter().copied().chain(after.take(self.n - 1)).collect();
        // With at most n − 1 words of either side, every run of n has words of both.
        words.windows(self.n).filter(|run| self.runs.contains(*run)).count()
    }
}
