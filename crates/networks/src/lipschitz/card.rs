//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "lipschitz",
    authors: "Shi, Zhouxing and Wang, Yihan and Zhang, Huan and Kolter, J. Zico and Hsieh, Cho-Jui",
    venue: Some("NeurIPS 2022"),
    official_code: Some(OfficialCode {
        repository: "shizhouxing/Local-Lipschitz-Constants",
        licence: "BSD-3-Clause",
    }),
    summary: "Bound how strongly a network can react to changes of its inputs near a point, and show the gap to what was met.",
    helps: "certifying trained networks around given inputs: upper bounds of the local l-infinity Lipschitz constant of every output, \
            bounds of the Jacobian and of directional derivatives, certificates that an output only grows or only falls in a \
            feature; exact constants of small networks by branch and bound",
    does_not_help: "boxes so wide that most neurons can switch, where the bound is many times any slope that is met; boxes so \
                    small that none can, where one Jacobian is exact; other norms than l-infinity; branch and bound cannot \
                    split tanh and sigmoid, and helps little with hundreds of undecided neurons",
    example: "backstitch run lipschitz --model net.onnx --center x.csv --radius 0.01",
    deviations: &[
        "Slopes of the forward bounds are searched for the bounds of every neuron, not for the margins of a label.",
        "The best bound over all layers of a propagation is taken, so that lines are never worse than intervals.",
        "Branch and bound computes forward bounds anew in every part and drops parts that linear inequalities show to be empty.",
        "Slopes of activations are intervals, so that leaky ReLU, tanh and sigmoid come out of the same lines; for the smooth ones \
         the derivative is bounded apart from what it multiplies.",
        "Rounding is outward throughout: bounds hold in real arithmetic for the network's affine maps, which are composed in double \
         precision.",
        "Beyond the paper: lower bounds by sampling and climbing stand beside every upper bound.",
    ],
};
