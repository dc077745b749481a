//! The study of `causal-minimax`: does the worst-case risk, computed from training environments alone, order subsets as unseen
//! environments do, and is the subset it chooses a better one to transfer?
//!
//! Two sources of environments. `simulation` draws the published structural equations anew for every seed: 20 environments of 100
//! rows, 10 of them for training. `impc` is the published mouse data: one of the paper's 45 splits per seed. Those splits share
//! mice, so that the interval over seeds speaks of splits, not of new mice.
//!
//! Errors are mean squared errors in units of the target's *training* variance. The released code standardises each test
//! environment with its own mean and deviation; `worst_own` repeats the error so, and no claim reads it.

mod data;

use backstitch_claim::{
    Arm, Better, Cell, CellContext, CellError, Claim, Effect, Metric, Role, Scale, Scope, Statistic, Study,
};
use backstitch_numerics::Stream;
use backstitch_statistics::causal_minimax::{
    CausalMinimax, Form, Intervention, Parameters, Set, equivalence_classes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use data::simulation_csv;
use data::{Errors, Split, linear_model};

const SIMULATION: &str = "simulation";
const IMPC: &str = "impc";
const LINEAR: &str = "linear";
/// The data set of the mice.
const MICE: &str = "impc-mice";
const SEEDS: u64 = 10;

/// The study.
pub static STUDY: Study = Study {
    method: "causal-minimax",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: SEEDS,
    data: &[MICE],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "judged",
        role: Role::Prepare,
        description: "a predictor, its worst-case risk and its test errors for one subset of every class (of all subsets for impc)",
    },
    Arm {
        name: "causal-minimax",
        role: Role::Method,
        description: "the subset of smallest worst-case risk; default parameters, no tuning",
    },
    Arm {
        name: "whole-stable-set",
        role: Role::Baseline,
        description: "all stable columns, the predictor fitted as for every subset; no tuning",
    },
    Arm {
        name: "regression-on-all",
        role: Role::Baseline,
        description: "the same network regressed on all columns of the pooled training rows; no tuning",
    },
    Arm {
        name: "best-in-training",
        role: Role::Baseline,
        description: "the subset whose predictor has the smallest largest error over training environments; no tuning",
    },
    Arm {
        name: "anchor-regression",
        role: Role::Baseline,
        description: "linear anchor regression on all columns, the environments as anchors, gamma = 10; no tuning",
    },
    Arm {
        name: "constant",
        role: Role::Baseline,
        description: "the mean of the target over the training rows",
    },
    Arm {
        name: "largest-risk",
        role: Role::Control,
        description: "the subset of largest worst-case risk: the choice turned around",
    },
    Arm {
        name: "shuffled-risks",
        role: Role::Control,
        description: "the worst-case risks dealt to the subsets at random",
    },
    Arm {
        name: "class-members",
        role: Role::Method,
        description: "longest against shortest member of every class with more than one",
    },
    Arm {
        name: "class-strangers",
        role: Role::Control,
        description: "longest member of a class against the shortest of another",
    },
    Arm {
        name: "adversary",
        role: Role::Method,
        description: "worst-case risk of plain linear regressions by the adversary's networks, against its closed form",
    },
    Arm {
        name: "adversary-off",
        role: Role::Control,
        description: "the same with the training risk in place of the worst case",
    },
];

const METRICS: &[Metric] = &[
    lower("worst", "largest mean squared error over test environments, in training variances of the target"),
    lower("log_worst", "natural logarithm of worst"),
    lower(
        "worst_own",
        "the same with each test environment standardised by itself, as the released code does",
    ),
    lower("mean_error", "mean squared error averaged over test environments, in training variances"),
    lower("risk", "worst-case risk of the chosen subset, in training variances"),
    lower("subset_size", "number of stable columns used"),
    Metric {
        name: "rank_correlation",
        description: "Spearman's correlation over subsets of worst-case risk and worst",
        better: Better::Higher,
        worst: Some(-1.0),
    },
    lower(
        "member_gap",
        "absolute logarithm of the ratio of mean test errors of two subsets, averaged over classes",
    ),
    lower("shortfall", "relative difference between a worst-case risk and its closed form"),
];

