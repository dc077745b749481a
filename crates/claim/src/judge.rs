//! From observations to verdicts.
//!
//! Nothing here knows a method: a claim is an inequality, its control is the same inequality with another arm in
//! the subject's place, and a verdict follows from the two intervals and the precondition.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use backstitch_numerics::{Stream, bootstrap, interval};
use serde::{Deserialize, Serialize};

use crate::context::Measurement;
use crate::statement::{Claim, Effect, Precondition, Statistic};
use crate::study::{Better, Cell, Metric, Role, Study};

/// One number of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Cell id.
    pub cell: String,
    /// Arm name.
    pub arm: String,
    /// The arm's role.
    pub role: Role,
    /// Seed.
    pub seed: u64,
    /// Setting.
    pub setting: String,
    /// What was measured.
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// What is said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The lower end is above the margin.
    Holds,
    /// The upper end is below the margin.
    Fails,
    /// The interval contains the margin.
    Inconclusive,
    /// A precondition fails, or the control does not behave: the check says nothing.
    Vacuous,
    /// Something is missing; the reason says what and how to get it.
    NotRun,
}

impl Verdict {
    /// The word in reports and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Inconclusive => "inconclusive",
            Self::Vacuous => "vacuous",
            Self::NotRun => "not-run",
        }
    }
}

/// A judged claim, as it stands in `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Claim id.
    pub id: String,
    /// What is claimed.
    pub sentence: String,
    /// Where the paper says so.
    pub source: String,
    /// The published value, where known.
    pub published: Option<String>,
    /// How far the check reaches.
    pub scope: String,
    /// The effect in words.
    pub effect: String,
    /// The margin.
    pub margin: f64,
    /// Summary of the effect; absent if not run, `null` ends are infinite.
    pub estimate: Option<f64>,
    /// Lower end of the 95 % interval.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
    /// How it was summarised.
    pub statistic: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// The precondition and whether it holds.
    pub precondition: Option<JudgedPrecondition>,
    /// The control on the same inequality.
    pub control: JudgedControl,
}

/// A precondition after the fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedPrecondition {
    /// What must hold.
    pub sentence: String,
    /// Whether it does; absent if not run.
    pub holds: Option<bool>,
}

/// The control's own verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedControl {
    /// The arm in the subject's place.
    pub arm: String,
    /// Its estimate.
    pub estimate: Option<f64>,
    /// Its lower end.
    pub lower: Option<f64>,
    /// Its upper end.
    pub upper: Option<f64>,
    /// Its verdict, which must be `fails`.
    pub verdict: Verdict,
    /// Whether it is; absent if not run.
    pub as_expected: Option<bool>,
}

/// The finished cells of a run, and why the others are not there.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Observations of all finished cells, in the order of the cells.
    pub observations: Vec<Observation>,
    /// Cells that did not finish, each with the reason and the way out.
    pub missing: BTreeMap<String, String>,
}

/// Judges every claim of a study.
///
/// `cells` are all cells of the run, finished or not; a claim that touches a missing one is not run.
pub fn judge(
    study: &Study,
    claims: &[Claim],
    cells: &[Cell],
    seeds: &[u64],
    evidence: &Evidence,
) -> Vec<Judgement> {
    let mut observations: HashMap<String, Vec<&Observation>> =
        cells.iter().map(|cell| (cell.id(), Vec::new())).collect();
    for observation in &evidence.observations {
        observations.entry(observation.cell.clone()).or_default().push(observation);
    }
    let court = Court { study, seeds, observations, missing: &evidence.missing };
    claims.iter().map(|claim| court.judge(claim)).collect()
}

/// Why a summary could not be made.
#[derive(Debug)]
enum Obstacle {
    Missing(String),
    Diverged(String),
    Statistic(String),
}

struct Court<'a> {
    study: &'a Study,
    seeds: &'a [u64],
    /// By cell id, for every cell of the run.
    observations: HashMap<String, Vec<&'a Observation>>,
    missing: &'a BTreeMap<String, String>,
}

/// One unit of evidence for a claim.
struct Unit {
    seed: u64,
    setting: usize,
    item: Option<String>,
    effect: f64,
}

