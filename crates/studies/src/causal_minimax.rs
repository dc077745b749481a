//! The study of `causal-minimax`: does the worst-case risk, computed from training environments alone, order subsets as unseen
//! environments do, and is the subset it chooses a better one to transfer?
//!
//! Three sources of environments. `simulation` draws the published structural equations anew for every seed: 20 environments of 100
//! rows, 10 of them for training. There all noise has deviation 0.1, and the stable columns say next to nothing of the target (its
//! child X1 moves by 0.016 with it, and by 0.1 without): every predictor that keeps to them is close to the mean. `strong` is ours,
//! the same equations with a target of deviation 1 and mutable mechanisms a tenth as
//! strong, which leaves its child X1 unsaturated, so that there is something to predict. `impc` is the published mouse data: one of the paper's 45 splits per seed. Those splits share
//! mice, so that the interval over seeds speaks of splits, not of new mice.
//!
//! Errors are mean squared errors in units of the target's *training* variance. The released code standardises each test
//! environment with its own mean and deviation; `worst_own` repeats the error so, and the claims on the released record read it.
//!
//! The published correlation of the mice, 0.984, is one number over the 16 subsets, of risks and errors that were first averaged over 45
//! splits. Averaging takes away what differs between splits, so the correlation within a split is another quantity. The study has both:
//! `rank_correlation` within each split, and `mean_correlation` of averages, with the jackknife over splits for its interval.

mod claims;
mod data;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_statistics::causal_minimax::{
    CausalMinimax, Form, Intervention, Parameters, Set, equivalence_classes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, METRICS};
pub(crate) use data::simulation_csv;
use data::{Errors, Split, linear_model};

const SIMULATION: &str = "simulation";
/// The simulation with a target of larger spread.
const STRONG: &str = "strong";
const IMPC: &str = "impc";
const LINEAR: &str = "linear";
/// The data set of the mice.
const MICE: &str = "impc-mice";
/// Quick scale takes about a minute of one core per seed.
const SEEDS: u64 = 8;

