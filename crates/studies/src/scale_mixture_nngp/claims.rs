//! Arms, metrics and claims of the study of `scale-mixture-nngp`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

/// Twenty training rows.
pub(super) const FEW: &[&str] = &["few-concrete", "few-energy", "few-wine", "few-yacht", "few-diabetes"];
/// Three hundred, or what there is.
pub(super) const MANY: &[&str] =
    &["many-concrete", "many-energy", "many-wine", "many-yacht", "many-diabetes"];
/// Generated rows.
pub(super) const NOISE: &[&str] = &["t-noise", "normal-noise"];
const HEAVY: &[&str] = &["t-noise"];
/// Hyper-parameters that are not searched, of a scale that is wrong.
pub(super) const WRONG_SCALE: &[&str] = &["wrong-scale"];
/// Identities.
pub(super) const IDENTITIES: &[&str] = &["identities"];
/// Random networks.
pub(super) const NETWORKS: &[&str] = &["networks"];
/// Images.
pub(super) const DIGITS: &[&str] = &["digits"];

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "student-t",
        role: Role::Method,
        description: "inverse-gamma scale, shape and scale 2; hyper-parameters by at most 60 steps on the evidence",
    },
    Arm {
        name: "burr",
        role: Role::Method,
        description: "Burr XII scale with c = 2, k = 1; the same search",
    },
    Arm {
        name: "student-t-searched",
        role: Role::Ablation,
        description: "as student-t, shape and scale searched too, as the released code does",
    },
    Arm {
        name: "gaussian",
        role: Role::Baseline,
        description: "the scale fixed at 1, a Gaussian process; the same search",
    },
    Arm {
        name: "linear",
        role: Role::Baseline,
        description: "Bayesian linear regression: no hidden layer, the scale fixed; the same search",
    },
    Arm {
        name: "student-t-stiff",
        role: Role::Control,
        description: "as student-t with shape and scale of 1e9: two thousand million degrees of freedom before any data",
    },
    Arm {
        name: "student-t-narrow",
        role: Role::Control,
        description: "as student-t, predictive scales halved",
    },
    Arm {
        name: "drawn-scale",
        role: Role::Method,
        description: "random networks of two hidden layers of 2,048 units, one inverse-gamma scale each",
    },
    Arm { name: "fixed-scale", role: Role::Control, description: "the same networks with a scale of 1" },
    Arm {
        name: "scale-per-output",
        role: Role::Control,
        description: "the same networks with a scale drawn for every output, as the released code's sampler does",
    },
    Arm {
        name: "limit",
        role: Role::Method,
        description: "a Student-t process of two thousand million degrees of freedom beside the Gaussian process",
    },
    Arm { name: "limit-far", role: Role::Control, description: "one of 20 degrees of freedom beside it" },
    Arm {
        name: "quadrature",
        role: Role::Method,
        description: "the posterior of an inverse-gamma scale by quadrature beside its closed form",
    },
    Arm {
        name: "sampling",
        role: Role::Control,
        description: "the same by importance sampling with 1,000 draws, as published",
    },
    Arm {
        name: "one-mean",
        role: Role::Method,
        description: "means under Student-t and Burr scales beside those under a fixed one, at equal hyper-parameters",
    },
    Arm {
        name: "other-noise",
        role: Role::Control,
        description: "the same with twice the noise under the former",
    },
    Arm {
        name: "student-t-classes",
        role: Role::Method,
        description: "sparse variational Student-t classifier, convolutional kernel of depth 4, 100 inducing images, 1,500 steps",
    },
    Arm { name: "gaussian-classes", role: Role::Baseline, description: "the same with the scale fixed at 1" },
    Arm {
        name: "student-t-classes-stiff",
        role: Role::Control,
        description: "as student-t-classes with shape and scale of 1e9",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "nll",
        "minus the mean logarithm of the predictive density of test targets, in deviations of the training targets; of \
         digits, of the probability of the label",
    ),
    Metric::lower("rmse", "root mean squared error of test targets, in deviations of the training targets"),
    Metric::higher("coverage", "share of test targets inside 95 % intervals"),
    Metric::lower("degrees", "degrees of freedom of predictions, at most 10 million"),
    Metric::lower(
        "ks",
        "Kolmogorov-Smirnov distance of outputs from the limit, times the root of their number",
    ),
    Metric::lower("gap", "largest difference of what an identity makes equal, relative to its size"),
    Metric::higher("accuracy", "share of test images whose most probable class is right"),
    Metric::lower(
        "nll_corrupted",
        "minus the mean logarithm of the probability of the label of corrupted images",
    ),
    Metric::higher("accuracy_corrupted", "share of corrupted images whose most probable class is right"),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "the paper's regressions on public tables: lower NLL under a Student-t process on most",
    published: None,
    scope: Scope::Reduced,
    subject: "student-t",
    effect: Effect::Improvement { metric: "nll", over: "gaussian" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: FEW,
    precondition: None,
    control: "student-t-stiff",
    own_data: false,
};

/// Draws of training rows differ so much in their NLL, some by hundreds of nats, that a mean over them says little.
const MORE_THAN_HALF: Statistic = Statistic::ExactBinomial { at_least: 0.005 };

