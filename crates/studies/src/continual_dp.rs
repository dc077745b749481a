//! The study of `continual-dp`: what privacy costs when every prefix is answered.
//!
//! Four questions. (A) Do the counters have the errors that their factorisations promise? (B) Does the running maximum cost the
//! cube root of the number of rows, where a running sum costs next to nothing? (C) Would a more accurate maximum give the rows
//! away? (D) Is the released noise as private as claimed? The last one cannot be answered by a test in general: it is an attack,
//! the best one there is for Gaussian noise, and a mechanism with half the noise must be caught by it.

use backstitch_claim::{
    Arm, Better, Cell, CellContext, CellError, Claim, Effect, Metric, Role, Scale, Scope, Statistic, Study,
};
use backstitch_numerics::{Stream, interval};
use backstitch_statistics::continual_dp::{
    Answer, ContinualDp, Exponentials, Key, MaxMechanism, MaxParameters, MaxSum, Mechanism, Neighbours,
    Parameters, Privacy, Release, Row, auc, honaker_error, marginals_by_reduction,
    normalised_square_root_error, reduction_horizon, tracing_scores, tree_error,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const SEEDS: u64 = 5;

/// The study.
pub static STUDY: Study = Study {
    method: "continual-dp",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: SEEDS,
    data: &[],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "normalised",
        role: Role::Method,
        description: "the default counter: column-normalised square root by exponentials; no tuning",
    },
    Arm { name: "tree", role: Role::Baseline, description: "the counter by a binary tree; no tuning" },
    Arm {
        name: "honaker",
        role: Role::Baseline,
        description: "the tree with estimates from below; no tuning",
    },
    Arm {
        name: "half-noise",
        role: Role::Control,
        description: "the default with half the noise that the demand needs",
    },
    Arm {
        name: "coarse",
        role: Role::Control,
        description: "the default with exponentials four times as far apart",
    },
    Arm {
        name: "fresh-noise",
        role: Role::Control,
        description: "every prefix with noise of its own at the same total budget",
    },
    Arm {
        name: "maximum",
        role: Role::Method,
        description: "the running maximum by the best predicted of counters, recomputing and zero; no tuning",
    },
    Arm {
        name: "every-row",
        role: Role::Control,
        description: "the running maximum recomputed at every row",
    },
    Arm {
        name: "batch",
        role: Role::Control,
        description: "the maximum released once, after the last row, with the whole budget",
    },
    Arm {
        name: "no-noise",
        role: Role::Control,
        description: "the running maximum as it is: accurate and not private",
    },
    Arm { name: "zero", role: Role::Control, description: "the answer 0, which knows nothing" },
];

const METRICS: &[Metric] = &[
    lower("factor", "largest error factor: standard error over σ per unit of sensitivity"),
    lower("excess", "largest error factor over that of the exact column-normalised square root, minus 1"),
    lower("miss", "absolute difference between measured and predicted root-mean-square error, as a share"),
    lower("rmse", "root-mean-square error over times and runs"),
    lower("log_error", "binary logarithm of the root-mean-square error over times"),
    lower("growth", "binary logarithm of the root-mean-square error of the counter over times"),
    higher("auc", "area under the curve of the tracing attack: members of the table against fresh rows"),
    lower("accuracy", "mean absolute error of the column means won by the reduction"),
    lower("epsilon", "lower end of a one-sided 95 % interval on ε, from the distinguishing attack"),
];

const fn lower(name: &'static str, description: &'static str) -> Metric {
    Metric { name, description, better: Better::Lower, worst: None }
}

const fn higher(name: &'static str, description: &'static str) -> Metric {
    Metric { name, description, better: Better::Higher, worst: Some(0.0) }
}

