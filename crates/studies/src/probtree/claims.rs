//! Arms, metrics and claims of the study of `probtree`.

use backstitch_claim::{Arm, Better, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

/// The published trees of 500 HotpotQA questions.
pub(super) const RECORDED: &str = "hotpotqa";
/// The embedded model and its world.
pub(super) const EMBEDDED: &str = "embedded";

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "probtree",
        role: Role::Method,
        description: "the paper's confidences and choice; nothing to tune",
    },
    Arm {
        name: "closed-book",
        role: Role::Baseline,
        description: "recorded: the whole question from what the model knows",
    },
    Arm {
        name: "open-book",
        role: Role::Baseline,
        description: "the whole question from passages; embedded: also those that the tree found for its sub-questions, no claim",
    },
    Arm {
        name: "surer-whole",
        role: Role::Baseline,
        description: "embedded: the surer of two answers to the whole question, from memory and from the passages of all its questions",
    },
    Arm {
        name: "children",
        role: Role::Baseline,
        description: "recorded: the answer put together from the sub-questions, whatever its confidence",
    },
    Arm {
        name: "one-step",
        role: Role::Baseline,
        description: "embedded: the whole question from the passages that one search finds; no claim, for comparison",
    },
    Arm {
        name: "self-consistency",
        role: Role::Baseline,
        description: "embedded: samples of the whole question from memory and from passages, the answer with the larger share in \
                      either; as many generated tokens as the tree, or more",
    },
    Arm {
        name: "leaf-closed-book",
        role: Role::Baseline,
        description: "embedded: the sub-questions of `probtree`, each from what the model knows",
    },
    Arm {
        name: "leaf-open-book",
        role: Role::Baseline,
        description: "embedded: the sub-questions of `probtree`, each from passages",
    },
    Arm {
        name: "random-choice",
        role: Role::Ablation,
        description: "any answer instead of the surest; recorded: at the root, embedded: at every question of the tree",
    },
    Arm {
        name: "random-again",
        role: Role::Control,
        description: "recorded: the random choice with other draws",
    },
    Arm {
        name: "least-confident",
        role: Role::Control,
        description: "the least sure answer instead of the surest; recorded: at the root, embedded: at sub-questions",
    },
    Arm {
        name: "sum",
        role: Role::Control,
        description: "recorded: the choices with the sum of a tree's confidences instead of their mean",
    },
    Arm {
        name: "memory-only",
        role: Role::Baseline,
        description: "embedded: the whole question from what the model knows; no claim, for comparison",
    },
    Arm {
        name: "inverted",
        role: Role::Control,
        description: "embedded: the tree of a model that is the surer the less sure it was: everywhere the least sure answer is taken",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "score_gap",
        "largest difference between a chosen score and the published one over all nodes; 1 where another text was chosen",
    ),
    share("f1", "words in common with the right answer (HotpotQA), 0 to 1"),
    share("exact", "1 if the answer is right but for case, punctuation and articles (HotpotQA)"),
    share("correct", "1 if the answer to the question is right"),
    share("leaf_correct", "1 if the answer to a sub-question, as it was asked, is right"),
    share(
        "auroc_closed_book",
        "probability that a right answer from memory is surer than a wrong one, sub-questions",
    ),
    share("auroc_open_book", "the same from passages; no answer is less sure than any"),
    share(
        "judgeable",
        "1 if both AUROC are at least 0.65 and both modules right on 10 to 95 % of the sub-questions",
    ),
    Metric::lower("tokens", "generated tokens per question"),
    Metric::higher("token_ratio", "generated tokens divided by those of `probtree`"),
];

/// A share, of which 0 is the worst.
const fn share(name: &'static str, description: &'static str) -> Metric {
    Metric { name, description, better: Better::Higher, worst: Some(0.0) }
}

/// Three points, in shares: what the card asks of a difference worth having.
const POINTS: f64 = 0.03;

const CAN_BE_JUDGED: Precondition = Precondition {
    sentence: "both modules tell right from wrong (AUROC at least 0.65) and are right on 10 to 95 % of the sub-questions",
    arm: "probtree",
    effect: Effect::Above { metric: "judgeable", bound: 0.0 },
    at_least: 1.0,
};

