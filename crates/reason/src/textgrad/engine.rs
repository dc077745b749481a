//! A language model as the operations of the graph ask it.

use std::cell::Cell;

use backstitch_llm::{FinishReason, Model, Request};
use serde::{Deserialize, Serialize};

use super::prompts::Prompts;
use crate::Error;

/// How the model is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Temperature (0).
    pub temperature: f64,
    /// Share of the likeliest tokens among which is drawn (0.99).
    pub top_p: f64,
    /// Most tokens of a reply (2,000).
    pub max_tokens: u32,
    /// The seed sent with each request, for servers and models that take one (none).
    pub seed: Option<u64>,
    /// In requests for feedback and for a new text, show only so many first and last words of the text that is to be improved (all of it;
    /// the official code shows 10).
    pub excerpt_words: Option<usize>,
    /// Most characters of conversations shown with the feedback; the oldest are left out first, their feedback never (no limit).
    pub most_context: Option<usize>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 0.99,
            max_tokens: 2000,
            seed: None,
            excerpt_words: None,
            most_context: None,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first field outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(Error::parameter(
                "temperature",
                self.temperature,
                "from 0 to 2",
                "use 0, the paper's",
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::parameter(
                "top_p",
                self.top_p,
                "above 0 and at most 1",
                "use 0.99, the paper's",
            ));
        }
        if self.max_tokens == 0 {
            return Err(Error::parameter(
                "max_tokens",
                0,
                "at least 1",
                "a new text needs as many as the old one",
            ));
        }
        if self.excerpt_words == Some(0) {
            return Err(Error::parameter(
                "excerpt_words",
                0,
                "at least 1",
                "leave it out to show whole texts",
            ));
        }
        Ok(())
    }
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls of the graph itself: answers and evaluations.
    pub forward: u64,
    /// Feedback on a predecessor.
    pub backward: u64,
    /// Means of feedback.
    pub reduce: u64,
    /// New texts.
    pub optimizer: u64,
    /// Replies asked again, because they could not be used.
    pub repair: u64,
}

impl Calls {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.forward + self.backward + self.reduce + self.optimizer + self.repair
    }
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Forward,
    Backward,
    Reduce,
    Optimizer,
    Repair,
}

/// A reply, whole or cut off.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) cut: bool,
}

/// A language model, the texts of the requests, and how it samples.
pub struct Engine<'a> {
    model: &'a dyn Model,
    parameters: Parameters,
    prompts: Prompts,
    calls: Cell<Calls>,
}

impl<'a> Engine<'a> {
    /// A model with the paper's sampling and the prompts of this project.
    pub fn new(model: &'a dyn Model) -> Self {
        Self { model, parameters: Parameters::default(), prompts: Prompts::default(), calls: Cell::default() }
    }

    /// The same, sampling otherwise.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn with_parameters(mut self, parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        self.parameters = parameters;
        Ok(self)
    }

    /// The same with other texts.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a template without a slot it needs.
    pub fn with_prompts(mut self, prompts: Prompts) -> Result<Self, Error> {
        prompts.validate()?;
        self.prompts = prompts;
        Ok(self)
    }

    /// How it samples.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The texts of its requests.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// What was asked so far.
    pub fn calls(&self) -> Calls {
        self.calls.get()
    }

    /// A request of one turn.
    pub(super) fn request(&self, system: &str, text: String) -> Request {
        self.sampled(Request {
            system: Some(system.to_owned()).filter(|text| !text.is_empty()),
            ..Request::user(text)
        })
    }

    /// A request, sampled as told.
    pub(super) fn sampled(&self, request: Request) -> Request {
        Request {
            temperature: self.parameters.temperature,
            top_p: self.parameters.top_p,
            max_tokens: self.parameters.max_tokens,
            seed: self.parameters.seed,
            ..request
        }
    }

    /// Asks all requests at once. Each has the role of what it is about.
    pub(super) fn ask(&self, stage: Stage, asked: Vec<(String, Request)>) -> Result<Vec<Answer>, Error> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut calls = self.calls.get();
        let (count, name) = match stage {
            Stage::Forward => (&mut calls.forward, "the call for"),
            Stage::Backward => (&mut calls.backward, "feedback on"),
            Stage::Reduce => (&mut calls.reduce, "the mean of the feedback on"),
            Stage::Optimizer => (&mut calls.optimizer, "an improvement of"),
            Stage::Repair => (&mut calls.repair, "a second reply about"),
        };
        *count += asked.len() as u64;
        self.calls.set(calls);
        let (roles, requests): (Vec<String>, Vec<Request>) = asked.into_iter().unzip();
        let replies = self.model.complete(&requests);
        roles
            .into_iter()
            .zip(replies)
            .map(|(role, reply)| {
                let refuse =
                    |source| Error::Call { stage: name, role: role.clone(), source: Box::new(source) };
                let sample = reply.map_err(refuse)?.samples.into_iter().next();
                let sample = sample.ok_or_else(|| refuse(backstitch_llm::Error::Unanswered))?;
                Ok(Answer { cut: sample.finish == FinishReason::Length, text: sample.text })
            })
            .collect()
    }
}
