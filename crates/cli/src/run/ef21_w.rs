//! `backstitch run ef21-w`: sparse rows in, a linear model trained over simulated clients and the certificate of its step out.

mod report;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use backstitch_data::libsvm::{LibsvmData, LibsvmOptions, read_libsvm};
use backstitch_optimize::ef21_w::{
    self as method, Algorithm, Compressor, Federated, Fit, Initial, Model, Outcome, Parameters, Smoothness,
    Split, Step, smoothness_of_rows,
};
use backstitch_optimize::objective::{Classes, Loss, Regulariser, RowObjective};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use report::{Report, certificate_words, clients, quality, trace};

use super::model_file::ModelFile;
use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: L is the smoothness of the mean loss, L_AM and L_QM the arithmetic and quadratic mean of the clients' \
constants. The guarantee is an upper bound, known before the first round, of the mean of |gradient|^2 over the points visited; what \
was found stands beside it. Bits count numbers (64 each), coordinates and the first gradients.

Examples:
  backstitch run ef21-w fit --data a9a.txt.gz --clients 100 --split label --compressor top:1 --out model/
  backstitch run ef21-w predict --model model/model.json --data new.txt
  backstitch run ef21-w step --constants 1,1,1,100 --features 100 --compressor top:1"
)]
pub(crate) struct Ef21W {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Train a logistic or least-squares model over simulated clients
    Fit(Box<FitArguments>),
    /// Predict with a model that `fit --out` has written
    Predict(PredictArguments),
    /// Say which step sizes are certified for smoothness constants that you know
    Step(StepArguments),
}

#[derive(Args, Debug)]
struct FitArguments {
    /// Rows in the LIBSVM format (`label index:value …`), plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Clients that the rows are spread over
    #[arg(long, value_name = "N", default_value_t = 100)]
    clients: usize,
    /// Which rows go to which client
    #[arg(long, value_enum, default_value_t = SplitName::Label)]
    split: SplitName,
    /// Loss of a prediction
    #[arg(long, value_enum, default_value_t = LossName::Logistic)]
    loss: LossName,
    /// The label that counts as 1 against all others [default: the larger of two]
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    positive: Option<f64>,
    /// Cost of the weights: bounded:S (S times the sum of x²/(1 + x²)), ridge:S (S/2 times the sum of x²) or none
    #[arg(long, value_name = "KIND", default_value = "bounded:0.001", value_parser = regulariser)]
    regulariser: Regulariser,
    #[command(flatten)]
    sending: Sending,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rounds: usize,
    /// End when |gradient|^2 is at most this
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, allow_negative_numbers = true)]
    tolerance: f64,
    /// Rows per client and round that gradients are made of [default: all]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// What the clients send first
    #[arg(long, value_enum, default_value_t = InitialName::Exact)]
    initial: InitialName,
    /// With --batch or --participation, measure the gradient every so many rounds
    #[arg(long, value_name = "N", default_value_t = 10)]
    measure_every: usize,
    /// Spread the clients over the ranks of the MPI job that this runs in (`mpirun -n 4 backstitch run …`); the first rank writes
    #[cfg(feature = "mpi")]
    #[arg(long)]
    mpi: bool,
    /// Folder for model.json, trace.csv, clients.csv and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What `fit` and `step` share.
#[derive(Args, Debug)]
struct Sending {
    /// What is done with what is sent
    #[arg(long, value_enum, default_value_t = AlgorithmName::Ef21W)]
    algorithm: AlgorithmName,
    /// What is sent of a vector: top:K, random:K, natural or identity
    #[arg(long, value_name = "KIND", default_value = "top:1", value_parser = Compressor::from_str)]
    compressor: Compressor,
    /// Step: new or old (the certified ones) or a number
    #[arg(long, value_name = "STEP", default_value = "new", value_parser = step, allow_negative_numbers = true)]
    step: Step,
    /// Probability that a client takes part in a round
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, allow_negative_numbers = true)]
    participation: f64,
}

