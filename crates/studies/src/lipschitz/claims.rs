//! Arms, metrics and claims of the study of `lipschitz`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

/// Two and three hidden layers on clusters.
const CLUSTERS: &[&str] = &["clusters-2", "clusters-3"];
const DEEP: &[&str] = &["clusters-3"];
const DIGITS: &[&str] = &["digits"];
pub(super) const BOXES: &[&str] = &["clusters-2", "clusters-3", "digits"];
/// Two inputs, two hidden layers of eight.
pub(super) const TINY: &[&str] = &["tiny"];

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm("network", Role::Prepare, "a classifier, trained once for all arms"),
    arm(
        "lines",
        Role::Method,
        "lines propagated backward, slopes of forward bounds searched for 20 steps; nothing tuned",
    ),
    arm("branch", Role::Method, "the same, then branch and bound over 1,000 parts per point"),
    arm("to-the-end", Role::Method, "branch and bound until nothing is left to split"),
    arm(
        "recurjac",
        Role::Baseline,
        "intervals wherever a sign is not known, after RecurJac; forward bounds as for lines",
    ),
    arm("interval", Role::Baseline, "interval arithmetic, forward and backward"),
    arm("global", Role::Baseline, "the product of the layers' norms"),
    arm("no-search", Role::Ablation, "lines, without the search for slopes"),
    arm("no-lines", Role::Control, "the method without its lines, which leaves intervals"),
    arm("one-output", Role::Control, "lines for the first output only, taken for the network's constant"),
    arm("idle-search", Role::Control, "lines, with a search whose steps are of size 1e-12"),
    arm("no-budget", Role::Control, "branch and bound without a part to look at"),
    arm("everywhere", Role::Control, "lines over boxes a thousand times as wide"),
    arm("cut-short", Role::Control, "tiny networks without branch and bound"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower("log_bound", "mean over points of the logarithm of the bound of the network's constant"),
    Metric::lower("undecided", "neurons per box whose side of the kink is not known, mean over points"),
    Metric::lower(
        "excess",
        "how far the largest slope that was met is above the bound, as a share of it; 0 if below",
    ),
    Metric::lower("log_ratio", "mean over points of the logarithm of bound over largest slope met"),
    Metric::lower("gap", "largest distance of a bound from the exact constant, as a share of it"),
    Metric::higher("accuracy", "share of test rows whose class is right"),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "the paper's comparison on small networks",
    published: None,
    scope: Scope::Reduced,
    subject: "lines",
    effect: Effect::Improvement { metric: "log_bound", over: "recurjac" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: CLUSTERS,
    precondition: Some(Precondition {
        sentence: "at least 4 neurons per box are undecided: with none, all bounds agree",
        arm: "lines",
        effect: Effect::Above { metric: "undecided", bound: 0.0 },
        at_least: 4.0,
    }),
    control: "no-lines",
    own_data: false,
};

/// Minus the logarithms of three quarters, nine tenths, a half and a tenth.
const THREE_QUARTERS: f64 = 0.287_682;
const NINE_TENTHS: f64 = 0.105_361;
const HALF: f64 = std::f64::consts::LN_2;
const TENTH: f64 = std::f64::consts::LN_10;

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "never-below",
        sentence: "No slope that is met, of any output, is above the bound of the network",
        source: "what an upper bound is",
        scope: Scope::Identity,
        effect: Effect::Above { metric: "excess", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 0.0 },
        settings: BOXES,
        control: "one-output",
        ..BASE
    },
    Claim {
        id: "branch-never-below",
        sentence: "Nor is one above the bound that branch and bound leaves",
        source: "what an upper bound is",
        scope: Scope::Identity,
        subject: "branch",
        effect: Effect::Above { metric: "excess", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 0.0 },
        settings: BOXES,
        control: "one-output",
        ..BASE
    },
    Claim {
        id: "recurjac",
        sentence: "Around points of clusters, backward lines bound the constant by at most three quarters of what RecurJac's \
                   relaxation gives",
        margin: THREE_QUARTERS,
        ..BASE
    },
    Claim {
        id: "recurjac-digits",
        sentence: "Around digits, it is lower than with RecurJac's relaxation by a tenth or more",
        source: "the paper's comparison on MNIST; here 8 x 8 digits",
        margin: NINE_TENTHS,
        settings: DIGITS,
        ..BASE
    },
    Claim {
        id: "depth",
        sentence: "The lead over RecurJac's relaxation grows from two hidden layers to three",
        source: "the paper's comparison over depths",
        statistic: Statistic::Slope { x: &[2.0, 3.0] },
        ..BASE
    },
    Claim {
        id: "close",
        sentence: "The bound is on average less than twice the largest slope that was met",
        source: "ours: what is left between the two",
        scope: Scope::Mechanism,
        effect: Effect::Below { metric: "log_ratio", bound: HALF },
        settings: BOXES,
        ..BASE
    },
    Claim {
        id: "recurjac-interval",
        sentence: "RecurJac's relaxation in turn gives bounds lower than intervals by 5 % or more",
        source: "the order of the baselines",
        subject: "recurjac",
        effect: Effect::Improvement { metric: "log_bound", over: "interval" },
        margin: 0.05,
        ..BASE
    },
    Claim {
        id: "local",
        sentence: "Bounds around points are a tenth of the product of the layers' norms, or less",
        effect: Effect::Improvement { metric: "log_bound", over: "global" },
        margin: TENTH,
        control: "everywhere",
        ..BASE
    },
    Claim {
        id: "search",
        sentence: "With three hidden layers, searching the slopes of forward bounds decides neurons that fixed slopes leave undecided: 0.05 or more per box",
        source: "the released code's forward bounds",
        effect: Effect::Improvement { metric: "undecided", over: "no-search" },
        margin: 0.05,
        settings: DEEP,
        control: "idle-search",
        ..BASE
    },
    Claim {
        id: "branch",
        sentence: "Branch and bound over 1,000 parts lowers the bound by 5 % or more",
        source: "the paper's branch and bound",
        subject: "branch",
        effect: Effect::Improvement { metric: "log_bound", over: "lines" },
        margin: 0.05,
        control: "no-budget",
        ..BASE
    },
    Claim {
        id: "exact",
        sentence: "On networks with two inputs, branch and bound ends at the constant that cutting the square into affine pieces gives",
        source: "what branch and bound converges to",
        scope: Scope::Identity,
        subject: "to-the-end",
        effect: Effect::Above { metric: "gap", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-6 },
        settings: TINY,
        precondition: None,
        control: "cut-short",
        ..BASE
    },
];
