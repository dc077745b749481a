//! Arms, metrics and claims of the study of `ef21-w`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Role, Scope, Statistic};

/// Generated quadratics: 97 clients of smoothness 1 and three of the number in the name.
pub(super) const QUADRATICS: &[&str] = &["equal", "x10", "x100", "x1000", "x10000"];
/// Those whose constants differ much.
const UNEQUAL: &[&str] = &["x100", "x1000", "x10000"];
/// ln(L_QM/L_AM) of [`QUADRATICS`]: with v in the name, `L_QM² = (97 + 3v²)/100` and `L_AM = (97 + 3v)/100`.
const LN_MEANS: &[f64] =
    &[0.0, 0.450_366_146_879_049_6, 1.474_739_201_304_714_3, 1.721_473_502_742_346, 1.750_050_992_975_205_7];
/// Public sets spread by label, where constants are about equal.
const BY_LABEL: &[&str] = &["a9a", "w8a", "phishing", "mushrooms"];
/// A public set spread by the length of its rows, where they are not.
const BY_NORM: &[&str] = &["w8a-norm"];
/// All public sets.
const PUBLIC: &[&str] = &["a9a", "w8a", "phishing", "mushrooms", "w8a-norm"];
/// All settings.
const ALL: &[&str] =
    &["equal", "x10", "x100", "x1000", "x10000", "a9a", "w8a", "phishing", "mushrooms", "w8a-norm"];
/// ln 1.25, ln 2 and ln 1000.
const LN_1_25: f64 = 0.223_143_551_314_209_76;
const LN_2: f64 = std::f64::consts::LN_2;
const LN_1000: f64 = 3.0 * std::f64::consts::LN_10;

