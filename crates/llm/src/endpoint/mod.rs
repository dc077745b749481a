//! A server that speaks the chat or completions interface of OpenAI: vLLM, llama.cpp, Ollama, `transformers serve`, OpenAI.

mod api_key;
mod call;
mod options;
mod refusal;
mod wire;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use ureq::Agent;

pub use api_key::ApiKey;
pub use options::{EndpointKind, EndpointOptions};

use crate::budget::Budget;
use crate::error::Error;
use crate::key::Identity;
use crate::model::Model;
use crate::reply::Reply;
use crate::request::Request;

/// What an endpoint was found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It gives log-probabilities of tokens.
    pub log_probabilities: bool,
    /// It gives several samples in one answer. Otherwise they are asked for one by one.
    pub several_samples: bool,
    /// It takes a seed without complaint. Whether the seed does anything cannot be seen from outside.
    pub seed: bool,
}

/// An endpoint.
///
/// Messages sent to a completions endpoint are joined by blank lines, the system text first; a raw prompt sent to a chat
/// endpoint is one turn of the user.
#[derive(Debug)]
pub struct Endpoint {
    options: EndpointOptions,
    identity: Identity,
    url: String,
    key: Option<ApiKey>,
    agent: Agent,
    budget: Arc<Budget>,
    /// Fields that the server was found to refuse.
    refused: Mutex<BTreeSet<wire::Optional>>,
    /// No request is sent before this moment: the server asked for it.
    hold: Mutex<Option<Instant>>,
    capabilities: Mutex<Option<Capabilities>>,
}

impl Endpoint {
    /// An endpoint. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first option outside its range.
    pub fn new(options: EndpointOptions, key: Option<ApiKey>, budget: Arc<Budget>) -> Result<Self, Error> {
        let place = options.validate()?;
        let identity =
            Identity { kind: options.kind.name().into(), place: place.clone(), model: options.model.clone() };
        Ok(Self {
            url: format!("{place}/{}", options.kind.path()),
            agent: options.agent(),
            options,
            identity,
            key,
            budget,
            refused: Mutex::default(),
            hold: Mutex::default(),
            capabilities: Mutex::default(),
        })
    }

    /// The budget that its requests are counted on.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What the endpoint can do: found out by a call of one token the first time, and remembered. (A second one is needed where
    /// the server refuses to give log-probabilities.)
    ///
    /// # Errors
    /// Those of a call.
    pub fn capabilities(&self) -> Result<Capabilities, Error> {
        let mut known = lock(&self.capabilities);
        if let Some(capabilities) = *known {
            return Ok(capabilities);
        }
        let request = Request {
            temperature: 1.0,
            max_tokens: 1,
            samples: 2,
            seed: Some(0),
            log_probabilities: Some(1),
            ..Request::user("Hello")
        };
        let received = match self.call(&request) {
            Err(Error::NoLogProbabilities { .. }) => {
                self.call(&Request { log_probabilities: None, ..request })?
            }
            received => received?,
        };
        let capabilities = Capabilities {
            log_probabilities: received.samples.iter().all(|sample| sample.tokens.is_some()),
            several_samples: received.samples.len() > 1,
            seed: !lock(&self.refused).contains(&wire::Optional::Seed),
        };
        *known = Some(capabilities);
        Ok(capabilities)
    }

    /// An error unless it gives log-probabilities.
    fn log_probabilities(&self) -> Result<(), Error> {
        if self.capabilities()?.log_probabilities {
            return Ok(());
        }
        Err(Error::NoLogProbabilities { url: self.url.clone() })
    }

    /// All samples of one request. Each call that brings some has its own deadline.
    fn answer_one(&self, request: &Request) -> Result<Reply, Error> {
        let mut reply = Reply::default();
        loop {
            let have = reply.samples.len() as u32;
            if have >= request.samples {
                return Ok(reply);
            }
            let missing = Request {
                first_sample: request.first_sample + have,
                samples: request.samples - have,
                ..request.clone()
            };
            let received = self.call(&missing).and_then(|received| {
                let lacks = received.samples.iter().any(|sample| sample.tokens.is_none());
                if lacks && request.log_probabilities.is_some() {
                    return Err(Error::NoLogProbabilities { url: self.url.clone() });
                }
                Ok(received)
            });
            match received {
                Ok(received) => {
                    reply.usage += received.usage;
                    reply.samples.extend(received.samples);
                }
                Err(error) if have == 0 => return Err(error),
                Err(reason) => {
                    let (obtained, reason) = (Box::new(reply), Box::new(reason));
                    return Err(Error::Incomplete { obtained, wanted: request.samples, reason });
                }
            }
        }
    }
}

impl Model for Endpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        let next = AtomicUsize::new(0);
        let ended: Mutex<Option<Error>> = Mutex::default();
        // Found out once, before many requests are sent in vain.
        let wanted = requests.iter().any(|request| request.log_probabilities.is_some());
        let log_probabilities = if wanted { self.log_probabilities() } else { Ok(()) };
        let one = |position: usize| {
            if let Some(error) = &*lock(&ended) {
                return Err(error.clone());
            }
            let request = &requests[position];
            let refused = request.log_probabilities.and_then(|_| log_probabilities.clone().err());
            let outcome = match refused {
                Some(error) => Err(error),
                None => request.validate().and_then(|()| self.answer_one(request)),
            };
            if let Err(error) = &outcome
                && error.concerns_all()
            {
                lock(&ended).get_or_insert_with(|| error.root().clone());
            }
            outcome
        };
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..(self.options.concurrency as usize).min(requests.len()) {
                let (sender, next, one) = (sender.clone(), &next, &one);
                scope.spawn(move || {
                    loop {
                        let position = next.fetch_add(1, Ordering::Relaxed);
                        if position >= requests.len() || sender.send((position, one(position))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for (position, outcome) in receiver {
                arrived(position, outcome);
            }
        });
    }
}

/// What is behind these locks is whole at every moment, even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
