//! A claim: an inequality over observations, frozen before the evidence run.

use serde::Serialize;

use crate::study::Metric;

/// A claim of the paper (or a boundary of the method) in checkable form: `effect > margin`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Claim {
    /// Short name, unique in the study.
    pub id: &'static str,
    /// What is claimed, as a reader of the paper would say it.
    pub sentence: &'static str,
    /// Where the paper says so, or that it is ours.
    pub source: &'static str,
    /// The published value, where it is known for certain.
    pub published: Option<&'static str>,
    /// How far the check reaches.
    pub scope: Scope,
    /// The arm whose merit is claimed; the control takes its place in the control's verdict.
    pub subject: &'static str,
    /// The number we want above `margin`, per seed, setting and item.
    pub effect: Effect,
    /// The margin.
    pub margin: f64,
    /// How the effect is summarised, with a 95 % interval.
    pub statistic: Statistic,
    /// The settings it is read from.
    pub settings: &'static [&'static str],
    /// What must hold for the claim to mean anything.
    pub precondition: Option<Precondition>,
    /// The arm that must fail the same inequality.
    pub control: &'static str,
    /// Whether the claim can also be judged on the user's own data.
    pub own_data: bool,
}

/// How far a check reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The paper's data at the paper's size.
    Paper,
    /// The paper's task, smaller.
    Reduced,
    /// A toy of ours that shows the mechanism.
    Mechanism,
    /// Mathematics.
    Identity,
    /// The user's own data (`reproduce --data`); never declared by a study.
    Own,
}

impl Scope {
    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Reduced => "reduced",
            Self::Mechanism => "mechanism",
            Self::Identity => "identity",
            Self::Own => "own",
        }
    }
}

/// A number per seed, setting and item; larger is in favour of the claim.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// How much better the subject's metric is than the other arm's (its direction decides the sign).
    Improvement {
        /// Metric compared.
        metric: &'static str,
        /// The arm it is compared with.
        over: &'static str,
    },
    /// `value − bound` of the subject's metric.
    Above {
        /// Metric read.
        metric: &'static str,
        /// Bound subtracted.
        bound: f64,
    },
    /// `bound − value` of the subject's metric.
    Below {
        /// Metric read.
        metric: &'static str,
        /// Bound it is subtracted from.
        bound: f64,
    },
}

impl Effect {
    /// The metric it reads.
    pub fn metric(&self) -> &'static str {
        match self {
            Self::Improvement { metric, .. } | Self::Above { metric, .. } | Self::Below { metric, .. } => {
                metric
            }
        }
    }

    /// In words, for reports.
    pub fn describe(&self, subject: &str, metric: &Metric) -> String {
        let name = metric.name;
        match self {
            Self::Improvement { over, .. } => match metric.better {
                crate::study::Better::Lower => format!("{name}({over}) − {name}({subject})"),
                crate::study::Better::Higher => format!("{name}({subject}) − {name}({over})"),
            },
            Self::Above { bound, .. } if *bound == 0.0 => format!("{name}({subject})"),
            Self::Above { bound, .. } => format!("{name}({subject}) − {bound}"),
            Self::Below { bound, .. } => format!("{bound} − {name}({subject})"),
        }
    }
}

/// How effects become one number with a 95 % interval.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Mean over seeds of the effect averaged over settings, Student's t.
    PairedT,
    /// Mean over items, items resampled whole with all their seeds and settings.
    ClusterBootstrap,
    /// Share of (seed, setting, item) whose effect is at least `at_least`, Clopper–Pearson.
    ExactBinomial {
        /// Threshold of a success.
        at_least: f64,
    },
    /// Mean over seeds of the slope of the effect on `x`, one value per setting, Student's t.
    Slope {
        /// The abscissa of each setting, in their order.
        x: &'static [f64],
    },
    /// The largest absolute value must not exceed `tolerance`; the effect is a residual and the margin is zero.
    Identity {
        /// Largest residual allowed.
        tolerance: f64,
    },
}

impl Statistic {
    /// The name in reports and files.
    pub fn name(&self) -> String {
        match self {
            Self::PairedT => "paired t".into(),
            Self::ClusterBootstrap => "cluster bootstrap".into(),
            Self::ExactBinomial { at_least } => {
                format!("exact binomial, success from {}", crate::report::number(*at_least))
            }
            Self::Slope { .. } => "slope, t over seeds".into(),
            Self::Identity { tolerance } => format!("identity, tolerance {tolerance:e}"),
        }
    }
}

/// A condition without which the claim says nothing: the mean of an effect is at least `at_least`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Precondition {
    /// What must hold, in words.
    pub sentence: &'static str,
    /// The arm looked at.
    pub arm: &'static str,
    /// The number looked at.
    pub effect: Effect,
    /// Its smallest mean over seeds and settings.
    pub at_least: f64,
}
