//! An endpoint on a fault server, with a cache and a budget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backstitch_llm::{
    Budget, Cache, Endpoint, EndpointOptions, Error, Limits, Model, Prices, Reply, Request, Spent, Stored,
};

use crate::server::{Answer, Asked, Server};

/// A millionth for a token read, two for a token written.
pub(crate) const PRICES: Prices = Prices { prompt: 1.0, completion: 2.0 };

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) model: Stored<Endpoint, Cache>,
    deadline: Duration,
    _folder: tempfile::TempDir,
}

/// What a scene is expected to come to.
pub(crate) struct Expected {
    /// HTTP requests.
    pub(crate) requests: usize,
    /// Tokens that are counted, read and written.
    pub(crate) tokens: (u64, u64),
    /// Samples in the cache.
    pub(crate) cached: u32,
}

impl Scene {
    pub(crate) fn new(answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(|_| {}, Limits::default(), answer)
    }

    pub(crate) fn with(
        change: impl FnOnce(&mut EndpointOptions),
        limits: Limits,
        answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let server = Server::start(answer);
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = options(&server.base);
        change(&mut options);
        let deadline = options.deadline;
        let budget = Arc::new(Budget::new(limits, Some(PRICES)).expect("a budget"));
        let endpoint = Endpoint::new(options, None, budget).expect("an endpoint");
        let cache = Cache::open(&folder.path().join("replies.sqlite")).expect("a cache");
        Self { server, model: Stored::new(endpoint, cache), deadline, _folder: folder }
    }

    /// The outcome of one request, within its deadline.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request) -> Result<Reply, Error> {
        let start = Instant::now();
        let outcome = self.model.complete(std::slice::from_ref(request)).pop().expect("one outcome");
        // One second for a busy machine.
        assert!(start.elapsed() <= self.deadline + Duration::from_secs(1), "{:?}", start.elapsed());
        outcome
    }

    pub(crate) fn spent(&self) -> Spent {
        self.model.model().budget().spent()
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: Expected) {
        let spent = self.spent();
        assert_eq!(self.server.asked().len(), expected.requests, "requests that arrived");
        assert_eq!(spent.requests as usize, expected.requests, "requests that were counted");
        let (read, written) = expected.tokens;
        assert_eq!((spent.usage.prompt_tokens, spent.usage.completion_tokens), (read, written), "tokens");
        assert_eq!(spent.cost, Some((read + 2 * written) as f64 / 1e6), "money");
        let cached: u32 =
            self.model.store().entries().expect("a cache").iter().map(|entry| entry.samples).sum();
        assert_eq!(cached, expected.cached, "samples in the cache");
    }
}

pub(crate) fn options(base: &str) -> EndpointOptions {
    EndpointOptions {
        first_pause: Duration::from_millis(1),
        deadline: Duration::from_secs(10),
        ..EndpointOptions::new(base, "toy")
    }
}

pub(crate) fn question() -> Request {
    Request { temperature: 0.7, max_tokens: 50, ..Request::user("What is 2 + 2?") }
}

pub(crate) fn texts(reply: &Reply) -> Vec<&str> {
    reply.samples.iter().map(|sample| sample.text.as_str()).collect()
}