const fn lower(name: &'static str, description: &'static str) -> Metric {
    Metric { name, description, better: Better::Lower, worst: None }
}

/// What most claims have in common: a smaller error in the worst test environment of the simulation.
const BASE: Claim = Claim {
    id: "",
    sentence: "",
    source: "abstract: the whole stable set is not always the one to transfer",
    published: None,
    scope: Scope::Paper,
    subject: "causal-minimax",
    effect: Effect::Improvement { metric: "log_worst", over: "whole-stable-set" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[SIMULATION],
    precondition: None,
    control: "largest-risk",
    own_data: false,
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "simulation-ranks",
        sentence: "In the published simulation, subsets with a smaller worst-case risk have a smaller largest test error: rank correlation above 0.5",
        source: "section 5: subsets ordered by worst-case risk have rising largest errors; the bound is ours",
        effect: Effect::Above { metric: "rank_correlation", bound: 0.0 },
        margin: 0.5,
        control: "shuffled-risks",
        ..BASE
    },
    Claim {
        id: "simulation-vs-whole",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than the whole stable set",
        ..BASE
    },
    Claim {
        id: "simulation-vs-regression",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than regression on all columns",
        effect: Effect::Improvement { metric: "log_worst", over: "regression-on-all" },
        ..BASE
    },
    Claim {
        id: "simulation-vs-best-in-training",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than the best subset over training environments",
        effect: Effect::Improvement { metric: "log_worst", over: "best-in-training" },
        ..BASE
    },
    Claim {
        id: "simulation-vs-anchor",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than anchor regression",
        effect: Effect::Improvement { metric: "log_worst", over: "anchor-regression" },
        ..BASE
    },
    Claim {
        id: "simulation-vs-constant",
        sentence: "In the published simulation the chosen subset has a smaller largest test error than the mean of the target",
        source: "ours: whether there is anything left to predict",
        effect: Effect::Improvement { metric: "log_worst", over: "constant" },
        ..BASE
    },
    Claim {
        id: "members-are-equal",
        sentence: "In the published simulation members of one class have the same test error up to 3 % on average",
        source: "definition of the equivalence; the tolerance is ours",
        subject: "class-members",
        effect: Effect::Below { metric: "member_gap", bound: 0.03 },
        control: "class-strangers",
        ..BASE
    },
    Claim {
        id: "impc-ranks",
        sentence: "On splits of the mouse data the rank correlation of worst-case risk and largest test error over the 16 subsets is at least 0.8",
        source: "released record of the mouse experiment",
        published: Some("0.984, Pearson, of means over 45 splits"),
        scope: Scope::Reduced,
        effect: Effect::Above { metric: "rank_correlation", bound: 0.0 },
        margin: 0.8,
        settings: &[IMPC],
        control: "shuffled-risks",
        ..BASE
    },
    Claim {
        id: "impc-vs-whole",
        sentence: "On splits of the mouse data the largest test error of the chosen subset is at most 0.85 times that of the whole stable set",
        source: "released record of the mouse experiment",
        published: Some("0.952 against 1.368, each environment standardised by itself"),
        scope: Scope::Reduced,
        margin: 0.162_518_929_497_774_94,
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "impc-vs-regression",
        sentence: "On splits of the mouse data the chosen subset has a smaller largest test error than regression on all columns",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_worst", over: "regression-on-all" },
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "impc-vs-constant",
        sentence: "On splits of the mouse data the chosen subset has a smaller largest test error than the mean of the target",
        source: "ours: whether there is anything left to predict",
        scope: Scope::Reduced,
        effect: Effect::Improvement { metric: "log_worst", over: "constant" },
        settings: &[IMPC],
        ..BASE
    },
    Claim {
        id: "closed-form",
        sentence: "The adversary reaches the worst-case risk of linear regressions in a linear Gaussian model within 5 % of its closed form",
        source: "ours: the closed form",
        scope: Scope::Identity,
        subject: "adversary",
        effect: Effect::Below { metric: "shortfall", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 0.05 },
        settings: &[LINEAR],
        control: "adversary-off",
        ..BASE
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Rows of an environment of the simulation.
    rows: usize,
    /// Environments of the simulation; half of them train.
    environments: usize,
    /// Rows of the linear model.
    linear_rows: usize,
    /// Weight of the environments in anchor regression.
    gamma: f64,
    method: Parameters,
}

fn configuration(scale: Scale) -> Value {
    let full = Parameters { search_always: true, ..Parameters::default() };
    let configuration = |rows, environments, linear_rows, method| Configuration {
        rows,
        environments,
        linear_rows,
        gamma: 10.0,
        method,
    };
    json!(match scale {
        Scale::Smoke => {
            let method = Parameters {
                fit_starts: 1,
                fit_iterations: 5,
                adversary_starts: 1,
                adversary_iterations: 3,
                shuffles: 1,
                predictor_units: 3,
                ..full
            };
            configuration(20, 6, 200, method)
        }
        Scale::Quick => configuration(100, 20, 10_000, full),
        Scale::Paper => {
            let method = Parameters {
                fit_starts: 5,
                adversary_starts: 10,
                fit_iterations: 1000,
                adversary_iterations: 1000,
                ..full
            };
            configuration(100, 20, 100_000, method)
        }
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    CausalMinimax::new(configuration.method.clone()).map_err(|error| error.to_string())?;
    for (name, value, least) in [
        ("rows", configuration.rows, configuration.method.rows),
        ("environments", configuration.environments, 4),
        ("linear_rows", configuration.linear_rows, 40),
    ] {
        if value < least {
            return Err(format!("{name} is {value}, but must be at least {least}"));
        }
    }
    if !(configuration.gamma.is_finite() && configuration.gamma >= 0.0) {
        return Err(format!("gamma is {}, but must be 0 or more", configuration.gamma));
    }
    let mut cells = Vec::new();
    for setting in [SIMULATION, IMPC] {
        for &seed in seeds {
            let cell = |arm: &str| {
                let cell = Cell::new(arm, setting, seed);
                if setting == IMPC { cell.reading(MICE) } else { cell }
            };
            cells.push(cell("judged"));
            for arm in
                ["causal-minimax", "whole-stable-set", "best-in-training", "largest-risk", "shuffled-risks"]
            {
                cells.push(cell(arm).needing("judged"));
            }
            for arm in ["regression-on-all", "anchor-regression", "constant"] {
                cells.push(cell(arm));
            }
            if setting == SIMULATION {
                cells.push(cell("class-members").needing("judged"));
                cells.push(cell("class-strangers").needing("judged"));
            }
        }
    }
    for &seed in seeds {
        cells.push(Cell::new("adversary", LINEAR, seed));
        cells.push(Cell::new("adversary-off", LINEAR, seed));
    }
    Ok(cells)
}

/// A subset with all that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    subset: Vec<usize>,
    risk: f64,
    worst_training: f64,
    errors: Errors,
    /// Errors of the longest member of its class, if it has another.
    longest: Option<Errors>,
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.setting == LINEAR {
        return closed_form(cell, &configuration, context);
    }
    let split = match cell.setting.as_str() {
        SIMULATION => Split::simulated(configuration.environments, configuration.rows, cell.seed)?,
        _ => Split::of_mice(context.data(MICE)?, cell.seed)?,
    };
    context.record_data(&cell.setting, &split.bytes(), cell.setting == SIMULATION);
    match cell.arm.as_str() {
        "judged" => return judge(cell, &configuration, &split, context),
        "regression-on-all" | "anchor-regression" => {
            let anchor = cell.arm == "anchor-regression";
            let form = if anchor { Form::Linear } else { configuration.method.form };
            let parameters = Parameters { form, seed: cell.seed, ..configuration.method.clone() };
            let train = if anchor { split.anchored(configuration.gamma) } else { split.train.clone() };
            let problem = prepare(parameters, &split, &train)?;
            let roles = problem.roles();
            let model = problem.regression(roles.stable.union(roles.mutable)).map_err(CellError::new)?;
            observe(&split.errors(&model)?, context);
        }
        "constant" => observe(&split.errors_of_mean(), context),
        _ => {
            let bytes = context.read_need("judged", "judged.json")?;
            let mut entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(CellError::new)?;
            compare(cell, &mut entries, context)?;
        }
    }
    Ok(())
}

fn prepare(
    parameters: Parameters,
    split: &Split,
    train: &backstitch_numerics::Matrix,
) -> Result<backstitch_statistics::causal_minimax::Problem, CellError> {
    CausalMinimax::new(parameters)
        .and_then(|method| method.prepare(train, split.target, split.environment, &split.graph))
        .map_err(CellError::new)
}

/// One subset of every class; of the mouse data all 16, as the paper does.
fn judge(
    cell: &Cell,
    configuration: &Configuration,
    split: &Split,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let parameters = Parameters { seed: cell.seed, ..configuration.method.clone() };
    let limit = parameters.classes;
    let problem = prepare(parameters, split, &split.train)?;
    let roles = problem.roles().clone();
    let graph = roles.stable_graph(&split.graph);
    let classes = equivalence_classes(&graph, split.target, roles.stable, limit).map_err(CellError::new)?;
    let mut subsets: Vec<(Set, Option<Set>)> = if cell.setting == IMPC {
        roles.stable.subsets().map(|subset| (subset, None)).collect()
    } else {
        let longest = |class: &backstitch_statistics::causal_minimax::Class| {
            (!class.optional.is_empty()).then(|| class.required.union(class.optional))
        };
        classes.iter().map(|class| (class.required, longest(class))).collect()
    };
    // The whole stable set is a baseline of its own, whatever the shortest member of its class.
    if subsets.iter().all(|(subset, _)| *subset != roles.stable) {
        subsets.push((roles.stable, None));
    }
    let resumed: Option<(u64, Vec<Entry>)> = context.resume()?;
    let mut entries = resumed.map_or_else(Vec::new, |(_, entries)| entries);
    for (step, (subset, longest)) in subsets.into_iter().enumerate().skip(entries.len()) {
        let judged = problem.judge(subset).map_err(CellError::new)?;
        let errors = split.errors(&judged.model)?;
        let longest = longest
            .map(|longest| {
                problem.predictor(longest).map_err(CellError::new).and_then(|model| split.errors(&model))
            })
            .transpose()?;
        context.log(step as u64, &[("risk", judged.worst_case_risk), ("worst", errors.worst)])?;
        entries.push(Entry {
            subset: subset.iter().collect(),
            risk: judged.worst_case_risk,
            worst_training: judged.worst_training_risk,
            errors,
            longest,
        });
        if entries.len() % 8 == 0 {
            context.checkpoint(step as u64, &entries)?;
        }
    }
    context.artifact("judged.json", json!(entries).to_string().as_bytes())
}

/// What an arm makes of the judged subsets.
fn compare(cell: &Cell, entries: &mut [Entry], context: &mut CellContext<'_>) -> Result<(), CellError> {
    let by =
        |value: fn(&Entry) -> f64| move |one: &&Entry, other: &&Entry| value(one).total_cmp(&value(other));
    if cell.arm == "shuffled-risks" {
        let mut risks: Vec<f64> = entries.iter().map(|entry| entry.risk).collect();
        Stream::new(cell.seed, "causal-minimax study shuffled risks").shuffle(&mut risks);
        for (entry, risk) in entries.iter_mut().zip(risks) {
            entry.risk = risk;
        }
    }
    if cell.arm.starts_with("class-") {
        context.observe("member_gap", member_gap(entries, cell.arm == "class-strangers"));
        return Ok(());
    }
    let chosen = match cell.arm.as_str() {
        "whole-stable-set" => entries.iter().max_by_key(|entry| entry.subset.len()),
        "best-in-training" => entries.iter().min_by(by(|entry| entry.worst_training)),
        "largest-risk" => entries.iter().max_by(by(|entry| entry.risk)),
        _ => entries.iter().min_by(by(|entry| entry.risk)),
    };
    let chosen = chosen.ok_or_else(|| CellError::new("no subset was judged"))?;
    observe(&chosen.errors, context);
    context.observe("risk", chosen.risk);
    context.observe("subset_size", chosen.subset.len() as f64);
    let risks: Vec<f64> = entries.iter().map(|entry| entry.risk).collect();
    let worst: Vec<f64> = entries.iter().map(|entry| entry.errors.worst).collect();
    context.observe("rank_correlation", data::spearman(&risks, &worst));
    Ok(())
}

/// Mean over classes of the distance between the errors of two of their members, or of the longest member and the shortest
/// of the class half the list further on.
fn member_gap(entries: &[Entry], strangers: bool) -> f64 {
    let pairs: Vec<(&Errors, &Errors)> = entries
        .iter()
        .filter_map(|entry| entry.longest.as_ref().map(|longest| (&entry.errors, longest)))
        .collect();
    let shift = if strangers { pairs.len() / 2 } else { 0 };
    let gap = |place: usize| {
        let (longest, shortest) = (pairs[place].1.mean, pairs[(place + shift) % pairs.len()].0.mean);
        (longest / shortest).ln().abs()
    };
    (0..pairs.len()).map(gap).sum::<f64>() / pairs.len() as f64
}

fn observe(errors: &Errors, context: &mut CellContext<'_>) {
    context.observe("worst", errors.worst);
    context.observe("log_worst", errors.worst.ln());
    context.observe("worst_own", errors.worst_own);
    context.observe("mean_error", errors.mean);
}

/// The adversary against plain regressions on what is below the mutable column of a linear model, drawn per seed.
fn closed_form(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let (table, graph, model) = linear_model(configuration.linear_rows, cell.seed)?;
    let bytes: Vec<u8> = table.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    context.record_data(LINEAR, &bytes, true);
    let parameters = Parameters {
        form: Form::Linear,
        intervention: Intervention::Mutable,
        adversary_penalty: 0.0,
        decay: 0.0,
        seed: cell.seed,
        ..configuration.method.clone()
    };
    let reach = parameters.reach;
    let problem = CausalMinimax::new(parameters)
        .and_then(|method| method.prepare(&table, 1, 0, &graph))
        .map_err(CellError::new)?;
    let mut largest: f64 = 0.0;
    for subset in [vec![4], vec![5], vec![2, 4], vec![4, 5]] {
        let plain = problem.regression(subset.iter().copied().collect()).map_err(CellError::new)?;
        let coefficients = data::coefficients(&plain, table.columns())?;
        let scales = problem.scales();
        let bound = reach * scales[3].deviation;
        let exact = model.worst_case_risk(&coefficients[1..], bound).map_err(CellError::new)?;
        let found = if cell.arm == "adversary-off" {
            data::mean_squared_error(&plain, &table, 1)?
        } else {
            problem.worst_case_risk(&plain).map_err(CellError::new)? * scales[1].deviation.powi(2)
        };
        largest = largest.max((found / exact - 1.0).abs());
    }
    context.observe("shortfall", largest);
    Ok(())
}
