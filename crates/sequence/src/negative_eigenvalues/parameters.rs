//! Parameters.

use backstitch_nn::{Eigenvalues, Mixer, TrackerConfig};
use serde::{Deserialize, Serialize};

use super::sequences::Vocabulary;
use crate::Error;

/// The network and how it is trained. The defaults are small: a few seconds for a task of short sequences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What mixes the positions.
    pub mixer: Mixer,
    /// Where the eigenvalues of linear recurrences lie.
    pub eigenvalues: Eigenvalues,
    /// Householder steps per token, delta layers only.
    pub householders: usize,
    /// Blocks; the paper has 2 for formal languages.
    pub layers: usize,
    /// Width of the residual stream; the paper has 128.
    pub width: usize,
    /// Heads, which divide the width; the paper has 4.
    pub heads: usize,
    /// States per channel, diagonal layers only.
    pub states: usize,
    /// Positions of the short convolutions; 0 for none, the paper has 4.
    pub convolution: usize,
    /// Inner width of the feed-forward part; 0 for none, with which sequences longer than those trained on fare better.
    pub feed: usize,
    /// Training steps; the paper has 20,000 for parity and 100,000 for arithmetic.
    pub steps: u64,
    /// Sequences per step; the paper has 256.
    pub batch: usize,
    /// Peak learning rate; the paper has 10⁻³. It warms up over a twentieth of the steps and then falls to a hundredth.
    pub learning_rate: f64,
    /// Decoupled weight decay; the paper has 0 for parity and 0.1 for arithmetic.
    pub weight_decay: f64,
    /// Seed of initial weights and of the order of sequences.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            mixer: Mixer::Delta,
            eigenvalues: Eigenvalues::Signed,
            householders: 1,
            layers: 1,
            width: 32,
            heads: 2,
            states: 4,
            convolution: 0,
            feed: 0,
            steps: 1000,
            batch: 64,
            learning_rate: 1e-2,
            weight_decay: 0.0,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the value that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse =
            |name, value: String, allowed, way_out| Err(Error::Parameter { name, value, allowed, way_out });
        if self.batch == 0 {
            return refuse("batch", "0".into(), "at least 1", "64 is usual");
        }
        if self.steps == 0 {
            return refuse("steps", "0".into(), "at least 1", "1000 is usual for short sequences");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let value = self.learning_rate.to_string();
            return refuse("learning-rate", value, "a number above 0", "0.01 is usual for small networks");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return refuse("weight-decay", self.weight_decay.to_string(), "a number from 0", "0 is usual");
        }
        let names = |count: usize| vec![String::new(); count];
        let vocabulary = Vocabulary { tokens: names(2), labels: names(2) };
        Ok(self.config(&vocabulary).validate()?)
    }

    /// The network for these tokens and labels.
    pub fn config(&self, vocabulary: &Vocabulary) -> TrackerConfig {
        TrackerConfig {
            vocabulary: vocabulary.tokens.len(),
            classes: vocabulary.labels.len(),
            width: self.width,
            layers: self.layers,
            mixer: self.mixer,
            eigenvalues: self.eigenvalues,
            heads: self.heads,
            householders: self.householders,
            states: self.states,
            convolution: self.convolution,
            feed: self.feed,
        }
    }
}
