//! `backstitch run schedule-refinement`: logs of gradient norms in, the learning-rate schedule of the next run out.

mod logs;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_optimize::schedule_refinement::{
    self as method, Combined, GradientLog, Line, Norm, Parameters, Schedule, Shape, draw,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use logs::{Columns, Log, read};

use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Multipliers are of the peak learning rate, whose best value is not that of the old run: search it again, or begin with \
the old one times `same_total` of the summary, which keeps the sum of all steps.

Without --out, the schedule goes to standard output as CSV; with it, the folder gets schedule.csv, schedule.json, schedule.svg and \
summary.json. In PyTorch:
  multipliers = json.load(open(\"schedule.json\"))[\"multipliers\"]
  scheduler = LambdaLR(optimizer, lambda step: multipliers[min(step, len(multipliers) - 1)])
and in optax:
  multipliers = jnp.asarray(json.load(open(\"schedule.json\"))[\"multipliers\"])
  optimizer = optax.adam(lambda step: peak * multipliers[jnp.minimum(step, len(multipliers) - 1)])

Examples:
  backstitch run schedule-refinement --gradient-norms log.csv --norm l2 --steps 10000 --out schedule/
  backstitch run schedule-refinement --gradient-norms a.jsonl --gradient-norms b.jsonl --column grad_l1_norm --steps 10000
  backstitch run schedule-refinement --schedule linear --warm-up 0.05 --steps 10000"
)]
pub(crate) struct ScheduleRefinement {
    /// Log of a finished run, with a column of gradient norms: CSV, TSV, spaces or JSON Lines (.jsonl), plain or gzip. Give several logs
    /// of one task to get the mean of their schedules, with a band
    #[arg(long, value_name = "FILE", required_unless_present = "schedule", conflicts_with = "schedule")]
    gradient_norms: Vec<PathBuf>,
    /// Column of the norms [default: the one column whose name has "norm" in it]
    #[arg(long, value_name = "NAME", conflicts_with = "schedule")]
    column: Option<String>,
    /// Column of the steps [default: the column named step, Step, global_step or iteration, if there is one]
    #[arg(long, value_name = "NAME", conflicts_with = "schedule")]
    step_column: Option<String>,
    /// Which norm it is: l1 for the next run with Adam, l2 with SGD [default: what the name of the column says]
    #[arg(long, value_name = "NORM", conflicts_with = "schedule")]
    norm: Option<Norm>,
    /// Length of the smoothing window as a share of the log
    #[arg(long, value_name = "SHARE", default_value_t = Parameters::default().smoothing, allow_negative_numbers = true, conflicts_with = "schedule")]
    smoothing: f64,
    /// Steps of the next run
    #[arg(long, value_name = "N")]
    steps: usize,
    /// No log: one of the usual schedules instead
    #[arg(long, value_enum, value_name = "NAME")]
    schedule: Option<ScheduleName>,
    /// Share of the steps that rise to the peak first (only with --schedule)
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.05,
        allow_negative_numbers = true,
        conflicts_with = "gradient_norms"
    )]
    warm_up: f64,
    /// Power of the polynomial schedule
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        conflicts_with = "gradient_norms"
    )]
    power: f64,
    /// Rate r of the inverse schedules, in 1/(1 + r·p) and 1/sqrt(1 + r·p) over the progress p from 0 to 1
    #[arg(
        long,
        value_name = "R",
        default_value_t = 19.0,
        allow_negative_numbers = true,
        conflicts_with = "gradient_norms"
    )]
    rate: f64,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScheduleName {
    /// The peak to the end
    Flat,
    /// 1/t
    Inverse,
    /// 1/sqrt(t)
    InverseSquareRoot,
    /// Half a cosine to 0
    Cosine,
    /// A tenth after 30, 60 and 90 %
    Stepwise,
    /// To 0 in a straight line: the best for the worst case
    Linear,
    /// A power of the straight line
    Polynomial,
}

