//! Arms, metrics and claims of the study of `schedule-refinement`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Role, Scope, Statistic};

/// Every task with every optimizer.
const LEARNED: &[&str] = &[
    "digits-sgd",
    "digits-adam",
    "digits-noisy-sgd",
    "digits-noisy-adam",
    "breast-cancer-sgd",
    "breast-cancer-adam",
    "diabetes-sgd",
    "diabetes-adam",
    "mixture-sgd",
    "mixture-adam",
    "answers-sgd",
    "answers-adam",
    "digits-network-sgd",
    "digits-network-adam",
    "teacher-network-sgd",
    "teacher-network-adam",
];
/// Those with Adam.
const WITH_ADAM: &[&str] = &[
    "digits-adam",
    "digits-noisy-adam",
    "breast-cancer-adam",
    "diabetes-adam",
    "mixture-adam",
    "answers-adam",
    "digits-network-adam",
    "teacher-network-adam",
];
/// The setting of the identities.
pub(super) const EXACT: &str = "exact";

/// −ln 0.985, ln 1.02 and ln 1.05.
const LN_0_985: f64 = 0.015_113_637_810_048_185;
const LN_1_02: f64 = 0.019_802_627_296_179_73;
const LN_1_05: f64 = 0.048_790_164_169_432_05;

/// A schedule of the study, tuned as all are.
const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm(
        "linear",
        Role::Method,
        "linear decay after 5 % of warm-up; peak rate searched on the grid of all arms",
    ),
    arm(
        "refined",
        Role::Method,
        "refined from the gradient norms of the tuned linear run; peak rate searched again on the same grid",
    ),
    arm("last-iterate", Role::Method, "steps of another optimizer, scaled for the last point; no tuning"),
    arm("flat", Role::Baseline, "no decay after 5 % of warm-up; the same search"),
    arm("inverse", Role::Baseline, "1/t after 5 % of warm-up; the same search"),
    arm("inverse-square-root", Role::Baseline, "1/sqrt(t) after 5 % of warm-up; the same search"),
    arm("cosine", Role::Baseline, "cosine to zero after 5 % of warm-up; the same search"),
    arm("stepwise", Role::Baseline, "a tenth after 30, 60 and 90 %, after 5 % of warm-up; the same search"),
    arm(
        "best-older",
        Role::Baseline,
        "the best of flat, inverse and inverse-square-root, picked per task and seed",
    ),
    arm(
        "best-default",
        Role::Baseline,
        "the best of best-older, stepwise and cosine, picked per task and seed",
    ),
    arm("rising", Role::Control, "linear decay run backwards: from nothing to the peak; the same search"),
    arm("refined-reversed", Role::Control, "refined from the same norms in reverse order; the same search"),
    arm(
        "refined-inverted",
        Role::Control,
        "refined from the inverse of the norms, the wrong exponent; the same search",
    ),
    arm("unsummed", Role::Control, "weights without the sum of the later ones; no tuning"),
    arm("unscaled", Role::Control, "the same optimizer's own last point; no tuning"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "log_loss",
        "natural logarithm of the mean loss of all rows at the last point, mean of three runs that the search has not seen",
    ),
    Metric::lower("peak_exponent", "logarithm to the base 2 of the peak learning rate that was found"),
    Metric::lower("first_multiplier", "the schedule's first multiplier, of a largest one of 1"),
    Metric::lower(
        "identity_gap",
        "largest difference from what mathematics gives, relative to the largest number",
    ),
    Metric::lower("bound_gap", "bound of the last point minus the least possible, relative to it"),
    Metric::lower(
        "excess",
        "loss of the last point beyond what the regret guarantees, zero if within, relative to the start",
    ),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "linear",
    effect: Effect::Improvement { metric: "log_loss", over: "best-older" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: LEARNED,
    precondition: None,
    control: "rising",
    own_data: false,
};

