//! The card of this room.

use backstitch_claim::Card;
use backstitch_claim::card::OfficialCode;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "probtree",
    authors: "Cao, Shulin and Zhang, Jiajie and Shi, Jiaxin and Lv, Xin and Yao, Zijun and Tian, Qi and Li, Juanzi and Hou, Lei",
    venue: Some("Findings of EMNLP 2023"),
    official_code: Some(OfficialCode { repository: "THU-KEG/ProbTree", licence: "MIT" }),
    summary: "Answer complex questions by a tree of sub-questions, each from memory, from passages or from below, whichever is surest.",
    helps: "questions that take several facts, with passages that hold some of them and a language model that knows others: each \
            sub-question takes the answer that the model is surer of, and an error in one place need not spoil the whole",
    does_not_help: "questions of one fact, passages that a search by the whole question finds anyway (reading them at once was as good in the \
                    published run), models that are as sure of what they make up, and servers without log-probabilities unless \
                    samples may be compared instead",
    example: "backstitch run probtree --model http://localhost:8000/v1 --model-name Qwen/Qwen2.5-7B-Instruct --data questions.jsonl --passages passages.jsonl --out answers.jsonl",
    deviations: &[
        "Demonstrations, instructions and system text are our own; all of them can be replaced.",
        "The mark of the answer is found in the text and mapped to tokens, not looked for among tokens.",
        "A missing confidence is absent; the official repository counts -100, which spoils the means above it.",
        "A question whose tree cannot be read is answered as a whole, and its line says why.",
        "Too long prompts lose their last passages; the official repository searches again for fewer.",
        "Passages come from the user's file by BM25; there is no web search.",
    ],
};
