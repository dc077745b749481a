//! One call: a request is sent until it is answered, cannot succeed, or its time is over.

use std::io::Read;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use backstitch_data::download::can_succeed;
use serde_json::Value;
use ureq::http::{HeaderMap, header};
use ureq::{Body, Timeout};

use super::refusal::{self, Refusal, message_in, shortened};
use super::{Endpoint, lock, wire};
use crate::budget::most_tokens;
use crate::error::Error;
use crate::reply::{Sample, Usage};
use crate::request::Request;

/// Longest pause that back-off comes to by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Answers that cannot be used are paid for, and often come again.
const MOST_UNUSABLE: u32 = 2;

/// What a call brings: at least one sample.
pub(super) struct Received {
    pub(super) samples: Vec<Sample>,
    pub(super) usage: Usage,
}

/// Why an attempt brought nothing.
enum Failure {
    /// Another attempt can succeed, after the pause that the server asks for.
    Again { error: Error, pause: Option<Duration> },
    /// The answer cannot be used.
    Unusable(Error),
    /// The server refuses fields that can be done without. They are remembered.
    Without,
    /// No other attempt can succeed.
    Never(Error),
}

impl Endpoint {
    /// One call. It brings between one and all of the samples asked for.
    pub(super) fn call(&self, request: &Request) -> Result<Received, Error> {
        let mut clock = Clock::new(self);
        let mut pause = self.options.first_pause;
        let mut unusable = 0;
        loop {
            clock.attempts += 1;
            let (error, wanted) = match self.attempt(request, &clock) {
                Ok(received) => return Ok(received),
                Err(Failure::Never(error)) => return Err(error),
                Err(Failure::Without) => {
                    // Only fields that were sent are refused, so this comes to an end. It is not a failed attempt.
                    clock.attempts -= 1;
                    continue;
                }
                Err(Failure::Unusable(error)) => {
                    unusable += 1;
                    if unusable >= MOST_UNUSABLE {
                        return Err(error);
                    }
                    (error, None)
                }
                Err(Failure::Again { error, pause }) => (error, pause),
            };
            let wait = wanted.unwrap_or(pause.min(LONGEST_PAUSE));
            if clock.attempts >= self.options.attempts {
                return Err(error);
            }
            if wait >= clock.left() {
                return Err(clock.too_long(error, wait));
            }
            if wanted.is_some() {
                // What the server asks of one request, it asks of all.
                let until = Instant::now() + wait;
                let mut hold = lock(&self.hold);
                *hold = Some(hold.map_or(until, |hold| hold.max(until)));
            }
            clock.last = Some(error.to_string());
            sleep(wait);
            pause = pause.saturating_mul(2);
        }
    }

    /// Waits while the server wants no requests.
    fn wait(&self, clock: &Clock) -> Result<(), Failure> {
        loop {
            let hold = *lock(&self.hold);
            let Some(wait) = hold.and_then(|hold| hold.checked_duration_since(Instant::now())) else {
                return Ok(());
            };
            if wait.is_zero() {
                return Ok(());
            }
            if wait >= clock.left() {
                sleep(clock.left());
                return Err(Failure::Never(clock.over()));
            }
            sleep(wait);
        }
    }

    /// One HTTP request.
    fn attempt(&self, request: &Request, clock: &Clock) -> Result<Received, Failure> {
        self.wait(clock)?;
        let body = wire::body(self.options.kind, &self.options.model, request, &lock(&self.refused));
        let admission = self.budget.admit(most_tokens(request)).map_err(Failure::Never)?;
        let (status, pause, text) = self.exchange(&Value::from(body.clone()).to_string(), clock)?;
        if !(200..300).contains(&status) {
            return Err(match refusal::read(&self.url, status, &text, &body, clock.attempts) {
                Refusal::Again(error) => Failure::Again { error, pause },
                Refusal::Without(fields) => {
                    lock(&self.refused).extend(fields);
                    Failure::Without
                }
                Refusal::Never(error) => Failure::Never(error),
            });
        }
        let Ok(json) = serde_json::from_str::<Value>(&text) else {
            return Err(self.not_json(&text, clock));
        };
        let answer = wire::read(&json, request);
        let written = text.len() as u64;
        match answer.samples {
            Ok(samples) => {
                let most = most_tokens(request);
                // A token has at least a byte; one more ends a sample.
                let bytes = samples.iter().map(|sample| sample.text.len() as u64 + 1).sum::<u64>();
                let completion_tokens = most.completion_tokens.min(bytes);
                let usage = admission.count(answer.usage, Usage { completion_tokens, ..most });
                Ok(Received { samples, usage })
            }
            Err(problem) => {
                // An error that was given the status of a success costs nothing, unless the server says otherwise.
                if let Some(usage) = answer.usage {
                    admission.count(Some(usage), usage);
                }
                let problem = match message_in(&json) {
                    Some(message) => format!("it holds an error: {}", shortened(&message)),
                    None => format!("{problem} ({written} bytes)"),
                };
                let (url, attempts) = (self.url.clone(), clock.attempts);
                Err(Failure::Unusable(Error::Unusable { url, problem, attempts }))
            }
        }
    }