/// Settings of the counters.
const COUNTERS: &[&str] = &["counter-short", "counter-long"];
/// Settings of the maximum over as many columns as rows, T a factor of 4 apart, and the binary logarithms of T.
const WIDE: &[&str] = &["wide-1", "wide-2", "wide-3", "wide-4", "wide-5"];
/// Settings of the maximum over 16 columns, likewise.
const NARROW: &[&str] = &["narrow-1", "narrow-2", "narrow-3", "narrow-4", "narrow-5"];
/// Each is T·4 of the one before; slopes are per doubling of T.
const DOUBLINGS: &[f64] = &[0.0, 2.0, 4.0, 6.0, 8.0];
/// The reduction with the most columns.
const TRACING: &[&str] = &["tracing"];
const AUDIT: &[&str] = &["audit"];

/// The claimed ε of the audit.
const AUDITED_EPSILON: f64 = 1.0;
const AUDITED_DELTA: f64 = 1e-6;

const CLAIMS: &[Claim] = &[
    Claim {
        id: "within-two-per-cent",
        sentence: "In bounded memory the default's largest error stays within 2 % of the exact column-normalised square root",
        source: "ours: the exponentials",
        published: None,
        scope: Scope::Identity,
        subject: "normalised",
        effect: Effect::Above { metric: "excess", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: 0.02 },
        settings: &["counter-short"],
        precondition: None,
        control: "coarse",
        own_data: false,
    },
    Claim {
        id: "error-as-predicted",
        sentence: "The default counter's measured error is within 5 % of the prediction",
        source: "ours: the standard errors that are printed",
        published: None,
        scope: Scope::Mechanism,
        subject: "normalised",
        effect: Effect::Below { metric: "miss", bound: 0.05 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: COUNTERS,
        precondition: None,
        control: "half-noise",
        own_data: false,
    },
    Claim {
        id: "half-the-error-of-the-tree",
        sentence: "The default counter has less than half the error of the binary tree",
        source: "ours: the error factors",
        published: None,
        scope: Scope::Mechanism,
        subject: "normalised",
        effect: Effect::Improvement { metric: "growth", over: "tree" },
        margin: 1.0,
        statistic: Statistic::PairedT,
        settings: COUNTERS,
        precondition: None,
        control: "fresh-noise",
        own_data: false,
    },
    Claim {
        id: "better-than-honaker",
        sentence: "The default counter has less error than the tree with estimates from below, by more than a third",
        source: "ours: the error factors",
        published: None,
        scope: Scope::Mechanism,
        subject: "normalised",
        effect: Effect::Improvement { metric: "growth", over: "honaker" },
        // log2(1.5).
        margin: 0.585,
        statistic: Statistic::PairedT,
        settings: COUNTERS,
        precondition: None,
        control: "fresh-noise",
        own_data: false,
    },
    Claim {
        id: "maximum-grows-at-least",
        sentence: "With as many columns as rows, the error of the running maximum grows faster than T to the 0.28",
        source: "abstract: the error must grow polynomially in T, T^(1/3) for (ε, δ)",
        published: Some("T^(1/3)"),
        scope: Scope::Mechanism,
        subject: "maximum",
        effect: Effect::Above { metric: "log_error", bound: 0.0 },
        margin: 0.28,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        precondition: None,
        control: "batch",
        own_data: false,
    },
    Claim {
        id: "maximum-grows-at-most",
        sentence: "With as many columns as rows, the error of the running maximum grows slower than T to the 0.40",
        source: "the paper's mechanism of error T^(1/3)",
        published: Some("T^(1/3)"),
        scope: Scope::Mechanism,
        subject: "maximum",
        effect: Effect::Below { metric: "log_error", bound: 0.0 },
        margin: -0.40,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        precondition: None,
        control: "every-row",
        own_data: false,
    },
    Claim {
        id: "few-columns-are-cheap",
        sentence: "Over 16 columns, where counters take over, the error of the running maximum grows slower than T to the 0.2",
        source: "the paper's minimum of T^(1/3) and √d",
        published: None,
        scope: Scope::Mechanism,
        subject: "maximum",
        effect: Effect::Below { metric: "log_error", bound: 0.0 },
        margin: -0.2,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: NARROW,
        precondition: None,
        control: "every-row",
        own_data: false,
    },
    Claim {
        id: "sums-stay-cheap",
        sentence: "Over the same lengths the error of a running sum grows slower than T to the 0.12",
        source: "introduction: summation costs a polynomial in log T",
        published: None,
        scope: Scope::Mechanism,
        subject: "normalised",
        effect: Effect::Below { metric: "growth", bound: 0.0 },
        margin: -0.12,
        statistic: Statistic::Slope { x: DOUBLINGS },
        settings: WIDE,
        precondition: None,
        control: "fresh-noise",
        own_data: false,
    },
    Claim {
        id: "accurate-maximum-gives-rows-away",
        sentence: "Through the reduction, an accurate running maximum lets the tracing attack tell members from others (AUC above 0.95)",
        source: "the paper's reduction from one-way marginals",
        published: None,
        scope: Scope::Mechanism,
        subject: "no-noise",
        effect: Effect::Above { metric: "auc", bound: 0.0 },
        margin: 0.95,
        statistic: Statistic::PairedT,
        settings: TRACING,
        precondition: None,
        control: "zero",
        own_data: false,
    },
    Claim {
        id: "private-maximum-does-not",
        sentence: "Through the same reduction, the private running maximum (ρ = 0.5) leaves the attack below AUC 0.65",
        source: "ours: the other side of the reduction",
        published: None,
        scope: Scope::Mechanism,
        subject: "maximum",
        effect: Effect::Below { metric: "auc", bound: 0.65 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: TRACING,
        precondition: None,
        control: "no-noise",
        own_data: false,
    },
    Claim {
        id: "private-maximum-is-inaccurate",
        sentence: "The column means won from the private running maximum are off by more than 0.1",
        source: "the paper's lower bound, seen from below",
        published: None,
        scope: Scope::Mechanism,
        subject: "maximum",
        effect: Effect::Above { metric: "accuracy", bound: 0.0 },
        margin: 0.1,
        statistic: Statistic::PairedT,
        settings: TRACING,
        precondition: None,
        control: "no-noise",
        own_data: false,
    },
    Claim {
        id: "survives-the-audit",
        sentence: "The best attack on two neighbouring streams does not show more than the claimed ε = 1",
        source: "ours: an audit of the implementation",
        published: None,
        scope: Scope::Mechanism,
        subject: "normalised",
        effect: Effect::Below { metric: "epsilon", bound: AUDITED_EPSILON },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: AUDIT,
        precondition: None,
        control: "half-noise",
        own_data: false,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// ρ of everything but the audit.
    rho: f64,
    short: usize,
    long: usize,
    /// Runs per cell at the short and at the long horizon.
    short_runs: usize,
    long_runs: usize,
    /// T of the first of the five lengths.
    first_length: usize,
    /// Runs per cell at every length: of the maximum, of the maximum released once, of the running sum.
    maximum_runs: usize,
    batch_runs: usize,
    sum_runs: usize,
    tracing_rows: usize,
    tracing_columns: usize,
    audit_horizon: usize,
    audit_runs: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        rho: 0.5,
        short: 1 << 10,
        long: 1 << 16,
        short_runs: 2000,
        long_runs: 200,
        first_length: 1 << 8,
        maximum_runs: 1,
        batch_runs: 64,
        sum_runs: 64,
        tracing_rows: 50,
        tracing_columns: 4096,
        audit_horizon: 64,
        audit_runs: 100_000,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            short: 64,
            long: 128,
            short_runs: 10,
            long_runs: 5,
            first_length: 4,
            batch_runs: 2,
            sum_runs: 2,
            tracing_rows: 10,
            tracing_columns: 32,
            audit_horizon: 8,
            audit_runs: 1000,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration { long_runs: 1000, maximum_runs: 10, audit_runs: 1_000_000, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let counts = [
        configuration.short,
        configuration.long,
        configuration.short_runs,
        configuration.long_runs,
        configuration.first_length,
        configuration.maximum_runs,
        configuration.batch_runs,
        configuration.sum_runs,
        configuration.tracing_rows,
        configuration.tracing_columns,
        configuration.audit_horizon,
        configuration.audit_runs,
    ];
    if counts.contains(&0) {
        return Err("every size and number of runs must be at least 1".into());
    }
    counter(Mechanism::NormalisedSquareRoot, configuration.rho, configuration.short)
        .map_err(|e| e.to_string())?;
    let table: [(&[&str], &[&str]); 5] = [
        (COUNTERS, &["normalised", "tree", "honaker", "half-noise", "coarse", "fresh-noise"]),
        (WIDE, &["maximum", "every-row", "batch", "normalised", "fresh-noise"]),
        (NARROW, &["maximum", "every-row"]),
        (TRACING, &["maximum", "no-noise", "zero"]),
        (AUDIT, &["normalised", "half-noise"]),
    ];
    let mut cells = Vec::new();
    for (settings, arms) in table {
        for setting in settings {
            for &seed in seeds {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        }
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let place = |settings: &[&str]| settings.iter().position(|setting| *setting == cell.setting);
    if let Some(place) = place(COUNTERS) {
        let (horizon, runs) = match place {
            0 => (configuration.short, configuration.short_runs),
            _ => (configuration.long, configuration.long_runs),
        };
        return counters(cell, &configuration, horizon, runs, context);
    }
    let length = |place: usize| configuration.first_length << (2 * place);
    if let Some(place) = place(WIDE) {
        let horizon = length(place);
        return match cell.arm.as_str() {
            "normalised" | "fresh-noise" => {
                counters(cell, &configuration, horizon, configuration.sum_runs, context)
            }
            _ => maxima(cell, &configuration, horizon, horizon, context),
        };
    }
    if let Some(place) = place(NARROW) {
        return maxima(cell, &configuration, length(place), 16, context);
    }
    match cell.setting.as_str() {
        "tracing" => tracing(cell, &configuration, context),
        _ => audit(cell, &configuration, context),
    }
}

/// A counter of ρ-zCDP over `horizon` rows.
fn counter(
    mechanism: Mechanism,
    rho: f64,
    horizon: usize,
) -> Result<ContinualDp, backstitch_statistics::Error> {
    let privacy = Privacy::Concentrated { rho };
    ContinualDp::new(Parameters { mechanism, privacy, horizon, ..Parameters::default() })
}

/// (A) Error factors, and the error over many runs on a stream of coin tosses.
fn counters(
    cell: &Cell,
    configuration: &Configuration,
    horizon: usize,
    runs: usize,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let rho = configuration.rho;
    let spacing = if cell.arm == "coarse" { 8.0 } else { 2.0 };
    let exponentials = || Exponentials::square_root(horizon, spacing).error(horizon, true);
    let (mechanism, factor) = match cell.arm.as_str() {
        "tree" => (Mechanism::Tree, tree_error(horizon)),
        "honaker" => (Mechanism::Honaker, honaker_error(horizon)),
        _ => (Mechanism::NormalisedSquareRoot, exponentials()),
    };
    context.observe("factor", factor.max);
    if matches!(cell.arm.as_str(), "normalised" | "coarse") && horizon <= 1 << 12 {
        context.observe("excess", factor.max / normalised_square_root_error(horizon).max - 1.0);
    }
    if cell.arm == "coarse" {
        // The exponentials alone are sabotaged; its counter would be another release of the same noise.
        return Ok(());
    }
    let deviation = (0.5 / rho).sqrt();
    let spent = if cell.arm == "half-noise" { 4.0 * rho } else { rho };
    let method = counter(mechanism, spent, horizon).map_err(CellError::new)?;
    // Runs share neither noise nor data; arms of a seed share the data.
    let mut coins = Stream::new(cell.seed, "continual-dp study rows");
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} {}", cell.arm, cell.setting));
    let mut squares = 0.0;
    for _ in 0..runs {
        let mut release = method.start(key(&mut keys));
        let mut truth = 0.0;
        for _ in 0..horizon {
            let event = f64::from(u8::from(coins.below(2) == 1));
            truth += event;
            let error = if cell.arm == "fresh-noise" {
                // One Gaussian query of T numbers, each of which a row may move by 1.
                deviation * (horizon as f64).sqrt() * keys.normal()
            } else {
                release.push(&[event]).map_err(CellError::new)?.values[0] - truth
            };
            squares += error * error;
        }
    }
    let rmse = (squares / (runs * horizon) as f64).sqrt();
    context.observe("rmse", rmse);
    context.observe("growth", rmse.log2());
    context.observe("miss", (rmse / (deviation * factor.mean) - 1.0).abs());
    Ok(())
}

/// (B) The running maximum of a stream whose hot column drifts: every row has a 1 there and another at random.
fn maxima(
    cell: &Cell,
    configuration: &Configuration,
    horizon: usize,
    columns: usize,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let interval = match cell.arm.as_str() {
        "every-row" => Some(1),
        "batch" => Some(horizon),
        _ => None,
    };
    let mechanism = if interval.is_some() { MaxMechanism::Recompute } else { MaxMechanism::Best };
    let parameters = MaxParameters {
        columns,
        horizon,
        privacy: Privacy::Concentrated { rho: configuration.rho },
        neighbours: Neighbours::Event,
        mechanism,
        interval,
        select: false,
    };
    let mut rows = Stream::new(cell.seed, "continual-dp study rows");
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} {}", cell.arm, cell.setting));
    let (mut squares, mut answers) = (0.0, 0.0);
    let runs = if cell.arm == "batch" { configuration.batch_runs } else { configuration.maximum_runs };
    for _ in 0..runs {
        let mut release = MaxSum::new(parameters.clone(), key(&mut keys)).map_err(CellError::new)?;
        let mut sums = vec![0_u64; columns];
        let mut largest = 0;
        for time in 0..horizon {
            let hot = 4 * time / horizon % columns;
            let other = rows.below(columns);
            let ones = if hot == other { vec![hot] } else { vec![hot, other] };
            for &column in &ones {
                sums[column] += 1;
                largest = largest.max(sums[column]);
            }
            let answer = release.push(Row::Ones(&ones)).map_err(CellError::new)?;
            // What is released once, at the end, is judged there.
            if cell.arm != "batch" || time + 1 == horizon {
                squares += (answer.value - largest as f64).powi(2);
                answers += 1.0;
            }
        }
    }
    context.observe("log_error", 0.5 * (squares / answers).log2());
    Ok(())
}

/// (C) Column means by the reduction, then the tracing attack.
fn tracing(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let (rows, columns) = (configuration.tracing_rows, configuration.tracing_columns);
    let mut draws = Stream::new(cell.seed, "continual-dp study table");
    let population: Vec<f64> = (0..columns).map(|_| draws.uniform()).collect();
    let mut table = || -> Vec<Vec<bool>> {
        (0..rows).map(|_| population.iter().map(|&p| draws.uniform() < p).collect()).collect()
    };
    let (members, others) = (table(), table());
    let published = match cell.arm.as_str() {
        "maximum" => {
            let parameters = MaxParameters {
                columns,
                horizon: reduction_horizon(rows, columns),
                privacy: Privacy::Concentrated { rho: configuration.rho },
                neighbours: Neighbours::Event,
                mechanism: MaxMechanism::Best,
                interval: None,
                select: false,
            };
            let mut keys = Stream::new(cell.seed, "continual-dp study keys tracing");
            let mut release = MaxSum::new(parameters, key(&mut keys)).map_err(CellError::new)?;
            marginals_by_reduction(&members, |row, _| release.push(row).map(|answer| answer.value))
                .map_err(CellError::new)?
        }
        "no-noise" => {
            let (mut sums, mut everywhere) = (vec![0_i64; columns], 0);
            marginals_by_reduction::<CellError>(&members, |row, read| {
                match row {
                    Row::Dense(entries) => {
                        sums.iter_mut().zip(entries).for_each(|(sum, &one)| *sum += i64::from(one));
                    }
                    Row::Ones(ones) => ones.iter().for_each(|&column| sums[column] += 1),
                    Row::AllBut(column) => {
                        everywhere += 1;
                        sums[column] -= 1;
                    }
                }
                let largest = || sums.iter().max().copied().unwrap_or(0) + everywhere;
                Ok(if read { largest() as f64 } else { 0.0 })
            })?
        }
        _ => marginals_by_reduction::<CellError>(&members, |_, _| Ok(0.0))?,
    };
    let error: f64 = (0..columns)
        .map(|column| {
            let ones = members.iter().filter(|row| row[column]).count();
            (published[column] - ones as f64 / rows as f64).abs()
        })
        .sum();
    context.observe("accuracy", error / columns as f64);
    let scores = |rows: &[Vec<bool>]| tracing_scores(rows, &population, &published);
    context.observe("auc", auc(&scores(&members), &scores(&others)));
    Ok(())
}

/// (D) Two streams that differ in the first row, told apart by the likelihood ratio of what was released.
fn audit(cell: &Cell, configuration: &Configuration, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let (horizon, runs) = (configuration.audit_horizon, configuration.audit_runs);
    let parameters = Parameters {
        privacy: Privacy::Approximate { epsilon: AUDITED_EPSILON, delta: AUDITED_DELTA },
        horizon,
        ..Parameters::default()
    };
    let claimed = ContinualDp::new(parameters.clone()).map_err(CellError::new)?;
    let deviation = claimed.plan().deviation * if cell.arm == "half-noise" { 0.5 } else { 1.0 };
    let used = match cell.arm.as_str() {
        "half-noise" => {
            // σ is 1/√(2ρ) per unit of sensitivity, so four times the ρ is half the noise.
            let privacy = Privacy::Concentrated { rho: 4.0 * claimed.plan().rho };
            ContinualDp::new(Parameters { privacy, ..parameters }).map_err(CellError::new)?
        }
        _ => claimed,
    };
    let attack = Attack::new(horizon);
    // Set before any draw: 2.75 nominal deviations of the null.
    let threshold = 2.75 * deviation;
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} audit", cell.arm));
    let mut count = |first: f64| -> Result<u64, CellError> {
        let mut exceeding = 0;
        for _ in 0..runs {
            let mut release = used.start(key(&mut keys));
            exceeding += u64::from(attack.score(&mut release, first).map_err(CellError::new)? > threshold);
        }
        Ok(exceeding)
    };
    let (without, with) = (count(0.0)?, count(1.0)?);
    let interval = |count| interval::proportion_exact(count, runs as u64).map_err(CellError::new);
    // Two two-sided 95 % ends: the bound on ε holds with 95 % by the union of two tails of 2.5 %.
    let (most, least) = (interval(without)?.upper, interval(with)?.lower);
    context.observe("epsilon", ((least - AUDITED_DELTA) / most).max(1e-300).ln().max(0.0));
    Ok(())
}

/// Recovers what was released, `R x + z`, from the answers and projects it on the change that the first row makes.
struct Attack {
    factor: Exponentials,
    weights: Vec<f64>,
    direction: Vec<f64>,
}

impl Attack {
    fn new(horizon: usize) -> Self {
        let factor = Exponentials::square_root(horizon, 2.0);
        let weights = factor.column_norms(horizon, 0, horizon);
        let mut direction = vec![1.0];
        direction.extend(factor.coefficients(1, horizon - 1));
        direction.iter_mut().for_each(|entry| *entry /= weights[0]);
        Self { factor, weights, direction }
    }

    fn score(&self, release: &mut Release, first: f64) -> Result<f64, backstitch_statistics::Error> {
        let mut buffers = vec![0.0; self.factor.order()];
        let (mut before, mut score) = (0.0, 0.0);
        for (time, (weight, direction)) in self.weights.iter().zip(&self.direction).enumerate() {
            let Answer { values, .. } = release.push(&[if time == 0 { first } else { 0.0 }])?;
            let innovation = (values[0] - before) / weight;
            before = values[0];
            let mut released = innovation;
            for ((buffer, weight), decay) in
                buffers.iter_mut().zip(&self.factor.weight).zip(&self.factor.decay)
            {
                released += weight * *buffer;
                *buffer = decay * *buffer + innovation;
            }
            score += direction * released;
        }
        Ok(score)
    }
}

fn key(stream: &mut Stream) -> Key {
    Key::from_seed((stream.below(1 << 31) as u64) << 31 | stream.below(1 << 31) as u64)
}