pub(crate) fn execute(arguments: &ScheduleRefinement, common: &Common) -> Result<i32, Failure> {
    let made = match arguments.schedule {
        Some(name) => closed_form(arguments, name)?,
        None => refined(arguments)?,
    };
    for warning in &made.warnings {
        terminal::say(format_args!("warning: {warning}"));
    }
    let summary = made.summary();
    match &arguments.out {
        None if common.json => terminal::print_json(&summary)?,
        None => {
            terminal::print(&made.table())?;
            terminal::say(made.words().trim_end());
        }
        Some(folder) => {
            made.write(folder, &summary)?;
            if common.json {
                terminal::print_json(&summary)?;
            } else {
                terminal::print(&made.words())?;
                terminal::say(format_args!("written: {}", folder.display()));
            }
        }
    }
    Ok(EXIT_DONE)
}

/// A schedule with its story.
struct Made {
    /// What it is called in pictures.
    name: String,
    multipliers: Vec<f64>,
    /// The nearest warm-up and power, of a refined schedule.
    shape: Option<Shape>,
    band: Option<Vec<(f64, f64)>>,
    /// What it was made from.
    source: Value,
    warnings: Vec<String>,
}

fn closed_form(arguments: &ScheduleRefinement, name: ScheduleName) -> Result<Made, Failure> {
    let rate = arguments.rate;
    let schedule = match name {
        ScheduleName::Flat => Schedule::Flat,
        ScheduleName::Inverse => Schedule::Inverse { rate },
        ScheduleName::InverseSquareRoot => Schedule::InverseSquareRoot { rate },
        ScheduleName::Cosine => Schedule::Cosine,
        ScheduleName::Stepwise => Schedule::thirty_sixty_ninety(),
        ScheduleName::Linear => Schedule::Linear,
        ScheduleName::Polynomial => Schedule::Polynomial { power: arguments.power },
    };
    let multipliers = schedule.multipliers(arguments.steps, arguments.warm_up).map_err(Failure::input)?;
    let source = json!({"schedule": schedule, "warm_up": arguments.warm_up});
    Ok(Made {
        name: schedule.to_string(),
        multipliers,
        shape: None,
        band: None,
        source,
        warnings: Vec::new(),
    })
}

fn refined(arguments: &ScheduleRefinement) -> Result<Made, Failure> {
    let columns = Columns { norms: arguments.column.as_deref(), steps: arguments.step_column.as_deref() };
    let mut logs: Vec<GradientLog> = Vec::new();
    let mut norm = arguments.norm;
    let mut sources = Vec::new();
    let mut warnings = Vec::new();
    for file in &arguments.gradient_norms {
        let about = |text: String| format!("{}: {text}", file.display());
        let Log { column, steps, norms, skipped } = read(file, &columns)?;
        let said = norm_of_name(&column);
        match (norm, said) {
            (None, None) => return Err(unclear(file, &column)),
            (None, Some(said)) => norm = Some(said),
            (Some(norm), Some(said)) if norm != said => {
                warnings.push(about(format!("the column {column:?} is taken for {} norms", norm.name())));
            }
            _ => {}
        }
        let log = match &steps {
            Some(steps) => GradientLog::with_steps(steps, &norms),
            None => GradientLog::new(&norms),
        };
        let log = log.map_err(|error| Failure::input(about(error.to_string())))?;
        if steps.is_none() {
            warnings.push(about("no column of steps: rows are taken to be one run in order".into()));
        }
        if skipped > 0 {
            warnings.push(about(format!("{skipped} lines without {column:?} are skipped")));
        }
        warnings.extend(log.warnings().iter().map(|warning| about(warning.to_string())));
        sources.push(json!({"file": file.to_string_lossy(), "column": column, "norms": log.norms().len()}));
        logs.push(log);
    }
    // There is at least one log, and its norm is known.
    let norm = norm.unwrap_or(Norm::L2);
    let parameters = Parameters { norm, smoothing: arguments.smoothing };
    let method = method::ScheduleRefinement::new(parameters).map_err(Failure::input)?;
    let Combined { multipliers, band, .. } =
        method.refine_all(&logs, arguments.steps).map_err(Failure::input)?;
    let source = json!({"logs": sources, "norm": norm, "smoothing": arguments.smoothing});
    let shape = Some(Shape::of(&multipliers).map_err(Failure::input)?);
    Ok(Made { name: "refined".into(), multipliers, shape, band, source, warnings })
}

