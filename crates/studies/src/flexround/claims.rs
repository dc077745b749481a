//! Arms, metrics and claims of the study of `flexround`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

/// One layer with drawn weights and correlated inputs, by bits.
pub(super) const LAYERS: &[&str] = &["layer-4", "layer-3", "layer-2"];
/// The same with white inputs.
pub(super) const WHITE: &str = "white-3";
/// Networks for handwritten digits, by bits of weights; `a` stands before those of activations.
pub(super) const NETWORKS: &[&str] = &["mlp-3", "mlp-2", "cnn-3", "cnn-2"];
pub(super) const ACTIVATIONS: &[&str] = &["mlp-3a3", "cnn-3a3"];
pub(super) const DIGITS: &[&str] = &["digits-3", "digits-3a3"];

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm("train", Role::Prepare, "the networks in single precision"),
    arm(
        "flexround",
        Role::Method,
        "the method, layer by layer; its rate the best on pilot seeds, of four for layers and of five for networks",
    ),
    arm(
        "block-flexround",
        Role::Method,
        "the same with all layers of a network together, from batches of 32",
    ),
    arm("qdrop", Role::Method, "block-flexround where half of all inputs stay as they are (QDrop)"),
    arm("nearest", Role::Baseline, "rounding to nearest on the same grid; nothing to tune"),
    arm("adaround", Role::Baseline, "rounding up or down, layer by layer; its rate the best of as many"),
    arm(
        "block-adaround",
        Role::Baseline,
        "the same with all layers together, which is BRECQ with plain squared error",
    ),
    arm(
        "adaquant",
        Role::Ablation,
        "a number added to each weight instead of divided by; its rate the best of as many",
    ),
    arm(
        "fixed-grid",
        Role::Ablation,
        "the method with the size of the grid as it was found; its rate the best of as many",
    ),
    arm(
        "no-factors",
        Role::Ablation,
        "the method without divisors of outputs and input channels, at the method's rate",
    ),
    arm("untrained", Role::Control, "the method with no steps"),
    arm("white-calibrated", Role::Control, "the method calibrated on noise of the inputs' variances"),
    arm("random", Role::Control, "every weight rounded up or down by a coin"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "log_error",
        "log10 of the squared error of outputs on test rows, as a share of their mean square",
    ),
    Metric::higher("accuracy", "test rows classified rightly (points)"),
    Metric::higher("full_accuracy", "the same before the network was quantised (points)"),
    Metric::higher(
        "moved",
        "weights that end two or more steps from the nearest point of their first grid (points)",
    ),
    Metric::higher(
        "moved_large",
        "moved weights among the largest quarter by magnitude, less those among the smallest quarter (points)",
    ),
];

const ERRS: Precondition = Precondition {
    sentence: "rounding to nearest loses at least a thousandth of the outputs' mean square: else there is nothing to win",
    arm: "nearest",
    effect: Effect::Above { metric: "log_error", bound: -3.0 },
    at_least: 0.0,
};

const TRAINED: Precondition = Precondition {
    sentence: "networks classify at least 85 % rightly before they are quantised: else there is nothing to lose",
    arm: "flexround",
    effect: Effect::Above { metric: "full_accuracy", bound: 85.0 },
    at_least: 0.0,
};

