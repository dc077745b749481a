//! `backstitch run cuber`: tables of one task after another in, one network for all of them out.

mod report;
mod tables;

use std::path::{Path, PathBuf};

use backstitch_continual::cuber::{Cuber, Heads, Learner, Measures, Parameters, Strategy, Task, learn_all};
use clap::{Args, Subcommand, ValueEnum};

use self::tables::{Columns, Rows, picked, table};
use super::output::{write, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// More classes than this are rather numbers.
const MOST_CLASSES: usize = 1_000;

#[derive(Args, Debug)]
pub(crate) struct CuberArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Learn tasks one after another, and say what each of them gained or lost
    Fit(Box<FitArguments>),
    /// Classify rows of a task that was learned
    Predict(PredictArguments),
}

/// Prints the accuracy of every task after every task, what each gained or lost since it was learned, and how full the layers are.
#[derive(Args, Debug)]
#[command(
    after_help = "Tables have the same columns: numbers, and one column of labels, which are numbers too. Columns are scaled by the first task's \
mean and deviation (--no-scale: as they are). Without --test, a fifth of every table's rows is held out to measure on.

Reading the result: a row of the table is a moment, a column a task. BWT is what earlier tasks gained from when they were learned until \
the end; below 0 they were forgotten. FWT is what tasks gained before they were learned. Once all directions of a layer are used, that \
layer learns no more.

With --from the network of an earlier run goes on with new tasks; its options are kept, and earlier tasks are measured where --again \
names tables for them.

Examples:
  backstitch run cuber fit --tasks monday.csv tuesday.csv wednesday.csv --target label --out model
  backstitch run cuber fit --from model --tasks thursday.csv --target label --out model-4
  backstitch run cuber predict --model model --task monday --data new.csv --out predictions.csv"
)]
struct FitArguments {
    /// Tables in the order they are learned, one per task; a task is called as its file without the extension
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    tasks: Vec<PathBuf>,
    /// Rows to measure on, a table for every task in the same order
    #[arg(long, value_name = "FILE", num_args = 1..)]
    test: Vec<PathBuf>,
    /// Column of labels [default: the last]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Go on with the network of this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["method", "heads", "hidden", "bias", "epochs", "batch", "rate", "threshold", "threshold_growth", "samples", "sufficient", "positive", "related", "penalty", "elasticity", "no_scale"])]
    from: Option<PathBuf>,
    /// Tables of earlier tasks of --from, in their order, to be measured too
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "from")]
    again: Vec<PathBuf>,
    /// How earlier tasks are kept
    #[arg(long, value_enum, default_value_t = Method::Cuber)]
    method: Method,
    /// One last layer for all tasks, which then have the same classes, or one for each [default: shared if all tables have the same labels]
    #[arg(long, value_enum)]
    heads: Option<HeadsName>,
    /// Units of the hidden layers
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "100,100")]
    hidden: Vec<usize>,
    /// Let every layer see a constant beside its inputs
    #[arg(long)]
    bias: bool,
    /// Passes over the rows of a task
    #[arg(long, value_name = "N", default_value_t = Parameters::default().epochs)]
    epochs: usize,
    /// Rows of a step
    #[arg(long, value_name = "N", default_value_t = Parameters::default().batch)]
    batch: usize,
    /// Step of gradient descent
    #[arg(long, value_name = "RATE", default_value_t = Parameters::default().rate, allow_negative_numbers = true)]
    rate: f64,
    /// Share of a layer's inputs that the directions of a task hold: of the first layer, the second, …; the last for all further ones
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', default_value = "0.95,0.99")]
    threshold: Vec<f64>,
    /// By how much that share grows with every task
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    threshold_growth: f64,
    /// Rows that directions are taken from [default: 300, or those of the smallest table]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Share of the gradient in an earlier task's directions from which on that is related
    #[arg(long, value_name = "SHARE", default_value_t = Parameters::default().sufficient)]
    sufficient: f64,
    /// Cosine of gradients from which on a related task may be updated
    #[arg(long, value_name = "COSINE", default_value_t = Parameters::default().positive, allow_negative_numbers = true)]
    positive: f64,
    /// Most related tasks of a layer
    #[arg(long, value_name = "N", default_value_t = Parameters::default().related)]
    related: usize,
    /// Price of updates
    #[arg(long, value_name = "PRICE", default_value_t = Parameters::default().penalty)]
    penalty: f64,
    /// Price of --method ewc
    #[arg(long, value_name = "PRICE", default_value_t = Parameters::default().elasticity)]
    elasticity: f64,
    /// Take columns as they are
    #[arg(long)]
    no_scale: bool,
    /// Folder for model.safetensors, accuracy.csv, relations.csv, accuracy.svg and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// Folder that `fit --out` has written, or its model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Name of the task, or its number counted from 1
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Table with the columns that the network was trained on; others are left out
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// File for the predictions [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Protect, reuse, and update where a new task agrees
    Cuber,
    /// Protect and reuse
    Trgp,
    /// Protect
    Gpm,
    /// Make moving costly what mattered (elastic weight consolidation)
    Ewc,
    /// Do nothing about it
    Naive,
    /// Train on all tasks at once, for comparison
    Joint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HeadsName {
    Shared,
    Own,
}

