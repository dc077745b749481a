//! The continual wing of backstitch: cuber.

pub mod cuber;
pub mod error;

pub use error::Error;
