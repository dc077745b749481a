//! `backstitch run penalty-bilevel`: rows in; penalties of features or weights of rows, a linear model and a certificate out.

mod report;

use std::path::{Path, PathBuf};

use backstitch_numerics::{SparseMatrix, Stream};
use backstitch_optimize::block_descent::{Model, Task};
use backstitch_optimize::objective::{Classes, Loss};
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Bounds, Certificate, Classified, DataCleaning, Everything, Fit, Labelled, MOST_CLASSES, Outcome,
    Parameters, PenaltyBilevel, PenaltySelection, Sets, Sharing, Sigma, UpperStep, with_ones,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use report::{Found, certified, solved};

use super::model_file::ModelFile;
use super::output::write_all;
use super::rows::{PredictArguments, Reading, Rows, features_for, print_predictions};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: the validation loss is what was made small, so that it flatters the result; keep rows aside to judge it. \
The bias says how far the gradient of the penalised problem is from that of the bilevel problem; the error bound is violated where weights \
jump as penalties move. Features are divided by the root of their mean square first, so that penalties compare; weights are written for \
features as they are. A column of ones is added, without a penalty of its own under select.

Examples:
  backstitch run penalty-bilevel select --data train.csv --target price --loss least-squares --out model/
  backstitch run penalty-bilevel clean --data train.csv --target label --validation checked.csv --out cleaned/
  backstitch run penalty-bilevel predict --model cleaned/model.json --data new.csv"
)]
pub(crate) struct PenaltyBilevelArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Choose a penalty for every feature of a linear model by the loss on validation rows
    Select(Box<SelectArguments>),
    /// Weigh training rows whose labels may be wrong by the loss on validation rows whose labels are right
    Clean(Box<CleanArguments>),
    /// Predict with a model that `select --out` or `clean --out` has written
    Predict(PredictArguments),
}

/// What `select` and `clean` share.
#[derive(Args, Debug)]
struct Shared {
    /// Training rows in the LIBSVM format, or with --target a table (CSV, TSV, spaces); plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column of the table that is to be predicted
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// Validation rows, in the format of the training rows [default: some of the training rows]
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// Without --validation, the share of the training rows that become validation rows, drawn by --seed
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.25,
        allow_negative_numbers = true,
        conflicts_with = "validation"
    )]
    validation_share: f64,
    /// The penalty parameter at the end; smaller ones are nearer to the bilevel problem, and slower
    #[arg(long, value_name = "NUMBER", default_value_t = 0.03, allow_negative_numbers = true)]
    sigma: f64,
    /// The penalty parameter at the beginning, which falls with the cube root of the iteration [default: five times --sigma]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    first_sigma: Option<f64>,
    /// Steps of the penalties or row weights
    #[arg(long, value_name = "N", default_value_t = 200)]
    iterations: usize,
    /// Their length, on the scale of logarithms
    #[arg(long, value_name = "NUMBER", default_value_t = 0.1, allow_negative_numbers = true)]
    step: f64,
    /// Steps of the model before each of them
    #[arg(long, value_name = "N", default_value_t = 20)]
    lower_steps: usize,
    /// Extrapolate from two sigmas: less bias for half as many gradients again
    #[arg(long)]
    extrapolate: bool,
    /// Rows that steps of the model are made of [default: all]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Do not add a column of ones
    #[arg(long)]
    no_intercept: bool,
    /// Do not divide features by the root of their mean square
    #[arg(long)]
    no_scaling: bool,
    /// Folder for the files; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct SelectArguments {
    #[command(flatten)]
    shared: Shared,
    /// Loss of a prediction
    #[arg(long, value_enum)]
    loss: LossName,
    /// The label that counts as 1 against all others (logistic) [default: the larger of two]
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    positive: Option<f64>,
    /// One penalty for all features
    #[arg(long)]
    one_penalty: bool,
    /// The penalty at the beginning
    #[arg(long, value_name = "NUMBER", default_value_t = 0.01, allow_negative_numbers = true)]
    start: f64,
}

