//! The science wing of backstitch: deep-xva.

pub mod deep_xva;
pub mod error;

pub use error::Error;
