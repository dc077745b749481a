//! Where an endpoint is and how it is asked.

use std::net::IpAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use crate::error::Error;

/// Longest deadline.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Most requests at a time: each has a thread.
const MOST_CONCURRENCY: u32 = 1024;

/// Which interface of the server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// `/chat/completions`: the server puts the messages into the form its model was trained on.
    Chat,
    /// `/completions`: the model continues the text as it stands.
    Completions,
}

impl EndpointKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
        }
    }
}

/// Where an endpoint is and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointOptions {
    /// Its address up to `/chat/completions`, such as `http://localhost:8000/v1`.
    pub base: String,
    /// Name of the model there.
    pub model: String,
    /// The interface; chat.
    pub kind: EndpointKind,
    /// Requests at a time, 1 to 1024; 8.
    pub concurrency: u32,
    /// Attempts per call where another one can succeed, at least one; 5. An answer that cannot be used, and was paid for,
    /// is asked for again once only.
    pub attempts: u32,
    /// Pause before the second attempt, where the server does not say how long; it doubles with each further one; half a second.
    pub first_pause: Duration,
    /// Longest time for one call, all attempts, pauses and the whole answer together, at most a day; 10 minutes.
    pub deadline: Duration,
    /// Longest wait for a connection; 10 s.
    pub connect_timeout: Duration,
    /// Largest answer in bytes; 64 MiB. (40 samples of 256 tokens with 5 alternatives each are about 6 MB.)
    pub max_reply_bytes: u64,
}

impl EndpointOptions {
    /// A model on a server, with the defaults above.
    pub fn new(base: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            model: model.into(),
            kind: EndpointKind::Chat,
            concurrency: 8,
            attempts: 5,
            first_pause: Duration::from_millis(500),
            deadline: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            max_reply_bytes: 64 << 20,
        }
    }

    /// Checks the ranges given at the fields, and gives the base address in its one form.
    pub(super) fn validate(&self) -> Result<String, Error> {
        let base = self.checked_base()?;
        if self.model.trim().is_empty() {
            return Err(Error::Parameter {
                name: "the model",
                value: "empty".into(),
                allowed: "a name that the server knows".into(),
                way_out: "most servers list their models under /models",
            });
        }
        let counts = [
            (
                "concurrency",
                self.concurrency,
                MOST_CONCURRENCY,
                "8 is a start; a server that batches likes 64",
            ),
            ("attempts", self.attempts, u32::MAX, "1 never repeats a request"),
        ];
        for (name, value, most, way_out) in counts {
            if !(1..=most).contains(&value) {
                let (value, allowed) = (value.to_string(), format!("1 to {most}"));
                return Err(Error::Parameter { name, value, allowed, way_out });
            }
        }
        for (name, time) in [("the deadline", self.deadline), ("the connect timeout", self.connect_timeout)] {
            if time.is_zero() || time > LONGEST {
                let (value, allowed) =
                    (format!("{} s", time.as_secs_f64()), "above 0 s and at most a day".into());
                return Err(Error::Parameter { name, value, allowed, way_out: "give it some seconds" });
            }
        }
        Ok(base)
    }

    fn checked_base(&self) -> Result<String, Error> {
        let refuse = |value: String| Error::Parameter {
            name: "the base address",
            value,
            allowed: "an http or https address of a host, without a user name, query or fragment".into(),
            way_out: "give one such as http://localhost:8000/v1, and the key by an environment variable",
        };
        if self.base.contains(['@', '?', '#']) {
            // What stands there may be a password or a key, so it is not shown.
            return Err(refuse("an address with a user name, a query or a fragment".into()));
        }
        let uri: Uri = self.base.parse().map_err(|_| refuse(format!("{:?}", self.base)))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(refuse(format!("{:?}", self.base)));
        }
        let base = self.base.trim_end_matches('/');
        // Pasting the whole address is common.
        let base = base.strip_suffix("/completions").unwrap_or(base);
        Ok(base.strip_suffix("/chat").unwrap_or(base).to_owned())
    }

    pub(super) fn agent(&self) -> Agent {
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("backstitch/", env!("CARGO_PKG_VERSION")))
            // Another host must not get the key.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(self.connect_timeout))
            .max_idle_connections(self.concurrency as usize)
            .max_idle_connections_per_host(self.concurrency as usize);
        if is_this_machine(&self.base) {
            // A proxy would look for the server on its own machine.
            agent = agent.proxy(None);
        }
        agent.build().into()
    }
}

fn is_this_machine(base: &str) -> bool {
    let host = base.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
