//! Errors as the user sees them, and exit codes.

use backstitch_claim::{RunError, shelf};

use crate::terminal;

/// Done; every claim that ran holds (or smoke scale).
pub(crate) const EXIT_DONE: i32 = 0;
/// Ran, and some claim fails.
pub(crate) const EXIT_CLAIM_FAILS: i32 = 1;
/// Wrong usage or input.
pub(crate) const EXIT_USAGE: i32 = 2;
/// Nothing decided: every claim is inconclusive, vacuous or not run.
pub(crate) const EXIT_UNDECIDED: i32 = 3;
/// Internal error.
pub(crate) const EXIT_INTERNAL: i32 = 4;
/// Interrupted; can be continued.
pub(crate) const EXIT_INTERRUPTED: i32 = 130;

/// Why a command ended without doing what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit_code: i32,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// The user's input is wrong.
    pub(crate) fn input(message: impl std::fmt::Display) -> Self {
        Self { exit_code: EXIT_USAGE, message: message.to_string(), hint: None }
    }

    /// Something that should not happen.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self { exit_code: EXIT_INTERNAL, message: message.to_string(), hint: None }
    }

    /// With a way out.
    pub(crate) fn hint(mut self, hint: impl std::fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// With a way out, if there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// No method of that name, or none in this build.
    pub(crate) fn unknown_method(name: &str) -> Self {
        match shelf::find(name) {
            Some(entry) if entry.state == shelf::State::Planned => {
                Self::input(format!("`{name}` is on the shelf, but there is no study of it yet"))
                    .hint("`backstitch list` shows what is built")
            }
            Some(entry) => Self::input(format!("this build does not contain `{name}`"))
                .hint(format!("build with `--features {}`", entry.family.name())),
            None => {
                let failure = Self::input(format!("there is no method `{name}`"));
                match shelf::nearest(name) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure.hint("`backstitch list` shows all methods"),
                }
            }
        }
    }

    /// Says it on standard error.
    pub(crate) fn print(&self) {
        terminal::say(format_args!("error: {}", self.message));
        if let Some(hint) = &self.hint {
            terminal::say(format_args!("hint: {hint}"));
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let failure = Self::input(&error);
        match &error {
            RunError::Other(..) => {
                failure.hint("give another --out, or leave it out to get a directory of its own")
            }
            RunError::Busy(_) => {
                failure.hint("wait for the other process, or end it; the run continues where it was")
            }
            RunError::File(..) | RunError::Malformed(..) | RunError::Configuration(_) => failure,
        }
    }
}
