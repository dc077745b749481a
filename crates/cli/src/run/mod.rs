//! `backstitch run`: one file per method, from the user's file to the method and back.

#[cfg(feature = "reason")]
mod answers;
#[cfg(feature = "optimize")]
mod block_descent;
#[cfg(feature = "statistics")]
mod causal_minimax;
#[cfg(feature = "statistics")]
mod continual_dp;
#[cfg(feature = "continual")]
mod cuber;
#[cfg(feature = "science")]
mod deep_xva;
#[cfg(feature = "optimize")]
mod ef21_w;
#[cfg(feature = "networks")]
mod exact_permutations;
#[cfg(feature = "compress")]
mod flexround;
#[cfg(feature = "reason")]
mod fobar;
#[cfg(feature = "graph")]
mod forward_gnn;
#[cfg(feature = "reason")]
mod in_process;
#[cfg(feature = "reason")]
pub(crate) mod language_model;
#[cfg(feature = "language")]
mod learn;
#[cfg(feature = "networks")]
mod lipschitz;
#[cfg(feature = "language")]
mod locality;
#[cfg(any(feature = "graph", feature = "optimize", feature = "statistics"))]
mod model_file;
#[cfg(feature = "sequence")]
mod negative_eigenvalues;
#[cfg(any(
    feature = "compress",
    feature = "continual",
    feature = "graph",
    feature = "language",
    feature = "networks",
    feature = "optimize",
    feature = "reason",
    feature = "science",
    feature = "sequence",
    feature = "statistics"
))]
pub(crate) mod output;
#[cfg(feature = "optimize")]
mod penalty_bilevel;
#[cfg(feature = "reason")]
mod probtree;
#[cfg(feature = "reason")]
mod questions;
#[cfg(feature = "language")]
mod reversal_curse;
#[cfg(feature = "optimize")]
mod rows;
#[cfg(feature = "statistics")]
mod scale_mixture_nngp;
#[cfg(feature = "optimize")]
mod schedule_refinement;
#[cfg(feature = "language")]
mod spt;
#[cfg(feature = "reason")]
mod textgrad;
#[cfg(feature = "statistics")]
mod topo;
#[cfg(feature = "networks")]
mod weight_matching;

use clap::Subcommand;

use crate::arguments::Common;
use crate::failure::Failure;

/// The methods that can be run on the user's data.
#[derive(Debug, Subcommand)]
pub(crate) enum Method {
    #[cfg(feature = "reason")]
    #[command(name = "probtree", about = backstitch_reason::probtree::CARD.summary)]
    ProbTree(Box<probtree::ProbTreeArguments>),
    #[cfg(feature = "reason")]
    #[command(about = backstitch_reason::fobar::CARD.summary)]
    Fobar(Box<fobar::Fobar>),
    #[cfg(feature = "reason")]
    #[command(about = backstitch_reason::textgrad::CARD.summary)]
    Textgrad(textgrad::Textgrad),
    #[cfg(feature = "language")]
    #[command(about = backstitch_language::spt::CARD.summary)]
    Spt(spt::Spt),
    #[cfg(feature = "language")]
    #[command(about = backstitch_language::reversal_curse::CARD.summary)]
    ReversalCurse(reversal_curse::ReversalCurse),
    #[cfg(feature = "language")]
    #[command(about = backstitch_language::locality::CARD.summary)]
    Locality(locality::Locality),
    #[cfg(feature = "sequence")]
    #[command(about = backstitch_sequence::negative_eigenvalues::CARD.summary)]
    NegativeEigenvalues(negative_eigenvalues::NegativeEigenvaluesArguments),
    #[cfg(feature = "compress")]
    #[command(name = "flexround", about = backstitch_compress::flexround::CARD.summary)]
    FlexRound(flexround::FlexRoundArguments),
    #[cfg(feature = "optimize")]
    #[command(name = "ef21-w", about = backstitch_optimize::ef21_w::CARD.summary)]
    Ef21W(ef21_w::Ef21W),
    #[cfg(feature = "optimize")]
    #[command(about = backstitch_optimize::penalty_bilevel::CARD.summary)]
    PenaltyBilevel(penalty_bilevel::PenaltyBilevelArguments),
    #[cfg(feature = "optimize")]
    #[command(about = backstitch_optimize::block_descent::CARD.summary)]
    BlockDescent(block_descent::BlockDescentArguments),
    #[cfg(feature = "optimize")]
    #[command(about = backstitch_optimize::schedule_refinement::CARD.summary)]
    ScheduleRefinement(schedule_refinement::ScheduleRefinement),
    #[cfg(feature = "graph")]
    #[command(about = backstitch_graph::forward_gnn::CARD.summary)]
    ForwardGnn(forward_gnn::ForwardGnnArguments),
    #[cfg(feature = "continual")]
    #[command(about = backstitch_continual::cuber::CARD.summary)]
    Cuber(cuber::CuberArguments),
    #[cfg(feature = "statistics")]
    #[command(about = backstitch_statistics::topo::CARD.summary)]
    Topo(topo::Topo),
    #[cfg(feature = "statistics")]
    #[command(about = backstitch_statistics::causal_minimax::CARD.summary)]
    CausalMinimax(causal_minimax::CausalMinimax),
    #[cfg(feature = "statistics")]
    #[command(about = backstitch_statistics::scale_mixture_nngp::CARD.summary)]
    ScaleMixtureNngp(scale_mixture_nngp::ScaleMixtureNngpArguments),
    #[cfg(feature = "statistics")]
    #[command(about = backstitch_statistics::continual_dp::CARD.summary)]
    ContinualDp(continual_dp::ContinualDp),
    #[cfg(feature = "networks")]
    #[command(about = backstitch_networks::weight_matching::CARD.summary)]
    WeightMatching(Box<weight_matching::WeightMatchingArguments>),
    #[cfg(feature = "networks")]
    #[command(about = backstitch_networks::lipschitz::CARD.summary)]
    Lipschitz(lipschitz::LipschitzArguments),
    #[cfg(feature = "networks")]
    #[command(about = backstitch_networks::exact_permutations::CARD.summary)]
    ExactPermutations(exact_permutations::ExactPermutations),
    #[cfg(feature = "science")]
    #[command(about = backstitch_science::deep_xva::CARD.summary)]
    DeepXva(deep_xva::DeepXvaArguments),
}

