//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod corpus;
mod negative_eigenvalues;
mod negative_eigenvalues_files;

#[global_allocator]
static ALLOCATOR: backstitch_nn::MiMalloc = backstitch_nn::MiMalloc;
