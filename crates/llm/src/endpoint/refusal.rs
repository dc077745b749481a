//! What an answer other than success means.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::wire::Optional;
use crate::error::Error;

/// Longest message of a server that is repeated.
const LONGEST_MESSAGE: usize = 300;

/// What to do about a refusal.
pub(super) enum Refusal {
    /// The same request can succeed later.
    Again(Error),
    /// It can succeed without these.
    Without(BTreeSet<Optional>),
    /// It cannot.
    Never(Error),
}

/// Reads a refusal: its status, its text, and the body that was refused. `attempts` were made.
pub(super) fn read(url: &str, status: u16, text: &str, sent: &Map<String, Value>, attempts: u32) -> Refusal {
    let json = serde_json::from_str::<Value>(text).ok();
    let stated = json.as_ref().and_then(message_in);
    let is_stated = stated.is_some();
    let message = shortened(&stated.unwrap_or_else(|| text.to_owned()));
    let (url, lower) = (url.to_owned(), message.to_lowercase());
    // Servers differ in where they say it, so it is looked for everywhere.
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word) || text.contains(word));
    match status {
        401 | 403 => Refusal::Never(Error::Unauthorised { url, status, message }),
        402 => Refusal::Never(Error::Quota { url, message }),
        429 if says(&["insufficient_quota", "exceeded your current quota"]) => {
            Refusal::Never(Error::Quota { url, message })
        }
        404 | 405
            if !is_stated
                || ["not found", "file not found", "method not allowed"].contains(&lower.as_str()) =>
        {
            let found = format!("status {status}, {message}");
            Refusal::Never(Error::NotAnEndpoint { url, found })
        }
        400 | 413 | 422
            if says(&[
                "context length",
                "context_length",
                "context size",
                "context window",
                "prompt is too long",
            ]) =>
        {
            Refusal::Never(Error::PromptTooLong { url, message })
        }
        400 | 422 => {
            let without = refused_fields(status, text, sent);
            if !without.is_empty() {
                Refusal::Without(without)
            } else if sent.contains_key("logprobs") && says(&["logprobs"]) {
                Refusal::Never(Error::NoLogProbabilities { url })
            } else {
                Refusal::Never(Error::Status { url, status, message, attempts })
            }
        }
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 529 => {
            Refusal::Again(Error::Status { url, status, message, attempts })
        }
        _ => Refusal::Never(Error::Status { url, status, message, attempts }),
    }
}

/// Fields that were sent, can be done without, and are named in the refusal; all that can be done without where a server that
/// refuses unknown fields (422) names none.
fn refused_fields(status: u16, text: &str, sent: &Map<String, Value>) -> BTreeSet<Optional> {
    let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let optional = [
        (Optional::Seed, "seed", names(&["seed"])),
        (
            Optional::Samples,
            "n",
            names(&["\"n\"", "\\\"n\\\"", "'n'", "`n`", ": n\"", " n must be", " n > 1"]),
        ),
        (Optional::MaxTokens, "max_tokens", names(&["max_completion_tokens"])),
    ];
    let sent = || optional.iter().filter(|(_, field, _)| sent.contains_key(*field));
    let named: BTreeSet<_> = sent().filter(|(_, _, named)| *named).map(|(field, ..)| *field).collect();
    if named.is_empty() && status == 422 && !text.contains("logprobs") {
        return sent().map(|(field, ..)| *field).filter(|field| *field != Optional::MaxTokens).collect();
    }
    named
}

/// The message in the usual places of an error in JSON.
pub(super) fn message_in(json: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let error = json.get("error").filter(|error| !error.is_null());
    if let Some(error) = error {
        return error
            .get("message")
            .and_then(text)
            .or_else(|| text(error))
            .or_else(|| Some(error.to_string()));
    }
    json.get("message").and_then(text).or_else(|| {
        let detail = json.get("detail")?;
        text(detail).or_else(|| Some(detail.to_string()))
    })
}

/// A message on one line, without control characters, of a bounded length.
pub(super) fn shortened(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = line.chars().filter(|character| !character.is_control()).collect();
    if line.is_empty() {
        return "no message".into();
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}
