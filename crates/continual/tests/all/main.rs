//! Tests of the continual wing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod cuber;
mod cuber_files;