impl Court<'_> {
    fn judge(&self, claim: &Claim) -> Judgement {
        let subject = self.summarise(claim, claim.subject);
        let control = self.summarise(claim, claim.control);
        let precondition = claim.precondition.map(|condition| (condition, self.holds(claim, &condition)));

        let control_verdict = match &control {
            Ok(interval) => compare(interval, claim),
            Err(Obstacle::Missing(_)) => Verdict::NotRun,
            Err(_) => Verdict::Vacuous,
        };
        let (verdict, reason) =
            self.decide(claim, &subject, &control, control_verdict, precondition.as_ref());
        let shown = subject.as_ref().ok();
        let control_shown = control.as_ref().ok();
        let metric = self.study.metric(claim.effect.metric());
        Judgement {
            id: claim.id.into(),
            sentence: claim.sentence.into(),
            source: claim.source.into(),
            published: claim.published.map(Into::into),
            scope: claim.scope.name().into(),
            effect: metric.map_or_else(String::new, |metric| claim.effect.describe(claim.subject, metric)),
            margin: inequality_margin(claim),
            estimate: shown.map(|interval| interval.estimate),
            lower: shown.map(|interval| interval.lower),
            upper: shown.map(|interval| interval.upper),
            statistic: claim.statistic.name(),
            verdict,
            reason,
            precondition: precondition.map(|(condition, holds)| JudgedPrecondition {
                sentence: condition.sentence.into(),
                holds: holds.ok(),
            }),
            control: JudgedControl {
                arm: claim.control.into(),
                estimate: control_shown.map(|interval| interval.estimate),
                lower: control_shown.map(|interval| interval.lower),
                upper: control_shown.map(|interval| interval.upper),
                verdict: control_verdict,
                as_expected: (control_verdict != Verdict::NotRun)
                    .then_some(control_verdict == Verdict::Fails),
            },
        }
    }

    /// The rules of the house, in order of precedence.
    fn decide(
        &self,
        claim: &Claim,
        subject: &Result<interval::Interval, Obstacle>,
        control: &Result<interval::Interval, Obstacle>,
        control_verdict: Verdict,
        precondition: Option<&(Precondition, Result<bool, Obstacle>)>,
    ) -> (Verdict, Option<String>) {
        let condition = precondition.map(|(condition, holds)| (condition.sentence, holds));
        let obstacles = [
            subject.as_ref().err(),
            control.as_ref().err(),
            condition.and_then(|(_, holds)| holds.as_ref().err()),
        ];
        for obstacle in obstacles.iter().flatten() {
            if let Obstacle::Missing(reason) = obstacle {
                return (Verdict::NotRun, Some(reason.clone()));
            }
        }
        for obstacle in obstacles.iter().flatten() {
            if let Obstacle::Diverged(reason) | Obstacle::Statistic(reason) = obstacle {
                return (Verdict::Vacuous, Some(reason.clone()));
            }
        }
        if let Some((sentence, Ok(false))) = condition {
            return (Verdict::Vacuous, Some(format!("the precondition does not hold: {sentence}")));
        }
        if control_verdict != Verdict::Fails {
            let word = control_verdict.name();
            return (
                Verdict::Vacuous,
                Some(format!("the control `{}` must fail, but its verdict is {word}", claim.control)),
            );
        }
        let Ok(interval) = subject else { return (Verdict::Vacuous, None) };
        match compare(interval, claim) {
            Verdict::Fails => (Verdict::Fails, Some(failure(interval, &claim.statistic).into())),
            verdict => (verdict, None),
        }
    }

    /// The effect of a claim with `arm` in the subject's place, summarised.
    fn summarise(&self, claim: &Claim, arm: &str) -> Result<interval::Interval, Obstacle> {
        let units = self.units(arm, &claim.effect, claim.settings)?;
        let effects = || units.iter().map(|unit| unit.effect).collect::<Vec<f64>>();
        let summary = match claim.statistic {
            Statistic::PairedT => {
                let mut seeds: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
                for unit in &units {
                    let (sum, count) = seeds.entry(unit.seed).or_default();
                    (*sum, *count) = (*sum + unit.effect, *count + 1.0);
                }
                interval::mean_t(&seeds.values().map(|(sum, count)| sum / count).collect::<Vec<_>>())
            }
            Statistic::ClusterBootstrap => {
                let mut items: BTreeMap<Option<&str>, Vec<f64>> = BTreeMap::new();
                for unit in &units {
                    items.entry(unit.item.as_deref()).or_default().push(unit.effect);
                }
                let clusters: Vec<Vec<f64>> = items.into_values().collect();
                let mut stream = Stream::new(0, &format!("bootstrap {}", claim.id));
                bootstrap::cluster_bootstrap(&clusters, &mut stream)
            }
            Statistic::ExactBinomial { at_least } => {
                let successes = units.iter().filter(|unit| unit.effect >= at_least).count();
                interval::proportion_exact(successes as u64, units.len() as u64)
            }
            Statistic::Slope { x } => {
                let mut seeds: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
                for unit in &units {
                    let (abscissa, ordinate) = seeds.entry(unit.seed).or_default();
                    abscissa.push(x.get(unit.setting).copied().unwrap_or(f64::NAN));
                    ordinate.push(unit.effect);
                }
                interval::slope_t(&seeds.into_values().collect::<Vec<_>>())
            }
            Statistic::Identity { .. } => interval::identity(&effects()),
        };
        summary.map_err(|error| Obstacle::Statistic(format!("{error}")))
    }

    fn holds(&self, claim: &Claim, condition: &Precondition) -> Result<bool, Obstacle> {
        let units = self.units(condition.arm, &condition.effect, claim.settings)?;
        if units.iter().any(|unit| !unit.effect.is_finite()) {
            return Err(Obstacle::Diverged(format!("a cell of `{}` diverged", condition.arm)));
        }
        let mean = units.iter().map(|unit| unit.effect).sum::<f64>() / units.len() as f64;
        Ok(mean >= condition.at_least)
    }

    /// The effect per seed, setting and item with `arm` as subject.
    ///
    /// Subject and other arm must have measured the same items: what one of them left out is missing, not dropped.
    fn units(&self, arm: &str, effect: &Effect, settings: &[&str]) -> Result<Vec<Unit>, Obstacle> {
        let Some(metric) = self.study.metric(effect.metric()) else {
            return Err(Obstacle::Statistic(format!("the study declares no metric `{}`", effect.metric())));
        };
        // The infinitely bad value of a metric is the one that pushes the effect down.
        let better = match effect {
            Effect::Above { .. } => Better::Higher,
            Effect::Below { .. } => Better::Lower,
            Effect::Improvement { .. } => metric.better,
        };
        let mut units = Vec::new();
        for (position, setting) in settings.iter().enumerate() {
            for &seed in self.seeds {
                let subject = self.values(arm, setting, seed, metric)?;
                let other = match effect {
                    Effect::Improvement { over, .. } => {
                        Some((*over, self.values(over, setting, seed, metric)?))
                    }
                    _ => None,
                };
                if let Some((over, other)) = &other {
                    let only =
                        |left: &Values, right: &Values| left.keys().any(|item| !right.contains_key(item));
                    if only(&subject, other) || only(other, &subject) {
                        let reason = format!("`{arm}` and `{over}` measured different items at seed {seed}");
                        return Err(Obstacle::Missing(reason));
                    }
                }
                for (item, value) in &subject {
                    let value = self.or_worst(arm, *value, metric, better)?;
                    let effect = match (effect, &other) {
                        (Effect::Above { bound, .. }, _) => value - bound,
                        (Effect::Below { bound, .. }, _) => bound - value,
                        (Effect::Improvement { .. }, Some((over, other))) => {
                            let Some(Some(compared)) = other.get(item).copied() else {
                                let id = Cell::new(over, setting, seed).id();
                                return Err(Obstacle::Diverged(format!("`{id}` diverged")));
                            };
                            match metric.better {
                                Better::Lower => compared - value,
                                Better::Higher => value - compared,
                            }
                        }
                        (Effect::Improvement { .. }, None) => f64::NAN,
                    };
                    units.push(Unit { seed, setting: position, item: item.clone(), effect });
                }
            }
        }
        if units.is_empty() {
            return Err(Obstacle::Missing("no cell of this run measures it".into()));
        }
        Ok(units)
    }

    /// A diverged cell of the method counts as the worst value; a diverged control makes the claim vacuous.
    fn or_worst(
        &self,
        arm: &str,
        value: Option<f64>,
        metric: &Metric,
        better: Better,
    ) -> Result<f64, Obstacle> {
        match (value, self.study.arm(arm).map(|arm| arm.role)) {
            (Some(value), _) => Ok(value),
            (None, Some(Role::Method | Role::Ablation)) => Ok(match better {
                Better::Lower => metric.worst.filter(|_| metric.better == better).unwrap_or(f64::INFINITY),
                Better::Higher => {
                    metric.worst.filter(|_| metric.better == better).unwrap_or(f64::NEG_INFINITY)
                }
            }),
            (None, _) => Err(Obstacle::Diverged(format!("a cell of `{arm}` diverged"))),
        }
    }

    /// The values of one cell by item; nothing for an item without a finite value.
    fn values(&self, arm: &str, setting: &str, seed: u64, metric: &Metric) -> Result<Values, Obstacle> {
        let id = Cell::new(arm, setting, seed).id();
        if let Some(reason) = self.missing.get(&id) {
            return Err(Obstacle::Missing(reason.clone()));
        }
        let Some(observations) = self.observations.get(&id) else {
            return Err(Obstacle::Missing(format!("this configuration has no cell `{id}`")));
        };
        let mut values = Values::new();
        for observation in
            observations.iter().filter(|observation| observation.measurement.metric == metric.name)
        {
            values.insert(observation.measurement.item.clone(), observation.measurement.value);
        }
        if values.is_empty() {
            return Err(Obstacle::Missing(format!("`{id}` did not measure {}", metric.name)));
        }
        Ok(values)
    }
}

