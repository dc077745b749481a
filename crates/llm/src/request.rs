//! What a model is asked.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Most alternatives per token that may be asked for: what the strictest of the usual servers gives.
const MOST_ALTERNATIVES: u32 = 20;

/// Most samples of one request.
const MOST_SAMPLES: u32 = 10_000;

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who asks.
    User,
    /// The model, in what it is shown as its own earlier replies.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What the model goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prompt {
    /// A conversation; the model gives the next turn.
    Messages(Vec<Message>),
    /// Text as it stands; the model continues it.
    Raw(String),
}

/// One request: a prompt, how to sample, and how many samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the model goes on from.
    pub prompt: Prompt,
    /// The system text, before the conversation.
    pub system: Option<String>,
    /// Randomness of the draws, 0 to 2; 0 takes the likeliest token. 0 by default.
    pub temperature: f64,
    /// Draws are made among the likeliest tokens that have this probability together, above 0 to 1; 1 by default.
    pub top_p: f64,
    /// Most tokens of a sample; 512 by default.
    pub max_tokens: u32,
    /// A sample ends before any of these texts.
    pub stop: Vec<String>,
    /// Samples wanted, 1 to 10,000; 1 by default.
    pub samples: u32,
    /// Index of the first of them; 0 by default. Samples of the same request with other indices are other draws: asking for
    /// samples 0 to 9 and later for samples 10 to 19 gives twenty.
    pub first_sample: u32,
    /// The seed of the draws, for servers that have one. Each call to an endpoint sends it plus the index of its first sample.
    pub seed: Option<u64>,
    /// Wish for the log-probability of every token, with so many alternatives each, 0 to 20.
    pub log_probabilities: Option<u32>,
}

impl Request {
    /// A conversation of one user turn, with the defaults above.
    pub fn user(text: impl Into<String>) -> Self {
        Self::messages(vec![Message { role: Role::User, content: text.into() }])
    }

    /// A conversation, with the defaults above.
    pub fn messages(messages: Vec<Message>) -> Self {
        Self::new(Prompt::Messages(messages))
    }

    /// Text to be continued, with the defaults above.
    pub fn raw(text: impl Into<String>) -> Self {
        Self::new(Prompt::Raw(text.into()))
    }

    fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            system: None,
            temperature: 0.0,
            top_p: 1.0,
            max_tokens: 512,
            stop: Vec::new(),
            samples: 1,
            first_sample: 0,
            seed: None,
            log_probabilities: None,
        }
    }

    /// Checks the ranges given at the fields.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first field outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let parameter = |name, value: String, allowed: &str, way_out| {
            Err(Error::Parameter { name, value, allowed: allowed.into(), way_out })
        };
        let empty = match &self.prompt {
            Prompt::Messages(messages) => messages.is_empty(),
            Prompt::Raw(text) => text.is_empty(),
        };
        if empty {
            return parameter("prompt", "empty".into(), "at least one message or character", "give a prompt");
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            let way_out = "0.7 is usual for several samples, 0 for one";
            return parameter("temperature", self.temperature.to_string(), "0 to 2", way_out);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            let way_out = "1 draws among all tokens";
            return parameter("top_p", self.top_p.to_string(), "above 0 and at most 1", way_out);
        }
        if self.max_tokens == 0 {
            return parameter("max_tokens", "0".into(), "at least 1", "give the most tokens of a reply");
        }
        let end = self.first_sample.checked_add(self.samples);
        if !(1..=MOST_SAMPLES).contains(&self.samples) || end.is_none() {
            let way_out = "take more of them by further requests with another first_sample";
            return parameter(
                "samples",
                self.samples.to_string(),
                "1 to 10000, with all indices below 2^32",
                way_out,
            );
        }
        if self.stop.iter().any(String::is_empty) {
            let way_out = "remove it; it would end every reply before its first token";
            return parameter("stop", "an empty text".into(), "texts of at least one character", way_out);
        }
        match self.log_probabilities {
            Some(alternatives) if alternatives > MOST_ALTERNATIVES => {
                let way_out = "ask for fewer alternatives per token";
                parameter("log_probabilities", alternatives.to_string(), "0 to 20", way_out)
            }
            _ => Ok(()),
        }
    }

    /// All text the model reads.
    pub(crate) fn text_pieces(&self) -> impl Iterator<Item = &str> {
        let messages: Vec<&str> = match &self.prompt {
            Prompt::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
            Prompt::Raw(text) => vec![text],
        };
        self.system.as_deref().into_iter().chain(messages)
    }
}
