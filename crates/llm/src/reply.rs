//! What a model answers.

use serde::{Deserialize, Serialize};

/// Why a sample ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended it, or a stop text did.
    Stop,
    /// It reached `max_tokens`, or the end of the context.
    Length,
    /// Another reason, in the words of the server; empty if it gave none.
    Other(String),
}

/// A token that could have stood in a place, and its log-probability there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Its bytes; a token may be a part of a character.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability, finite.
    pub log_probability: f64,
}

/// A token of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its bytes; a token may be a part of a character.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability, finite.
    pub log_probability: f64,
    /// The likeliest tokens in its place, likeliest first, as many as were asked for or as the server gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Its tokens, if log-probabilities were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<Token>>,
}

/// Tokens that were read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, once per call.
    pub prompt_tokens: u64,
    /// Tokens of all samples.
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // A server may report anything.
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }
}

/// The answer to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// As many samples as were asked for, in the order of their indices.
    pub samples: Vec<Sample>,
    /// What was read and written *now*: samples that were already there add nothing.
    pub usage: Usage,
    /// How many of the samples were already there.
    pub stored: u32,
}
