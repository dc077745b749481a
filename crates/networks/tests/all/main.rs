//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod exact_permutations;
mod exact_permutations_networks;
mod exact_permutations_vectors;
mod lipschitz;
mod lipschitz_models;
mod weight_matching;
mod weight_matching_decoders;
mod weight_matching_files;
