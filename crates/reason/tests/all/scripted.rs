//! A model that answers as told.

use std::cell::RefCell;

use backstitch_llm::{Error, FinishReason, Identity, Model, Prompt, Reply, Request, Sample, Usage};

/// Answers by the text of the last turn and the index of the sample; `None` is a failure.
pub(crate) struct Scripted<F> {
    identity: Identity,
    answer: F,
    asked: RefCell<Vec<Request>>,
}

impl<F: Fn(&str, u32) -> Option<String>> Scripted<F> {
    pub(crate) fn new(answer: F) -> Self {
        let identity = Identity { kind: "scripted".into(), place: String::new(), model: "test".into() };
        Self { identity, answer, asked: RefCell::default() }
    }

    /// What was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.borrow().clone()
    }
}

/// The text of a request.
pub(crate) fn text(request: &Request) -> &str {
    match &request.prompt {
        Prompt::Messages(messages) => &messages.last().expect("a turn").content,
        Prompt::Raw(text) => text,
    }
}

impl<F: Fn(&str, u32) -> Option<String>> Model for Scripted<F> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        // Backwards: methods must not depend on the order of arrival.
        for (position, request) in requests.iter().enumerate().rev() {
            self.asked.borrow_mut().push(request.clone());
            let samples: Option<Vec<Sample>> = (0..request.samples)
                .map(|index| {
                    let text = (self.answer)(text(request), index)?;
                    Some(Sample { text, finish: FinishReason::Stop, tokens: None })
                })
                .collect();
            let reply = samples.map(|samples| Reply { samples, usage: Usage::default(), stored: 0 });
            arrived(position, reply.ok_or(Error::Unanswered));
        }
    }
}
