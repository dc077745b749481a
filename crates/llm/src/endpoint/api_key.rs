//! The key of an account: read from the environment, sent to the server, and shown nowhere.

use std::env::{self, VarError};
use std::fmt;

use ureq::http::HeaderValue;

use crate::error::Error;

/// Shorter keys are placeholders such as `none`; taking them out of texts would spoil the texts.
const SHORTEST_SECRET: usize = 8;

/// A key. `Debug` does not show it, and nothing writes it anywhere.
#[derive(Clone)]
pub struct ApiKey {
    secret: String,
    header: HeaderValue,
}

impl ApiKey {
    /// The key in an environment variable, or `None` if the variable is not set or empty.
    ///
    /// # Errors
    /// [`Error::ApiKey`] if it cannot stand in a header.
    pub fn from_environment(variable: &str) -> Result<Option<Self>, Error> {
        Self::from_lookup(variable, |name| match env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            // Refused below, without showing it.
            Err(VarError::NotUnicode(_)) => Some("\u{fffd}".into()),
        })
    }

    /// The same with another source of variables than the environment of this process.
    ///
    /// # Errors
    /// As [`ApiKey::from_environment`].
    pub fn from_lookup(
        variable: &str,
        lookup: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let Some(value) = lookup(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        let header = HeaderValue::try_from(format!("Bearer {value}")).ok();
        let graphic = value.bytes().all(|byte| byte.is_ascii_graphic());
        let Some(mut header) = header.filter(|_| graphic) else {
            let problem = "has characters other than visible ASCII ones";
            return Err(Error::ApiKey { variable: variable.into(), problem });
        };
        header.set_sensitive(true);
        Ok(Some(Self { secret: value, header }))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text without the key: some servers repeat it in what they answer.
    pub(super) fn redact(&self, text: String) -> String {
        if self.secret.len() >= SHORTEST_SECRET && text.contains(&self.secret) {
            return text.replace(&self.secret, "[key]");
        }
        text
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey([key])")
    }
}
