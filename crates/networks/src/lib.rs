//! The networks wing of backstitch: weight-matching, lipschitz, exact-permutations.

pub mod error;
pub mod exact_permutations;
pub mod lipschitz;
pub mod weight_matching;

pub use error::Error;
