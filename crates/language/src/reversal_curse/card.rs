//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "reversal-curse",
    authors: "Berglund, Lukas and Tong, Meg and Kaufmann, Max and Balesni, Mikita and Stickland, Asa Cooper and Korbak, Tomasz \
              and Evans, Owain",
    venue: Some("ICLR 2024"),
    official_code: Some(OfficialCode {
        repository: "lukasberglund/reversal_curse",
        licence: "no licence file",
    }),
    summary: "Ask a model for facts in the direction it was trained in and in the other one; find facts a corpus states one way only.",
    helps: "before and after fine-tuning on facts: which questions the model will not answer because its sentences go the other \
            way, with a score that tells ignorance from a question form it never saw",
    does_not_help: "facts that stand in the prompt (models reverse those), and models that fail the forward questions: then the \
                    reversed score shows nothing",
    example: "backstitch run reversal-curse --model model/ --facts facts.jsonl",
    deviations: &[
        "Standard errors cluster by fact; the paper tests over prompts, of which ten belong to one fact.",
        "Beside exact match and log-probability, candidates are ranked, among all facts and within the fact's group.",
        "The random other of the log-probability test is of the same group.",
        "The whole target is scored, not the first two words of a name.",
    ],
};
