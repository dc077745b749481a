//! The card of this room.

use backstitch_claim::Card;
use backstitch_claim::card::OfficialCode;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "fobar",
    authors: "Jiang, Weisen and Shi, Han and Yu, Longhui and Liu, Zhengying and Zhang, Yu and Li, Zhenguo and Kwok, James T.",
    venue: Some("Findings of ACL 2024"),
    official_code: Some(OfficialCode { repository: "ws-jiang/fobar-public", licence: "no licence file" }),
    summary: "Check each candidate answer of a language model by recovering masked numbers of the question from it.",
    helps: "word problems with numbers in them, where a language model gives different answers in different samples and can solve for an \
            unknown: a right answer lets it recover the numbers of the question, a wrong one seldom does",
    does_not_help: "questions on which all samples agree (nothing is checked then), questions without numbers, numbers that the answer \
                    does not depend on (any candidate recovers them), and models that cannot solve for the unknown",
    example: "backstitch run fobar --model http://localhost:8000/v1 --model-name Qwen/Qwen2.5-7B-Instruct --data questions.jsonl --out answers.jsonl",
    deviations: &[
        "Demonstrations, the sentence that states the answer, and the system text are our own; all of them can be replaced.",
        "Only the number is masked, not the word it stands in: units, currency and punctuation stay.",
        "For a multiple choice the backward question states the option of the candidate.",
        "Answers are compared as exact fractions; the rule of the official repository can be chosen.",
        "A reply without an answer is no candidate; with the rule of the official repository it is one.",
    ],
};