/// What the name of a column says about the norm; nothing if it says nothing, or two things.
fn norm_of_name(column: &str) -> Option<Norm> {
    let name = column.to_lowercase();
    match (name.contains("l1"), name.contains("l2")) {
        (true, false) => Some(Norm::L1),
        (false, true) => Some(Norm::L2),
        _ => None,
    }
}

fn unclear(file: &Path, column: &str) -> Failure {
    Failure::input(format!("{}: the column {column:?} does not say which norm it is", file.display())).hint(
        "give --norm l2 if it is the Euclidean norm (for SGD), or --norm l1 if it is the sum of absolute values (for Adam); most \
         programs log the Euclidean norm",
    )
}

impl Made {
    fn summary(&self) -> Value {
        let steps = self.multipliers.len() as f64;
        let mean = self.multipliers.iter().sum::<f64>() / steps;
        let peak = self.peak();
        // Linear decay without warm-up has the mean (T + 1)/(2T).
        let same_total = (steps + 1.0) / (2.0 * steps * mean);
        json!({
            "schema": "backstitch/schedule-refinement/1",
            "steps": self.multipliers.len(),
            "source": self.source,
            "shape": self.shape,
            "first": self.multipliers[0],
            "peak_step": peak,
            "mean": mean,
            "same_total": same_total,
            "warnings": self.warnings,
        })
    }

    /// The first step with the largest multiplier.
    fn peak(&self) -> usize {
        let most = self.multipliers.iter().copied().fold(0.0, f64::max);
        self.multipliers.iter().position(|multiplier| *multiplier == most).unwrap_or(0)
    }

    fn words(&self) -> String {
        let steps = self.multipliers.len();
        let mut text = format!(
            "{steps} steps · first multiplier {:.4} · peak at {:.1} % of the run\n",
            self.multipliers[0],
            100.0 * self.peak() as f64 / (steps - 1) as f64,
        );
        if let Some(shape) = &self.shape {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "about {:.1} % of warm-up, then (1 - p)^{:.2} (root mean square difference {:.3})",
                100.0 * shape.warm_up,
                shape.power,
                shape.root_mean_square,
            );
        }
        text
    }

    /// `schedule.csv`.
    fn table(&self) -> String {
        let mut text = String::from("step,multiplier");
        text += if self.band.is_some() { ",lower,upper\n" } else { "\n" };
        for (step, multiplier) in self.multipliers.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match self.band.as_ref().map(|band| band[step]) {
                Some((lower, upper)) => writeln!(text, "{step},{multiplier},{lower},{upper}"),
                None => writeln!(text, "{step},{multiplier}"),
            };
        }
        text
    }

    fn write(&self, folder: &Path, summary: &Value) -> Result<(), Failure> {
        let steps = self.multipliers.len();
        let line =
            |name: &str, multipliers: &[f64]| Line { name: name.into(), multipliers: multipliers.to_vec() };
        let mut lines = vec![line(&self.name, &self.multipliers)];
        if let Some(shape) = &self.shape {
            let multipliers =
                shape.schedule().multipliers(steps, shape.warm_up).map_err(Failure::internal)?;
            lines.push(line("its shape", &multipliers));
            let linear = Schedule::Linear.multipliers(steps, 0.0).map_err(Failure::internal)?;
            lines.push(line("linear", &linear));
        }
        let drawing = draw(&lines, self.band.as_deref()).map_err(Failure::internal)?;
        let schedule = json!({
            "schema": "backstitch/schedule/1",
            "steps": steps,
            "multipliers": self.multipliers,
        });
        let text = |value: &Value| serde_json::to_string(value).map_err(Failure::internal);
        let pretty = serde_json::to_string_pretty(summary).map_err(Failure::internal)?;
        write_all(
            folder,
            &[
                ("schedule.csv", self.table()),
                ("schedule.json", text(&schedule)? + "\n"),
                ("schedule.svg", drawing),
                ("summary.json", pretty + "\n"),
            ],
        )
    }
}
