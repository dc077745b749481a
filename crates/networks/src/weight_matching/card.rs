//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "weight-matching",
    authors: "Ito, Akira and Yamada, Masanori and Kumagai, Atsutoshi",
    venue: Some("ICLR 2025"),
    official_code: None,
    summary: "Put the hidden units of networks in the same order, so that their weights can be averaged, and measure what that is worth.",
    helps: "averaging two or more networks of one architecture that were trained from different initial weights on one task; comparing \
            networks unit by unit; seeing whether two networks found the same features (singular vectors of their layers)",
    does_not_help: "networks fine-tuned from one checkpoint, which are aligned already; narrow or deep networks, whose barrier stays; \
                    networks of different shapes or tokenizers; a merged network is no ensemble, so measure its loss before it is used",
    example: "backstitch run weight-matching a.safetensors b.safetensors --out merged.safetensors --data train.csv",
    deviations: &[
        "A step of the descent counts if it gains more than 1e-12 of the product of both norms, and permutations whose neighbours did \
         not change are not solved again.",
        "Query heads that share keys are matched by groups and within groups, exactly.",
        "In the alignment of singular vectors, numbers kept in both networks enter by their geometric mean, ties are kept whole, and \
         vectors of singular values that are zero are left out.",
        "The straight-through estimator keeps the permutation with the lowest loss over all rows at the end of a pass, not that of \
         one batch.",
        "Running statistics of a merged network are computed over all rows at once, layer after layer.",
        "The second-order estimate of the barrier is our derivation; its second derivatives are differences of gradients.",
    ],
};
