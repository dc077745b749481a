//! What is compared, measured and claimed.

use backstitch_claim::{Arm, Better, Claim, Effect, Metric, Role, Scope, Statistic};

use super::{IMPC, LINEAR, SIMULATION, STRONG};

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "judged",
        role: Role::Prepare,
        description: "a predictor, its worst-case risk and its test errors for one subset of every class (of all subsets for impc)",
    },
    Arm {
        name: "causal-minimax",
        role: Role::Method,
        description: "the subset of smallest worst-case risk; default parameters, no tuning",
    },
    Arm {
        name: "whole-stable-set",
        role: Role::Baseline,
        description: "all stable columns, the predictor fitted as for every subset; no tuning",
    },
    Arm {
        name: "regression-on-all",
        role: Role::Baseline,
        description: "the same network regressed on all columns of the pooled training rows; no tuning",
    },
    Arm {
        name: "best-in-training",
        role: Role::Baseline,
        description: "the subset whose predictor has the smallest largest error over training environments; no tuning",
    },
    Arm {
        name: "anchor-regression",
        role: Role::Baseline,
        description: "linear anchor regression on all columns, the environments as anchors, gamma = 10; no tuning",
    },
    Arm {
        name: "constant",
        role: Role::Baseline,
        description: "the mean of the target over the training rows",
    },
    Arm {
        name: "judged-released",
        role: Role::Prepare,
        description: "as judged, with the released code's choices: X_do* shuffled once, columns regenerated without noise",
    },
    Arm {
        name: "released",
        role: Role::Method,
        description: "the subset of smallest worst-case risk with the released code's choices; no tuning",
    },
    Arm {
        name: "released-whole",
        role: Role::Baseline,
        description: "all stable columns with the released code's choices; no tuning",
    },
    Arm {
        name: "mirrored-regression",
        role: Role::Control,
        description: "regression on all columns, its predictions mirrored at the mean and three times as far from it: confident and wrong",
    },
    Arm {
        name: "released-shuffled",
        role: Role::Control,
        description: "worst-case risks with the released code's choices, dealt to the subsets at random",
    },
    Arm {
        name: "averaged",
        role: Role::Method,
        description: "worst-case risks and largest test errors of all subsets, averaged over the splits of all seeds; no tuning",
    },
    Arm {
        name: "averaged-released",
        role: Role::Method,
        description: "the same with the released code's choices, each test environment standardised by itself; no tuning",
    },
    Arm {
        name: "averaged-dealt",
        role: Role::Control,
        description: "as averaged, the risks dealt to the subsets at random, in the same way in every split",
    },
    Arm {
        name: "averaged-released-dealt",
        role: Role::Control,
        description: "as averaged-released, the risks dealt to the subsets at random, in the same way in every split",
    },
    Arm {
        name: "largest-risk",
        role: Role::Ablation,
        description: "the subset of largest worst-case risk: the choice turned around",
    },
    Arm {
        name: "shuffled-risks",
        role: Role::Control,
        description: "the worst-case risks dealt to the subsets at random",
    },
    Arm {
        name: "class-members",
        role: Role::Method,
        description: "longest against shortest member of every class with more than one",
    },
    Arm {
        name: "class-strangers",
        role: Role::Control,
        description: "longest member of a class against the shortest of another",
    },
    Arm {
        name: "adversary",
        role: Role::Method,
        description: "worst-case risk of plain linear regressions by the adversary's networks, against its closed form",
    },
    Arm {
        name: "adversary-off",
        role: Role::Control,
        description: "the same with the training risk in place of the worst case",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "worst",
        "largest mean squared error over test environments, in training variances of the target",
    ),
    Metric::lower("log_worst", "natural logarithm of worst"),
    Metric::lower(
        "worst_own",
        "the same with each test environment standardised by itself, as the released code does",
    ),
    Metric::lower("log_worst_own", "natural logarithm of worst_own"),
    Metric::lower("mean_error", "mean squared error averaged over test environments, in training variances"),
    Metric::lower("risk", "worst-case risk of the chosen subset, in training variances"),
    Metric::lower("subset_size", "number of stable columns used"),
    Metric {
        name: "rank_correlation",
        description: "Spearman's correlation over subsets of worst-case risk and worst",
        better: Better::Higher,
        worst: Some(-1.0),
    },
    Metric {
        name: "rank_correlation_own",
        description: "Spearman's correlation over subsets of worst-case risk and worst_own",
        better: Better::Higher,
        worst: Some(-1.0),
    },
    Metric {
        name: "mean_correlation",
        description: "Pearson's correlation over subsets of worst-case risk and largest test error, both averaged over the splits of all seeds first; a split's value is that plus its influence by the jackknife",
        better: Better::Higher,
        worst: None,
    },
    Metric {
        name: "mean_rank_correlation",
        description: "the same with Spearman's correlation",
        better: Better::Higher,
        worst: None,
    },
    Metric::lower(
        "member_gap",
        "absolute logarithm of the ratio of mean test errors of two subsets, averaged over classes",
    ),
    Metric::lower("shortfall", "relative difference between a worst-case risk and its closed form"),
];

