//! The statistics wing of backstitch: topo, continual-dp.

pub mod continual_dp;
pub mod error;
pub mod topo;

pub use error::Error;