#[derive(Args, Debug)]
struct CleanArguments {
    #[command(flatten)]
    shared: Shared,
    /// Strength R of the ridge, R/2 times the sum of squared weights
    #[arg(long, value_name = "R", default_value_t = 1e-3, allow_negative_numbers = true)]
    ridge: f64,
    /// Rows with a weight below this are called suspicious; all begin at 0.5
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.2, allow_negative_numbers = true)]
    threshold: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossName {
    /// (prediction - label)²
    LeastSquares,
    /// log(1 + exp(-y·prediction)), two classes
    Logistic,
}

/// Logarithms of penalties stay between these.
const PENALTIES: (f64, f64) = (-14.0, 7.0);
/// Row weights stay between s(−6) and s(6).
const WIDEST: f64 = 6.0;

pub(crate) fn execute(arguments: &PenaltyBilevelArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Select(arguments) => select(arguments, common),
        Verb::Clean(arguments) => clean(arguments, common),
        Verb::Predict(arguments) => predict(arguments, common),
    }
}

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    /// Names of the features, of a table.
    columns: Option<Vec<String>>,
    /// Whether the last weights belong to a column of ones.
    intercept: bool,
    model: Model,
}

const MODEL_SCHEMA: &str = "backstitch/penalty-bilevel-model/1";

/// Training and validation rows, ready for a problem.
struct Prepared {
    /// As they were read, for their names.
    rows: Rows,
    /// Scaled, with a column of ones.
    training: SparseMatrix,
    validation: SparseMatrix,
    training_labels: Vec<f64>,
    validation_labels: Vec<f64>,
    /// Where the training rows stand in their file, from 0.
    places: Vec<usize>,
    /// What features were divided by.
    scales: Vec<f64>,
    intercept: bool,
}

impl Shared {
    fn method(&self, seed: u64) -> Result<PenaltyBilevel, Failure> {
        let first = self.first_sigma.unwrap_or(5.0 * self.sigma);
        PenaltyBilevel::new(Parameters {
            sigma: Sigma::Continuation { first, last: self.sigma },
            upper_step: UpperStep::Adam(self.step),
            lower_steps: self.lower_steps,
            extrapolate: self.extrapolate,
            iterations: self.iterations,
            batch: self.batch,
            // Steps of batches take no momentum.
            accelerated: self.batch.is_none(),
            measure_every: (self.iterations / 50).max(1),
            seed,
            ..Parameters::convex()
        })
        .map_err(Failure::input)
    }

    fn prepare(&self, seed: u64) -> Result<Prepared, Failure> {
        let share = self.validation_share;
        if !(share > 0.0 && share < 1.0) {
            let message = format!("--validation-share is {share}, but must be above 0 and below 1");
            return Err(Failure::input(message).hint("use 0.25, or give --validation FILE"));
        }
        let rows = Rows::read(&self.data, self.target.as_deref(), &self.reading)?;
        let (places, validation, validation_labels) = match &self.validation {
            Some(file) => {
                let other = self.validation_rows(file, &rows)?;
                ((0..rows.labels.len()).collect(), other.features, other.labels)
            }
            None => {
                let count = rows.labels.len();
                let held = (share * count as f64).round() as usize;
                if held == 0 || held == count {
                    let message = format!(
                        "{}: a share of {share} of {count} rows leaves {held} for validation and {} for training",
                        self.data.display(),
                        count - held
                    );
                    return Err(Failure::input(message).hint("give more rows, or --validation FILE"));
                }
                let order = Stream::new(seed, "penalty-bilevel validation rows").permutation(count);
                let (held, mut kept) = (order[..held].to_vec(), order[held..].to_vec());
                // In the order of the file, as their weights will be.
                kept.sort_unstable();
                let labels = held.iter().map(|&row| rows.labels[row]).collect();
                (kept, rows.features.select(&held), labels)
            }
        };
        let training = rows.features.select(&places);
        let training_labels = places.iter().map(|&row| rows.labels[row]).collect();
        let scales = if self.no_scaling { vec![1.0; training.columns()] } else { scales(&training) };
        if let Some(feature) = scales.iter().position(|scale| !scale.is_finite()) {
            let message = format!("the values of feature {} are too large to square", rows.name(feature));
            return Err(Failure::input(message).hint("rescale the column"));
        }
        let intercept = !self.no_intercept;
        let ready = |features: &SparseMatrix| -> Result<SparseMatrix, Failure> {
            let scaled = scaled(features, &scales)?;
            if intercept { with_ones(&scaled).map_err(Failure::input) } else { Ok(scaled) }
        };
        Ok(Prepared {
            training: ready(&training)?,
            validation: ready(&validation)?,
            training_labels,
            validation_labels,
            places,
            scales,
            intercept,
            rows,
        })
    }

