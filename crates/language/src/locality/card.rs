//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "locality",
    authors: "Prystawski, Ben and Li, Michael Y. and Goodman, Noah D.",
    venue: Some("NeurIPS 2023"),
    official_code: Some(OfficialCode { repository: "benpry/why-think-step-by-step", licence: "MIT" }),
    summary: "Train on partial observations of a Bayes net and see whether reasoning through other variables answers better \
              than asking directly.",
    helps: "data in which only neighbouring variables are seen together: there, estimates through a separating set of variables \
            recover dependencies that were never observed",
    does_not_help: "data in which everything is seen together (the direct answer is then as good), pairs that hardly depend on \
                    each other, and models too small to learn the neighbouring pairs",
    example: "backstitch run locality fit --net net.jsonl --out model/ && backstitch run locality gap --model model/",
    deviations: &[
        "The scaffolded estimate sums over all values of the scaffold instead of averaging ten samples; the sampled one is \
         there too.",
        "Negative scaffolds are drawn without replacement.",
        "One token per variable and two per variable's values instead of a byte-pair vocabulary; the paper's values, digits that all \
         variables share, are there too and take several times as many steps to learn.",
        "The study's nets have 16 variables instead of 100, and its decoders rotary positions: in the minutes of the quick scale \
         larger nets are not learned, nor are learned positions.",
        "A sample in which every variable was dropped is drawn again.",
    ],
};