/// What most claims have in common: a smaller error in the worst test environment of the simulation.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "abstract: the whole stable set is not always the one to transfer",
    published: None,
    scope: Scope::Paper,
    subject: "causal-minimax",
    effect: Effect::Improvement { metric: "log_worst", over: "whole-stable-set" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[SIMULATION],
    precondition: None,
    control: "mirrored-regression",
    own_data: false,
};

/// −ln 0.95.
const TWENTIETH: f64 = 0.051_293_294_387_550_58;
/// −ln 0.85: less than half of the released gain.
const RELEASED_GAIN: f64 = 0.162_518_929_497_774_94;

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "simulation-ranks",
        sentence: "In the published simulation subsets with a smaller worst-case risk have a smaller largest test error: rank correlation above 0.5",
        source: "section 5: subsets ordered by worst-case risk have rising largest errors; the bound is ours",
        effect: Effect::Above { metric: "rank_correlation", bound: 0.0 },
        margin: 0.5,
        control: "shuffled-risks",
        ..BASE
    },
    Claim {
        id: "simulation-vs-whole",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than the whole stable set",
        ..BASE
    },
    Claim {
        id: "simulation-vs-regression",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than regression on all columns",
        effect: Effect::Improvement { metric: "log_worst", over: "regression-on-all" },
        ..BASE
    },
    Claim {
        id: "simulation-vs-anchor",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than anchor regression",
        effect: Effect::Improvement { metric: "log_worst", over: "anchor-regression" },
        ..BASE
    },
    Claim {
        id: "simulation-vs-constant",
        sentence: "In the published simulation the largest test error of the chosen subset is at most 0.95 times that of the mean of the target",
        source: "ours: whether there is anything left to predict",
        effect: Effect::Improvement { metric: "log_worst", over: "constant" },
        margin: TWENTIETH,
        ..BASE
    },
    Claim {
        id: "strong-ranks",
        sentence: "With a target of larger spread and weaker mutable mechanisms subsets with a smaller worst-case risk have a smaller largest test error: rank correlation above 0.5",
        source: "ours: the mechanism where the stable columns say something",
        scope: Scope::Mechanism,
        effect: Effect::Above { metric: "rank_correlation", bound: 0.0 },
        margin: 0.5,
        settings: &[STRONG],
        control: "shuffled-risks",
        ..BASE
    },
    Claim {
        id: "strong-vs-whole",
        sentence: "With a target of larger spread and weaker mutable mechanisms the largest test error of the chosen subset is at most 1 % above that of the whole stable set",
        source: "ours: the mechanism where the stable columns say something",
        scope: Scope::Mechanism,
        margin: -0.01,
        settings: &[STRONG],
        ..BASE
    },
    Claim {
        id: "strong-vs-regression",
        sentence: "With a target of larger spread and weaker mutable mechanisms the chosen subset has a smaller largest test error than regression on all columns",
        source: "ours: the mechanism where the stable columns say something",
        scope: Scope::Mechanism,
        effect: Effect::Improvement { metric: "log_worst", over: "regression-on-all" },
        settings: &[STRONG],
        ..BASE
    },
    Claim {
        id: "strong-vs-constant",
        sentence: "With a target of larger spread and weaker mutable mechanisms the largest test error of the chosen subset is at most 0.95 times that of the mean of the target",
        source: "ours: the mechanism where the stable columns say something",
        scope: Scope::Mechanism,
        effect: Effect::Improvement { metric: "log_worst", over: "constant" },
        margin: TWENTIETH,
        settings: &[STRONG],
        ..BASE
    },
    Claim {
        id: "members-are-equal",
        sentence: "With a target of larger spread and weaker mutable mechanisms members of one class have the same test error up to 5 % on average",
        source: "definition of the equivalence; the tolerance is ours",
        scope: Scope::Mechanism,
        subject: "class-members",
        effect: Effect::Below { metric: "member_gap", bound: 0.05 },
        settings: &[STRONG],
        control: "class-strangers",
        ..BASE
    },
    Claim {
        id: "impc-ranks",
        sentence: "On splits of the mouse data the rank correlation of worst-case risk and largest test error over the 16 subsets is above 0.8",
        source: "released record of the mouse experiment",
        published: Some("0.984, Pearson, of means over 45 splits"),
        scope: Scope::Reduced,
        effect: Effect::Above { metric: "rank_correlation", bound: 0.0 },
        margin: 0.8,
        settings: &[IMPC],
        control: "shuffled-risks",
        ..BASE
    },
    Claim {
        id: "impc-ranks-as-released",
        sentence: "On splits of the mouse data, with the released code's choices and its standardisation of test environments, that correlation is above 0.8",
        source: "released record of the mouse experiment",
        published: Some("0.984, Pearson, of means over 45 splits"),
        scope: Scope::Reduced,
        subject: "released",
        effect: Effect::Above { metric: "rank_correlation_own", bound: 0.0 },
        margin: 0.8,
        settings: &[IMPC],
        control: "released-shuffled",
        ..BASE
    },
    Claim {
        id: "impc-averages-correlate",
        sentence: "Averaged over splits of the mouse data first, worst-case risk and largest test error correlate over the 16 subsets above 0.8",
        source: "released record of the mouse experiment: the published figure is of averages like these; our predictors and standardisation",
        published: Some("0.984, Pearson, of means over 45 splits"),
        scope: Scope::Reduced,
        subject: "averaged",
        effect: Effect::Above { metric: "mean_correlation", bound: 0.0 },
        margin: 0.8,
        settings: &[IMPC],
        control: "averaged-dealt",
        ..BASE
    },
    Claim {
        id: "impc-averages-correlate-as-released",
        sentence: "With the released code's choices and its standardisation of test environments, that correlation of averages is above 0.8",
        source: "released record of the mouse experiment: like for like but for the number of splits",
        published: Some("0.984, Pearson, of means over 45 splits"),
        scope: Scope::Reduced,
        subject: "averaged-released",
        effect: Effect::Above { metric: "mean_correlation", bound: 0.0 },
        margin: 0.8,
        settings: &[IMPC],
        control: "averaged-released-dealt",
        ..BASE
    },
    Claim {
        id: "impc-vs-whole",
        sentence: "On splits of the mouse data the largest test error of the chosen subset is at most 0.85 times that of the whole stable set",
        source: "released record of the mouse experiment",
        published: Some("0.952 against 1.368, each environment standardised by itself"),
        scope: Scope::Reduced,
        margin: RELEASED_GAIN,
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "impc-vs-whole-as-released",
        sentence: "On splits of the mouse data, with the released code's choices and its standardisation of test environments, it is at most 0.85 times",
        source: "released record of the mouse experiment",
        published: Some("0.952 against 1.368, each environment standardised by itself"),
        scope: Scope::Reduced,
        subject: "released",
        effect: Effect::Improvement { metric: "log_worst_own", over: "released-whole" },
        margin: RELEASED_GAIN,
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "impc-vs-regression",
        sentence: "On splits of the mouse data the chosen subset has a smaller largest test error than regression on all columns",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_worst", over: "regression-on-all" },
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "impc-vs-constant",
        sentence: "On splits of the mouse data the largest test error of the chosen subset is at most 0.95 times that of the mean of the target",
        source: "ours: whether there is anything left to predict",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_worst", over: "constant" },
        margin: TWENTIETH,
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "closed-form",
        sentence: "The adversary reaches the worst-case risk of linear regressions in a linear Gaussian model within 5 % of its closed form",
        source: "ours: the closed form",
        scope: Scope::Identity,
        subject: "adversary",
        effect: Effect::Below { metric: "shortfall", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 0.05 },
        settings: &[LINEAR],
        control: "adversary-off",
        ..BASE
    },
];
