//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod corpus;
mod facts;
mod locality;
mod locality_estimates;
mod reversal_curse;
mod spt;
mod train;
