//! What is compared, measured and claimed.

use backstitch_claim::{Arm, Claim, Effect, Metric, Role, Scope, Statistic};

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "normalised",
        role: Role::Method,
        description: "the default counter: column-normalised square root by exponentials; no tuning",
    },
    Arm { name: "tree", role: Role::Baseline, description: "the counter by a binary tree; no tuning" },
    Arm {
        name: "honaker",
        role: Role::Baseline,
        description: "the tree with estimates from below; no tuning",
    },
    Arm {
        name: "half-noise",
        role: Role::Control,
        description: "the default with half the noise that the demand needs",
    },
    Arm {
        name: "coarse",
        role: Role::Control,
        description: "the default with exponentials four times as far apart",
    },
    Arm {
        name: "fresh-noise",
        role: Role::Control,
        description: "every prefix with noise of its own at the same total budget",
    },
    Arm {
        name: "maximum",
        role: Role::Method,
        description: "the running maximum by the best predicted of counters, recomputing and zero; no tuning",
    },
    Arm {
        name: "every-row",
        role: Role::Control,
        description: "the running maximum recomputed at every row",
    },
    Arm {
        name: "batch",
        role: Role::Control,
        description: "the maximum released once, after the last row, with the whole budget",
    },
    Arm {
        name: "no-noise",
        role: Role::Control,
        description: "the running maximum, or its column, as it is: accurate and not private",
    },
    Arm {
        name: "selection",
        role: Role::Method,
        description: "the running column of the largest sum, selected anew when the reduction reads it and at no other time; no tuning",
    },
    Arm {
        name: "first-column",
        role: Role::Control,
        description: "the first column of the group whose turn it is, whatever the rows",
    },
    Arm { name: "zero", role: Role::Control, description: "the answer 0, which knows nothing" },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower("factor", "largest error factor: standard error over σ per unit of sensitivity"),
    Metric::lower(
        "excess",
        "largest error factor over that of the exact column-normalised square root, minus 1",
    ),
    Metric::lower(
        "miss",
        "absolute difference between measured and predicted root-mean-square error, as a share",
    ),
    Metric::lower("rmse", "root-mean-square error over times and runs"),
    Metric::lower("log_error", "binary logarithm of the root-mean-square error over times"),
    Metric::lower("growth", "binary logarithm of the root-mean-square error of the counter over times"),
    Metric {
        worst: Some(0.0),
        ..Metric::higher(
            "auc",
            "area under the curve of the tracing attack: members of the table against fresh rows",
        )
    },
    Metric::lower("accuracy", "mean absolute error of the column means won by the reduction"),
    Metric::lower(
        "shortfall",
        "how far the sum of the selected column is below the largest, in rows of the table, averaged over selections",
    ),
    Metric::lower("epsilon", "lower end of a one-sided 95 % interval on ε, from the distinguishing attack"),
];

/// Settings of the counters.
pub(super) const COUNTERS: &[&str] = &["counter-short", "counter-long"];
/// Settings of the maximum over as many columns as rows, T a factor of 4 apart, and the binary logarithms of T.
pub(super) const WIDE: &[&str] = &["wide-1", "wide-2", "wide-3", "wide-4", "wide-5"];
/// Settings of the maximum over 16 columns, likewise.
pub(super) const NARROW: &[&str] = &["narrow-1", "narrow-2", "narrow-3", "narrow-4", "narrow-5"];
/// Each is T·4 of the one before; slopes are per doubling of T.
const DOUBLINGS: &[f64] = &[0.0, 2.0, 4.0, 6.0, 8.0];
/// The reduction with the most columns.
pub(super) const TRACING: &[&str] = &["tracing"];
/// The reduction with the most groups of columns, and with one.
pub(super) const SELECTING: &[&str] = &["selecting"];
pub(super) const SELECTING_ONCE: &[&str] = &["selecting-once"];
pub(super) const AUDIT: &[&str] = &["audit"];

/// The claimed ε of the audit.
pub(super) const AUDITED_EPSILON: f64 = 1.0;
pub(super) const AUDITED_DELTA: f64 = 1e-6;

