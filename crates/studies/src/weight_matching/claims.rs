//! Arms, metrics and claims of the study of `weight-matching`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

pub(super) const DIGITS: &[&str] = &["digits"];

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm("network", Role::Prepare, "three networks from different initial weights, trained once for all arms"),
    arm("weights", Role::Method, "weight matching; nothing to tune"),
    arm("activations", Role::Method, "activation matching on the training rows; nothing to tune"),
    arm(
        "straight-through",
        Role::Method,
        "the straight-through estimator: 88 steps of Adam at 1e-2, in place of the released 2,350 at 1e-3, the step chosen on a pilot seed",
    ),
    arm("copy", Role::Method, "weight matching of a network to a permuted copy of itself"),
    arm("none", Role::Baseline, "no permutation"),
    arm("random", Role::Control, "a random permutation of every hidden layer"),
    arm("random-copy", Role::Control, "a random permutation of the permuted copy"),
    arm("near", Role::Control, "no permutation, of a network and one a hundredth of the way to another"),
    arm("near-copy", Role::Control, "weight matching of a network to a permuted copy of that near one"),
    arm("weights-again", Role::Control, "weight matching that goes through the layers in another order"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower(
        "barrier",
        "highest loss on test rows above the straight line, on the way between two networks (nat)",
    ),
    Metric::lower("barrier_share", "the barrier as a share of that without permutation"),
    Metric::lower(
        "log_third",
        "natural logarithm of the barrier between the two networks that were matched to a third",
    ),
    Metric::higher("reduction", "share of itself by which the distance of the weights fell"),
    Metric::higher("alignment", "R at 0.3: how far singular vectors of layers point the same way"),
    Metric::lower("alignment_share", "R at 0.3 as a share of that with weight matching"),
    Metric::higher(
        "taylor_miss",
        "distance of the second-order estimate from the height half way, as a share of the barrier without permutation",
    ),
    Metric::lower("copy_gap", "largest difference of an output half way to the matched copy"),
    Metric::higher("accuracy", "share of test rows whose class is right, mean of the networks"),
];

/// Of claims about the estimator.
const FEW_STEPS: &str = "the paper's comparison on MNIST; here 8 x 8 digits, and 88 steps of the estimator where its released code takes 2,350";

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "the paper's comparison on MNIST; here 8 x 8 digits",
    published: None,
    scope: Scope::Reduced,
    subject: "weights",
    effect: Effect::Below { metric: "barrier_share", bound: 0.3 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: DIGITS,
    precondition: Some(Precondition {
        sentence: "without permutation the barrier is at least 0.1 nat: else there is nothing to remove",
        arm: "none",
        effect: Effect::Above { metric: "barrier", bound: 0.0 },
        at_least: 0.1,
    }),
    control: "random",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "copy",
        sentence: "Weight matching finds the permutation of a permuted copy: half way to it the outputs are the same",
        source: "what a permutation of hidden units is",
        scope: Scope::Identity,
        subject: "copy",
        effect: Effect::Above { metric: "copy_gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-9 },
        precondition: None,
        control: "random-copy",
        ..BASE
    },
    Claim { id: "barrier", sentence: "Weight matching leaves at most three tenths of the barrier", ..BASE },
    Claim {
        id: "distance-small",
        sentence: "Weight matching shortens the distance of the weights by at most 35 %",
        effect: Effect::Below { metric: "reduction", bound: 0.35 },
        control: "near-copy",
        ..BASE
    },
    Claim {
        id: "distance",
        sentence: "It shortens it by at least 2 %",
        effect: Effect::Above { metric: "reduction", bound: 0.02 },
        ..BASE
    },
    Claim {
        id: "alignment",
        sentence: "Weight matching raises the alignment of strong singular vectors (R at 0.3) by at least 0.2",
        effect: Effect::Improvement { metric: "alignment", over: "none" },
        margin: 0.2,
        ..BASE
    },
    Claim {
        id: "activations-barrier",
        sentence: "Activation matching leaves at most three tenths of the barrier",
        subject: "activations",
        ..BASE
    },
    Claim {
        id: "activations-alignment",
        sentence: "Activation matching raises the alignment of strong singular vectors by at least 0.2",
        subject: "activations",
        effect: Effect::Improvement { metric: "alignment", over: "none" },
        margin: 0.2,
        ..BASE
    },
    Claim {
        id: "straight-through-barrier",
        sentence: "The straight-through estimator leaves at most half of the barrier",
        source: FEW_STEPS,
        subject: "straight-through",
        effect: Effect::Below { metric: "barrier_share", bound: 0.5 },
        ..BASE
    },
    Claim {
        id: "straight-through-alignment",
        sentence: "Its alignment of strong singular vectors is at most half of weight matching's",
        source: FEW_STEPS,
        subject: "straight-through",
        effect: Effect::Below { metric: "alignment_share", bound: 0.5 },
        control: "weights-again",
        ..BASE
    },
    Claim {
        id: "third",
        sentence: "Between two networks that weight matching brought to a third, the barrier is at most half of what the straight-through \
                   estimator leaves there",
        source: FEW_STEPS,
        effect: Effect::Improvement { metric: "log_third", over: "straight-through" },
        margin: std::f64::consts::LN_2,
        ..BASE
    },
    Claim {
        id: "taylor",
        sentence: "The second-order estimate misses the height half way to the matched network by more than a tenth of the barrier \
                   without permutation",
        effect: Effect::Above { metric: "taylor_miss", bound: 0.1 },
        control: "near",
        ..BASE
    },
];