pub(crate) fn execute(arguments: &CuberArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.what {
        What::Fit(arguments) => fit(arguments, common),
        What::Predict(arguments) => predict(arguments, common),
    }
}

/// What was learned and measured.
struct Found {
    names: Vec<String>,
    learner: Learner,
    /// None where tasks were trained at once: then there is one row of accuracies.
    measures: Measures,
    columns: Columns,
    joint: bool,
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    if !arguments.test.is_empty() && arguments.test.len() != arguments.tasks.len() {
        return Err(Failure::input(format!(
            "--test names {} tables, but --tasks {}",
            arguments.test.len(),
            arguments.tasks.len()
        ))
        .hint("give one for every task, in the same order"));
    }
    let earlier = arguments.from.as_deref().map(load).transpose()?;
    let tables = arguments.tasks.iter().map(|file| table(file)).collect::<Result<Vec<_>, _>>()?;
    let mut columns = match &earlier {
        Some((_, columns)) => columns.clone(),
        None => Columns::found(&arguments.tasks[0], arguments.target.as_deref(), &tables[0])?,
    };
    let read = |files: &[PathBuf]| -> Result<Vec<Rows>, Failure> {
        files.iter().map(|file| Rows::read(file, &table(file)?, &columns)).collect()
    };
    let mut training: Vec<Rows> = Vec::new();
    for (file, table) in arguments.tasks.iter().zip(&tables) {
        training.push(Rows::read(file, table, &columns)?);
    }
    let mut test = read(&arguments.test)?;
    let again = read(&arguments.again)?;
    if test.is_empty() {
        (training, test) = training.into_iter().map(|rows| rows.held_out(common.seed)).unzip();
    }
    if earlier.is_none() && !arguments.no_scale {
        columns.scale_by(&training[0].inputs);
    }
    let before = earlier.as_ref().map_or(0, |(learner, _)| learner.learned().len());
    if again.len() > before {
        let problem = format!("--again names {} tables, but {before} tasks have been learned", again.len());
        return Err(Failure::input(problem).hint("give those of the earlier tasks, in their order"));
    }
    let shared = earlier.as_ref().map_or_else(
        || match arguments.heads {
            Some(heads) => heads == HeadsName::Shared,
            None => training.iter().all(|rows| rows.labels() == training[0].labels()),
        },
        |(learner, _)| learner.parameters().heads == Heads::Shared,
    );
    classes(&mut columns, &training, before, shared)?;
    let task = |rows: &Rows, place: usize| rows.task(&columns, place);
    let tasks = training
        .iter()
        .enumerate()
        .map(|(at, rows)| task(rows, before + at))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tests =
        again.iter().enumerate().map(|(at, rows)| task(rows, at)).collect::<Result<Vec<_>, _>>()?;
    let measured_before = tests.len();
    for (at, rows) in test.iter().enumerate() {
        tests.push(task(rows, before + at)?);
    }
    let failed = |error: backstitch_continual::Error| Failure::input(error);
    let mut names: Vec<String> = Vec::new();
    let found = if let Some((mut learner, _)) = earlier {
        names.extend(learner.learned().iter().take(measured_before).map(|own| own.name().to_owned()));
        // Tasks that are not measured again have no column.
        let measures = measured(&mut learner, &tasks, &tests, before, measured_before).map_err(failed)?;
        names.extend(training.iter().map(|rows| rows.name.clone()));
        Found { names, learner, measures, columns, joint: false }
    } else {
        names.extend(training.iter().map(|rows| rows.name.clone()));
        let parameters = parameters(arguments, &tasks, shared, common.seed);
        let method = Cuber::new(parameters).map_err(failed)?;
        let count = columns.classes.iter().map(Vec::len).max().unwrap_or(0);
        let joint = arguments.method == Method::Joint;
        if joint {
            let learner = method.joint(&tasks, count).map_err(failed)?;
            let row = tests.iter().enumerate().map(|(place, test)| learner.accuracy(place, test).map(Some));
            let accuracy = vec![row.collect::<Result<_, _>>().map_err(failed)?];
            let measures = Measures { accuracy, untrained: vec![None; tests.len()] };
            Found { names, learner, measures, columns, joint }
        } else {
            let mut learner = method.learner(columns.inputs.len(), count).map_err(failed)?;
            let measures = learn_all(&mut learner, &tasks, &tests).map_err(failed)?;
            Found { names, learner, measures, columns, joint }
        }
    };
    let summary = report::summary(&found);
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_string(&found.columns).map_err(Failure::internal)?;
        let json = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let mut files = vec![
            ("model.safetensors", found.learner.to_bytes(&text).map_err(failed)?),
            ("accuracy.csv", report::accuracy_csv(&found).into_bytes()),
            ("relations.csv", report::relations_csv(&found).into_bytes()),
            ("summary.json", json.into_bytes()),
        ];
        if !found.joint {
            files.push(("accuracy.svg", report::picture(&found).into_bytes()));
        }
        write_all(folder, &files)?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report::words(&found))?;
    }
    Ok(EXIT_DONE)
}

