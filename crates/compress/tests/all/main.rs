//! Tests of the compress wing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod flexround;
mod flexround_decoders;
mod flexround_files;
mod flexround_networks;