/// What most claims have in common: a property of the default counter at both horizons that fresh noise does not have.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "normalised",
    effect: Effect::Above { metric: "auc", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: COUNTERS,
    precondition: None,
    control: "fresh-noise",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "within-two-per-cent",
        sentence: "In bounded memory the default's largest error stays within 2 % of the exact column-normalised square root",
        source: "ours: the exponentials",
        scope: Scope::Identity,
        effect: Effect::Above { metric: "excess", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 0.02 },
        settings: &["counter-short"],
        control: "coarse",
        ..BASE
    },
    Claim {
        id: "error-as-predicted",
        sentence: "The default counter's measured error is within 5 % of the prediction",
        source: "ours: the standard errors that are printed",
        effect: Effect::Below { metric: "miss", bound: 0.05 },
        control: "half-noise",
        ..BASE
    },
    Claim {
        id: "half-the-error-of-the-tree",
        sentence: "The default counter has less than half the error of the binary tree",
        source: "ours: the error factors",
        effect: Effect::Improvement { metric: "growth", over: "tree" },
        margin: 1.0,
        ..BASE
    },
    Claim {
        id: "better-than-honaker",
        sentence: "The default counter has less error than the tree with estimates from below, by more than a third",
        source: "ours: the error factors",
        effect: Effect::Improvement { metric: "growth", over: "honaker" },
        // log2(1.5).
        margin: 0.585,
        ..BASE
    },
    Claim {
        id: "maximum-grows-at-least",
        sentence: "With as many columns as rows, the error of the running maximum grows faster than T to the 0.28",
        source: "abstract: the error must grow polynomially in T, T^(1/3) for (ε, δ)",
        published: Some("T^(1/3)"),
        subject: "maximum",
        effect: Effect::Above { metric: "log_error", bound: 0.0 },
        margin: 0.28,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        control: "batch",
        ..BASE
    },
    Claim {
        id: "maximum-grows-at-most",
        sentence: "With as many columns as rows, the error of the running maximum grows slower than T to the 0.40",
        source: "the paper's mechanism of error T^(1/3)",
        published: Some("T^(1/3)"),
        subject: "maximum",
        effect: Effect::Below { metric: "log_error", bound: 0.0 },
        margin: -0.40,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        control: "every-row",
        ..BASE
    },
    Claim {
        id: "few-columns-are-cheap",
        sentence: "Over 16 columns, where counters take over, the error of the running maximum grows slower than T to the 0.2",
        source: "the paper's minimum of T^(1/3) and √d",
        subject: "maximum",
        effect: Effect::Below { metric: "log_error", bound: 0.0 },
        margin: -0.2,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: NARROW,
        control: "every-row",
        ..BASE
    },
    Claim {
        id: "sums-stay-cheap",
        sentence: "Over the same lengths the error of a running sum grows slower than T to the 0.12",
        source: "introduction: summation costs a polynomial in log T",
        effect: Effect::Below { metric: "growth", bound: 0.0 },
        margin: -0.12,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        ..BASE
    },
    Claim {
        id: "accurate-maximum-gives-rows-away",
        sentence: "Through the reduction, an accurate running maximum lets the tracing attack tell members from others (AUC above 0.95)",
        source: "the paper's reduction from one-way marginals",
        subject: "no-noise",
        effect: Effect::Above { metric: "auc", bound: 0.0 },
        margin: 0.95,
        settings: TRACING,
        control: "zero",
        ..BASE
    },
    Claim {
        id: "private-maximum-does-not",
        sentence: "Through the same reduction, the private running maximum (ρ = 0.5) leaves the attack below AUC 0.65",
        source: "ours: the other side of the reduction",
        subject: "maximum",
        effect: Effect::Below { metric: "auc", bound: 0.65 },
        settings: TRACING,
        control: "no-noise",
        ..BASE
    },
    Claim {
        id: "private-maximum-is-inaccurate",
        sentence: "The column means won from the private running maximum are off by more than 0.1",
        source: "the paper's lower bound, seen from below",
        subject: "maximum",
        effect: Effect::Above { metric: "accuracy", bound: 0.0 },
        margin: 0.1,
        settings: TRACING,
        control: "no-noise",
        ..BASE
    },
    Claim {
        id: "accurate-selection-gives-rows-away",
        sentence: "Through the reduction, an accurate running selection from each of many groups of columns lets the tracing attack tell members from others (AUC above 0.95)",
        source: "the paper's reduction from many selections",
        subject: "no-noise",
        margin: 0.95,
        settings: SELECTING,
        control: "first-column",
        ..BASE
    },
    Claim {
        id: "private-selection-does-not",
        sentence: "Through the same reduction, the private running selection (ρ = 0.5) leaves the attack below AUC 0.76, the most that Gaussian noise of this ρ gives away of a row",
        source: "ours: the other side of the reduction",
        subject: "selection",
        // Φ(√ρ): with a row and without it such answers lie √(2ρ) deviations apart, and two scores are compared.
        effect: Effect::Below { metric: "auc", bound: 0.76 },
        settings: SELECTING,
        control: "no-noise",
        ..BASE
    },
    Claim {
        id: "private-selection-is-inaccurate",
        sentence: "The columns that the private running selection answers fall short of the largest sum by more than 0.1 of the table's rows",
        source: "the paper's lower bound, seen from below",
        subject: "selection",
        effect: Effect::Above { metric: "shortfall", bound: 0.0 },
        margin: 0.1,
        settings: SELECTING,
        control: "no-noise",
        ..BASE
    },
    Claim {
        id: "one-private-selection-is-accurate",
        sentence: "With as many rows and columns in a group and the same ρ, but one group, the private selection falls short by less than 0.1 of the rows",
        source: "abstract: in the batch model the same problem is easier by T^(1/3)",
        subject: "selection",
        effect: Effect::Below { metric: "shortfall", bound: 0.1 },
        settings: SELECTING_ONCE,
        control: "first-column",
        ..BASE
    },
    Claim {
        id: "survives-the-audit",
        sentence: "The best attack on two neighbouring streams does not show more than the claimed ε = 1",
        source: "ours: an audit of the implementation",
        effect: Effect::Below { metric: "epsilon", bound: AUDITED_EPSILON },
        settings: AUDIT,
        control: "half-noise",
        ..BASE
    },
];