/// What a cell measured by item; nothing where it diverged.
type Values = BTreeMap<Option<String>, Option<f64>>;

/// Whether what is claimed is absent, or there but too small.
fn failure(interval: &interval::Interval, statistic: &Statistic) -> &'static str {
    match statistic {
        Statistic::Identity { .. } => "the largest residual exceeds the tolerance",
        Statistic::ExactBinomial { .. } if interval.estimate > 0.5 => {
            "true of most runs, but of fewer than claimed"
        }
        Statistic::ExactBinomial { .. } => "not true of most runs",
        _ if interval.lower > 0.0 => "an effect is there, but below the margin",
        _ => "no effect in the claimed direction",
    }
}

/// The number that the interval is compared with.
fn inequality_margin(claim: &Claim) -> f64 {
    match claim.statistic {
        Statistic::Identity { tolerance } => tolerance,
        _ => claim.margin,
    }
}

fn compare(interval: &interval::Interval, claim: &Claim) -> Verdict {
    let margin = inequality_margin(claim);
    if let Statistic::Identity { .. } = claim.statistic {
        return if interval.upper <= margin { Verdict::Holds } else { Verdict::Fails };
    }
    if interval.lower > margin {
        Verdict::Holds
    } else if interval.upper < margin {
        Verdict::Fails
    } else {
        Verdict::Inconclusive
    }
}

