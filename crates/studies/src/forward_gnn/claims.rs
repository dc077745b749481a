//! Arms, metrics and claims of the study of `forward-gnn`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

/// Public graphs.
pub(super) const PUBLIC: &[&str] = &["cora", "citeseer"];
/// The one that forward-forward learns too: its cost is that of one pass per class.
pub(super) const CORA: &[&str] = &["cora"];
/// A generated graph.
pub(super) const BLOCKS: &str = "blocks";

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm(
        "sf",
        Role::Method,
        "single forward, layer after layer; step size 1e-2 as all arms, chosen on a pilot split",
    ),
    arm(
        "sf-top-to-loss",
        Role::Method,
        "single forward, layers above heard in the loss; step size as all arms, else the paper's setting",
    ),
    arm(
        "sf-top-to-input",
        Role::Method,
        "single forward, layers above heard as input; step size as all arms, else the paper's setting",
    ),
    arm("sf-family", Role::Method, "of the three, the one with the best validation in this split"),
    arm(
        "ff-la",
        Role::Method,
        "forward-forward with labels among the features; step size as all arms, else the paper's setting",
    ),
    arm(
        "ff-vn",
        Role::Method,
        "forward-forward with labels as edges to virtual nodes; step size as all arms, else the paper's setting",
    ),
    arm(
        "bp",
        Role::Baseline,
        "the same layers by backpropagation; step size 1e-2 as all arms, chosen on a pilot split",
    ),
    arm(
        "mlp",
        Role::Baseline,
        "a perceptron on the features alone, by backpropagation; step size 1e-2 as all arms, chosen on a pilot split",
    ),
    arm("sf-one-layer", Role::Control, "single forward with one layer: a second one that adds nothing"),
    arm("sf-untrained", Role::Control, "single forward whose layers keep their initial weights"),
    arm("ff-la-shuffled", Role::Control, "forward-forward with the labels of training nodes shuffled"),
    arm("sf-depth", Role::Method, "memory of single forward with one layer and with four, over two epochs"),
    arm(
        "bp-depth",
        Role::Baseline,
        "memory of backpropagation with one layer and with four, over two epochs",
    ),
    arm("bp-in-its-place", Role::Control, "memory of backpropagation, put in the place of single forward"),
    arm(
        "link-sf",
        Role::Method,
        "links by forward learning; step size 1e-2 and no penalty, both chosen on a pilot split",
    ),
    arm(
        "link-bp",
        Role::Baseline,
        "links by backpropagation; step size 1e-2 and no penalty, both chosen on a pilot split",
    ),
    arm("link-neighbours", Role::Baseline, "the number of common neighbours; nothing to tune"),
    arm("link-untrained", Role::Control, "links by layers that keep their initial weights"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric { worst: Some(0.0), ..Metric::higher("accuracy", "share of test nodes whose class is right") },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("validation", "share of validation nodes whose class is right")
    },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("first_layer", "share of test nodes whose class is right by the first layer alone")
    },
    Metric {
        worst: Some(-1.0),
        ..Metric::higher("gain", "accuracy of all layers less that of the first alone")
    },
    Metric::lower("epochs", "epochs until training stopped, all layers"),
    Metric::lower("passes", "natural logarithm of the passes of a layer over a graph, per epoch of a layer"),
    Metric::lower(
        "peak",
        "most bytes of activations and gradients alive in training, with as many layers as accuracy",
    ),
    Metric::lower("log_peak", "natural logarithm of the same bytes with four layers"),
    Metric::lower("growth", "those bytes with four layers, as a multiple of those with one"),
    Metric {
        worst: Some(0.0),
        ..Metric::higher("area", "area under the ROC curve of test edges and as many other pairs")
    },
];

/// Where the claims about public graphs come from.
const COMPARISON: &str = "the paper's comparison on five graphs; here Cora and CiteSeer of another source, with the same rule for splits";

