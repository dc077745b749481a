//! The statistics wing of backstitch: topo, causal-minimax, continual-dp.

pub mod causal_minimax;
pub mod continual_dp;
pub mod error;
pub mod topo;

pub use error::Error;
