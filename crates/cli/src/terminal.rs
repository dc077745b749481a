//! Where words go: standard output carries data, standard error talks.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use backstitch_claim::Verdict;

use crate::failure::Failure;

static VERBOSITY: AtomicU8 = AtomicU8::new(0);

/// How often `-v` was given.
pub(crate) fn set_verbosity(level: u8) {
    VERBOSITY.store(level, Ordering::Relaxed);
}

/// Whether `-v` was given.
pub(crate) fn verbose() -> bool {
    VERBOSITY.load(Ordering::Relaxed) > 0
}

/// Writes data. A reader that has gone away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_to_reader(text).map(|_| ())
}

/// Writes data, and says whether there was a reader for it.
pub(crate) fn print_to_reader(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::internal(error)),
    }
}

/// Talks on standard error. `eprintln!` panics when its reader has gone away (`2>&1 | head`); this does not.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes one value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::internal)?;
    print(&(text + "\n"))
}

/// Whether standard output takes colour.
pub(crate) fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stdout().is_terminal()
}

/// A verdict in its colour, padded to a column.
pub(crate) fn verdict(verdict: Verdict, width: usize) -> String {
    let word = format!("{:width$}", verdict.name());
    if !colour() {
        return word;
    }
    let code = match verdict {
        Verdict::Holds => "32",
        Verdict::Fails => "31",
        Verdict::Inconclusive => "33",
        Verdict::Vacuous => "35",
        Verdict::NotRun => "2",
    };
    format!("\x1b[{code}m{word}\x1b[0m")
}