    /// Sends a body and gives the status, the pause asked for, and the text that came back, without the key.
    fn exchange(&self, body: &str, clock: &Clock) -> Result<(u16, Option<Duration>, String), Failure> {
        let left = clock.left();
        if left.is_zero() {
            return Err(Failure::Never(clock.over()));
        }
        let mut post = self.agent.post(&self.url).config().timeout_global(Some(left)).build();
        post = post.header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            post = post.header(header::AUTHORIZATION, key.header());
        }
        let mut response = post.send(body).map_err(|error| self.broken(&error, clock))?;
        let pause = retry_after(response.headers());
        let text = self.text(response.body_mut(), clock)?;
        Ok((response.status().as_u16(), pause, text))
    }

    fn text(&self, body: &mut Body, clock: &Clock) -> Result<String, Failure> {
        let limit = self.options.max_reply_bytes;
        let mut bytes = Vec::new();
        let mut reader = body.as_reader().take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(|error| self.broken(&ureq::Error::from(error), clock))?;
        if bytes.len() as u64 > limit {
            return Err(Failure::Never(Error::TooLarge { url: self.url.clone(), limit }));
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(match &self.key {
            Some(key) => key.redact(text),
            None => text,
        })
    }

    fn broken(&self, error: &ureq::Error, clock: &Clock) -> Failure {
        if matches!(error, ureq::Error::Timeout(Timeout::Global)) {
            return Failure::Never(clock.over());
        }
        let reason = match error {
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        let permanent = !can_succeed(error);
        let (url, attempts) = (self.url.clone(), clock.attempts);
        let error = Error::Unreachable { url, reason, attempts, permanent };
        if permanent { Failure::Never(error) } else { Failure::Again { error, pause: None } }
    }

    fn not_json(&self, text: &str, clock: &Clock) -> Failure {
        let url = self.url.clone();
        let text = text.trim();
        if text.is_empty() || text.starts_with(['{', '[']) {
            let problem = format!("it is empty, cut off or not JSON ({} bytes)", text.len());
            return Failure::Unusable(Error::Unusable { url, problem, attempts: clock.attempts });
        }
        let found = format!("success, but no JSON: {}", shortened(text));
        Failure::Never(Error::NotAnEndpoint { url, found })
    }
}

/// The time of a call.
struct Clock<'a> {
    endpoint: &'a Endpoint,
    /// Of the call, or of the budget if that comes first.
    deadline: Instant,
    attempts: u32,
    /// What went wrong in the attempt before.
    last: Option<String>,
}

impl<'a> Clock<'a> {
    fn new(endpoint: &'a Endpoint) -> Self {
        let deadline = Instant::now() + endpoint.options.deadline;
        let deadline = endpoint.budget.end().map_or(deadline, |end| end.min(deadline));
        Self { endpoint, deadline, attempts: 0, last: None }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The time is over: that of the budget, or that of the call.
    fn over(&self) -> Error {
        if self.endpoint.budget.end().is_some_and(|end| end <= self.deadline) {
            return self.endpoint.budget.over_time();
        }
        Error::Deadline {
            url: self.endpoint.url.clone(),
            seconds: self.endpoint.options.deadline.as_secs_f64(),
            attempts: self.attempts,
            last: self.last.clone(),
        }
    }

    /// The pause before the next attempt would take longer than there is time.
    fn too_long(&self, error: Error, wait: Duration) -> Error {
        match error {
            Error::Status { url, status, message, attempts } => {
                let left = self.left().as_secs_f64();
                let message = format!(
                    "{message}; the next attempt would be in {} s, and {left:.1} s are left",
                    wait.as_secs_f64()
                );
                Error::Status { url, status, message, attempts }
            }
            error => error,
        }
    }
}

/// The pause that a server asks for, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(seconds_of_date(text)?).saturating_sub(since_epoch))
}

/// Seconds from 1970 to a date as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split(", ").nth(1)?.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let time: Vec<u64> = words.next()?.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let &[hours, minutes, seconds] = time.as_slice() else { return None };
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Years begin in March, so that a leap day is the last of its year.
    let (shifted, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * months + 2) / 5 + day - 1;
    // 719,468 of these days lie before 1970.
    Some(((days - 719_468) * 24 + hours) * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::seconds_of_date;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(seconds_of_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        // The example of RFC 9110, section 5.6.7.
        assert_eq!(seconds_of_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of_date("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for broken in [
            "",
            "soon",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49",
            "Sun, 06 Now 1994 1:1:1 GMT",
        ] {
            assert_eq!(seconds_of_date(broken), None, "{broken}");
        }
    }
}