/// The graph has to matter: features alone must not solve it.
const GRAPH_MATTERS: Precondition = Precondition {
    sentence: "backpropagation on the graph beats a perceptron on the features by at least 2 points: else the features alone solve it",
    arm: "bp",
    effect: Effect::Improvement { metric: "accuracy", over: "mlp" },
    at_least: 0.02,
};

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: COMPARISON,
    published: None,
    scope: Scope::Reduced,
    subject: "sf",
    effect: Effect::Improvement { metric: "accuracy", over: "bp" },
    margin: -0.015,
    statistic: Statistic::PairedT,
    settings: PUBLIC,
    precondition: Some(GRAPH_MATTERS),
    control: "sf-untrained",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "family-accuracy",
        sentence: "The best of the three single-forward learners, chosen by validation, is at most 1.5 points less accurate than backpropagation",
        subject: "sf-family",
        ..BASE
    },
    Claim {
        id: "accuracy",
        sentence: "Single forward, layer after layer, is at most 1.5 points less accurate than backpropagation",
        ..BASE
    },
    Claim {
        id: "generated-accuracy",
        sentence: "On a generated graph of communities the best single-forward learner is at most 1.5 points less accurate than backpropagation",
        source: "ours: a graph that needs no download",
        scope: Scope::Mechanism,
        subject: "sf-family",
        settings: &[BLOCKS],
        ..BASE
    },
    Claim {
        id: "single-forward-vs-forward-forward",
        sentence: "Single forward is more accurate than forward-forward with labels among the features",
        effect: Effect::Improvement { metric: "accuracy", over: "ff-la" },
        margin: 0.0,
        settings: CORA,
        control: "ff-la-shuffled",
        ..BASE
    },
    Claim {
        id: "passes",
        sentence: "An epoch of single forward takes at most a third of the passes of forward-forward",
        source: "summary: single forward is much faster; here passes are counted, not seconds",
        effect: Effect::Improvement { metric: "passes", over: "ff-la" },
        // The natural logarithm of 3.
        margin: 1.098_612_288_668_109_8,
        precondition: None,
        settings: CORA,
        control: "ff-la-shuffled",
        ..BASE
    },
    Claim {
        id: "second-layer",
        sentence: "The second layer of single forward adds at least 0.2 points to the first alone",
        source: "ours: whether the sum over layers is more than its first",
        effect: Effect::Above { metric: "gain", bound: 0.0 },
        margin: 0.002,
        control: "sf-one-layer",
        ..BASE
    },
    Claim {
        id: "memory-flat",
        sentence: "With four layers single forward holds at most 1.2 times the activations that it holds with one",
        source: "summary: peak memory stays flat in depth",
        subject: "sf-depth",
        effect: Effect::Below { metric: "growth", bound: 1.2 },
        margin: 0.0,
        precondition: None,
        control: "bp-in-its-place",
        ..BASE
    },
    Claim {
        id: "memory-less",
        sentence: "With four layers backpropagation holds at least 1.5 times the activations of single forward",
        source: "summary: peak memory of backpropagation grows with depth",
        subject: "sf-depth",
        effect: Effect::Improvement { metric: "log_peak", over: "bp-depth" },
        // The natural logarithm of 1.5.
        margin: 0.405_465_108_108_164_4,
        precondition: None,
        control: "bp-in-its-place",
        ..BASE
    },
    Claim {
        id: "links",
        sentence: "Forward learning predicts links with an area under the curve at most 0.01 below that of backpropagation",
        subject: "link-sf",
        effect: Effect::Improvement { metric: "area", over: "link-bp" },
        margin: -0.01,
        precondition: Some(Precondition {
            sentence: "backpropagation beats the number of common neighbours by at least 0.02: else there is nothing to learn",
            arm: "link-bp",
            effect: Effect::Improvement { metric: "area", over: "link-neighbours" },
            at_least: 0.02,
        }),
        control: "link-untrained",
        ..BASE
    },
];