/// Learns tasks after earlier ones; columns of accuracies are those of the earlier tasks that are measured, then the new ones.
fn measured(
    learner: &mut Learner,
    tasks: &[Task],
    tests: &[Task],
    before: usize,
    earlier: usize,
) -> Result<Measures, backstitch_continual::Error> {
    let shared = learner.parameters().heads == Heads::Shared;
    let row = |learner: &Learner| -> Result<Vec<Option<f64>>, backstitch_continual::Error> {
        let known = learner.learned().len();
        tests
            .iter()
            .enumerate()
            .map(|(column, test)| {
                let place = if column < earlier { column } else { before + column - earlier };
                (shared || place < known).then(|| learner.accuracy(place, test)).transpose()
            })
            .collect()
    };
    // The moment before the first new task stands for those of the earlier ones.
    let mut accuracy = vec![row(learner)?; earlier];
    for task in tasks {
        learner.learn(task)?;
        accuracy.push(row(learner)?);
    }
    Ok(Measures { accuracy, untrained: vec![None; tests.len()] })
}

fn parameters(arguments: &FitArguments, tasks: &[Task], shared: bool, seed: u64) -> Parameters {
    let smallest = tasks.iter().map(|task| task.labels().len()).min().unwrap_or(0);
    Parameters {
        strategy: match arguments.method {
            Method::Cuber => Strategy::Cuber,
            Method::Trgp => Strategy::Trgp,
            Method::Gpm => Strategy::Gpm,
            Method::Ewc => Strategy::Ewc,
            Method::Naive | Method::Joint => Strategy::Naive,
        },
        heads: if shared { Heads::Shared } else { Heads::Own },
        hidden: arguments.hidden.clone(),
        bias: arguments.bias,
        epochs: arguments.epochs,
        batch: arguments.batch,
        rate: arguments.rate,
        thresholds: arguments.threshold.clone(),
        threshold_growth: arguments.threshold_growth,
        samples: arguments.samples.unwrap_or_else(|| Parameters::default().samples.min(smallest)),
        sufficient: arguments.sufficient,
        positive: arguments.positive,
        related: arguments.related,
        penalty: arguments.penalty,
        elasticity: arguments.elasticity,
        seed,
    }
}

