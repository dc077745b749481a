//! The card of this room.

use backstitch_claim::Card;
use backstitch_claim::card::OfficialCode;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "textgrad",
    authors: "Yuksekgonul, Mert and Bianchi, Federico and Boen, Joseph and Liu, Sheng and Huang, Zhi and Guestrin, Carlos and Zou, James",
    venue: Some(
        "Nature 639 (2025), 609-616, as: Optimizing generative AI by backpropagating language model feedback",
    ),
    official_code: Some(OfficialCode { repository: "zou-group/textgrad", licence: "MIT" }),
    summary: "Improve a text (a solution, a prompt, a program) step by step, by feedback in words that goes back through what was computed from it.",
    helps: "texts with a check that says what is wrong with them: tests of a program, right answers to training questions, a critic that \
            finds faults more easily than it avoids them",
    does_not_help: "models that cannot criticise what they wrote, checks that say only right or wrong about texts that are nearly right, and \
                    questions for which more samples and a vote are as good: of the paper's recorded trajectories, those on machine learning \
                    are worse after every update than before, and only the vote over all versions is better",
    example: "backstitch run textgrad solution --model http://localhost:8000/v1 --model-name Qwen/Qwen2.5-7B-Instruct --text draft.txt --instruction \"Find errors in this proof.\" --out better.txt",
    deviations: &[
        "All prompts are our own; all of them can be replaced.",
        "Texts are shown whole; the official code shows the first and last ten words of long ones, which can be chosen.",
        "Feedback has an order that does not change from run to run, comes once per use, and is never asked about blank feedback.",
        "Momentum shows earlier texts with the feedback on each; in the official code it sends nothing.",
        "Where the critic has nothing to say about a text, nothing is asked about what the text was made of, and a text without feedback stays.",
        "A reply without a new text in its tags is asked again once; texts that grow or shrink twentyfold are refused.",
        "Tags get a nonce where a text holds one of them.",
        "A prompt is put back when the validation score falls below that of the best one so far; test questions are asked at the end only.",
    ],
};
