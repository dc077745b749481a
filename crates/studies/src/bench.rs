//! The benches of the methods: the work, our side of it, and what it means that the answers agree.

#[cfg(feature = "optimize")]
pub mod block_descent;
#[cfg(feature = "statistics")]
pub mod causal_minimax;
#[cfg(feature = "statistics")]
pub mod continual_dp;
#[cfg(feature = "continual")]
pub mod cuber;
#[cfg(feature = "science")]
pub mod deep_xva;
#[cfg(feature = "optimize")]
pub mod ef21_w;
#[cfg(feature = "networks")]
pub mod exact_permutations;
#[cfg(feature = "compress")]
pub mod flexround;
#[cfg(feature = "reason")]
pub mod fobar;
#[cfg(feature = "graph")]
pub mod forward_gnn;
#[cfg(feature = "networks")]
pub mod lipschitz;
#[cfg(feature = "language")]
pub mod locality;
#[cfg(feature = "sequence")]
pub mod negative_eigenvalues;
#[cfg(feature = "language")]
pub mod nn;
#[cfg(feature = "optimize")]
pub mod penalty_bilevel;
#[cfg(feature = "reason")]
pub mod probtree;
#[cfg(feature = "language")]
pub mod reversal_curse;
#[cfg(feature = "statistics")]
pub mod scale_mixture_nngp;
#[cfg(feature = "optimize")]
pub mod schedule_refinement;
#[cfg(feature = "language")]
pub mod spt;
#[cfg(feature = "reason")]
mod stub_server;
#[cfg(feature = "reason")]
pub mod textgrad;
#[cfg(feature = "statistics")]
pub mod topo;
#[cfg(feature = "networks")]
pub mod weight_matching;

use std::path::Path;

use backstitch_claim::bench::Reply;
use serde_json::Value;

/// The bench of a method. Its peer is `peers/<method>.py`.
#[derive(Clone, Copy)]
pub struct Bench {
    /// Which Python environment the peer needs (`peers/setup <environment>`).
    pub environment: &'static str,
    /// The pieces of work, small to large; files they need are written to the folder.
    pub works: fn(&Path) -> Result<Vec<Work>, String>,
    /// Does a piece of work, timed, after a warm-up of its own where one is needed.
    pub ours: fn(&Value) -> Result<Reply, String>,
}

/// Benches of the ground floor, by name. The peer is `peers/<name>.py`.
pub const FLOORS: &[(&str, &Bench)] = &[
    #[cfg(feature = "language")]
    ("nn", &nn::BENCH),
];

/// One piece of work.
pub struct Work {
    /// What is done, with its size.
    pub name: String,
    /// The peer, if there is one for this.
    pub peer: Option<&'static str>,
    /// What both sides are asked.
    pub request: Value,
    /// Whether our answer is as good as the peer's, and both in words.
    pub compare: Compare,
}

/// Looks at our answer and, if there is one, the peer's.
pub type Compare = Box<dyn Fn(&Value, Option<&Value>) -> (bool, String)>;
