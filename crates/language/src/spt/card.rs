//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "spt",
    authors: "Guo, Qingyan and Wang, Rui and Guo, Junliang and Tan, Xu and Bian, Jiang and Yang, Yujiu",
    venue: Some("Findings of ACL 2024"),
    official_code: None,
    summary: "Train on sentences whose semantic units stand in other orders, so that facts can be asked backwards.",
    helps: "fine-tuning a causal model on statements of facts that will also be asked for in the other direction",
    does_not_help: "facts already stated both ways, single-unit sentences (they pass unchanged and are counted), and models that \
                    must keep writing fluently without a share of original order; where order carries meaning (\"A beat B\"), \
                    permuted units say something else",
    example: "backstitch run spt sentences.jsonl --out augmented.jsonl",
    deviations: &[
        "Units are cut by rules (entities, quotes, capitalised runs, clauses, connectors) instead of a language model.",
        "Marks that end a sentence stay at its end in every order.",
        "Without other weights, the three orders are drawn equally often.",
        "In the study, bidirectional denoising (BICO) trains from scratch as all arms do; it is published for fine-tuning a large \
         pre-trained model. All arms take equally many steps; the arms that reorder words are not trained out by then and answer \
         fewer forward questions too, which is a part of their distance.",
    ],
};