    /// Validation rows with the columns of the training rows.
    fn validation_rows(&self, file: &Path, rows: &Rows) -> Result<Rows, Failure> {
        let columns = rows.features.columns();
        let reading = Reading { features: Some(columns), zero_based: self.reading.zero_based };
        let mut other = Rows::read(file, self.target.as_deref(), &reading)?;
        if let Some(names) = &rows.names {
            other.features = features_for(file, Some(names), columns, false)?;
        }
        Ok(other)
    }
}

/// The root of the mean square of every column; 1 for a column of zeros.
fn scales(features: &SparseMatrix) -> Vec<f64> {
    let mut squares = vec![0.0; features.columns()];
    for row in 0..features.rows() {
        for (column, value) in features.row(row).iter() {
            squares[column] += value * value;
        }
    }
    let rows = features.rows() as f64;
    squares.iter().map(|square| if *square > 0.0 { (square / rows).sqrt() } else { 1.0 }).collect()
}

fn scaled(features: &SparseMatrix, scales: &[f64]) -> Result<SparseMatrix, Failure> {
    let mut builder = backstitch_numerics::SparseBuilder::new();
    for row in 0..features.rows() {
        for (column, value) in features.row(row).iter() {
            builder.push(column, value / scales[column]).map_err(Failure::internal)?;
        }
        builder.end_row();
    }
    builder.finish().with_columns(features.columns()).map_err(Failure::internal)
}

impl Prepared {
    /// The weights for features as they are.
    fn model(&self, task: Task, weights: &[f64]) -> Model {
        let classes = if let Task::Softmax(labels) = &task { labels.len() } else { 1 };
        let unscaled = weights
            .iter()
            .enumerate()
            .map(|(place, weight)| weight / self.scales.get(place / classes).copied().unwrap_or(1.0));
        Model { task, weights: unscaled.collect() }
    }

    fn features(&self) -> usize {
        self.scales.len()
    }
}

/// Runs the method and measures what it found; a diverged run gives nothing.
fn minimised(
    method: &PenaltyBilevel,
    problem: &dyn Bilevel,
    bounds: &Bounds,
    start: f64,
) -> Result<(Fit, Certificate), Failure> {
    let sets = Sets { upper: bounds, lower: &Everything };
    let (x, y) = (vec![start; problem.upper_dimension()], vec![0.0; problem.lower_dimension()]);
    let mut fit = method.fit(problem, sets, &x, &y).map_err(Failure::input)?;
    if fit.outcome == Outcome::Diverged {
        return Err(Failure::input("numbers grew beyond what is finite; nothing is written")
            .hint("give a shorter --step, or leave --no-scaling out"));
    }
    // While x moved, the model followed it some steps behind.
    fit.z = solved(problem, sets, &fit.x, &fit.z)?;
    let certificate = certified(method, problem, sets, &fit)?;
    if let Err(doubt) = certificate.check() {
        terminal::say(format_args!("warning: {doubt}"));
    }
    Ok((fit, certificate))
}