/// What claims on layers have in common.
const LAYER: Claim = Claim {
    id: "",
    sentence: "",
    source: "the paper's abstract, on networks for images and language; here one layer with drawn weights",
    published: None,
    scope: Scope::Mechanism,
    subject: "flexround",
    effect: Effect::Improvement { metric: "log_error", over: "adaround" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &["layer-4", "layer-3"],
    precondition: Some(ERRS),
    control: "untrained",
    own_data: false,
};

/// What claims on networks have in common.
const NETWORK: Claim = Claim {
    source: "the paper's tables on networks for images; here small ones for handwritten digits",
    scope: Scope::Reduced,
    effect: Effect::Improvement { metric: "accuracy", over: "adaround" },
    settings: NETWORKS,
    precondition: Some(TRAINED),
    ..LAYER
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "below-adaround",
        sentence: "With one grid for a layer of 4 or 3 bits, the output error is at most 0.8 times that of AdaRound",
        // log10 of 1/0.8.
        margin: 0.0969,
        ..LAYER
    },
    Claim {
        id: "adaround-below-nearest",
        sentence: "That of AdaRound is at most a quarter of that of rounding to nearest: the baseline is one",
        source: "ours: what a baseline that works must reach",
        subject: "adaround",
        effect: Effect::Improvement { metric: "log_error", over: "nearest" },
        margin: 0.602,
        control: "white-calibrated",
        ..LAYER
    },
    Claim {
        id: "learned-grid",
        sentence: "With the size of the grid as it was found, the output error is at least 1.5 times as large",
        source: "the paper's ablation",
        effect: Effect::Improvement { metric: "log_error", over: "fixed-grid" },
        margin: 0.176,
        ..LAYER
    },
    Claim {
        id: "division-over-addition",
        sentence: "Dividing weights by learned numbers leaves a smaller output error than adding such",
        source: "the paper's ablation",
        effect: Effect::Improvement { metric: "log_error", over: "adaquant" },
        settings: LAYERS,
        ..LAYER
    },
    Claim {
        id: "two-bit-layer",
        sentence: "At 2 bits the output error of one layer is below that of AdaRound too",
        settings: &["layer-2"],
        ..LAYER
    },
    Claim {
        id: "white",
        sentence: "Where inputs are white, nothing is won: rounding to nearest is at most 1.12 times as far off",
        source: "ours: what no scheme can change",
        subject: "nearest",
        effect: Effect::Improvement { metric: "log_error", over: "flexround" },
        margin: -0.05,
        settings: &[WHITE],
        control: "random",
        ..LAYER
    },
    Claim {
        id: "accuracy",
        sentence: "Networks at 3 and 2 bits per tensor lose at most 0.2 points more than with AdaRound",
        margin: -0.2,
        ..NETWORK
    },
    Claim {
        id: "two-bits",
        sentence: "At 2 bits per tensor networks keep at least 5 points more than with rounding to nearest",
        effect: Effect::Improvement { metric: "accuracy", over: "nearest" },
        margin: 5.0,
        settings: &["mlp-2", "cnn-2"],
        ..NETWORK
    },
    Claim {
        id: "blocks",
        sentence: "All layers together are at most 0.2 points behind AdaRound in blocks (BRECQ)",
        subject: "block-flexround",
        effect: Effect::Improvement { metric: "accuracy", over: "block-adaround" },
        margin: -0.2,
        ..NETWORK
    },
    Claim {
        id: "dropping",
        sentence: "With activations of 3 bits, leaving half of them as they are while learning gains accuracy",
        source: "QDrop, on which the paper's results with quantised activations stand",
        subject: "qdrop",
        effect: Effect::Improvement { metric: "accuracy", over: "block-flexround" },
        settings: ACTIVATIONS,
        precondition: Some(Precondition { arm: "qdrop", ..TRAINED }),
        ..NETWORK
    },
    Claim {
        id: "beyond-two-nearest",
        sentence: "At 3 bits at least a hundredth of a network's weights ends two or more steps from where rounding to nearest puts them",
        source: "the paper's figure on the first block of MobileNetV2",
        published: Some("12.8 % of the weights there are not at one of the two nearest points"),
        effect: Effect::Above { metric: "moved", bound: 0.0 },
        margin: 1.0,
        settings: &["mlp-3", "cnn-3"],
        ..NETWORK
    },
    Claim {
        id: "large-weights-move",
        sentence: "Among the largest quarter of a network's weights at least 5 points more move than among the smallest",
        source: "the paper's argument from the gradient of a division",
        effect: Effect::Above { metric: "moved_large", bound: 0.0 },
        margin: 5.0,
        ..NETWORK
    },
];