/// The study.
pub static STUDY: Study = Study {
    method: "causal-minimax",
    history: &[
        "first version",
        "the correlation of averages over splits, which is what was published, beside the one within splits; the older claims \
         and their numbers are as they were",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: SEEDS,
    data: &[MICE],
    configuration,
    cells,
    run,
};

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
    for setting in [SIMULATION, STRONG, IMPC] {
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
            for arm in ["regression-on-all", "anchor-regression", "constant", "mirrored-regression"] {
                cells.push(cell(arm));
            }
            if setting == IMPC {
                cells.push(cell("judged-released"));
                for arm in ["released", "released-whole", "released-shuffled"] {
                    cells.push(cell(arm).needing("judged-released"));
                }
            }
            if setting == STRONG {
                cells.push(cell("class-members").needing("judged"));
                cells.push(cell("class-strangers").needing("judged"));
            }
        }
    }
    // After the splits of all seeds: their averages, and by how much each split moves them.
    for &seed in seeds {
        for arm in ["averaged", "averaged-dealt", "averaged-released", "averaged-released-dealt"] {
            let judged = if arm.starts_with("averaged-released") { "judged-released" } else { "judged" };
            let mut cell = Cell::new(arm, IMPC, seed).reading(MICE);
            cell.needs.extend(seeds.iter().map(|&seed| Cell::new(judged, IMPC, seed).id()));
            cells.push(cell);
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
    if cell.arm.starts_with("averaged") {
        return averaged(cell, context);
    }
    let split = match cell.setting.as_str() {
        SIMULATION => Split::simulated(configuration.environments, configuration.rows, 0.1, 1.0, cell.seed)?,
        STRONG => Split::simulated(configuration.environments, configuration.rows, 1.0, 0.1, cell.seed)?,
        _ => Split::of_mice(context.data(MICE)?, cell.seed)?,
    };
    context.record_data(&cell.setting, &split.bytes(), cell.setting != IMPC);
    match cell.arm.as_str() {
        "judged" | "judged-released" => return judge(cell, &configuration, &split, context),
        "regression-on-all" | "mirrored-regression" | "anchor-regression" => {
            let anchor = cell.arm == "anchor-regression";
            let form = if anchor { Form::Linear } else { configuration.method.form };
            let parameters = Parameters { form, seed: cell.seed, ..configuration.method.clone() };
            let train = if anchor { split.anchored(configuration.gamma) } else { split.train.clone() };
            let problem = prepare(parameters, &split, &train)?;
            let roles = problem.roles();
            let model = problem.regression(roles.stable.union(roles.mutable)).map_err(CellError::new)?;
            let mirrored = cell.arm == "mirrored-regression";
            observe(&if mirrored { split.errors_mirrored(&model)? } else { split.errors(&model)? }, context);
        }
        "constant" => observe(&split.errors_of_mean(), context),
        _ => {
            let released = cell.arm.starts_with("released");
            let bytes =
                context.read_need(if released { "judged-released" } else { "judged" }, "judged.json")?;
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
    let base = Parameters { seed: cell.seed, ..configuration.method.clone() };
    let parameters = if cell.arm == "judged-released" {
        let Parameters { intervention, keep_residuals, shuffles, .. } = Parameters::published();
        Parameters { intervention, keep_residuals, shuffles, ..base }
    } else {
        base
    };
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
        if entries.len().is_multiple_of(8) {
            context.checkpoint(step as u64, &entries)?;
        }
    }
    context.artifact("judged.json", json!(entries).to_string().as_bytes())
}

/// What an arm makes of the judged subsets.
fn compare(cell: &Cell, entries: &mut [Entry], context: &mut CellContext<'_>) -> Result<(), CellError> {
    let by =
        |value: fn(&Entry) -> f64| move |one: &&Entry, other: &&Entry| value(one).total_cmp(&value(other));
    if matches!(cell.arm.as_str(), "shuffled-risks" | "released-shuffled") {
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
        "whole-stable-set" | "released-whole" => entries.iter().max_by_key(|entry| entry.subset.len()),
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
    let own: Vec<f64> = entries.iter().map(|entry| entry.errors.worst_own).collect();
    context.observe("rank_correlation_own", data::spearman(&risks, &own));
    Ok(())
}

/// The correlation over subsets of risks and errors averaged over all splits. Each split reports it with its influence by the
/// jackknife added, so that the mean over splits is the correlation, and their spread gives its standard error.
fn averaged(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(CellError::new);
    let mut splits: Vec<Vec<Entry>> =
        context.read_needs("judged.json")?.into_iter().map(read).collect::<Result<_, _>>()?;
    let own = cell.id();
    let place = cell.needs.iter().position(|id| id.ends_with(&own[cell.arm.len()..]));
    let place = place.ok_or_else(|| CellError::new("the split of this seed was not judged"))?;
    if cell.arm.ends_with("dealt") {
        // The same deal in every split: dealt anew in each, the averages would all be alike and the correlation mere noise.
        let subsets = splits.first().map_or(0, Vec::len);
        let deal = Stream::new(0, "causal-minimax study dealt risks").permutation(subsets);
        for split in &mut splits {
            let risks: Vec<f64> = split.iter().map(|entry| entry.risk).collect();
            split.iter_mut().zip(&deal).for_each(|(entry, &from)| entry.risk = risks[from]);
        }
    }
    let released = cell.arm.starts_with("averaged-released");
    let points: Vec<Vec<(f64, f64)>> = splits
        .iter()
        .map(|split| {
            let error = |errors: &Errors| if released { errors.worst_own } else { errors.worst };
            split.iter().map(|entry| (entry.risk, error(&entry.errors))).collect()
        })
        .collect();
    context.observe("mean_correlation", data::jackknifed(&points, place, data::pearson));
    context.observe("mean_rank_correlation", data::jackknifed(&points, place, data::spearman));
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
    context.observe("log_worst_own", errors.worst_own.ln());
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
