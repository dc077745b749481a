//! All integration tests of this crate, one binary.

mod corpus;
mod negative_eigenvalues;
mod negative_eigenvalues_files;

#[global_allocator]
static ALLOCATOR: backstitch_nn::MiMalloc = backstitch_nn::MiMalloc;
