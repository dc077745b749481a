//! The sequence wing of backstitch: negative-eigenvalues.

pub mod error;
pub mod negative_eigenvalues;

pub use error::Error;