/// What claims about the published trees share.
const OF_RECORDS: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Paper,
    subject: "probtree",
    effect: Effect::Improvement { metric: "f1", over: "closed-book" },
    margin: POINTS,
    statistic: Statistic::ClusterBootstrap,
    settings: &[RECORDED],
    precondition: None,
    control: "least-confident",
    own_data: false,
};

/// What claims about the embedded model share.
const OF_WORLD: Claim = Claim {
    scope: Scope::Mechanism,
    effect: Effect::Improvement { metric: "leaf_correct", over: "leaf-closed-book" },
    settings: &[EMBEDDED],
    precondition: Some(CAN_BE_JUDGED),
    ..OF_RECORDS
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "published-choices",
        sentence: "The formulas give every published choice and score: 1,493 nodes, 496 of them with sub-questions",
        source: "official repository, question_answering.py and the recorded run",
        effect: Effect::Below { metric: "score_gap", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: 1e-9 },
        control: "sum",
        ..OF_RECORDS
    },
    Claim {
        id: "better-than-closed-book",
        sentence: "The tree's answers have an F1 more than 3 points above those of the whole question from memory",
        source: "recorded run of the paper",
        published: Some("F1 64.1 and 46.7"),
        ..OF_RECORDS
    },
    Claim {
        id: "better-than-children",
        sentence: "Choosing has an F1 more than 3 points above always taking the answer put together from the sub-questions",
        source: "recorded run of the paper",
        published: Some("F1 64.1 and 58.6"),
        effect: Effect::Improvement { metric: "f1", over: "children" },
        ..OF_RECORDS
    },
    Claim {
        id: "better-than-random",
        sentence: "Choosing the surest answer of the whole question has an F1 more than 3 points above choosing any",
        source: "ours, on the recorded run of the paper",
        effect: Effect::Improvement { metric: "f1", over: "random-choice" },
        control: "random-again",
        ..OF_RECORDS
    },
    Claim {
        id: "open-book-suffices",
        sentence: "A boundary: the whole question from passages at once is no more than 3 points of F1 below the tree",
        source: "recorded run of the paper",
        published: Some("F1 63.9 and 64.1"),
        subject: "open-book",
        effect: Effect::Improvement { metric: "f1", over: "probtree" },
        margin: -POINTS,
        control: "random-again",
        ..OF_RECORDS
    },
    Claim {
        id: "surer-leaf-than-closed-book",
        sentence: "The surer of two answers to a sub-question is right more than 3 points more often than that from memory",
        source: "ours: the mechanism behind the choice",
        ..OF_WORLD
    },
    Claim {
        id: "surer-leaf-than-open-book",
        sentence: "The surer of two answers to a sub-question is right more than 3 points more often than that from passages",
        source: "ours: the mechanism behind the choice",
        effect: Effect::Improvement { metric: "leaf_correct", over: "leaf-open-book" },
        ..OF_WORLD
    },
    Claim {
        id: "tree-over-whole",
        sentence: "The tree is right more than 3 points more often than the surer of two answers to the whole question, from memory and \
                   from the passages of all its questions",
        source: "ours: what the tree gives beyond the choice",
        effect: Effect::Improvement { metric: "correct", over: "surer-whole" },
        control: "inverted",
        ..OF_WORLD
    },
    Claim {
        id: "choice-over-random",
        sentence: "The tree that takes the surest answers is right more than 3 points more often than one that takes any",
        source: "ours, after the paper's ablation without confidences",
        effect: Effect::Improvement { metric: "correct", over: "random-choice" },
        control: "inverted",
        ..OF_WORLD
    },
    Claim {
        id: "tree-over-self-consistency",
        sentence: "The tree is right more than 3 points more often than samples of the whole question with as many generated tokens",
        source: "ours: the comparison at equal cost",
        effect: Effect::Improvement { metric: "correct", over: "self-consistency" },
        control: "inverted",
        precondition: Some(Precondition {
            sentence: "the samples take at least as many generated tokens as the tree",
            arm: "self-consistency",
            effect: Effect::Above { metric: "token_ratio", bound: 0.0 },
            at_least: 1.0,
        }),
        ..OF_WORLD
    },
];
