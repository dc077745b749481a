//! The networks wing of backstitch: exact-permutations.

pub mod error;
pub mod exact_permutations;

pub use error::Error;
