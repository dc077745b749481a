//! All integration tests of this crate, one binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod judging;
mod running;
mod toy;
