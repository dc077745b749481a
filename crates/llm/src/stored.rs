//! A model before which answers are kept: what is there is not asked again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use crate::error::Error;
use crate::key::{Canonical, Identity, Key};
use crate::model::Model;
use crate::reply::{Reply, Sample, Usage};
use crate::request::Request;

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::Cache {}
    impl Sealed for crate::Recording {}
    impl<S: Sealed> Sealed for std::sync::Arc<S> {}
}

/// Where samples are kept: a [`crate::Cache`] or a [`crate::Recording`].
pub trait Store: sealed::Sealed {
    /// The samples of a request with these indices, as far as they are there.
    ///
    /// # Errors
    /// The store cannot be read.
    fn find(&self, key: &Key, indices: RangeInclusive<u32>) -> Result<BTreeMap<u32, Sample>, Error>;

    /// Keeps samples from index `first` on, and gives those that are kept: if another process was first, its samples.
    ///
    /// # Errors
    /// The store cannot be written.
    #[doc(hidden)]
    fn keep(&self, request: &KeptRequest, first: u32, samples: Vec<Sample>) -> Result<Vec<Sample>, Error>;
}

/// Several models may keep their samples in the same place.
impl<S: Store> Store for Arc<S> {
    fn find(&self, key: &Key, indices: RangeInclusive<u32>) -> Result<BTreeMap<u32, Sample>, Error> {
        (**self).find(key, indices)
    }

    fn keep(&self, request: &KeptRequest, first: u32, samples: Vec<Sample>) -> Result<Vec<Sample>, Error> {
        (**self).keep(request, first, samples)
    }
}

/// A request in the form in which it is kept.
#[doc(hidden)]
#[derive(Debug)]
pub struct KeptRequest {
    pub(crate) key: Key,
    pub(crate) canonical: Canonical,
}

/// A model and the store before it.
///
/// Samples are kept one by one under the full request and their index, as soon as they arrive: a run that was killed
/// continues where it was, one with more samples adds to those that are there. The same request twice in a batch is asked
/// once. Tokens are counted in the reply that caused them, and in no other.
#[derive(Debug)]
pub struct Stored<M, S> {
    model: M,
    store: S,
}

/// What the requests of one key come to.
struct Group {
    request: KeptRequest,
    /// Positions in the batch.
    positions: Vec<usize>,
    /// Indices asked for.
    wanted: BTreeSet<u32>,
    samples: BTreeMap<u32, Sample>,
    /// Indices that were there before.
    found: Vec<u32>,
    /// Requests to the model that are not answered yet.
    open: usize,
    usage: Usage,
    error: Option<Error>,
}

impl<M: Model, S: Store> Stored<M, S> {
    /// A model behind a store.
    pub fn new(model: M, store: S) -> Self {
        Self { model, store }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// What these requests would ask of the model now: what is there, and what is asked twice, is left out.
    ///
    /// # Errors
    /// [`Error::Parameter`] of a request; the store cannot be read.
    pub fn missing(&self, requests: &[Request]) -> Result<Vec<Request>, Error> {
        requests.iter().try_for_each(Request::validate)?;
        let mut missing = Vec::new();
        for mut group in self.groups(requests) {
            group.look(&self.store)?;
            missing.extend(group.asks(&requests[group.positions[0]]));
        }
        Ok(missing)
    }

    /// Requests of the same key together, in the order of their first positions. Invalid requests are left out.
    fn groups(&self, requests: &[Request]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for (position, request) in requests.iter().enumerate() {
            if request.validate().is_err() {
                continue;
            }
            let canonical = Canonical::new(self.model.identity(), request);
            let key = canonical.key();
            let indices = range(request);
            if let Some(&place) = places.get(&key) {
                groups[place].positions.push(position);
                groups[place].wanted.extend(indices);
                continue;
            }
            places.insert(key.clone(), groups.len());
            groups.push(Group {
                request: KeptRequest { key, canonical },
                positions: vec![position],
                wanted: indices.collect(),
                samples: BTreeMap::new(),
                found: Vec::new(),
                open: 0,
                usage: Usage::default(),
                error: None,
            });
        }
        groups
    }
}

impl<M: Model, S: Store> Model for Stored<M, S> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        for (position, request) in requests.iter().enumerate() {
            if let Err(error) = request.validate() {
                arrived(position, Err(error));
            }
        }
        let mut waiting = Vec::new();
        let mut asks = Vec::new();
        for mut group in self.groups(requests) {
            if let Err(error) = group.look(&self.store) {
                group.error = Some(error);
                group.deliver(requests, arrived);
                continue;
            }
            let missing = group.asks(&requests[group.positions[0]]);
            if missing.is_empty() {
                group.deliver(requests, arrived);
                continue;
            }
            group.open = missing.len();
            asks.extend(missing.into_iter().map(|ask| (waiting.len(), ask)));
            waiting.push(group);
        }
        let (owners, asks): (Vec<usize>, Vec<Request>) = asks.into_iter().unzip();
        self.model.answer(&asks, &mut |number, outcome| {
            let group = &mut waiting[owners[number]];
            group.receive(asks[number].first_sample, outcome, &self.store);
            if group.open == 0 {
                group.deliver(requests, arrived);
            }
        });
    }
}