pub(super) const ARMS: &[Arm] = &[
    Arm { name: "ef21-w", role: Role::Method, description: "EF21-W with the new certified step; no tuning" },
    Arm { name: "ef21", role: Role::Method, description: "EF21 with the same step; no tuning" },
    Arm {
        name: "pp",
        role: Role::Method,
        description: "EF21-W, each client in half of the rounds, our step; no tuning",
    },
    Arm {
        name: "sgd",
        role: Role::Method,
        description: "EF21-W on batches, our step for gradients with noise; no tuning",
    },
    Arm {
        name: "ef21-old",
        role: Role::Baseline,
        description: "EF21 with the old certified step; no tuning",
    },
    Arm {
        name: "gradient-descent",
        role: Role::Baseline,
        description: "whole gradients, step 1/L; no tuning",
    },
    Arm {
        name: "dcgd",
        role: Role::Baseline,
        description: "compressed gradients without feedback, with the step of ef21-w; no tuning",
    },
    Arm {
        name: "ef14",
        role: Role::Baseline,
        description: "the older error feedback, with the step of ef21-w; no tuning",
    },
    Arm {
        name: "pp-small",
        role: Role::Baseline,
        description: "as pp, with both constants of the analysis at 0.001 instead of their best values",
    },
    Arm {
        name: "old-again",
        role: Role::Control,
        description: "EF21-W with the old certified step: weights alone gain nothing",
    },
    Arm { name: "tenth-step", role: Role::Control, description: "EF21-W with a tenth of the certified step" },
    Arm {
        name: "natural",
        role: Role::Control,
        description: "EF21 and EF21-W with natural compression, which is not homogeneous",
    },
    Arm {
        name: "standing",
        role: Role::Control,
        description: "no step at all, held to what EF21-W guarantees: whether the guarantee says anything",
    },
    Arm { name: "dcgd-half", role: Role::Control, description: "the arm dcgd with half the step" },
    Arm {
        name: "pp-small-again",
        role: Role::Control,
        description: "the arm pp-small with other draws of clients",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower("log_gradient", "natural logarithm of |gradient|^2 after all rounds"),
    Metric::lower(
        "log_rounds",
        "natural logarithm of the rounds until |gradient|^2 has fallen to a share of its start; all rounds if it has not",
    ),
    Metric::lower("log_bits", "natural logarithm of the bits sent up to there by all clients"),
    Metric::lower("guarantee_ratio", "mean of |gradient|^2 over the rounds, divided by what is guaranteed"),
    Metric::lower(
        "iterate_gap",
        "largest distance of EF21's points from EF21-W's at equal steps, relative to the largest point",
    ),
    Metric::lower("mean_ratio", "L_QM/L_AM: how much longer the new step can be at most"),
    Metric::lower("step_ratio", "new certified step divided by the old one"),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "ef21-w",
    effect: Effect::Improvement { metric: "log_rounds", over: "ef21-old" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: UNEQUAL,
    precondition: None,
    control: "old-again",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "same-points",
        sentence: "With Top-1, EF21 and EF21-W visit the same points at equal steps",
        source: "ours: what positive homogeneity implies",
        scope: Scope::Identity,
        effect: Effect::Above { metric: "iterate_gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-12 },
        settings: QUADRATICS,
        control: "natural",
        ..BASE
    },
    Claim {
        id: "fewer-rounds",
        sentence: "Where few clients are much less smooth, the new certified step needs less than half the rounds of the old one",
        source: "abstract: from the quadratic to the arithmetic mean; the toy is ours",
        margin: LN_2,
        ..BASE
    },
    Claim {
        id: "plain-ef21-too",
        sentence: "So does EF21 without weights at the new step",
        source: "the paper's third theorem",
        subject: "ef21",
        margin: LN_2,
        ..BASE
    },
    Claim {
        id: "gain-follows-the-means",
        sentence: "The rounds saved grow with L_QM/L_AM: on a logarithmic scale with a slope of more than 0.7",
        source: "abstract: from the quadratic to the arithmetic mean",
        margin: 0.7,
        statistic: Statistic::Slope { x: LN_MEANS },
        settings: QUADRATICS,
        ..BASE
    },
    Claim {
        id: "no-gain-on-equal-clients",
        sentence: "On equally smooth clients the new step saves no more than 1 % of the rounds",
        source: "ours: a boundary of the method",
        subject: "ef21-old",
        effect: Effect::Improvement { metric: "log_rounds", over: "ef21-w" },
        margin: -0.01,
        settings: &["equal"],
        control: "tenth-step",
        ..BASE
    },
    Claim {
        id: "never-slower",
        sentence: "On public sets spread by label, the new step ends no higher than the old one in more than 80 % of runs",
        source: "experiments: never slower on LIBSVM sets; four sets here, 100 clients, half of the rows per seed",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_gradient", over: "ef21-old" },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        settings: BY_LABEL,
        control: "tenth-step",
        ..BASE
    },
    Claim {
        id: "faster-by-norm",
        sentence: "On w8a spread by the length of its rows, so that constants differ, the new step ends with a |gradient|^2 more than 20 % lower",
        source: "experiments: the gain is largest where the variance of the constants is; this split is ours",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_gradient", over: "ef21-old" },
        margin: LN_1_25,
        settings: BY_NORM,
        ..BASE
    },
    Claim {
        id: "guarantee",
        sentence: "The mean of |gradient|^2 stays within the guarantee in more than 90 % of runs",
        source: "the paper's main theorem",
        scope: Scope::Reduced,
        effect: Effect::Below { metric: "guarantee_ratio", bound: 1.0 },
        margin: 0.9,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        settings: ALL,
        control: "standing",
        ..BASE
    },
    Claim {
        id: "guarantee-partial",
        sentence: "So it does when every client takes part in half of the rounds",
        source: "the paper's extension to partial participation; the constants are ours",
        subject: "pp",
        effect: Effect::Below { metric: "guarantee_ratio", bound: 1.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "standing",
        ..BASE
    },
    Claim {
        id: "batches-descend",
        sentence: "On batches of 16 rows per client and round, |gradient|^2 falls to less than a tenth of its start",
        source: "the paper's extension to stochastic gradients; the constants are ours, and the guarantee itself is too wide to check",
        scope: Scope::Reduced,
        subject: "sgd",
        effect: Effect::Improvement { metric: "log_gradient", over: "standing" },
        margin: std::f64::consts::LN_10,
        settings: PUBLIC,
        control: "tenth-step",
        ..BASE
    },
    Claim {
        id: "partial-best-constants",
        sentence: "With half of the clients, the best constants of the analysis need less than half the rounds of constants at 0.001",
        source: "ours: beyond the paper",
        subject: "pp",
        effect: Effect::Improvement { metric: "log_rounds", over: "pp-small" },
        margin: LN_2,
        control: "pp-small-again",
        ..BASE
    },
    Claim {
        id: "feedback-is-needed",
        sentence: "Without feedback, |gradient|^2 ends more than a thousand times higher",
        source: "background of the paper: compressed gradients without feedback do not converge",
        effect: Effect::Improvement { metric: "log_gradient", over: "dcgd" },
        margin: LN_1000,
        control: "dcgd-half",
        ..BASE
    },
    Claim {
        id: "older-feedback-stalls",
        sentence: "The older error feedback at the same step ends more than a thousand times higher too",
        source: "background of the paper: EF14 needs other assumptions; the comparison is ours",
        effect: Effect::Improvement { metric: "log_gradient", over: "ef14" },
        margin: LN_1000,
        control: "dcgd-half",
        ..BASE
    },
    Claim {
        id: "no-fewer-bits",
        sentence: "At certified steps Top-1 sends no fewer bits than whole gradients do",
        source: "ours: a boundary of the method",
        subject: "gradient-descent",
        effect: Effect::Improvement { metric: "log_bits", over: "ef21-w" },
        settings: QUADRATICS,
        control: "tenth-step",
        ..BASE
    },
];
