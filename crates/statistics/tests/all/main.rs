//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod causal_minimax;
mod causal_minimax_inputs;
mod continual_dp;
mod continual_dp_inputs;
mod continual_dp_noise;
mod corpus;
mod scale_mixture_nngp;
mod scale_mixture_nngp_classes;
mod scale_mixture_nngp_inputs;
mod scale_mixture_nngp_vectors;
mod topo;
mod topo_inputs;
mod topo_vectors;
