//! The statistics wing of backstitch: topo.

pub mod error;
pub mod topo;

pub use error::Error;
