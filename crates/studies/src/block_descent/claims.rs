//! Arms, metrics and claims of the study of `block-descent`.

use backstitch_claim::{Arm, Claim, Effect, Metric, Role, Scope, Statistic};

const A: &[&str] = &["a-5", "a-50"];
const ROWS: &[&str] = &["a-5", "a-50", "b-5", "b-50", "c-5", "c-50"];
/// Without blocks of 50 on A: there blocks at random reach rounding as well.
const GSQ: &[&str] = &["a-5", "b-5", "b-50", "c-5", "c-50"];
/// ln 1/0.7, ln 2, ln 10 and ln 1,000,000.
const LN_1_43: f64 = 0.356_674_943_938_732_4;
const LN_2: f64 = std::f64::consts::LN_2;
const LN_10: f64 = std::f64::consts::LN_10;
const LN_1E6: f64 = 6.0 * std::f64::consts::LN_10;

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "reference",
        role: Role::Prepare,
        description: "the minimum, by growing blocks or trees to rounding",
    },
    Arm {
        name: "vb-gs",
        role: Role::Method,
        description: "variable blocks by GS, gradient updates; no tuning",
    },
    Arm {
        name: "vb-gsl",
        role: Role::Method,
        description: "variable blocks by GSL with the majorising diagonal, gradient updates; no tuning",
    },
    Arm {
        name: "vb-gsl-matrix",
        role: Role::Method,
        description: "the same blocks, matrix updates; no tuning",
    },
    Arm {
        name: "vb-gsq-matrix",
        role: Role::Method,
        description: "variable blocks by GSQ (hard thresholding), matrix updates; no tuning",
    },
    Arm {
        name: "vb-gs-matrix",
        role: Role::Baseline,
        description: "variable blocks by GS, matrix updates; no tuning",
    },
    Arm {
        name: "fb-gs",
        role: Role::Baseline,
        description: "fixed blocks in the order of their Lipschitz constants by GS, gradient updates; no tuning",
    },
    Arm {
        name: "fb-gsq-matrix",
        role: Role::Baseline,
        description: "the same fixed blocks by GSQ, matrix updates; no tuning",
    },
    Arm {
        name: "vb-gsl-search",
        role: Role::Control,
        description: "as vb-gsl with a line search for L instead of a matrix",
    },
    Arm {
        name: "vb-random",
        role: Role::Control,
        description: "variable blocks at random, gradient updates",
    },
    Arm {
        name: "vb-lipschitz",
        role: Role::Control,
        description: "variable blocks by chances in proportion to Lipschitz constants, which ignore the gradient; gradient updates",
    },
    Arm {
        name: "vb-random-matrix",
        role: Role::Control,
        description: "variable blocks at random, matrix updates",
    },
    Arm {
        name: "tree",
        role: Role::Method,
        description: "greedy trees by |g|/√L, solved by messages; no tuning",
    },
    Arm {
        name: "red-black",
        role: Role::Baseline,
        description: "the colour with the longer gradient, solved; no tuning",
    },
    Arm {
        name: "general",
        role: Role::Baseline,
        description: "the n^(1/3) nodes with the largest slopes, solved densely; no tuning",
    },
    Arm {
        name: "random-tree",
        role: Role::Baseline,
        description: "trees grown in random order, solved by messages; no tuning",
    },
    Arm {
        name: "tree-gradient",
        role: Role::Control,
        description: "the greedy trees with a gradient step instead of messages",
    },
    Arm {
        name: "end-game",
        role: Role::Ablation,
        description: "narrow blocks by GSQ, solved, until the free coordinates stay the same; then all of them at once; no tuning",
    },
    Arm {
        name: "growing",
        role: Role::Method,
        description: "our default: all free coordinates and as many again, solved; no tuning",
    },
    Arm {
        name: "wide-block",
        role: Role::Method,
        description: "blocks wider than the support by GSQ, solved; no tuning",
    },
    Arm {
        name: "two-metric",
        role: Role::Method,
        description: "the same blocks by two-metric projection; no tuning",
    },
    Arm {
        name: "narrow-block",
        role: Role::Control,
        description: "blocks narrower than the support, and no end-game",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower("log_above", "natural logarithm of the objective above its minimum after all updates"),
    Metric::lower(
        "log_above_at_work",
        "the same at the last update within a number of multiplications, those of choosing blocks included",
    ),
    Metric::lower(
        "log_multiplications",
        "natural logarithm of the multiplications of all updates, those of choosing blocks included",
    ),
    Metric::lower("identified", "updates after which the free coordinates were the final ones"),
    Metric::lower("support", "coordinates that are not zero in the end"),
    Metric::higher(
        "log_fall",
        "natural logarithm of the largest factor by which three updates lower the objective above its minimum, from identification on",
    ),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Reduced,
    subject: "vb-gsl",
    effect: Effect::Improvement { metric: "log_above", over: "vb-gs" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: ROWS,
    precondition: None,
    control: "vb-random",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "variable-beats-fixed",
        sentence: "With GS and gradient updates, variable blocks end lower than fixed ones",
        source: "experiments on greedy rules with gradient updates",
        subject: "vb-gs",
        effect: Effect::Improvement { metric: "log_above", over: "fb-gs" },
        ..BASE
    },
    Claim {
        id: "gsl-beats-gs",
        sentence: "On A, variable blocks by GSL end at less than 0.7 times the height of those by GS, both with gradient updates",
        source: "experiments on greedy rules with gradient updates",
        margin: LN_1_43,
        settings: A,
        control: "vb-lipschitz",
        ..BASE
    },
    Claim {
        id: "matrix-beats-gradient-on-a",
        sentence: "On A with blocks of 50 by GSL, matrix updates end at less than a tenth of the height of gradient updates",
        source: "experiments on matrix updates; the threshold is ours",
        subject: "vb-gsl-matrix",
        effect: Effect::Improvement { metric: "log_above", over: "vb-gsl" },
        margin: LN_10,
        settings: &["a-50"],
        control: "vb-gsl-search",
        ..BASE
    },
    Claim {
        id: "matrix-beats-gradient-on-b-and-c",
        sentence: "So they do on B and C, where the matrix only bounds the Hessian",
        source: "experiments on matrix updates; the threshold is ours",
        subject: "vb-gsl-matrix",
        effect: Effect::Improvement { metric: "log_above", over: "vb-gsl" },
        margin: LN_10,
        settings: &["b-50", "c-50"],
        control: "vb-gsl-search",
        ..BASE
    },
    Claim {
        id: "gsq-beats-gs",
        sentence: "With matrix updates, variable blocks by GSQ end lower than those by GS",
        source: "experiments on matrix updates",
        subject: "vb-gsq-matrix",
        effect: Effect::Improvement { metric: "log_above", over: "vb-gs-matrix" },
        settings: GSQ,
        control: "vb-random-matrix",
        ..BASE
    },
    Claim {
        id: "gsq-costs-more-than-it-gains",
        sentence: "Counted in multiplications GSQ does not pay: within 200 per entry of the data, GS with matrix updates ends lower",
        source: "ours: a boundary of the method",
        subject: "vb-gs-matrix",
        effect: Effect::Improvement { metric: "log_above_at_work", over: "vb-gsq-matrix" },
        control: "vb-lipschitz",
        ..BASE
    },
    Claim {
        id: "trees-beat-colours-on-a-lattice",
        sentence: "On the lattice D, greedy trees end at less than half the height of red-black blocks",
        source: "experiments on message passing",
        scope: Scope::Paper,
        subject: "tree",
        effect: Effect::Improvement { metric: "log_above", over: "red-black" },
        margin: LN_2,
        settings: &["d"],
        control: "tree-gradient",
        ..BASE
    },
    Claim {
        id: "trees-beat-colours-on-moons",
        sentence: "So they do on the graph of two moons E",
        source: "experiments on message passing; the threshold is ours",
        scope: Scope::Paper,
        subject: "tree",
        effect: Effect::Improvement { metric: "log_above", over: "red-black" },
        margin: LN_2,
        settings: &["e"],
        control: "tree-gradient",
        ..BASE
    },
    Claim {
        id: "wide-blocks",
        sentence: "On the non-negative lasso, blocks by GSQ that are wider than the support, solved exactly, lower the height by more than a \
                   million in some three updates from identification on",
        source: "theory and experiments on superlinear convergence",
        subject: "wide-block",
        effect: Effect::Above { metric: "log_fall", bound: 0.0 },
        margin: LN_1E6,
        settings: &["lasso"],
        control: "narrow-block",
        ..BASE
    },
    Claim {
        id: "two-metric",
        sentence: "So does two-metric projection on the same blocks",
        source: "theory and experiments on superlinear convergence",
        subject: "two-metric",
        effect: Effect::Above { metric: "log_fall", bound: 0.0 },
        margin: LN_1E6,
        settings: &["lasso"],
        control: "narrow-block",
        ..BASE
    },
    Claim {
        id: "growing-blocks",
        sentence: "So do growing blocks",
        source: "ours: the default",
        subject: "growing",
        effect: Effect::Above { metric: "log_fall", bound: 0.0 },
        margin: LN_1E6,
        settings: &["lasso"],
        control: "narrow-block",
        ..BASE
    },
];
