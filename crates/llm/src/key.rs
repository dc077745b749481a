//! Under what a sample is kept: the hash of everything that it depends on.

use std::fmt;

use backstitch_data::hash::sha256_of_bytes;
use serde::{Deserialize, Serialize};

use crate::request::{Prompt, Request};

/// Which model answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The way it is reached: `chat`, `completions`, `in-process`, …
    pub kind: String,
    /// Where it is: the base address of an endpoint, empty for a model in process. Never a key or a password.
    pub place: String,
    /// Its name there. For a model in process, the hash of its weights belongs in it.
    pub model: String,
}

/// SHA-256 of the canonical JSON of a model and a request, the sample indices left out: one key holds the samples of a
/// request by their index. 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key of a request to a model.
    pub fn of(identity: &Identity, request: &Request) -> Self {
        Canonical::new(identity, request).key()
    }

    /// A key that was kept.
    pub(crate) fn kept(digits: String) -> Self {
        Self(digits)
    }

    /// Its hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The model and every field of a request that a sample depends on. Defaults are written out, so that a version with other
/// defaults finds no wrong answers.
///
/// The fields are written in this order, and their text makes the key: do not change it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canonical {
    kind: String,
    place: String,
    pub(crate) model: String,
    pub(crate) prompt: Prompt,
    system: Option<String>,
    temperature: f64,
    top_p: f64,
    max_tokens: u32,
    stop: Vec<String>,
    seed: Option<u64>,
    log_probabilities: Option<u32>,
}

impl Canonical {
    pub(crate) fn new(identity: &Identity, request: &Request) -> Self {
        Self {
            kind: identity.kind.clone(),
            place: identity.place.clone(),
            model: identity.model.clone(),
            prompt: request.prompt.clone(),
            system: request.system.clone(),
            // Minus zero is zero.
            temperature: request.temperature + 0.0,
            top_p: request.top_p,
            max_tokens: request.max_tokens,
            stop: request.stop.clone(),
            seed: request.seed,
            log_probabilities: request.log_probabilities,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { kind: self.kind.clone(), place: self.place.clone(), model: self.model.clone() }
    }

    /// As JSON. Fields are kept apart by name, so no two requests have the same text.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| unreachable!("texts and finite numbers are JSON: {error}"))
    }

    pub(crate) fn key(&self) -> Key {
        Key(sha256_of_bytes(self.text().as_bytes()))
    }
}