fn select(arguments: &SelectArguments, common: &Common) -> Result<i32, Failure> {
    let shared = &arguments.shared;
    let method = shared.method(common.seed)?;
    let (lowest, highest) = (PENALTIES.0.exp(), PENALTIES.1.exp());
    if !(lowest..=highest).contains(&arguments.start) {
        let message =
            format!("--start is {}, but must be from {lowest:.1e} to {highest:.1e}", arguments.start);
        return Err(Failure::input(message).hint("use 0.01"));
    }
    if arguments.positive.is_some() && matches!(arguments.loss, LossName::LeastSquares) {
        return Err(Failure::input("--positive names a class, but least squares has none")
            .hint("use --loss logistic, or leave --positive out"));
    }
    let prepared = shared.prepare(common.seed)?;
    let (loss, task, signs) = match arguments.loss {
        LossName::LeastSquares => (Loss::LeastSquares, Task::LeastSquares, None),
        LossName::Logistic => {
            let classes = Classes::of(&prepared.rows.labels, arguments.positive).map_err(without_classes)?;
            let signs =
                [&prepared.training_labels, &prepared.validation_labels].map(|labels| classes.signs(labels));
            if classes.negative.is_some() {
                let known = |label: &&f64| **label == classes.positive || Some(**label) == classes.negative;
                if let Some(label) = prepared.validation_labels.iter().find(|label| !known(label)) {
                    return Err(unknown_label(*label));
                }
            }
            (Loss::Logistic, Task::Logistic(classes), Some(signs))
        }
    };
    let labels = |place: usize| match (&signs, place) {
        (Some(signs), _) => &signs[place][..],
        (None, 0) => &prepared.training_labels[..],
        (None, _) => &prepared.validation_labels[..],
    };
    let training = Labelled { features: &prepared.training, labels: labels(0) };
    let validation = Labelled { features: &prepared.validation, labels: labels(1) };
    let sharing = if arguments.one_penalty { Sharing::One } else { Sharing::PerFeature };
    let free = usize::from(prepared.intercept);
    let problem = PenaltySelection::new(training, validation, loss, sharing, free).map_err(Failure::input)?;
    let bounds = Bounds::uniform(problem.upper_dimension(), PENALTIES.0, PENALTIES.1);
    let (fit, certificate) = minimised(&method, &problem, &bounds, arguments.start.ln())?;
    let penalties = problem.penalties(&fit.x);
    let own = json!({"penalties": penalties});
    let found = Found {
        data: &shared.data,
        prepared: &prepared,
        model: prepared.model(task, &fit.z),
        fit: &fit,
        certificate: &certificate,
        losses: report::losses(&problem, &fit, arguments.start.ln())?,
        own,
    };
    let mut text = found.words()?;
    text += &report::penalty_words(&prepared, &penalties, arguments.one_penalty);
    finish(&found, shared, common, &text, ("penalties.csv", report::penalties(&prepared, &penalties)))
}