/// How rows are read, for `fit` and `predict`.
#[derive(Args, Debug)]
struct Reading {
    /// Indices count from 0
    #[arg(long)]
    zero_based: bool,
    /// Number of features [default: the largest index]
    #[arg(long, value_name = "N")]
    features: Option<usize>,
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// A model.json
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Rows in the LIBSVM format; their labels are compared with the predictions
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Indices count from 0
    #[arg(long)]
    zero_based: bool,
}

#[derive(Args, Debug)]
struct StepArguments {
    /// Smoothness constants of the clients
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true, allow_negative_numbers = true)]
    constants: Vec<f64>,
    /// Smoothness of their mean [default: the mean of the constants, which is always enough]
    #[arg(long, value_name = "L", allow_negative_numbers = true)]
    smoothness: Option<f64>,
    /// Length of the vectors
    #[arg(long, value_name = "N")]
    features: usize,
    #[command(flatten)]
    sending: Sending,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
    /// By ascending label
    Label,
    /// By ascending length of the features
    Norm,
    /// As in the file
    Order,
    /// At random
    Random,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossName {
    /// log(1 + exp(-y·prediction)), two classes
    Logistic,
    /// (prediction - label)²
    LeastSquares,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgorithmName {
    /// EF21 with weights
    Ef21W,
    /// EF21
    Ef21,
    /// The older error feedback
    Ef14,
    /// Compressed gradients without feedback; may diverge
    Dcgd,
    /// Nothing is compressed
    GradientDescent,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InitialName {
    /// Their whole gradients, once
    Exact,
    /// Compressed gradients
    Compressed,
}

fn step(text: &str) -> Result<Step, String> {
    match text {
        "new" => Ok(Step::New),
        "old" => Ok(Step::Old),
        _ => text.parse().map(Step::Fixed).map_err(|_| "use new, old or a number".into()),
    }
}

fn regulariser(text: &str) -> Result<Regulariser, String> {
    let wrong = || "use bounded:STRENGTH, ridge:STRENGTH or none, such as bounded:0.001".to_owned();
    if text == "none" {
        return Ok(Regulariser::None);
    }
    let (kind, strength) = text.split_once(':').ok_or_else(wrong)?;
    let strength: f64 = strength.parse().map_err(|_| wrong())?;
    let regulariser = match kind {
        "bounded" => Regulariser::Bounded(strength),
        "ridge" => Regulariser::Ridge(strength),
        _ => return Err(wrong()),
    };
    regulariser.validate().map_err(|error| error.to_string())?;
    Ok(regulariser)
}

pub(crate) fn execute(arguments: &Ef21W, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Fit(arguments) => fit(arguments, common),
        Verb::Predict(arguments) => predict(arguments, common),
        Verb::Step(arguments) => certify(arguments, common),
    }
}

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    model: Model,
}

const MODEL_SCHEMA: &str = "backstitch/ef21-w-model/1";

fn read(file: &Path, options: &LibsvmOptions) -> Result<LibsvmData, Failure> {
    read_libsvm(file, options).map_err(|error| {
        let hint = match &error.problem {
            backstitch_data::libsvm::LibsvmProblem::IndexZero { .. } => Some("give --zero-based".into()),
            _ => error.hint(),
        };
        Failure::input(&error).maybe_hint(hint)
    })
}

