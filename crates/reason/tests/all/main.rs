//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod fobar;
mod fobar_masks;
mod fobar_score;
mod fobar_vectors;
mod scripted;