/// Sets the labels that classes stand for, of every new task.
fn classes(columns: &mut Columns, training: &[Rows], before: usize, shared: bool) -> Result<(), Failure> {
    let mut each: Vec<Vec<f64>> = training.iter().map(Rows::labels).collect();
    if shared {
        let mut all: Vec<f64> = match columns.classes.first() {
            Some(known) => known.clone(),
            None => each.iter().flatten().copied().collect(),
        };
        all.sort_by(f64::total_cmp);
        all.dedup();
        each.iter_mut().for_each(|own| own.clone_from(&all));
    }
    if let Some((rows, own)) = training.iter().zip(&each).find(|(_, own)| own.len() > MOST_CLASSES) {
        return Err(Failure::input(format!(
            "{}: there are {} different labels, but at most {MOST_CLASSES} classes",
            rows.file,
            own.len()
        ))
        .hint("name the column of labels with --target"));
    }
    columns.classes.truncate(before);
    columns.classes.extend(each);
    Ok(())
}

fn load(folder: &Path) -> Result<(Learner, Columns), Failure> {
    let file = if folder.is_dir() { folder.join("model.safetensors") } else { folder.to_owned() };
    let unusable = |problem: &dyn std::fmt::Display| {
        Failure::input(format!("{}: {problem}", file.display()))
            .hint("give the folder that `backstitch run cuber fit --out` has written")
    };
    let bytes = std::fs::read(&file).map_err(|error| unusable(&error))?;
    let (learner, text) = Learner::from_bytes(&bytes).map_err(|error| unusable(&error))?;
    let columns: Columns = serde_json::from_str(&text).map_err(|error| unusable(&error))?;
    let widths = [columns.inputs.len(), columns.means.len(), columns.deviations.len()];
    if widths.iter().any(|width| *width != learner.inputs())
        || columns.classes.len() != learner.learned().len()
    {
        return Err(unusable(&"its columns do not fit its network"));
    }
    Ok((learner, columns))
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let (learner, columns) = load(&arguments.model)?;
    let names: Vec<&str> = learner.learned().iter().map(|own| own.name()).collect();
    let by_number = || arguments.task.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let task = names.iter().position(|name| *name == arguments.task).or_else(by_number);
    let Some(task) = task.filter(|&task| task < names.len()) else {
        return Err(Failure::input(format!("there is no task {:?}", arguments.task))
            .hint(format!("there are {}", names.join(", "))));
    };
    let rows = table(&arguments.data)?;
    let inputs = columns.scaled(&picked(&arguments.data, &rows, &columns.inputs)?);
    let probabilities = learner
        .predict(task, &inputs)
        .map_err(|error| Failure::input(format!("{}: {error}", arguments.data.display())))?;
    let classes = &columns.classes[task];
    if common.json {
        let each = (0..probabilities.rows()).map(|row| probabilities.row(row)).collect::<Vec<_>>();
        let summary = serde_json::json!({
            "schema": "backstitch/cuber-predictions/1", "task": names[task], "classes": classes, "probabilities": each,
        });
        terminal::print_json(&summary)?;
    }
    let csv = report::prediction_lines(&probabilities, classes);
    match &arguments.out {
        Some(file) => write(file, csv.as_bytes())?,
        None if !common.json => terminal::print(&csv)?,
        None => {}
    }
    Ok(EXIT_DONE)
}
