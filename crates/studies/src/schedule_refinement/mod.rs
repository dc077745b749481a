//! The study of `schedule-refinement`: does linear decay beat the schedules that people use, and does refining it help?
//!
//! Small models on small tables, by SGD with momentum and by Adam, judged by the loss of the last point on all rows that were learned
//! from. Every schedule gets its own peak rate, from the same grid of powers of two, widened until the best point is inside; the loss
//! is then measured on other orders of the rows. Tasks are such that schedules end apart: in pilots, those on which all of them reach the
//! same least loss were replaced. A seed draws the rows, the first weights and the orders, the same for all arms.

mod claims;
mod exact;
mod tasks;
mod training;
mod tuning;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_optimize::schedule_refinement::{GradientLog, Norm, Parameters, Schedule, ScheduleRefinement};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, EXACT, METRICS};
use tasks::{TASKS, task};
use training::{Optimizer, Training};
use tuning::tune;

/// The study.
pub static STUDY: Study = Study {
    method: "schedule-refinement",
    history: &[
        "first version; pilots with seeds from 1000 chose the tasks (where schedules end apart), the controls that fail, and the bound \
         and the margin of `warm-up-emerges`, 0.5 each after 0.9 of the runs was too much",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 12,
    data: &[],
    configuration,
    cells,
    run,
};

/// Warm-up of the schedules in closed form, as a share of the run.
const WARM_UP: f64 = 0.05;
/// After that warm-up, 1/(1 + 19 p) is the number of warm-up steps divided by the number of the step.
const RATE: f64 = (1.0 - WARM_UP) / WARM_UP;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Names of tasks; each is learned with both optimizers.
    tasks: Vec<String>,
    /// Steps of a run, and rows of a step.
    steps: usize,
    batch: usize,
    /// Window of the median filter as a share of the run.
    smoothing: f64,
    /// Steps of the identities.
    exact_steps: usize,
}