impl Sending {
    fn parameters(&self) -> Parameters {
        Parameters {
            algorithm: match self.algorithm {
                AlgorithmName::Ef21W => Algorithm::Ef21W,
                AlgorithmName::Ef21 => Algorithm::Ef21,
                AlgorithmName::Ef14 => Algorithm::Ef14,
                AlgorithmName::Dcgd => Algorithm::Dcgd,
                AlgorithmName::GradientDescent => Algorithm::GradientDescent,
            },
            compressor: self.compressor,
            step: self.step,
            participation: self.participation,
            ..Parameters::default()
        }
    }
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let parameters = Parameters {
        rounds: arguments.rounds,
        tolerance: arguments.tolerance,
        batch: arguments.batch,
        initial: match arguments.initial {
            InitialName::Exact => Initial::Exact,
            InitialName::Compressed => Initial::Compressed,
        },
        measure_every: arguments.measure_every,
        seed: common.seed,
        ..arguments.sending.parameters()
    };
    let method = method::Ef21W::new(parameters).map_err(Failure::input)?;
    let reading = &arguments.reading;
    let options = LibsvmOptions {
        zero_based: reading.zero_based,
        features: reading.features,
        ..LibsvmOptions::default()
    };
    let data = read(&arguments.data, &options)?;
    let loss = match arguments.loss {
        LossName::Logistic => Loss::Logistic,
        LossName::LeastSquares => Loss::LeastSquares,
    };
    let problem = Problem::new(arguments, &data, loss, common.seed)?;
    drop(data);
    let objectives = problem.federated.objectives(loss, arguments.regulariser).map_err(Failure::input)?;
    let smoothness = smoothness_of_rows(&objectives).map_err(Failure::input)?;
    let Some(fit) = rounds(arguments, &method, &objectives, &smoothness)? else {
        return Ok(EXIT_DONE);
    };
    let model = Model { loss, classes: problem.classes, weights: fit.point.clone() };
    let report = Report { arguments, problem: &problem, fit: &fit, quality: quality(&problem, &model)? };
    let summary = report.summary();
    for warning in report.warnings() {
        terminal::say(format_args!("warning: {warning}"));
    }
    if let Some(folder) = &arguments.out {
        if fit.outcome == Outcome::Diverged {
            return Err(Failure::input("the model is not written: its weights are not finite")
                .hint("take a certified step (--step new)"));
        }
        let pretty =
            |value: serde_json::Result<String>| value.map(|text| text + "\n").map_err(Failure::internal);
        let saved = Saved { schema: MODEL_SCHEMA.into(), model };
        let files = [
            ("model.json", pretty(serde_json::to_string_pretty(&saved))?),
            ("trace.csv", trace(&fit)),
            ("clients.csv", clients(&objectives, &smoothness)),
            ("summary.json", pretty(serde_json::to_string_pretty(&summary))?),
        ];
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report.words())?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

/// Runs the rounds; nothing on ranks that leave the writing to the first one.
#[cfg(not(feature = "mpi"))]
fn rounds(
    _: &FitArguments,
    method: &method::Ef21W,
    objectives: &[RowObjective<'_>],
    smoothness: &Smoothness,
) -> Result<Option<Fit>, Failure> {
    method.fit(objectives, smoothness).map(Some).map_err(Failure::input)
}

/// Runs the rounds; nothing on ranks that leave the writing to the first one.
#[cfg(feature = "mpi")]
fn rounds(
    arguments: &FitArguments,
    method: &method::Ef21W,
    objectives: &[RowObjective<'_>],
    smoothness: &Smoothness,
) -> Result<Option<Fit>, Failure> {
    use backstitch_optimize::objective::Objective;
    if !arguments.mpi {
        return method.fit(objectives, smoothness).map(Some).map_err(Failure::input);
    }
    let ranks = method::Ranks::join().ok_or_else(|| Failure::internal("MPI has been started before"))?;
    if ranks.count() > objectives.len() {
        let message = format!("{} ranks share {} clients", ranks.count(), objectives.len());
        return Err(Failure::input(message).hint("start fewer ranks, or give more --clients"));
    }
    let own = ranks.share(objectives.len());
    let dimension = objectives[0].dimension();
    let mut exchange = ranks.exchange(dimension);
    let fit = method
        .fit_shared(&objectives[own.clone()], own.start, smoothness, vec![0.0; dimension], &mut exchange)
        .map_err(Failure::input)?;
    Ok((ranks.rank() == 0).then_some(fit))
}

/// Rows over clients, ready for a loss.
struct Problem {
    federated: Federated,
    classes: Option<Classes>,
}

impl Problem {
    fn new(arguments: &FitArguments, data: &LibsvmData, loss: Loss, seed: u64) -> Result<Self, Failure> {
        let classes = match loss {
            Loss::Logistic => Some(Classes::of(&data.labels, arguments.positive).map_err(without_classes)?),
            Loss::LeastSquares if arguments.positive.is_some() => {
                return Err(Failure::input("--positive names a class, but least squares has none")
                    .hint("use --loss logistic, or leave --positive out"));
            }
            Loss::LeastSquares => None,
        };
        let split = match arguments.split {
            SplitName::Label => Split::Label,
            SplitName::Norm => Split::Norm,
            SplitName::Order => Split::Order,
            SplitName::Random => Split::Random,
        };
        let labels =
            classes.as_ref().map_or_else(|| data.labels.clone(), |classes| classes.signs(&data.labels));
        let federated = Federated::new(&data.features, &labels, arguments.clients, split, seed)
            .map_err(Failure::input)?;
        Ok(Self { federated, classes })
    }
}

/// Labels that the logistic loss does not take, with the options that help.
fn without_classes(error: backstitch_optimize::Error) -> Failure {
    use backstitch_optimize::Error as Refused;
    let hint = match &error {
        Refused::OneClass { .. } => Some("give --loss least-squares".into()),
        Refused::ManyClasses { .. } => Some("give --positive LABEL, or --loss least-squares".into()),
        Refused::NoSuchClass { .. } => Some("give --positive one of them".into()),
        _ => None,
    };
    Failure::input(error).maybe_hint(hint)
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let file = ModelFile { path: &arguments.model, schema: MODEL_SCHEMA, writer: "`fit --out`" };
    let saved: Saved = file.read()?;
    saved.model.validate().map_err(|error| file.unusable(&error))?;
    let options = LibsvmOptions {
        zero_based: arguments.zero_based,
        features: Some(saved.model.weights.len()),
        ..LibsvmOptions::default()
    };
    let data = read(&arguments.data, &options)?;
    let predictions = saved.model.predict(&data.features).map_err(Failure::internal)?;
    let mut text = String::new();
    match saved.model.loss {
        Loss::Logistic => {
            text.push_str("label,probability\n");
            for prediction in &predictions {
                let label = prediction.label.map_or("other".into(), |label| label.to_string());
                let _ = writeln!(text, "{label},{}", prediction.probability.unwrap_or(f64::NAN));
            }
        }
        Loss::LeastSquares => {
            text.push_str("prediction\n");
            for prediction in &predictions {
                let _ = writeln!(text, "{}", prediction.score);
            }
        }
    }
    if common.json {
        let rows: Vec<Value> = predictions
            .iter()
            .map(|row| json!({"label": row.label, "probability": row.probability, "score": row.score}))
            .collect();
        return terminal::print_json(&rows).map(|()| EXIT_DONE);
    }
    terminal::print(&text)?;
    if let Some(classes) = &saved.model.classes {
        let signs = classes.signs(&data.labels);
        let right =
            predictions.iter().zip(&signs).filter(|(row, sign)| (row.score > 0.0) == (**sign > 0.0)).count();
        terminal::say(format_args!("{right} of {} labels right", signs.len()));
    }
    Ok(EXIT_DONE)
}

fn certify(arguments: &StepArguments, common: &Common) -> Result<i32, Failure> {
    let smoothness = match arguments.smoothness {
        Some(of_mean) => Smoothness::new(of_mean, arguments.constants.clone()),
        None => Smoothness::of_clients_only(arguments.constants.clone()),
    }
    .map_err(Failure::input)?;
    let sending = &arguments.sending;
    let certificate = method::Ef21W::new(sending.parameters())
        .and_then(|method| method.certificate(&smoothness, arguments.features))
        .map_err(Failure::input)?;
    if common.json {
        terminal::print_json(&certificate)?;
    } else {
        terminal::print(&certificate_words(&certificate, sending.compressor))?;
    }
    Ok(EXIT_DONE)
}