/// What the identities have in common.
const IDENTITY: Claim = Claim {
    scope: Scope::Identity,
    subject: "refined",
    effect: Effect::Above { metric: "identity_gap", bound: 0.0 },
    statistic: Statistic::Identity { tolerance: 1e-15 },
    settings: &[EXACT],
    ..BASE
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "linear-beats-older",
        sentence: "Linear decay ends with a loss at least 1.5 % below the best of flat, 1/t and 1/sqrt(t), each with its own peak rate",
        source: "abstract: linear decay is the best schedule for the worst case; the tasks are ours",
        margin: LN_0_985,
        ..BASE
    },
    Claim {
        id: "linear-matches-the-best",
        sentence: "Linear decay is within 2 % of the best of all default schedules, which is picked afterwards",
        source: "abstract: linear decay matches or beats all common schedules; the tasks are ours",
        effect: Effect::Improvement { metric: "log_loss", over: "best-default" },
        margin: -LN_1_02,
        ..BASE
    },
    Claim {
        id: "linear-no-worse-than-cosine",
        sentence: "Linear decay is at most 2 % worse than cosine",
        source: "abstract: linear decay matches or beats cosine; the tasks are ours",
        effect: Effect::Improvement { metric: "log_loss", over: "cosine" },
        margin: -LN_1_02,
        ..BASE
    },
    Claim {
        id: "cosine-no-worse-than-linear",
        sentence: "Nor is cosine more than 2 % worse than linear decay",
        source: "ours: a boundary of the claim",
        subject: "cosine",
        effect: Effect::Improvement { metric: "log_loss", over: "linear" },
        margin: -LN_1_02,
        ..BASE
    },
    Claim {
        id: "refined-beats-linear",
        sentence: "The refined schedule ends with a lower loss than linear decay on average",
        source: "abstract: refinement improves further; the tasks are ours",
        subject: "refined",
        effect: Effect::Improvement { metric: "log_loss", over: "linear" },
        control: "refined-inverted",
        ..BASE
    },
    Claim {
        id: "refined-beats-linear-with-adam",
        sentence: "With Adam, and weights by l1 norms, the refined schedule ends with a lower loss than linear decay on average",
        source: "abstract: refinement improves further; the tasks are ours",
        subject: "refined",
        effect: Effect::Improvement { metric: "log_loss", over: "linear" },
        settings: WITH_ADAM,
        ..BASE
    },
    Claim {
        id: "refined-wins-half",
        sentence: "The refined schedule ends with a lower loss than linear decay in more than half of all runs",
        source: "ours, after the abstract: refinement improves further on most tasks",
        subject: "refined",
        effect: Effect::Improvement { metric: "log_loss", over: "linear" },
        margin: 0.5,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        ..BASE
    },
    Claim {
        id: "refined-never-much-worse",
        sentence: "In more than 90 % of runs it is at most 5 % worse than linear decay",
        source: "ours: what trying it can cost",
        subject: "refined",
        effect: Effect::Improvement { metric: "log_loss", over: "linear" },
        margin: 0.9,
        statistic: Statistic::ExactBinomial { at_least: -LN_1_05 },
        ..BASE
    },
    Claim {
        id: "norms-matter",
        sentence: "It ends with a lower loss than a schedule refined with the wrong exponent",
        source: "ours: whether the norms say anything at all",
        subject: "refined",
        effect: Effect::Improvement { metric: "log_loss", over: "refined-inverted" },
        ..BASE
    },
    Claim {
        id: "warm-up-emerges",
        sentence: "In more than half of all runs the refined schedule begins below half of its peak, though nobody asked for a warm-up",
        source: "abstract: refined schedules warm up",
        subject: "refined",
        effect: Effect::Below { metric: "first_multiplier", bound: 0.5 },
        margin: 0.5,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "refined-reversed",
        ..BASE
    },
    Claim {
        id: "equal-norms-give-linear-decay",
        sentence: "Refining equal norms gives linear decay",
        source: "the paper's derivation",
        control: "unsummed",
        ..IDENTITY
    },
    Claim {
        id: "weights-minimise-the-bound",
        sentence: "With the inverse squares of the norms as weights, the bound of the last point is the least possible",
        source: "the paper's derivation",
        effect: Effect::Above { metric: "bound_gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-12 },
        control: "refined-inverted",
        ..IDENTITY
    },
    Claim {
        id: "last-point-within-regret",
        sentence: "Scaled for the last point, the steps of another optimizer end within its regret",
        source: "the paper's conversion from regret to the last iterate",
        subject: "last-iterate",
        effect: Effect::Above { metric: "excess", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-12 },
        control: "unscaled",
        ..IDENTITY
    },
];
