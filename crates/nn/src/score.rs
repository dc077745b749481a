//! What a decoder thinks of given text: log p(continuation | prefix), many continuations after one shared prefix.

use burn::module::Module;

use crate::attention::{Cache, Visibility};
use crate::decoder::{Decoder, token_tensor};
use crate::error::NnError;
use crate::sample::log_sum_exp;
use crate::tensors::host_values;

/// The log-probability of a continuation, token by token.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// ln p of each token given the prefix and the tokens before it.
    pub tokens: Vec<f64>,
}

impl Score {
    /// ln p of the whole continuation.
    pub fn total(&self) -> f64 {
        self.tokens.iter().sum()
    }

    /// The mean over its tokens.
    pub fn per_token(&self) -> f64 {
        self.total() / self.tokens.len().max(1) as f64
    }
}

/// Sequences that are worked on together.
const ROWS: usize = 256;

/// Scores text under a fixed model.
#[derive(Debug)]
pub struct Scorer {
    model: Decoder,
}

impl Scorer {
    /// A scorer of the model as it is now.
    pub fn new(model: &Decoder) -> Self {
        Self { model: model.valid() }
    }

    /// ln p(continuation | prefix) for each continuation. The prefix is read once.
    ///
    /// # Errors
    /// If the prefix or a continuation is empty, or both together do not fit the model.
    pub fn score(&self, prefix: &[u32], continuations: &[Vec<u32>]) -> Result<Vec<Score>, NnError> {
        let config = self.model.config();
        if prefix.is_empty() {
            return Err(NnError::Empty { what: "the prefix".into() });
        }
        config.check(prefix)?;
        for (at, continuation) in continuations.iter().enumerate() {
            let Some((last, read)) = continuation.split_last() else {
                return Err(NnError::Empty { what: format!("continuation {}", at + 1) });
            };
            config.check(&[prefix, read].concat())?;
            config.check(&[*last])?;
        }
        let mut cache = Cache::new(config.layers);
        let states = self.model.extend(&[prefix.to_vec()], &[0], &mut cache);
        let first = log_probabilities(&host_values(states.narrow(1, prefix.len() - 1, 1)));
        let mut scores = Vec::with_capacity(continuations.len());
        for group in continuations.chunks(ROWS) {
            scores.extend(self.score_group(&first, &cache, group));
        }
        Ok(scores)
    }

    fn score_group(&self, first: &[f64], prefix: &Cache, continuations: &[Vec<u32>]) -> Vec<Score> {
        let mut scores: Vec<Score> =
            continuations.iter().map(|tokens| Score { tokens: vec![first[tokens[0] as usize]] }).collect();
        let read = continuations.iter().map(|tokens| tokens.len() - 1).max().unwrap_or(0);
        if read == 0 {
            return scores;
        }
        let rows = continuations.len();
        let mut cache = prefix.select(&vec![0; rows]);
        let padded: Vec<Vec<u32>> = continuations
            .iter()
            .map(|tokens| {
                let mut row = tokens[..tokens.len() - 1].to_vec();
                row.resize(read, 0);
                row
            })
            .collect();
        let logits = host_values(self.model.extend(&padded, &vec![0; rows], &mut cache));
        let vocabulary = self.model.config().vocabulary;
        for (row, (score, tokens)) in scores.iter_mut().zip(continuations).enumerate() {
            for (at, &token) in tokens[1..].iter().enumerate() {
                let start = (row * read + at) * vocabulary;
                score.tokens.push(log_probabilities(&logits[start..start + vocabulary])[token as usize]);
            }
        }
        scores
    }

    /// ln p of every token after each sequence: one vector of the size of the vocabulary per sequence.
    ///
    /// # Errors
    /// If a sequence is empty or does not fit the model.
    pub fn next(&self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f64>>, NnError> {
        let config = self.model.config();
        for (at, sequence) in sequences.iter().enumerate() {
            if sequence.is_empty() {
                return Err(NnError::Empty { what: format!("sequence {}", at + 1) });
            }
            config.check(sequence)?;
        }
        // Sequences of one length need no padding: what one gets does not depend on the others.
        let mut by_length: Vec<usize> = (0..sequences.len()).collect();
        by_length.sort_by_key(|&at| sequences[at].len());
        let mut answers = vec![Vec::new(); sequences.len()];
        for group in by_length.chunk_by(|&a, &b| sequences[a].len() == sequences[b].len()) {
            for group in group.chunks(ROWS) {
                let rows: Vec<Vec<u32>> = group.iter().map(|&at| sequences[at].clone()).collect();
                let last = rows[0].len() - 1;
                let tokens = token_tensor(&rows, &self.model.device());
                let logits = host_values(self.model.forward(tokens, &Visibility::Causal).narrow(1, last, 1));
                for (&at, logits) in group.iter().zip(logits.chunks(config.vocabulary)) {
                    answers[at] = log_probabilities(logits);
                }
            }
        }
        Ok(answers)
    }
}

/// ln softmax, in f64.
fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let total = log_sum_exp(logits.iter().map(|&logit| f64::from(logit)));
    logits.iter().map(|&logit| f64::from(logit) - total).collect()
}
