//! All integration tests of this crate, one binary.

mod answers;
mod budget;
mod cache;
mod faults;
mod paper_rules;
mod recording;
mod requests;
mod scene;
mod secrets;
mod server;
mod throughput;
