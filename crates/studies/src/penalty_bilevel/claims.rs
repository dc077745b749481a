//! Arms, metrics and claims of the study of `penalty-bilevel`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Role, Scope, Statistic};

/// One σ each.
pub(super) const SIGMAS: &[&str] = &["sigma-0.1", "sigma-0.03", "sigma-0.01", "sigma-0.003"];
/// Their natural logarithms.
const LN_SIGMAS: &[f64] =
    &[-std::f64::consts::LN_10, -3.506_557_897_319_982, -4.605_170_185_988_091, -5.809_142_990_314_028];
/// One target each for the length of the gradient.
pub(super) const TARGETS: &[&str] = &["target-0.2", "target-0.1", "target-0.05", "target-0.025"];
/// Their natural logarithms.
const LN_TARGETS: &[f64] =
    &[-1.609_437_912_434_100_3, -std::f64::consts::LN_10, -2.995_732_273_553_991, -3.688_879_454_113_936];
/// One σ each, at points near the jump.
pub(super) const JUMPS: &[&str] = &["jump-0.1", "jump-0.05", "jump-0.02", "jump-0.01", "jump-0.005"];
/// Many lower-level minimisers.
const FLAT: &[&str] = &["flat"];
/// One lower-level minimiser.
const STEEP: &[&str] = &["steep"];
/// Gradients of samples.
const NOISE: &[&str] = &["noise"];
/// Handwritten digits with wrong labels.
const DIGITS: &[&str] = &["digits"];

/// ln 1.25, ln 2 and ln 10.
const LN_1_25: f64 = 0.223_143_551_314_209_76;
const LN_2: f64 = std::f64::consts::LN_2;
const LN_10: f64 = std::f64::consts::LN_10;

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm("penalty", Role::Method, "the penalty method, whole gradients; constants of the card, no tuning"),
    arm("extrapolated", Role::Method, "the gradient of two sigmas, extrapolated; no tuning"),
    arm("near-jump", Role::Method, "the certificate at a point within sigma/2 of the jump"),
    arm("on-flat", Role::Method, "the certificate on the flat problem, where the error bound of g holds"),
    arm(
        "storm",
        Role::Method,
        "single loop on batches with STORM; the step of the method on whole gradients, no tuning",
    ),
    arm(
        "sgd",
        Role::Baseline,
        "single loop on batches, as many gradients; the step of the method on whole gradients, no tuning",
    ),
    arm(
        "soba",
        Role::Baseline,
        "SOBA: the linear system of implicit differentiation followed by steps; the best of three step lengths, chosen by the outcome",
    ),
    arm("bome", Role::Baseline, "BOME with its multiplier and ten lower-level steps; no tuning"),
    arm("f2sa", Role::Baseline, "F2SA: plain steps, sigma falling with k^(-1/3); no tuning"),
    arm("naive", Role::Baseline, "descent on f + g/sigma in x and y together, no value function; no tuning"),
    arm("everything", Role::Baseline, "softmax on all training rows and the validation rows; no tuning"),
    arm("validation-only", Role::Baseline, "softmax on the validation rows; no tuning"),
    arm(
        "clean-only",
        Role::Baseline,
        "softmax on the training rows whose labels are right and the validation rows",
    ),
    arm(
        "implicit",
        Role::Baseline,
        "as penalty, with implicit differentiation by conjugate gradients; no tuning",
    ),
    arm("wrong-sign", Role::Control, "the gradient with the penalty's difference subtracted"),
    arm("squared-sigma", Role::Control, "the gradient at the square of sigma"),
    arm(
        "mean-of-two",
        Role::Control,
        "the mean of the gradients at two sigmas, in place of their extrapolation",
    ),
    arm("one-sigma", Role::Control, "as penalty, with sigma 1 throughout"),
    arm("short-steps", Role::Control, "as penalty, with steps of x that shrink with sigma to the power 4.2"),
    arm("away", Role::Control, "the certificate at a point far from the jump"),
    arm("at-jump", Role::Control, "the certificate of near-jump in the place of that of the flat problem"),
    arm("standing", Role::Control, "no step at all"),
    arm("half-sgd", Role::Control, "as sgd, with half of its gradients"),
    arm("shuffled", Role::Control, "as penalty, with the validation labels shuffled"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "log_bias",
        "natural logarithm of the distance of the penalised gradient from that of the bilevel problem",
    ),
    Metric::lower(
        "log_final",
        "natural logarithm of the length of the bilevel problem's gradient at the end",
    ),
    Metric::lower(
        "log_penalised",
        "natural logarithm of the length of the penalised gradient at the end, averaged over draws",
    ),
    Metric::lower(
        "log_calls",
        "natural logarithm of the gradients taken until the penalised gradient is at most half the target",
    ),
    Metric::lower("reported", "1 if the certificate reports the error bound as violated, 0 if not"),
    Metric::higher("accuracy", "share of test rows with the right class"),
    Metric::higher(
        "auc",
        "chance that a row with a wrong label has a smaller weight than one with a right label",
    ),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "penalty",
    effect: Effect::Above { metric: "log_bias", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::Slope { x: LN_SIGMAS },
    settings: SIGMAS,
    precondition: None,
    control: "one-sigma",
    own_data: false,
};

