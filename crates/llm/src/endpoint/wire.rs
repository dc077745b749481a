//! What is sent and received, in the two interfaces. Reading is tolerant: what a server adds is ignored, and what it may leave out is
//! not required.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::EndpointKind;
use crate::reply::{Alternative, FinishReason, Sample, Token, Usage};
use crate::request::{Prompt, Request, Role};

/// What some servers refuse, and what then is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Optional {
    /// The seed is left out.
    Seed,
    /// Samples are asked for one by one.
    Samples,
    /// `max_tokens` is called `max_completion_tokens`.
    MaxTokens,
}

/// The body of a request.
pub(super) fn body(
    kind: EndpointKind,
    model: &str,
    request: &Request,
    refused: &BTreeSet<Optional>,
) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.into(), value);
    set("model", model.into());
    match kind {
        EndpointKind::Chat => set("messages", messages(request)),
        EndpointKind::Completions => set("prompt", joined(request).into()),
    };
    // Servers take 1 for granted, and some refuse every other value, or the field.
    if request.temperature != 1.0 {
        set("temperature", request.temperature.into());
    }
    if request.top_p != 1.0 {
        set("top_p", request.top_p.into());
    }
    let renamed = refused.contains(&Optional::MaxTokens);
    set(if renamed { "max_completion_tokens" } else { "max_tokens" }, request.max_tokens.into());
    if !request.stop.is_empty() {
        set("stop", request.stop.clone().into());
    }
    if request.samples > 1 && !refused.contains(&Optional::Samples) {
        set("n", request.samples.into());
    }
    if let Some(seed) = request.seed
        && !refused.contains(&Optional::Seed)
    {
        // Later samples of the same request are other draws. Servers take a positive 64-bit integer.
        set("seed", (seed.wrapping_add(request.first_sample.into()) & i64::MAX as u64).into());
    }
    if let Some(alternatives) = request.log_probabilities {
        // Some servers take zero alternatives for no log-probabilities at all.
        let alternatives = alternatives.max(1);
        match kind {
            EndpointKind::Chat => {
                set("logprobs", true.into());
                set("top_logprobs", alternatives.into());
            }
            EndpointKind::Completions => {
                set("logprobs", alternatives.into());
            }
        }
    }
    body
}

fn messages(request: &Request) -> Value {
    let system = request.system.iter().map(|text| json!({ "role": "system", "content": text }));
    let turns: Vec<Value> = match &request.prompt {
        Prompt::Messages(messages) => system.chain(messages.iter().map(|message| json!(message))).collect(),
        Prompt::Raw(text) => system.chain([json!({ "role": Role::User, "content": text })]).collect(),
    };
    turns.into()
}

fn joined(request: &Request) -> String {
    request.text_pieces().collect::<Vec<_>>().join("\n\n")
}

/// What an answer holds.
pub(super) struct Answer {
    /// The samples, at most as many as were asked for, or why there are none.
    pub(super) samples: Result<Vec<Sample>, String>,
    /// What the server counted, which it charges for even where the samples cannot be used.
    pub(super) usage: Option<Usage>,
}

/// Reads an answer to a request.
pub(super) fn read(answer: &Value, request: &Request) -> Answer {
    Answer { samples: samples(answer, request), usage: usage(answer) }
}

fn usage(answer: &Value) -> Option<Usage> {
    let usage = answer.get("usage")?;
    let prompt_tokens = usage.get("prompt_tokens")?.as_u64()?;
    // Left out by some servers when nothing was written.
    let completion_tokens = usage.get("completion_tokens").and_then(Value::as_u64).unwrap_or(0);
    Some(Usage { prompt_tokens, completion_tokens })
}

fn samples(answer: &Value, request: &Request) -> Result<Vec<Sample>, String> {
    let choices = answer.get("choices").ok_or("it has no field `choices`")?;
    let mut choices: Vec<&Value> = choices.as_array().ok_or("`choices` is not a list")?.iter().collect();
    if choices.is_empty() {
        return Err("`choices` is empty".into());
    }
    choices.sort_by_key(|choice| choice.get("index").and_then(Value::as_u64));
    choices.truncate(request.samples as usize);
    choices.iter().enumerate().map(|(number, choice)| sample(choice, number, request)).collect()
}