const GAP: Effect = Effect::Above { metric: "gap", bound: 0.0 };

/// What claims about images have in common.
const IMAGES: Claim = Claim {
    source: "the paper's classification of corrupted images; here 8 x 8 digits in place of MNIST",
    subject: "student-t-classes",
    margin: 0.02,
    settings: DIGITS,
    precondition: Some(Precondition {
        sentence: "the Student-t classifier is right on at least 90 % of clean images",
        arm: "student-t-classes",
        effect: Effect::Above { metric: "accuracy", bound: 0.0 },
        at_least: 0.9,
    }),
    control: "student-t-classes-stiff",
    ..BASE
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "few-rows",
        sentence: "On more than half of the draws of 20 training rows, a Student-t process has a test NLL lower by 0.005 nats or \
                   more than the Gaussian process",
        margin: 0.5,
        statistic: MORE_THAN_HALF,
        ..BASE
    },
    Claim {
        id: "few-rows-burr",
        sentence: "On more than half of the draws of 20 training rows, a Burr XII scale has a test NLL lower by 0.005 nats or more than \
                   the Gaussian process",
        subject: "burr",
        margin: 0.5,
        statistic: MORE_THAN_HALF,
        ..BASE
    },
    Claim {
        id: "no-loss",
        sentence: "With 300 training rows, the Student-t process loses at most 0.02 nats to the Gaussian process",
        margin: -0.02,
        settings: MANY,
        control: "student-t-narrow",
        ..BASE
    },
    Claim {
        id: "heavy-noise",
        sentence: "Under Cauchy noise, on more than half of the draws, the Student-t process has a test NLL lower by 0.05 nats or more \
                   than the Gaussian process",
        source: "the released code's generated set with Student-t noise",
        margin: 0.5,
        statistic: Statistic::ExactBinomial { at_least: 0.05 },
        settings: HEAVY,
        ..BASE
    },
    Claim {
        id: "wrong-scale",
        sentence: "Where the kernel's scale is wrong by a factor of 25, the Student-t process adapts: its NLL is lower by a nat",
        source: "ours: what a scale that is drawn is for",
        scope: Scope::Mechanism,
        margin: 1.0,
        settings: WRONG_SCALE,
        ..BASE
    },
    Claim {
        id: "wide-networks",
        sentence: "Outputs of random networks of width 2,048 whose last layer has an inverse-gamma scale are those of the Student-t \
                   process: a Kolmogorov-Smirnov statistic as large as chance makes it",
        source: "the paper's limit theorem",
        scope: Scope::Mechanism,
        subject: "drawn-scale",
        effect: Effect::Below { metric: "ks", bound: 1.36 },
        settings: NETWORKS,
        control: "fixed-scale",
        ..BASE
    },
    Claim {
        id: "one-scale",
        sentence: "All outputs of a network share its scale: they are a multivariate t, not independent ones",
        source: "the paper's limit theorem; the released sampler draws a scale per coordinate",
        scope: Scope::Mechanism,
        subject: "drawn-scale",
        effect: Effect::Below { metric: "ks", bound: 1.36 },
        settings: NETWORKS,
        control: "scale-per-output",
        ..BASE
    },
    Claim {
        id: "gaussian-limit",
        sentence: "With many degrees of freedom the Student-t process is the Gaussian process",
        source: "what the Student-t density implies",
        scope: Scope::Identity,
        subject: "limit",
        effect: GAP,
        statistic: Statistic::Identity { tolerance: 1e-6 },
        settings: IDENTITIES,
        control: "limit-far",
        ..BASE
    },
    Claim {
        id: "one-mean",
        sentence: "At equal hyper-parameters the prior of the scale does not move predictive means",
        source: "the paper's predictive distribution",
        scope: Scope::Identity,
        subject: "one-mean",
        effect: GAP,
        statistic: Statistic::Identity { tolerance: 1e-10 },
        settings: IDENTITIES,
        control: "other-noise",
        ..BASE
    },
    Claim {
        id: "exact-quadrature",
        sentence: "Quadrature gives the posterior of the scale to ten digits, where 1,000 draws of the prior do not",
        source: "ours: in place of the published importance sampling",
        scope: Scope::Identity,
        subject: "quadrature",
        effect: GAP,
        statistic: Statistic::Identity { tolerance: 1e-10 },
        settings: IDENTITIES,
        control: "sampling",
        ..BASE
    },
    Claim {
        id: "corrupted-images",
        sentence: "Trained on clean images, the Student-t classifier has an NLL on corrupted ones lower by 0.02 nats than the Gaussian one",
        effect: Effect::Improvement { metric: "nll_corrupted", over: "gaussian-classes" },
        ..IMAGES
    },
    Claim {
        id: "clean-images",
        sentence: "At equal deviations and budget, the Student-t classifier has an NLL on clean images lower by 0.02 nats than the Gaussian \
                   one",
        source: "ours: what the scale is worth where the kernel's own is given",
        effect: Effect::Improvement { metric: "nll", over: "gaussian-classes" },
        ..IMAGES
    },
];
