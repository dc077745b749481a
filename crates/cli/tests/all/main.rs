//! All integration tests of this crate, one binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod generated;
#[cfg(unix)]
mod kill;