fn configuration(scale: Scale) -> Value {
    let named = |tasks: &[&str]| tasks.iter().map(|task| (*task).to_owned()).collect();
    let quick =
        Configuration { tasks: named(TASKS), steps: 3000, batch: 16, smoothing: 0.1, exact_steps: 1000 };
    json!(match scale {
        Scale::Smoke => Configuration {
            tasks: named(&["digits", "answers", "teacher-network"]),
            steps: 60,
            exact_steps: 100,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration { steps: 30_000, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for &seed in seeds {
        let cell = |arm: &str| Cell::new(arm, EXACT, seed);
        cells.extend(["refined", "unsummed", "refined-inverted", "last-iterate", "unscaled"].map(cell));
    }
    let settings =
        configuration.tasks.iter().flat_map(|task| ["sgd", "adam"].map(|name| format!("{task}-{name}")));
    for setting in settings {
        for &seed in seeds {
            let cell = |arm: &str| Cell::new(arm, &setting, seed);
            let alone = ["linear", "flat", "inverse", "inverse-square-root", "cosine", "stepwise", "rising"];
            cells.extend(alone.map(cell));
            cells.extend(
                ["refined", "refined-reversed", "refined-inverted"].map(|arm| cell(arm).needing("linear")),
            );
            let older = ["flat", "inverse", "inverse-square-root"];
            cells.push(older.iter().fold(cell("best-older"), |best, arm| best.needing(arm)));
            let all = older.iter().chain(&["cosine", "stepwise"]);
            cells.push(all.fold(cell("best-default"), |best, arm| best.needing(arm)));
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        if let Some(task) = self.tasks.iter().find(|task| !TASKS.contains(&task.as_str())) {
            return Err(format!("tasks has {task:?}, but may have {}", TASKS.join(", ")));
        }
        let parameters = Parameters { smoothing: self.smoothing, ..Parameters::default() };
        ScheduleRefinement::new(parameters).map_err(|error| error.to_string())?;
        for (name, steps) in [("steps", self.steps), ("exact_steps", self.exact_steps)] {
            if !(20..=1_000_000).contains(&steps) {
                return Err(format!("{name} is {steps}, but must be from 20 to 1000000"));
            }
        }
        // The smallest task has 353 rows.
        if !(1..=100).contains(&self.batch) {
            return Err(format!("batch is {}, but must be from 1 to 100", self.batch));
        }
        Ok(())
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.setting == EXACT {
        return exact::run(cell, configuration.exact_steps, context);
    }
    if cell.arm.starts_with("best-") {
        return pick(context);
    }
    let (name, optimizer) = match cell.setting.rsplit_once('-') {
        Some((name, "sgd")) if TASKS.contains(&name) => (name, Optimizer::Sgd),
        Some((name, "adam")) if TASKS.contains(&name) => (name, Optimizer::Adam),
        _ => return Err(CellError::new(format!("no setting `{}`", cell.setting))),
    };
    let (task, generated) = task(name, cell.seed)?;
    let values = task.features.values().iter().copied().chain(task.classes.iter().map(|class| *class as f64));
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    context.record_data(name, &bytes, generated);
    let multipliers = multipliers(cell, &configuration, optimizer, context)?;
    context.observe("first_multiplier", multipliers[0]);
    let training = Training { task: &task, optimizer, batch: configuration.batch, seed: cell.seed, order: 0 };
    let tuned = tune(&training, &multipliers).map_err(CellError::new)?;
    context.log(
        tuned.tried as u64,
        &[("peak_exponent", f64::from(tuned.exponent)), ("log_loss", tuned.log_loss)],
    )?;
    context.observe("log_loss", tuned.log_loss);
    context.observe("peak_exponent", f64::from(tuned.exponent));
    context.artifact("log_loss.json", json!(tuned.log_loss).to_string().as_bytes())?;
    if cell.arm == "linear" {
        context.artifact("norms.json", json!(tuned.norms).to_string().as_bytes())?;
    }
    Ok(())
}

/// The schedule of an arm.
fn multipliers(
    cell: &Cell,
    configuration: &Configuration,
    optimizer: Optimizer,
    context: &CellContext<'_>,
) -> Result<Vec<f64>, CellError> {
    let schedule = match cell.arm.as_str() {
        "linear" => Schedule::Linear,
        "flat" => Schedule::Flat,
        "inverse" => Schedule::Inverse { rate: RATE },
        "inverse-square-root" => Schedule::InverseSquareRoot { rate: RATE },
        "cosine" => Schedule::Cosine,
        "stepwise" => Schedule::thirty_sixty_ninety(),
        "rising" => {
            let mut falling =
                Schedule::Linear.multipliers(configuration.steps, 0.0).map_err(CellError::new)?;
            falling.reverse();
            return Ok(falling);
        }
        arm => {
            let mut norms: Vec<f64> = serde_json::from_slice(&context.read_need("linear", "norms.json")?)
                .map_err(CellError::new)?;
            match arm {
                "refined-reversed" => norms.reverse(),
                "refined-inverted" => norms.iter_mut().for_each(|norm| *norm = norm.recip()),
                _ => {}
            }
            let norm = match optimizer {
                Optimizer::Sgd => Norm::L2,
                Optimizer::Adam => Norm::L1,
            };
            let parameters = Parameters { norm, smoothing: configuration.smoothing };
            return GradientLog::new(&norms)
                .and_then(|log| ScheduleRefinement::new(parameters)?.refine(&log))
                .map(|refined| refined.multipliers)
                .map_err(CellError::new);
        }
    };
    schedule.multipliers(configuration.steps, WARM_UP).map_err(CellError::new)
}

/// The least loss of the needed cells.
fn pick(context: &mut CellContext<'_>) -> Result<(), CellError> {
    let mut least = f64::INFINITY;
    for bytes in context.read_needs("log_loss.json")? {
        // A diverged run is written as null and is not the best.
        let loss: Option<f64> = serde_json::from_slice(&bytes).map_err(CellError::new)?;
        least = least.min(loss.unwrap_or(f64::INFINITY));
    }
    context.observe("log_loss", least);
    Ok(())
}
