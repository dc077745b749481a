//! Arms, metrics and claims of the study of `deep-xva`.

use std::f64::consts::{LN_2, LN_10};

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

pub(super) const FUNDING: &str = "forward-funding";
pub(super) const CORRELATED: &[&str] = &["wrong-way", "independent", "right-way"];
pub(super) const RARE: &str = "rare-default";
pub(super) const DATES: &[&str] = &["dates-10", "dates-20", "dates-40", "dates-80", "dates-160"];
pub(super) const MARGIN: &str = "stock-margin";
pub(super) const PORTFOLIO: &str = "ten-assets";

/// ln h for each of [`DATES`], up to a constant: minus the logarithm of the number of steps.
const LOG_STEP: &[f64] =
    &[-LN_10, -(LN_10 + LN_2), -(LN_10 + 2.0 * LN_2), -(LN_10 + 3.0 * LN_2), -(LN_10 + 4.0 * LN_2)];
const LN_3: f64 = 1.098_612_288_668_109_8;

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

pub(super) const ARMS: &[Arm] = &[
    arm(
        "deep",
        Role::Method,
        "networks in all layers, clean values learned too; the settings of the configuration, nothing tuned",
    ),
    arm("deep-untilted", Role::Baseline, "the same without the change of measure"),
    arm("normal-margin", Role::Control, "margin as if moves were normal, mean and variance by regression"),
    arm("lower-level", Role::Control, "the method with margin for 98 % of moves instead of 99 %"),
    arm("untrained", Role::Control, "networks after a single step of training"),
    arm("deep-dates", Role::Control, "the method with defaults noticed at dates only"),
    arm("untilted-half", Role::Control, "without the change of measure, and half the training"),
    arm("dates", Role::Method, "plain Monte Carlo with closed clean values, defaults noticed at dates only"),
    arm(
        "fixed-barrier",
        Role::Control,
        "no bias of dates, but a barrier lower by a share that does not depend on the step",
    ),
    arm("linear-barrier", Role::Control, "no bias of dates, but a barrier lower in proportion to the step"),
];

pub(super) const METRICS: &[Metric] = &[
    Metric::lower("fva_error", "absolute error of the learned FVA; exact is 0.0392"),
    Metric::lower("cva_error", "relative error of the learned CVA"),
    Metric::lower("log_cva_error", "natural logarithm of the relative error of the learned CVA"),
    Metric::lower("default_probability", "of the counterparty, exact"),
    Metric::lower("log_bias", "natural logarithm of how much CVA is missing"),
    Metric::lower("margin_error", "mean over dates of the relative error of the mean margin posted"),
    Metric::lower(
        "exceedance_error",
        "distance of the share of moves beyond the margin from one less the level, the larger of both sides",
    ),
    Metric::lower(
        "reported_error",
        "relative error of the reported CVA, mean over counterparties where there are several",
    ),
];

/// What most claims have in common.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "deep",
    effect: Effect::Below { metric: "cva_error", bound: 0.03 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: CORRELATED,
    precondition: None,
    control: "deep-dates",
    own_data: false,
};

const RARE_INDEED: Precondition = Precondition {
    sentence: "the default is rare: its probability is below 0.01",
    arm: "deep",
    effect: Effect::Below { metric: "default_probability", bound: 0.01 },
    at_least: 0.0,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "funding-of-a-forward",
        sentence: "The fixed point of FVA is learned: on a forward its error is at most 0.002 of 0.0392",
        source: "abstract: the fourth layer; the closed form is ours",
        effect: Effect::Below { metric: "fva_error", bound: 0.002 },
        settings: &[FUNDING],
        control: "untrained",
        ..BASE
    },
    Claim {
        id: "wrong-way-risk",
        sentence: "With correlations -0.5, 0 and 0.5 of stock and firm the learned CVA of a call is within 3 % of the outside-barrier formula",
        source: "abstract: accuracy of CVA under structural default; the closed form is ours",
        ..BASE
    },
    Claim {
        id: "measure-change-for-rare-default",
        sentence: "With a default of about three in a thousand, CVA learned without the change of measure is more than three times as \
                   wrong as with it",
        source: "abstract: the change of measure makes rare defaults seen in training",
        effect: Effect::Improvement { metric: "log_cva_error", over: "deep-untilted" },
        margin: LN_3,
        settings: &[RARE],
        precondition: Some(RARE_INDEED),
        control: "untrained",
        ..BASE
    },
    Claim {
        id: "measure-change-in-valuation",
        sentence: "With a default of about three in a thousand, the change of measure takes 0.05 or more from the relative error of the \
                   reported CVA, which is weighted back",
        source: "ours: the abstract's change of measure, with likelihood ratios and without learning",
        effect: Effect::Improvement { metric: "reported_error", over: "deep-untilted" },
        margin: 0.05,
        settings: &[RARE],
        precondition: Some(RARE_INDEED),
        control: "untilted-half",
        ..BASE
    },
    Claim {
        id: "late-exit-at-least-root",
        sentence: "The bias of noticing defaults at dates falls with the step at an order of at least 0.4",
        source: "abstract: the random exit costs order; the half for means is ours",
        subject: "dates",
        effect: Effect::Above { metric: "log_bias", bound: 0.0 },
        margin: 0.4,
        statistic: Statistic::Slope { x: LOG_STEP },
        settings: DATES,
        control: "fixed-barrier",
        ..BASE
    },
    Claim {
        id: "late-exit-at-most-root",
        sentence: "The bias of noticing defaults at dates falls with the step at an order of at most 0.6",
        source: "abstract: the random exit costs order; the half for means is ours",
        subject: "dates",
        effect: Effect::Below { metric: "log_bias", bound: 0.0 },
        margin: -0.6,
        statistic: Statistic::Slope { x: LOG_STEP },
        settings: DATES,
        control: "linear-barrier",
        ..BASE
    },
    Claim {
        id: "margin-by-quantile-regression",
        sentence: "Initial margin by deep quantile regression is within 3 % of the exact quantile of a stock position",
        source: "abstract: margin by deep quantile regression; the closed form is ours",
        effect: Effect::Below { metric: "margin_error", bound: 0.03 },
        settings: &[MARGIN],
        control: "normal-margin",
        ..BASE
    },
    Claim {
        id: "margin-exceedance",
        sentence: "Between 0.7 % and 1.3 % of moves go beyond the learned 99 % margin, on either side",
        source: "abstract: margin by deep quantile regression; the range is ours",
        effect: Effect::Below { metric: "exceedance_error", bound: 0.003 },
        settings: &[MARGIN],
        control: "lower-level",
        ..BASE
    },
    Claim {
        id: "ten-assets-three-counterparties",
        sentence: "With ten assets, three counterparties and learned clean values CVA is within 3 % of brute force with closed clean values",
        source: "abstract: portfolios of many counterparties in high dimension",
        scope: Scope::Reduced,
        effect: Effect::Below { metric: "reported_error", bound: 0.03 },
        settings: &[PORTFOLIO],
        control: "untrained",
        ..BASE
    },
];
