//! Hard limits on requests, cost and time, and what a run would take.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::reply::Usage;
use crate::request::Request;

/// Tokens that a server may put around each piece of a prompt.
const TOKENS_AROUND: u64 = 16;

/// Hard limits. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Most HTTP requests sent, repeated ones and the probe among them.
    pub requests: Option<u64>,
    /// Most cost, in the currency of the prices.
    pub cost: Option<f64>,
    /// Most seconds from the making of the budget.
    pub seconds: Option<f64>,
}

/// Prices per million tokens, in any currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Of tokens read.
    pub prompt: f64,
    /// Of tokens written.
    pub completion: f64,
}

impl Prices {
    /// What so many tokens cost.
    pub fn cost(&self, usage: Usage) -> f64 {
        (usage.prompt_tokens as f64 * self.prompt + usage.completion_tokens as f64 * self.completion) / 1e6
    }
}

/// What has been spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// HTTP requests sent.
    pub requests: u64,
    /// Tokens, as the server counts them. Where it does not, the bytes of prompt and samples are an upper bound.
    pub usage: Usage,
    /// Cost of all these tokens; `None` without prices.
    pub cost: Option<f64>,
    /// Answers without a count of tokens.
    pub uncounted: u64,
}

/// A budget that all threads of an endpoint, and several endpoints, may share.
///
/// A request is sent only when the limits hold even if its answer is as long as it may be: prompt tokens are bounded by the
/// bytes of the prompt, completion tokens by `max_tokens` times samples. While other answers are on their way, a request
/// waits until it is known what they cost. What a server charges for an answer that never arrives, or that cannot be
/// read, is not known here and not counted.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    prices: Option<Prices>,
    start: Instant,
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    spent: Spent,
    /// Cost that the requests on their way may come to.
    reserved: f64,
    on_their_way: u64,
}

impl Budget {
    /// A budget; its time begins now.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a limit or a price that is negative or not finite, and for a limit of cost without prices.
    pub fn new(limits: Limits, prices: Option<Prices>) -> Result<Self, Error> {
        let amounts = [
            ("max_cost", limits.cost),
            ("max_seconds", limits.seconds),
            ("the price of prompt tokens", prices.map(|prices| prices.prompt)),
            ("the price of completion tokens", prices.map(|prices| prices.completion)),
        ];
        for (name, amount) in amounts {
            if let Some(amount) = amount
                && !(amount >= 0.0 && amount.is_finite())
            {
                let (value, allowed) = (amount.to_string(), "a finite number, at least 0".into());
                return Err(Error::Parameter { name, value, allowed, way_out: "leave it out for no limit" });
            }
        }
        if let (Some(cost), None) = (limits.cost, prices) {
            return Err(Error::Parameter {
                name: "max_cost",
                value: cost.to_string(),
                allowed: "given together with prices".into(),
                way_out: "give the prices per million tokens, or limit the requests instead",
            });
        }
        let spent = Spent { cost: prices.map(|_| 0.0), ..Spent::default() };
        let state = Mutex::new(State { spent, ..State::default() });
        Ok(Self { limits, prices, start: Instant::now(), state, settled: Condvar::new() })
    }

    /// No limits and no prices: counts only.
    pub fn unlimited() -> Self {
        let state = Mutex::new(State::default());
        let (limits, start) = (Limits::default(), Instant::now());
        Self { limits, prices: None, start, state, settled: Condvar::new() }
    }

    /// What has been spent so far.
    pub fn spent(&self) -> Spent {
        self.lock().spent
    }

    /// When the time is over, if it is limited.
    pub(crate) fn end(&self) -> Option<Instant> {
        // A limit beyond the clock's range is none.
        self.limits.seconds.and_then(|seconds| {
            Duration::try_from_secs_f64(seconds).ok().and_then(|length| self.start.checked_add(length))
        })
    }

    /// Lets one HTTP request pass, or says which limit it would break. `most` bounds its tokens. Waits for answers on their way where
    /// their cost decides.
    pub(crate) fn admit(&self, most: Usage) -> Result<Admission<'_>, Error> {
        let mut state = self.lock();
        loop {
            if let Some(admission) = self.admit_in(&mut state, most)? {
                return Ok(admission);
            }
            // Requests on their way have deadlines of their own.
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same without waiting: `None` where the cost of what is on its way decides.
    #[cfg(feature = "in-process")]
    pub(crate) fn admit_now(&self, most: Usage) -> Result<Option<Admission<'_>>, Error> {
        self.admit_in(&mut self.lock(), most)
    }