fn sample(choice: &Value, number: usize, request: &Request) -> Result<Sample, String> {
    let text = text(choice).ok_or_else(|| format!("choice {number} has neither a message nor a text"))?;
    let tokens = match (request.log_probabilities, choice.get("logprobs")) {
        (Some(most), Some(log_probabilities)) => tokens(log_probabilities, most as usize)
            .map_err(|problem| format!("choice {number}: {problem}"))?
            // An empty list for a text that is not empty is none.
            .filter(|tokens| text.is_empty() || !tokens.is_empty()),
        _ => None,
    };
    let rebuilt = tokens.as_ref().filter(|_| text.contains('\u{fffd}')).and_then(|tokens| {
        // Put together token by token, a character that spans two of them was lost.
        String::from_utf8(tokens.iter().flat_map(|token| token.bytes.iter().copied()).collect()).ok()
    });
    let finish = match choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default() {
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => FinishReason::Stop,
        "length" | "max_tokens" => FinishReason::Length,
        other => FinishReason::Other(other.into()),
    };
    Ok(Sample { text: rebuilt.unwrap_or(text), finish, tokens })
}

/// The text of a choice: of its message, or its own.
fn text(choice: &Value) -> Option<String> {
    let Some(message) = choice.get("message") else {
        return Some(choice.get("text")?.as_str()?.to_owned());
    };
    match message.get("content") {
        Some(Value::String(text)) => Some(text.clone()),
        // A list of parts, of which those of text count.
        Some(Value::Array(parts)) => {
            Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect())
        }
        // Nothing was said: the tokens went into thoughts, or the model refused. The reason for its end says so.
        Some(Value::Null) => Some(String::new()),
        None if message.is_object() => Some(String::new()),
        _ => None,
    }
}

/// Tokens with their log-probabilities, in either of the two forms; `None` for none.
fn tokens(log_probabilities: &Value, most: usize) -> Result<Option<Vec<Token>>, String> {
    if let Some(content) = log_probabilities.get("content").and_then(Value::as_array) {
        return content.iter().enumerate().map(|(number, token)| chat_token(token, number, most)).collect();
    }
    let Some(texts) = log_probabilities.get("tokens").and_then(Value::as_array) else { return Ok(None) };
    let column = |name: &str| log_probabilities.get(name).and_then(Value::as_array);
    let (values, alternatives) = (column("token_logprobs"), column("top_logprobs"));
    let read = texts.iter().enumerate().map(|(number, text)| {
        let log_probability = values.and_then(|values| values.get(number)?.as_f64());
        let alternatives = alternatives.and_then(|all| all.get(number)?.as_object());
        let alternatives = alternatives.into_iter().flatten().filter_map(|(text, value)| {
            Some(Alternative { bytes: bytes_of(text), log_probability: value.as_f64()? })
        });
        Ok(Some(Token {
            bytes: bytes_of(text.as_str().ok_or_else(|| format!("token {number} is not a text"))?),
            log_probability: log_probability.ok_or_else(|| no_value(number))?,
            alternatives: likeliest(alternatives.collect(), most),
        }))
    });
    read.collect()
}

fn chat_token(token: &Value, number: usize, most: usize) -> Result<Option<Token>, String> {
    let read = |token: &Value| {
        Some(Alternative { bytes: bytes(token)?, log_probability: token.get("logprob")?.as_f64()? })
    };
    let Alternative { bytes, log_probability } = read(token).ok_or_else(|| no_value(number))?;
    let alternatives = token.get("top_logprobs").and_then(Value::as_array);
    let alternatives = alternatives.into_iter().flatten().filter_map(read).collect();
    Ok(Some(Token { bytes, log_probability, alternatives: likeliest(alternatives, most) }))
}

fn no_value(number: usize) -> String {
    format!("token {number} has no log-probability")
}

/// Bytes of a token: given as such, or else its text.
fn bytes(token: &Value) -> Option<Vec<u8>> {
    if let Some(bytes) = token.get("bytes").and_then(Value::as_array) {
        return bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
    }
    Some(bytes_of(token.get("token")?.as_str()?))
}

/// Bytes of a token that is given as text. Parts of characters are written `bytes:\xe2\x80` there.
fn bytes_of(text: &str) -> Vec<u8> {
    let parts = text.strip_prefix("bytes:\\x").map(|parts| {
        parts.split("\\x").map(|digits| u8::from_str_radix(digits, 16).ok()).collect::<Option<Vec<u8>>>()
    });
    parts.flatten().unwrap_or_else(|| text.as_bytes().to_vec())
}

fn likeliest(mut alternatives: Vec<Alternative>, most: usize) -> Vec<Alternative> {
    alternatives.sort_by(|one, other| {
        other.log_probability.total_cmp(&one.log_probability).then_with(|| one.bytes.cmp(&other.bytes))
    });
    alternatives.truncate(most);
    alternatives
}
