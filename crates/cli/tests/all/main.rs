//! All integration tests of this crate, one binary: they call the built `backstitch` as a user does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

#[cfg(unix)]
mod continual_dp_state;
#[cfg(feature = "in-process")]
mod embedded;
mod exit_codes;
mod generated;
#[cfg(unix)]
mod kill;
mod loopback;
mod reproduce;
mod run_block_descent;
mod run_causal_minimax;
#[cfg(feature = "continual")]
mod run_cuber;
#[cfg(feature = "science")]
mod run_deep_xva;
mod run_ef21_w;
#[cfg(feature = "compress")]
mod run_flexround;
mod run_fobar;
#[cfg(feature = "graph")]
mod run_forward_gnn;
mod run_language;
mod run_lipschitz;
mod run_locality;
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod run_mpi;
mod run_negative_eigenvalues;
mod run_others;
mod run_penalty_bilevel;
mod run_probtree;
mod run_scale_mixture_nngp;
mod run_schedule_refinement;
mod run_textgrad;
mod run_topo;
mod run_weight_matching;
mod sandbox;
mod schemas;
mod snapshot;
mod streams;
mod verbs;