    fn admit_in(&self, state: &mut State, most: Usage) -> Result<Option<Admission<'_>>, Error> {
        if self.end().is_some_and(|end| Instant::now() >= end) {
            return Err(self.over_time());
        }
        if let Some(limit) = self.limits.requests
            && state.spent.requests >= limit
        {
            let spent = format!("{} requests were sent", state.spent.requests);
            return Err(Error::Spent { limit: format!("{limit} requests"), spent });
        }
        let cost = self.prices.map_or(0.0, |prices| prices.cost(most));
        if let Some(limit) = self.limits.cost {
            let known = state.spent.cost.unwrap_or(0.0);
            if known + state.reserved + cost > limit {
                if state.on_their_way > 0 {
                    return Ok(None);
                }
                let spent = format!("{known} was spent, and the next request may cost {cost}");
                return Err(Error::Spent { limit: format!("cost {limit}"), spent });
            }
        }
        state.spent.requests += 1;
        state.reserved += cost;
        state.on_their_way += 1;
        Ok(Some(Admission { budget: self, reserved: cost }))
    }

    pub(crate) fn over_time(&self) -> Error {
        let limit = format!("{} seconds", self.limits.seconds.unwrap_or_default());
        Error::Spent {
            limit,
            spent: format!("{:.1} seconds have passed", self.start.elapsed().as_secs_f64()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The counts are whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One HTTP request on its way. Dropped without [`Admission::count`], it has cost nothing that is known.
pub(crate) struct Admission<'a> {
    budget: &'a Budget,
    reserved: f64,
}

impl Admission<'_> {
    /// Counts the tokens of an answer, once: those the server reports, or else the given bound.
    pub(crate) fn count(self, reported: Option<Usage>, bound: Usage) -> Usage {
        let usage = reported.unwrap_or(bound);
        let mut state = self.budget.lock();
        state.spent.usage += usage;
        state.spent.uncounted += u64::from(reported.is_none());
        // Of the sum, so that it does not depend on the order of the answers.
        state.spent.cost = self.budget.prices.map(|prices| prices.cost(state.spent.usage));
        usage
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.on_their_way -= 1;
        // Exact zero when nothing is on its way, whatever rounding left.
        state.reserved = if state.on_their_way == 0 { 0.0 } else { state.reserved - self.reserved };
        drop(state);
        self.budget.settled.notify_all();
    }
}

/// An upper bound of the tokens of a request: a token has at least one byte.
pub(crate) fn most_tokens(request: &Request) -> Usage {
    let prompt_tokens = request.text_pieces().map(|text| text.len() as u64 + TOKENS_AROUND).sum();
    Usage { prompt_tokens, completion_tokens: u64::from(request.max_tokens) * u64::from(request.samples) }
}

/// What requests would take, before any is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Requests, if the server gives all samples of one at once.
    pub requests: u64,
    /// Samples.
    pub samples: u64,
    /// Tokens: of the prompts about (a token per four bytes), of the samples at most.
    pub usage: Usage,
    /// Cost of these tokens; `None` without prices.
    pub cost: Option<f64>,
}

impl std::ops::Add for Estimate {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.usage += other.usage;
        Self {
            requests: self.requests + other.requests,
            samples: self.samples + other.samples,
            usage: self.usage,
            cost: self.cost.zip(other.cost).map(|(one, other)| one + other),
        }
    }
}

impl Estimate {
    /// What so many runs of the same would take.
    pub fn times(self, count: u64) -> Self {
        let usage = Usage {
            prompt_tokens: self.usage.prompt_tokens * count,
            completion_tokens: self.usage.completion_tokens * count,
        };
        let cost = self.cost.map(|cost| cost * count as f64);
        Self { requests: self.requests * count, samples: self.samples * count, usage, cost }
    }

    /// Seconds, if each request takes `seconds_per_request` and `concurrency` of them run at a time.
    pub fn seconds(&self, seconds_per_request: f64, concurrency: u32) -> f64 {
        self.requests.div_ceil(u64::from(concurrency.max(1))) as f64 * seconds_per_request
    }
}

/// What these requests would take. Leave out what is already there by [`crate::Stored::missing`].
pub fn estimate(requests: &[Request], prices: Option<Prices>) -> Estimate {
    let mut all = Estimate { requests: requests.len() as u64, ..Estimate::default() };
    for request in requests {
        all.samples += u64::from(request.samples);
        let prompt_tokens = request.text_pieces().map(|text| text.len().div_ceil(4) as u64).sum();
        all.usage += Usage { prompt_tokens, ..most_tokens(request) };
    }
    all.cost = prices.map(|prices| prices.cost(all.usage));
    all
}