fn clean(arguments: &CleanArguments, common: &Common) -> Result<i32, Failure> {
    let shared = &arguments.shared;
    let method = shared.method(common.seed)?;
    if !(arguments.threshold > 0.0 && arguments.threshold < 1.0) {
        let message = format!("--threshold is {}, but must be above 0 and below 1", arguments.threshold);
        return Err(Failure::input(message).hint("use 0.2"));
    }
    let prepared = shared.prepare(common.seed)?;
    let mut labels = prepared.training_labels.clone();
    labels.sort_by(f64::total_cmp);
    labels.dedup();
    if labels.len() < 2 {
        let message = format!("all {} training labels are {}", prepared.training_labels.len(), labels[0]);
        return Err(Failure::input(message).hint("cleaning needs two classes or more"));
    }
    if labels.len() > MOST_CLASSES {
        let message =
            format!("there are {} different labels, but at most {MOST_CLASSES} classes", labels.len());
        return Err(Failure::input(message).hint("cleaning is for labels that are classes, not numbers"));
    }
    let class = |label: &f64| {
        labels.binary_search_by(|other| other.total_cmp(label)).map_err(|_| unknown_label(*label))
    };
    let classes = |of: &[f64]| of.iter().map(class).collect::<Result<Vec<usize>, Failure>>();
    let (own, other) = (classes(&prepared.training_labels)?, classes(&prepared.validation_labels)?);
    let training = Classified { features: &prepared.training, labels: &own };
    let validation = Classified { features: &prepared.validation, labels: &other };
    let problem =
        DataCleaning::new(training, validation, labels.len(), arguments.ridge).map_err(Failure::input)?;
    let bounds = Bounds::uniform(problem.upper_dimension(), -WIDEST, WIDEST);
    let (fit, certificate) = minimised(&method, &problem, &bounds, 0.0)?;
    let weights = problem.row_weights(&fit.x);
    let suspicious = weights.iter().filter(|weight| **weight < arguments.threshold).count();
    let found = Found {
        data: &shared.data,
        prepared: &prepared,
        model: prepared.model(Task::Softmax(labels), &fit.z),
        fit: &fit,
        certificate: &certificate,
        losses: report::losses(&problem, &fit, 0.0)?,
        own: json!({"threshold": arguments.threshold, "suspicious": suspicious}),
    };
    let text = found.words()?
        + &format!(
            "{suspicious} of {} training rows are suspicious: weight below {}\n",
            weights.len(),
            arguments.threshold
        );
    let table = report::row_weights(&prepared, &weights, arguments.threshold);
    finish(&found, shared, common, &text, ("row-weights.csv", table))
}

/// Writes and prints.
fn finish(
    found: &Found<'_>,
    shared: &Shared,
    common: &Common,
    text: &str,
    own: (&'static str, String),
) -> Result<i32, Failure> {
    let summary = found.summary()?;
    if let Some(folder) = &shared.out {
        let saved = Saved {
            schema: MODEL_SCHEMA.into(),
            columns: found.prepared.rows.names.clone(),
            intercept: found.prepared.intercept,
            model: found.model.clone(),
        };
        let mut files = found.files(&saved, &summary)?;
        files.push(own);
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(text)?;
    }
    if let Some(folder) = &shared.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

/// Labels that the logistic loss does not take, with the options that help.
fn without_classes(error: backstitch_optimize::Error) -> Failure {
    use backstitch_optimize::Error as Refused;
    let hint = match &error {
        Refused::ManyClasses { .. } => Some("give --positive LABEL, or --loss least-squares".into()),
        Refused::NoSuchClass { .. } => Some("give --positive one of them".into()),
        _ => None,
    };
    Failure::input(error).maybe_hint(hint)
}

fn unknown_label(label: f64) -> Failure {
    Failure::input(format!("a validation row has the label {label}, which no training row has"))
        .hint("give validation rows of the classes that the training rows have")
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let writer = "`select --out` or `clean --out`";
    let file = ModelFile { path: &arguments.model, schema: MODEL_SCHEMA, writer };
    let saved: Saved = file.read()?;
    saved.model.validate().map_err(|error| file.unusable(&error))?;
    let features = saved.model.features() - usize::from(saved.intercept);
    if let Some(names) = saved.columns.as_ref().filter(|names| names.len() != features) {
        return Err(file.unusable(&format!("it has {} names for {features} features", names.len())));
    }
    let mut rows = features_for(&arguments.data, saved.columns.as_deref(), features, arguments.zero_based)?;
    if saved.intercept {
        rows = with_ones(&rows).map_err(Failure::input)?;
    }
    let predictions = saved.model.predict(&rows).map_err(Failure::internal)?;
    print_predictions(&saved.model.task, &predictions, common).map(|()| EXIT_DONE)
}
