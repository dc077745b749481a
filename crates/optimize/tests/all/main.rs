//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod block_descent;
mod block_descent_vectors;
mod ef21_w;
mod ef21_w_vectors;
mod memory;
mod objective;
mod penalty_bilevel;
mod penalty_bilevel_vectors;
mod schedule_refinement;
mod schedule_refinement_vectors;