const ORDER: &str = "abstract: values and derivatives are O(sigma)-close; the toy is ours";

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "bias-falls-with-sigma",
        sentence: "With many lower-level minimisers, the penalised gradient comes nearer in proportion to sigma: slope above 0.85",
        source: ORDER,
        margin: 0.85,
        control: "wrong-sign",
        ..BASE
    },
    Claim {
        id: "bias-falls-no-faster",
        sentence: "And no faster: slope below 1.15",
        source: ORDER,
        effect: Effect::Below { metric: "log_bias", bound: 0.0 },
        margin: -1.15,
        control: "squared-sigma",
        ..BASE
    },
    Claim {
        id: "extrapolation",
        sentence: "Extrapolated from two sigmas, it comes nearer with a slope above 1.7",
        source: "ours: beyond the paper",
        subject: "extrapolated",
        margin: 1.7,
        control: "mean-of-two",
        ..BASE
    },
    Claim {
        id: "limit-follows-sigma",
        sentence: "The single loop ends with a gradient of the bilevel problem in proportion to sigma: slope above 0.85",
        source: ORDER,
        effect: Effect::Above { metric: "log_final", bound: 0.0 },
        margin: 0.85,
        ..BASE
    },
    Claim {
        id: "calls-by-target",
        sentence: "With sigma in proportion to the target, gradients taken grow no faster than the target to the power -3.4",
        source: "the paper's rate without noise, O(eps^-3); the toy is ours",
        effect: Effect::Above { metric: "log_calls", bound: 0.0 },
        margin: -3.4,
        statistic: Statistic::Slope { x: LN_TARGETS },
        settings: TARGETS,
        control: "short-steps",
        ..BASE
    },
    Claim {
        id: "jump-is-reported",
        sentence: "Where lower-level minimisers jump, the certificate reports the error bound as violated in more than 90 % of points",
        source: "ours: what the paper's condition rules out; the example is of its kind",
        subject: "near-jump",
        effect: Effect::Above { metric: "reported", bound: 0.5 },
        margin: 0.9,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        settings: JUMPS,
        control: "away",
        ..BASE
    },
    Claim {
        id: "flat-is-not-reported",
        sentence: "Where they form a flat that moves smoothly, it reports nothing in more than 90 % of points",
        source: "ours: the certificate against false alarms",
        subject: "on-flat",
        effect: Effect::Below { metric: "reported", bound: 0.5 },
        margin: 0.9,
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        settings: JUMPS,
        control: "at-jump",
        ..BASE
    },
    Claim {
        id: "second-order-is-biased",
        sentence: "With many lower-level minimisers, SOBA ends with a gradient more than ten times as long",
        source: "the paper's motivation: implicit differentiation needs a unique minimiser; the comparison is ours",
        effect: Effect::Improvement { metric: "log_final", over: "soba" },
        margin: LN_10,
        statistic: Statistic::PairedT,
        settings: FLAT,
        ..BASE
    },
    Claim {
        id: "value-function-is-needed",
        sentence: "Descent on f + g/sigma, without the value function, ends with one more than ten times as long",
        source: "ours: the naive penalty",
        effect: Effect::Improvement { metric: "log_final", over: "naive" },
        margin: LN_10,
        statistic: Statistic::PairedT,
        settings: FLAT,
        control: "standing",
        ..BASE
    },
    Claim {
        id: "no-gain-on-one-minimiser",
        sentence: "With one lower-level minimiser SOBA ends at least twice as near: second derivatives are the better choice there",
        source: "ours: a boundary of the method",
        subject: "soba",
        effect: Effect::Improvement { metric: "log_final", over: "penalty" },
        margin: LN_2,
        statistic: Statistic::PairedT,
        settings: STEEP,
        ..BASE
    },
    Claim {
        id: "storm-beats-batches",
        sentence: "On gradients with noise, both at the untuned step of whole gradients, STORM ends with a penalised gradient more than a fifth shorter than plain batches do with as many gradients",
        source: "abstract: O(eps^-5) instead of O(eps^-7); the toy is ours; says nothing of steps that are tuned for each: pilots showed no clear gain there",
        subject: "storm",
        effect: Effect::Improvement { metric: "log_penalised", over: "sgd" },
        margin: LN_1_25,
        statistic: Statistic::PairedT,
        settings: NOISE,
        control: "half-sgd",
        ..BASE
    },
    Claim {
        id: "cleaning-beats-everything",
        sentence: "On digits with half of the labels wrong, weighted training rows give a test accuracy more than 2 points above that of all rows",
        source: "ours: hyper-cleaning is not in the paper",
        effect: Effect::Improvement { metric: "accuracy", over: "everything" },
        margin: 0.02,
        statistic: Statistic::PairedT,
        settings: DIGITS,
        control: "shuffled",
        ..BASE
    },
    Claim {
        id: "cleaning-beats-validation",
        sentence: "And one above that of the validation rows alone",
        source: "ours: hyper-cleaning is not in the paper",
        effect: Effect::Improvement { metric: "accuracy", over: "validation-only" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: DIGITS,
        control: "shuffled",
        ..BASE
    },
    Claim {
        id: "cleaning-nears-the-oracle",
        sentence: "And less than 6 points below that of an oracle that drops the rows with wrong labels",
        source: "ours: hyper-cleaning is not in the paper",
        effect: Effect::Improvement { metric: "accuracy", over: "clean-only" },
        margin: -0.06,
        statistic: Statistic::PairedT,
        settings: DIGITS,
        control: "shuffled",
        ..BASE
    },
    Claim {
        id: "wrong-labels-are-found",
        sentence: "A row with a wrong label has the smaller weight in more than 85 % of pairs",
        source: "ours: hyper-cleaning is not in the paper",
        effect: Effect::Above { metric: "auc", bound: 0.0 },
        margin: 0.85,
        statistic: Statistic::PairedT,
        settings: DIGITS,
        control: "shuffled",
        ..BASE
    },
    Claim {
        id: "as-good-as-implicit",
        sentence: "First derivatives are enough: less than 2 points of accuracy below implicit differentiation",
        source: "abstract: first-order gradients only; the comparison is ours",
        effect: Effect::Improvement { metric: "accuracy", over: "implicit" },
        margin: -0.02,
        statistic: Statistic::PairedT,
        settings: DIGITS,
        control: "shuffled",
        ..BASE
    },
];
