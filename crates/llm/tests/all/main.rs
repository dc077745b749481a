//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "what tests share is a part of tests")]

mod answers;
mod budget;
mod cache;
mod corpus;
mod faults;
#[cfg(feature = "in-process")]
mod in_process;
mod paper_rules;
mod questions;
mod recording;
mod requests;
mod scene;
mod secrets;
mod server;
mod throughput;
