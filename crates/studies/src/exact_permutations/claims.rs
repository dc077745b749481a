//! Arms, metrics and claims of the study of `exact-permutations`.

use std::f64::consts::{LN_2, LN_10};

use backstitch_claim::{Arm, Better, Claim, Effect, Metric, Role, Scope, Statistic};

/// Inputs with two ones, as in the released experiments, by number of bits.
pub(super) const PAIRS: &[&str] = &["pairs-5", "pairs-10", "pairs-15", "pairs-20", "pairs-25", "pairs-30"];
/// Natural logarithms of those numbers.
const LN_BITS: &[f64] = &[
    1.609_437_912_434_100_3,
    std::f64::consts::LN_10,
    2.708_050_201_102_21,
    2.995_732_273_553_991,
    3.218_875_824_868_201,
    3.401_197_381_662_155_5,
];
/// All inputs, by number of bits.
pub(super) const ALL: &[&str] = &["all-4", "all-6", "all-8", "all-10"];
/// Closed forms beside a numeric solution.
pub(super) const CLOSED: &str = "closed-form";
/// Real networks: average and spread.
pub(super) const TRAINED: &str = "trained";
/// Real networks: exactness on all inputs.
pub(super) const TRAINED_ALL: &str = "trained-all";
/// The authors' recorded numbers of models.
pub(super) const RECORDED: &str = "permlearn";
/// ln 1.5.
const LN_1_5: f64 = 0.405_465_108_108_164_4;

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "ntk",
        role: Role::Method,
        description: "the paper's theory: neural tangent kernel, rounding at zero; nothing to tune",
    },
    Arm {
        name: "standard",
        role: Role::Method,
        description: "the released experiments' scaling: readout kernel, rounding at zero; nothing to tune",
    },
    Arm {
        name: "ntk-midpoint",
        role: Role::Method,
        description: "neural tangent kernel, rounding at the midpoint of the two means (ours); nothing to tune",
    },
    Arm {
        name: "trained-ntk",
        role: Role::Method,
        description: "real networks in the NTK parametrisation, rate from the closed form; no tuning",
    },
    Arm {
        name: "trained-standard",
        role: Role::Method,
        description: "real networks in the standard parametrisation, rate from the closed form; no tuning",
    },
    Arm {
        name: "trained-midpoint",
        role: Role::Method,
        description: "real networks in the NTK parametrisation, rounded at the midpoint; no tuning",
    },
    Arm {
        name: "other-kernel",
        role: Role::Control,
        description: "the closed form of one kernel beside the numeric solution of the other",
    },
    Arm {
        name: "training-inputs",
        role: Role::Control,
        description: "inputs with a single one: the training data, on which any number of bits takes one model",
    },
    Arm {
        name: "unit-variance",
        role: Role::Control,
        description: "first-layer weights of variance 1 instead of 1/k, readout kernel",
    },
    Arm {
        name: "other-draws",
        role: Role::Control,
        description: "the paper's theory once more with other draws: it needs what it needs",
    },
    Arm {
        name: "tenth",
        role: Role::Control,
        description: "neural tangent kernel, rounding at zero, a tenth of the models that the theory asks for",
    },
    Arm {
        name: "single-midpoint",
        role: Role::Control,
        description: "one network of the neural tangent kernel, rounded at the midpoint",
    },
    Arm {
        name: "ntk-beside-records",
        role: Role::Control,
        description: "the neural tangent kernel's numbers of models beside the recorded ones",
    },
    Arm {
        name: "not-normalised",
        role: Role::Control,
        description: "the networks of trained-ntk shown inputs that are not divided by the root of their number of ones",
    },
    Arm {
        name: "standard-beside-ntk",
        role: Role::Control,
        description: "the networks of trained-standard judged by the theory of the neural tangent kernel",
    },
    Arm {
        name: "trained-tenth",
        role: Role::Control,
        description: "real networks in the standard parametrisation, a tenth of the models that the theory asks for",
    },
    Arm {
        name: "trained-single",
        role: Role::Control,
        description: "one real network in the NTK parametrisation, rounded at the midpoint",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "gap",
        "largest difference between closed form and numeric solution: means, variances, covariances",
    ),
    Metric::lower("models", "networks averaged until 90 % of the inputs with two ones come out exactly"),
    Metric::lower("log_models", "natural logarithm of models: its differences are relative"),
    Metric {
        name: "exact",
        description: "1 if every input comes out exactly with the number of models that the theory asks for, else 0",
        better: Better::Higher,
        worst: Some(0.0),
    },
    Metric {
        name: "accuracy",
        description: "share of the inputs that come out exactly with that number",
        better: Better::Higher,
        worst: Some(0.0),
    },
    Metric::lower("size", "the number of models that the theory asks for"),
    Metric::lower(
        "log_gap",
        "absolute natural logarithm of the ratio of recorded to predicted number of models",
    ),
    Metric::lower(
        "misfit",
        "root mean square, over inputs and outputs, of (average − mean of the theory) ÷ its standard error: 1 if they agree",
    ),
    Metric::lower(
        "spread_gap",
        "absolute difference from 1 of the sample variance over that of the theory, averaged",
    ),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Reduced,
    subject: "ntk",
    effect: Effect::Above { metric: "exact", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: PAIRS,
    precondition: None,
    control: "other-draws",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "ntk-closed-form",
        sentence: "Means, variances and covariances of the neural tangent kernel in closed form equal the numeric solution",
        source: "the theory's means and variances; covariances are ours",
        scope: Scope::Identity,
        subject: "ntk",
        effect: Effect::Above { metric: "gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-12 },
        settings: &[CLOSED],
        control: "other-kernel",
        ..BASE
    },
    Claim {
        id: "standard-closed-form",
        sentence: "So do those of the readout kernel",
        source: "ours",
        scope: Scope::Identity,
        subject: "standard",
        effect: Effect::Above { metric: "gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-12 },
        settings: &[CLOSED],
        control: "other-kernel",
        ..BASE
    },
    Claim {
        id: "ntk-at-most-linearithmic",
        sentence: "The number of models for 90 % of the inputs with two ones grows no faster than the power 1.3 of the bits (k log 10k has 1.2 here)",
        source: "abstract: linearithmic dependence for a single input",
        subject: "ntk",
        effect: Effect::Below { metric: "log_models", bound: 0.0 },
        margin: -1.3,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        control: "unit-variance",
        ..BASE
    },
    Claim {
        id: "standard-at-most-linearithmic",
        sentence: "Nor does it with the released experiments' scaling",
        source: "abstract: linearithmic dependence for a single input; the scaling is that of the released code",
        subject: "standard",
        effect: Effect::Below { metric: "log_models", bound: 0.0 },
        margin: -1.3,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        control: "unit-variance",
        ..BASE
    },
    Claim {
        id: "standard-at-least-linear",
        sentence: "With the released scaling the number grows at least as the power 0.8 of the bits",
        source: "ours: the other side of the band",
        subject: "standard",
        effect: Effect::Above { metric: "log_models", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        control: "training-inputs",
        ..BASE
    },
    Claim {
        id: "standard-needs-fewer",
        sentence: "The released scaling needs less than half the models of the paper's theory",
        source: "ours",
        subject: "standard",
        effect: Effect::Improvement { metric: "log_models", over: "ntk" },
        margin: LN_2,
        settings: PAIRS,
        control: "other-draws",
        ..BASE
    },
    Claim {
        id: "midpoint-needs-fewer",
        sentence: "Rounding at the midpoint needs less than a tenth of the models of rounding at zero",
        source: "ours: beyond the paper",
        subject: "ntk-midpoint",
        effect: Effect::Improvement { metric: "log_models", over: "ntk" },
        margin: LN_10,
        settings: PAIRS,
        control: "other-draws",
        ..BASE
    },
    Claim {
        id: "all-inputs-exact",
        sentence: "As many models as the Gaussian tails ask for at 99 % permute all 2^k − 1 inputs exactly in more than 80 % of ensembles",
        source: "abstract: exact on all inputs simultaneously with high probability; the number is ours, not the quadratic bound",
        subject: "ntk",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        control: "tenth",
        ..BASE
    },
    Claim {
        id: "standard-all-inputs-exact",
        sentence: "Likewise with the released scaling and its own, smaller number",
        source: "ours",
        subject: "standard",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        control: "tenth",
        ..BASE
    },
    Claim {
        id: "midpoint-all-inputs-exact",
        sentence: "Likewise with rounding at the midpoint and its own number, at most 21 models up to 10 bits",
        source: "ours: beyond the paper",
        subject: "ntk-midpoint",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        control: "single-midpoint",
        ..BASE
    },
    Claim {
        id: "records-follow-the-readout",
        sentence: "The authors' recorded numbers of models (one run each, 5 to 30 bits) are within a factor 1.5 of the readout kernel's on average, and not of the neural tangent kernel's",
        source: "ours, on the recorded experiment; margin written after all 26 recorded numbers had been seen",
        subject: "standard",
        effect: Effect::Below { metric: "log_gap", bound: LN_1_5 },
        statistic: Statistic::ClusterBootstrap,
        settings: &[RECORDED],
        control: "ntk-beside-records",
        ..BASE
    },
    Claim {
        id: "trained-mean",
        sentence: "The average of real networks, trained on basis vectors only, agrees with the theory's mean within its standard error",
        source: "the theory's mean; trained networks of finite width are ours",
        subject: "trained-ntk",
        effect: Effect::Below { metric: "misfit", bound: 1.25 },
        settings: &[TRAINED],
        control: "not-normalised",
        ..BASE
    },
    Claim {
        id: "trained-spread",
        sentence: "Their variance agrees with the theory's within 15 %",
        source: "the theory's variance; trained networks of finite width are ours",
        subject: "trained-ntk",
        effect: Effect::Below { metric: "spread_gap", bound: 0.15 },
        settings: &[TRAINED],
        control: "not-normalised",
        ..BASE
    },
    Claim {
        id: "trained-standard-mean",
        sentence: "Networks in the standard parametrisation agree with the readout kernel's mean within its standard error, and not with the neural tangent kernel's",
        source: "ours",
        subject: "trained-standard",
        effect: Effect::Below { metric: "misfit", bound: 1.25 },
        settings: &[TRAINED],
        control: "standard-beside-ntk",
        ..BASE
    },
    Claim {
        id: "trained-all-inputs-exact",
        sentence: "As many real networks as the theory asks for at 99 %, rounded at zero, permute every input exactly in more than 60 % of ensembles (standard parametrisation)",
        source: "abstract: an ensemble is exact with high probability; the number is ours",
        subject: "trained-standard",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.6,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: &[TRAINED_ALL],
        control: "trained-tenth",
        ..BASE
    },
    Claim {
        id: "trained-midpoint-all-inputs-exact",
        sentence: "Likewise in the NTK parametrisation with rounding at the midpoint",
        source: "ours: beyond the paper",
        subject: "trained-midpoint",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.6,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: &[TRAINED_ALL],
        control: "trained-single",
        ..BASE
    },
];