impl Group {
    /// Takes what is there.
    fn look(&mut self, store: &impl Store) -> Result<(), Error> {
        let (Some(&first), Some(&last)) = (self.wanted.first(), self.wanted.last()) else { return Ok(()) };
        self.samples = store.find(&self.request.key, first..=last)?;
        self.found = self.samples.keys().copied().collect();
        Ok(())
    }

    /// The requests for what is not there, a run of indices each.
    fn asks(&self, request: &Request) -> Vec<Request> {
        let mut asks: Vec<Request> = Vec::new();
        for &index in self.wanted.iter().filter(|index| !self.samples.contains_key(index)) {
            match asks.last_mut() {
                Some(last) if last.first_sample + last.samples == index => last.samples += 1,
                _ => asks.push(Request { first_sample: index, samples: 1, ..request.clone() }),
            }
        }
        asks
    }

    /// Keeps what a request to the model brought.
    fn receive(&mut self, first: u32, outcome: Result<Reply, Error>, store: &impl Store) {
        self.open -= 1;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Error::Incomplete { obtained, reason, .. }) => {
                self.error = Some(*reason);
                *obtained
            }
            Err(error) => {
                self.error = Some(error);
                return;
            }
        };
        self.usage += reply.usage;
        let samples = match store.keep(&self.request, first, reply.samples.clone()) {
            Ok(samples) => samples,
            Err(error) => {
                self.error = Some(error);
                reply.samples
            }
        };
        self.samples.extend((first..).zip(samples));
    }

    /// Hands over what each of its requests asked for.
    fn deliver(&mut self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        for &position in &self.positions {
            let wanted = range(&requests[position]);
            let samples: Vec<Sample> =
                wanted.clone().map_while(|index| self.samples.get(&index).cloned()).collect();
            let stored = self.found.iter().filter(|index| wanted.contains(index)).count() as u32;
            // Counted once.
            let reply = Reply { samples, usage: std::mem::take(&mut self.usage), stored };
            let complete = reply.samples.len() == wanted.len();
            let outcome = match &self.error {
                // What could not be kept is an error even where all is here: the next run would pay for it again.
                Some(error) if !complete || is_of_store(error) => Err(match reply.samples.len() {
                    0 => error.clone(),
                    _ => Error::Incomplete {
                        obtained: Box::new(reply),
                        wanted: wanted.len() as u32,
                        reason: Box::new(error.clone()),
                    },
                }),
                None if !complete => Err(Error::Unanswered),
                _ => Ok(reply),
            };
            arrived(position, outcome);
        }
    }
}

fn is_of_store(error: &Error) -> bool {
    matches!(error, Error::Cache { .. } | Error::Recording { .. })
}

fn range(request: &Request) -> Range<u32> {
    request.first_sample..request.first_sample + request.samples
}
