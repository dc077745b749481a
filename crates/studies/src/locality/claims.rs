//! The claims of the study of `locality`.

use backstitch_claim::{Claim, Effect, Precondition, Scope, Statistic};

use super::{CHAIN, OWN, SHARED};

/// Held-out pairs must depend on each other.
const DEPENDENT: Precondition = Precondition {
    sentence: "answering with the marginal has a mean squared error of at least 0.04",
    arm: "marginal",
    effect: Effect::Above { metric: "error", bound: 0.0 },
    at_least: 0.04,
};

/// The local model must have learned what it saw.
const LEARNED: Precondition = Precondition {
    sentence: "the model trained locally answers for neighbouring pairs with a mean squared error of at most 0.01",
    arm: "direct",
    effect: Effect::Below { metric: "neighbour_error", bound: 0.01 },
    at_least: 0.0,
};

const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Reduced,
    subject: "scaffolded",
    effect: Effect::Above { metric: "saved", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[SHARED],
    precondition: Some(LEARNED),
    control: "negative",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "scaffold-beats-direct",
        sentence: "After local training, going through separating variables has at most 0.75 times the squared error of asking \
                   directly",
        source: "the paper's main result, local (geometric) condition",
        published: Some("0.0162 against 0.0272"),
        ..BASE
    },
    Claim {
        id: "free-beats-direct",
        sentence: "So it is when the model chooses the variables itself",
        source: "the paper's main result, local (geometric) condition",
        published: Some("0.0140 against 0.0272"),
        subject: "free",
        ..BASE
    },
    Claim {
        id: "random-variables-do-not-help",
        sentence: "Going through variables drawn at random has at least 0.9 times the squared error of asking directly",
        source: "the paper's negative scaffolds",
        published: Some("0.0270 against 0.0272"),
        subject: "negative",
        effect: Effect::Above { metric: "lost", bound: 0.0 },
        precondition: Some(DEPENDENT),
        control: "as-scaffolded",
        ..BASE
    },
    Claim {
        id: "locality-must-be-right",
        sentence: "Trained on the locality of another net, the scaffolded estimate has at least twice the squared error",
        source: "the paper's wrong-local condition",
        published: Some("0.0716 against 0.0162"),
        subject: "wrong",
        effect: Effect::Above { metric: "misled", bound: 0.0 },
        control: "as-scaffolded",
        ..BASE
    },
    Claim {
        id: "most-of-the-dependence",
        sentence: "The scaffolded estimate has at most 0.3 times the squared error of answering with the marginal",
        source: "the paper's table of errors",
        published: Some("0.0162 against 0.1053"),
        effect: Effect::Above { metric: "learned", bound: 0.0 },
        precondition: Some(DEPENDENT),
        control: "wrong",
        ..BASE
    },
    Claim {
        id: "less-data-than-everything",
        sentence: "Local training and a scaffold have at most half the squared error of training on as many tokens of everything at \
                   once and asking directly",
        source: "the paper's claim of data efficiency",
        published: Some("0.0162 against 0.0347"),
        effect: Effect::Above { metric: "frugal", bound: 0.0 },
        control: "marginal",
        ..BASE
    },
    Claim {
        id: "own-tokens-scaffold-beats-direct",
        sentence: "With value tokens of each variable's own, too, going through separating variables has at most 0.75 times the \
                   squared error of asking directly",
        source: "the paper's main result with other tokens; the paper's values are digits",
        settings: &[OWN],
        ..BASE
    },
    Claim {
        id: "own-tokens-free-beats-direct",
        sentence: "With value tokens of each variable's own, too, so it is when the model chooses the variables itself",
        source: "the paper's main result with other tokens; the paper's values are digits",
        subject: "free",
        settings: &[OWN],
        ..BASE
    },
    Claim {
        id: "neighbours-are-learned",
        sentence: "The model trained locally answers for neighbouring pairs with a mean squared error below 0.01",
        source: "ours: without this nothing else means anything",
        subject: "direct",
        effect: Effect::Below { metric: "neighbour_error", bound: 0.01 },
        precondition: None,
        control: "wrong",
        ..BASE
    },
    Claim {
        id: "theorem-on-a-chain",
        sentence: "With neighbouring pairs of a chain alone, the direct estimate is the marginal and the one through the chain is the \
                   truth",
        source: "the paper's theorem",
        scope: Scope::Identity,
        subject: "chain",
        effect: Effect::Above { metric: "residual", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-9 },
        settings: &[CHAIN],
        precondition: None,
        control: "gap-in-chain",
        ..BASE
    },
];
