//! The networks wing of backstitch: lipschitz, exact-permutations.

pub mod error;
pub mod exact_permutations;
pub mod lipschitz;

pub use error::Error;
