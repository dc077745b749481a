//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "negative-eigenvalues",
    authors: "Grazzi, Riccardo and Siems, Julien and Zela, Arber and Franke, Jörg K. H. and Hutter, Frank and Pontil, Massimiliano",
    venue: Some("ICLR 2025"),
    official_code: Some(OfficialCode {
        repository: "automl/unlocking_state_tracking",
        licence: "none stated for the whole; its parts have their own",
    }),
    summary: "Learn to follow a state token by token (parity, counters, permutations) with linear recurrences whose eigenvalues may be negative.",
    helps: "sequences whose label depends on a state that every token moves: parity, switches, positions after swaps, small automata; \
            answers token by token in constant time and memory; finding out which layer a given automaton needs",
    does_not_help: "labels that a short window decides, for which any layer will do; counting modulo a number that is no power of two with diagonal layers, or with \
                    one layer of one Householder step per token; sequences many times longer than those trained on, since eigenvalues come near -1 but not \
                    quite (--snap helps); turns that one swap does not make, which training with more Householder steps does not find from every seed: try several; \
                    tasks where a gated recurrent unit trains well and speed does not matter",
    example: "backstitch run negative-eigenvalues fit --data sequences.jsonl --out model",
    deviations: &[
        "A learned token stands before every sequence, so that states begin with something. Without it a delta layer with eigenvalues in [0, 1] and \
         normalised heads cannot tell one token from two equal ones, and its failure at parity would show nothing.",
        "Short convolutions are off unless asked for, and keys, queries and values then pass through no SiLU. Keys, queries and values are \
         as wide as the width divided by the heads.",
        "The diagonal layer has as many channels as the residual stream (Mamba expands them twofold), its delta comes from a full matrix instead of one \
         of low rank, and biases of delta begin near 0.",
        "A token may take several Householder steps (as DeltaProduct, arXiv 2502.10297, has them), of which the last is read. The paper writes \
         such a token as several tokens.",
        "Single precision throughout; the learning rate falls linearly.",
    ],
};