/// Problems of a study's declarations, for the conformance test of all studies.
pub fn check_declarations(study: &Study) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    let mut problem = |text: String| problems.push(format!("{}: {text}", study.method));
    if study.history.is_empty() {
        problem("has no revision".into());
    }
    for claim in study.claims {
        let id = claim.id;
        if !ids.insert(id) {
            problem(format!("claim `{id}` appears twice"));
        }
        for arm in [claim.subject, claim.control] {
            if study.arm(arm).is_none() {
                problem(format!("claim `{id}` names the unknown arm `{arm}`"));
            }
        }
        if study.arm(claim.control).is_some_and(|arm| arm.role != Role::Control) {
            problem(format!("claim `{id}`: the arm `{}` is not a control", claim.control));
        }
        if claim.control == claim.subject {
            problem(format!("claim `{id}` is its own control"));
        }
        if study.metric(claim.effect.metric()).is_none() {
            problem(format!("claim `{id}` reads the unknown metric `{}`", claim.effect.metric()));
        }
        if claim.settings.is_empty() {
            problem(format!("claim `{id}` reads no setting"));
        }
        if !claim.margin.is_finite() {
            problem(format!("claim `{id}` has no finite margin"));
        }
        if let Statistic::Slope { x } = claim.statistic
            && x.len() != claim.settings.len()
        {
            problem(format!("claim `{id}` has {} abscissae for {} settings", x.len(), claim.settings.len()));
        }
        if study.seeds < 5
            && !matches!(claim.statistic, Statistic::Identity { .. } | Statistic::ClusterBootstrap)
        {
            problem(format!("claim `{id}` rests on {} seeds; it needs 5 or more", study.seeds));
        }
        if claim.scope == crate::statement::Scope::Own {
            problem(format!("claim `{id}`: the scope `own` is given by `--data` only"));
        }
    }
    problems
}