pub(crate) fn execute(method: Method, common: &Common) -> Result<i32, Failure> {
    match method {
        #[cfg(feature = "reason")]
        Method::ProbTree(arguments) => probtree::execute(&arguments, common),
        #[cfg(feature = "reason")]
        Method::Fobar(fobar) => fobar::execute(&fobar, common),
        #[cfg(feature = "reason")]
        Method::Textgrad(textgrad) => textgrad::execute(&textgrad, common),
        #[cfg(feature = "language")]
        Method::Spt(spt) => spt::execute(&spt, common),
        #[cfg(feature = "language")]
        Method::ReversalCurse(reversal_curse) => reversal_curse::execute(&reversal_curse, common),
        #[cfg(feature = "language")]
        Method::Locality(locality) => locality::execute(&locality, common),
        #[cfg(feature = "sequence")]
        Method::NegativeEigenvalues(arguments) => negative_eigenvalues::execute(&arguments, common),
        #[cfg(feature = "compress")]
        Method::FlexRound(arguments) => flexround::execute(&arguments, common),
        #[cfg(feature = "optimize")]
        Method::Ef21W(ef21_w) => ef21_w::execute(&ef21_w, common),
        #[cfg(feature = "optimize")]
        Method::PenaltyBilevel(arguments) => penalty_bilevel::execute(&arguments, common),
        #[cfg(feature = "optimize")]
        Method::BlockDescent(arguments) => block_descent::execute(&arguments, common),
        #[cfg(feature = "optimize")]
        Method::ScheduleRefinement(refinement) => schedule_refinement::execute(&refinement, common),
        #[cfg(feature = "graph")]
        Method::ForwardGnn(arguments) => forward_gnn::execute(&arguments, common),
        #[cfg(feature = "continual")]
        Method::Cuber(arguments) => cuber::execute(&arguments, common),
        #[cfg(feature = "statistics")]
        Method::Topo(topo) => topo::execute(&topo, common),
        #[cfg(feature = "statistics")]
        Method::CausalMinimax(minimax) => causal_minimax::execute(&minimax, common),
        #[cfg(feature = "statistics")]
        Method::ScaleMixtureNngp(arguments) => scale_mixture_nngp::execute(&arguments, common),
        #[cfg(feature = "statistics")]
        Method::ContinualDp(continual_dp) => continual_dp::execute(&continual_dp, common),
        #[cfg(feature = "networks")]
        Method::WeightMatching(arguments) => weight_matching::execute(&arguments, common),
        #[cfg(feature = "networks")]
        Method::Lipschitz(arguments) => lipschitz::execute(&arguments, common),
        #[cfg(feature = "networks")]
        Method::ExactPermutations(exact) => exact_permutations::execute(&exact, common),
        #[cfg(feature = "science")]
        Method::DeepXva(arguments) => deep_xva::execute(&arguments, common),
    }
}
