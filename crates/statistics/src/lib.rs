//! The statistics wing of backstitch: topo, causal-minimax, scale-mixture-nngp, continual-dp.

pub mod causal_minimax;
pub mod continual_dp;
pub mod error;
mod minimise;
pub mod scale_mixture_nngp;
pub mod topo;

pub use error::Error;
