//! The experiments of backstitch: one file per method, and the table that names them.
//!
//! A study uses only the public API of its method. See `backstitch_claim` for the contract.

#[cfg(feature = "language")]
mod answers;
pub mod bench;
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
#[cfg(feature = "reason")]
mod embedded;
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
pub mod textgrad;
#[cfg(feature = "statistics")]
pub mod topo;
#[cfg(any(feature = "language", feature = "sequence"))]
mod training;
#[cfg(feature = "networks")]
pub mod weight_matching;

use backstitch_claim::{Card, Study};

use bench::Bench;

/// A method as the command line knows it.
#[derive(Clone, Copy)]
pub struct Method {
    /// Its card.
    pub card: &'static Card,
    /// Its study.
    pub study: &'static Study,
    /// Its bench.
    pub bench: &'static Bench,
}

/// The methods of this build, in the order of the shelf.
pub const METHODS: &[Method] = &[
    #[cfg(feature = "reason")]
    Method {
        card: &backstitch_reason::probtree::CARD,
        study: &probtree::STUDY,
        bench: &bench::probtree::BENCH,
    },
    #[cfg(feature = "reason")]
    Method { card: &backstitch_reason::fobar::CARD, study: &fobar::STUDY, bench: &bench::fobar::BENCH },
    #[cfg(feature = "reason")]
    Method {
        card: &backstitch_reason::textgrad::CARD,
        study: &textgrad::STUDY,
        bench: &bench::textgrad::BENCH,
    },
    #[cfg(feature = "language")]
    Method { card: &backstitch_language::spt::CARD, study: &spt::STUDY, bench: &bench::spt::BENCH },
    #[cfg(feature = "language")]
    Method {
        card: &backstitch_language::reversal_curse::CARD,
        study: &reversal_curse::STUDY,
        bench: &bench::reversal_curse::BENCH,
    },
    #[cfg(feature = "language")]
    Method {
        card: &backstitch_language::locality::CARD,
        study: &locality::STUDY,
        bench: &bench::locality::BENCH,
    },
    #[cfg(feature = "sequence")]
    Method {
        card: &backstitch_sequence::negative_eigenvalues::CARD,
        study: &negative_eigenvalues::STUDY,
        bench: &bench::negative_eigenvalues::BENCH,
    },
    #[cfg(feature = "compress")]
    Method {
        card: &backstitch_compress::flexround::CARD,
        study: &flexround::STUDY,
        bench: &bench::flexround::BENCH,
    },
    #[cfg(feature = "optimize")]
    Method { card: &backstitch_optimize::ef21_w::CARD, study: &ef21_w::STUDY, bench: &bench::ef21_w::BENCH },
    #[cfg(feature = "optimize")]
    Method {
        card: &backstitch_optimize::penalty_bilevel::CARD,
        study: &penalty_bilevel::STUDY,
        bench: &bench::penalty_bilevel::BENCH,
    },
    #[cfg(feature = "optimize")]
    Method {
        card: &backstitch_optimize::block_descent::CARD,
        study: &block_descent::STUDY,
        bench: &bench::block_descent::BENCH,
    },
    #[cfg(feature = "optimize")]
    Method {
        card: &backstitch_optimize::schedule_refinement::CARD,
        study: &schedule_refinement::STUDY,
        bench: &bench::schedule_refinement::BENCH,
    },
    #[cfg(feature = "graph")]
    Method {
        card: &backstitch_graph::forward_gnn::CARD,
        study: &forward_gnn::STUDY,
        bench: &bench::forward_gnn::BENCH,
    },
    #[cfg(feature = "continual")]
    Method { card: &backstitch_continual::cuber::CARD, study: &cuber::STUDY, bench: &bench::cuber::BENCH },
    #[cfg(feature = "statistics")]
    Method { card: &backstitch_statistics::topo::CARD, study: &topo::STUDY, bench: &bench::topo::BENCH },
    #[cfg(feature = "statistics")]
    Method {
        card: &backstitch_statistics::causal_minimax::CARD,
        study: &causal_minimax::STUDY,
        bench: &bench::causal_minimax::BENCH,
    },
    #[cfg(feature = "statistics")]
    Method {
        card: &backstitch_statistics::scale_mixture_nngp::CARD,
        study: &scale_mixture_nngp::STUDY,
        bench: &bench::scale_mixture_nngp::BENCH,
    },
    #[cfg(feature = "statistics")]
    Method {
        card: &backstitch_statistics::continual_dp::CARD,
        study: &continual_dp::STUDY,
        bench: &bench::continual_dp::BENCH,
    },
    #[cfg(feature = "networks")]
    Method {
        card: &backstitch_networks::weight_matching::CARD,
        study: &weight_matching::STUDY,
        bench: &bench::weight_matching::BENCH,
    },
    #[cfg(feature = "networks")]
    Method {
        card: &backstitch_networks::lipschitz::CARD,
        study: &lipschitz::STUDY,
        bench: &bench::lipschitz::BENCH,
    },
    #[cfg(feature = "networks")]
    Method {
        card: &backstitch_networks::exact_permutations::CARD,
        study: &exact_permutations::STUDY,
        bench: &bench::exact_permutations::BENCH,
    },
    #[cfg(feature = "science")]
    Method {
        card: &backstitch_science::deep_xva::CARD,
        study: &deep_xva::STUDY,
        bench: &bench::deep_xva::BENCH,
    },
];

/// The method of a name, if this build contains it.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.study.method == name)
}
