//! A model that answers in tokens with log-probabilities.

use std::cell::{Cell, RefCell};

use backstitch_llm::{Error, FinishReason, Identity, Model, Reply, Request, Sample, Token, Usage};

use super::scripted::text;

/// A reply: tokens, their log-probabilities, and why it ended.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    pub(crate) tokens: Vec<(String, f64)>,
    /// The text, where it is not what the tokens spell.
    pub(crate) text: Option<&'static str>,
    pub(crate) finish: FinishReason,
}

/// A text cut before every space, all tokens with the same log-probability.
pub(crate) fn spoken(text: &str, log_probability: f64) -> Spoken {
    let mut tokens: Vec<(String, f64)> = Vec::new();
    for character in text.chars() {
        match tokens.last_mut() {
            Some((token, _)) if character != ' ' => token.push(character),
            _ => tokens.push((character.into(), log_probability)),
        }
    }
    Spoken { tokens, text: None, finish: FinishReason::Stop }
}

/// Answers by the text of the last turn; `None` is a failure.
pub(crate) struct Speaker<F> {
    identity: Identity,
    answer: F,
    asked: RefCell<Vec<Request>>,
    batches: Cell<usize>,
}

impl<F: Fn(&str) -> Option<Spoken>> Speaker<F> {
    pub(crate) fn new(answer: F) -> Self {
        let identity = Identity { kind: "scripted".into(), place: String::new(), model: "test".into() };
        Self { identity, answer, asked: RefCell::default(), batches: Cell::default() }
    }

    /// What was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.borrow().clone()
    }

    /// In how many batches.
    pub(crate) fn batches(&self) -> usize {
        self.batches.get()
    }
}

impl<F: Fn(&str) -> Option<Spoken>> Model for Speaker<F> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        self.batches.set(self.batches.get() + 1);
        for (position, request) in requests.iter().enumerate().rev() {
            self.asked.borrow_mut().push(request.clone());
            let reply = (self.answer)(text(request)).map(|spoken| {
                let whole: String = spoken.tokens.iter().map(|(token, _)| token.as_str()).collect();
                let token = |(token, log_probability): &(String, f64)| Token {
                    bytes: token.clone().into_bytes(),
                    log_probability: *log_probability,
                    alternatives: Vec::new(),
                };
                let tokens = request.log_probabilities.map(|_| spoken.tokens.iter().map(token).collect());
                let sample = Sample {
                    text: spoken.text.unwrap_or(whole.trim()).to_owned(),
                    finish: spoken.finish,
                    tokens,
                };
                let samples = vec![sample; request.samples as usize];
                Reply { samples, usage: Usage::default(), stored: 0 }
            });
            arrived(position, reply.ok_or(Error::Unanswered));
        }
    }
}
