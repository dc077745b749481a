//! `backstitch run scale-mixture-nngp`: a table in, a Bayesian regression with calibrated intervals or probabilities of classes out.

mod classify;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_numerics::Matrix;
use backstitch_numerics::interval::proportion_exact;
use backstitch_statistics::scale_mixture_nngp::{
    Activation, Architecture, Hyperparameters, Model, Parameters, Posterior, Predictive, Prior,
    ScaleMixtureNngp, draw_calibration,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use classify::{ClassifyArguments, classify};

use super::model_file::ModelFile;
use super::output::{quoted, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: NLL is minus the mean logarithm of the predictive density per row, in units of the target; less is \
better, and only NLLs of the same rows and units can be compared. Calibration says what share of targets lies inside intervals of each \
level. `fit` measures both by leaving every training row out once. The scale and degrees of freedom of a prediction are those of \
Student's t; for priors other than t they are matched to it, and inf says normal.

Priors of s², the variance that all weights of the last layer share: t:SHAPE or t:SHAPE,SCALE (inverse gamma: a Student-t process of \
2 SHAPE degrees of freedom), gaussian (s² is 1), burr:C,K, half-cauchy:SCALE (of s), gamma:SHAPE,RATE.

Examples:
  backstitch run scale-mixture-nngp fit --data table.csv --target y --out model/
  backstitch run scale-mixture-nngp predict --model model/model.json --data new.csv > predictions.csv
  backstitch run scale-mixture-nngp classify --data train.csv --target label --test new.csv > classes.csv"
)]
pub(crate) struct ScaleMixtureNngpArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Choose hyper-parameters by the evidence, and keep what predictions need
    Fit(Box<FitArguments>),
    /// Predict with a model that `fit --out` has written
    Predict(PredictArguments),
    /// Probabilities of classes for the rows of a table, learned from the rows of another
    Classify(Box<ClassifyArguments>),
}

#[derive(Args, Debug)]
struct FitArguments {
    /// Table of numbers with named columns (CSV, TSV, spaces); plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column to predict
    #[arg(long, value_name = "COLUMN")]
    target: String,
    /// Prior of the scale: t:SHAPE[,SCALE], gaussian, burr:C,K, half-cauchy:SCALE or gamma:SHAPE,RATE
    #[arg(long, value_name = "PRIOR", default_value = "t:2", value_parser = prior)]
    prior: Prior,
    #[command(flatten)]
    network: NetworkArguments,
    /// Steps of the search for hyper-parameters; 0 keeps those it would begin with
    #[arg(long, value_name = "N", default_value_t = 100)]
    iterations: usize,
    /// Variance of the noise that the search begins with, in variances of the target
    #[arg(long, value_name = "NUMBER", default_value_t = Hyperparameters::default().noise, allow_negative_numbers = true)]
    noise: f64,
    /// Also search shape and scale of the prior t, as the released code does
    #[arg(long)]
    fit_prior: bool,
    /// See the rows through so many of them: for tables of more than --exact-rows
    #[arg(long, value_name = "N")]
    inducing: Option<usize>,
    /// Most rows that are taken without --inducing; memory grows with their square, time with their cube
    #[arg(long, value_name = "N", default_value_t = 5000)]
    exact_rows: usize,
    /// Table with the same columns: its NLL and calibration are reported instead of those of rows left out
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Folder for model.json, calibration.csv, calibration.svg and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The network, for `fit` and `classify`.
#[derive(Args, Debug)]
struct NetworkArguments {
    /// Hidden layers
    #[arg(long, value_name = "N", default_value_t = 4)]
    depth: usize,
    /// What follows each hidden layer
    #[arg(long, value_enum, default_value_t = ActivationName::Relu)]
    activation: ActivationName,
    /// Standard deviation of weights, where the search of `fit` begins and `classify` stays
    #[arg(long, value_name = "NUMBER", default_value_t = Hyperparameters::default().weight_std, allow_negative_numbers = true)]
    weight_std: f64,
    /// The same of biases
    #[arg(long, value_name = "NUMBER", default_value_t = Hyperparameters::default().bias_std, allow_negative_numbers = true)]
    bias_std: f64,
    /// The same of the weights of the last layer [default: 1 for `fit`, 10 for `classify`]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    last_weight_std: Option<f64>,
}

impl NetworkArguments {
    fn architecture(&self) -> Architecture {
        let activation = match self.activation {
            ActivationName::Relu => Activation::Relu,
            ActivationName::Erf => Activation::Erf,
        };
        Architecture { depth: self.depth, activation, image: None }
    }

    /// With what is not given from the defaults.
    fn hyperparameters(&self, defaults: Hyperparameters) -> Hyperparameters {
        Hyperparameters {
            weight_std: self.weight_std,
            bias_std: self.bias_std,
            last_weight_std: self.last_weight_std.unwrap_or(defaults.last_weight_std),
            ..defaults
        }
    }
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// A model.json
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Table with the columns that the model was fitted on; with the target too, NLL and calibration are reported
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Share of targets that the intervals hold
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, allow_negative_numbers = true)]
    level: f64,
    /// Predict the function without the noise of targets
    #[arg(long)]
    latent: bool,
    /// Folder for predictions.csv and, if the target is there, calibration.csv, calibration.svg and summary.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ActivationName {
    /// max(0, x)
    Relu,
    /// The error function
    Erf,
}

fn prior(text: &str) -> Result<Prior, String> {
    let forms = "t:SHAPE[,SCALE], gaussian, burr:C,K, half-cauchy:SCALE or gamma:SHAPE,RATE";
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let numbers = rest.split(',').filter(|field| !field.is_empty()).map(str::parse::<f64>);
    let numbers: Vec<f64> =
        numbers.collect::<Result<_, _>>().map_err(|_| format!("give {forms}, with numbers"))?;
    let prior = match (name, numbers[..].as_ref()) {
        ("gaussian", []) => Prior::Fixed,
        ("t", [shape]) => Prior::InverseGamma { shape: *shape, scale: *shape },
        ("t", [shape, scale]) => Prior::InverseGamma { shape: *shape, scale: *scale },
        ("burr", [c, k]) => Prior::BurrXii { c: *c, k: *k },
        ("half-cauchy", [scale]) => Prior::HalfCauchy { scale: *scale },
        ("gamma", [shape, rate]) => Prior::Gamma { shape: *shape, rate: *rate },
        _ => return Err(format!("give {forms}")),
    };
    prior.validate().map_err(|error| error.to_string())?;
    Ok(prior)
}

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    target: String,
    /// Names of the columns read, in the order of the model's inputs.
    inputs: Vec<String>,
    model: Model,
}

const MODEL_SCHEMA: &str = "backstitch/scale-mixture-nngp-model/1";
/// Levels of the calibration table.
const LEVELS: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

pub(crate) fn execute(arguments: &ScaleMixtureNngpArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Fit(arguments) => fit(arguments, common),
        Verb::Predict(arguments) => predict(arguments, common),
        Verb::Classify(arguments) => classify(arguments, common),
    }
}

fn table(file: &Path) -> Result<Table, Failure> {
    read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let parameters = Parameters {
        architecture: arguments.network.architecture(),
        prior: arguments.prior,
        initial: Hyperparameters {
            noise: arguments.noise,
            ..arguments.network.hyperparameters(Hyperparameters::default())
        },
        iterations: arguments.iterations,
        fit_prior: arguments.fit_prior,
        exact_rows: arguments.exact_rows,
        inducing: arguments.inducing,
        seed: common.seed,
    };
    let method = ScaleMixtureNngp::new(parameters).map_err(Failure::input)?;
    let data = table(&arguments.data)?;
    let target = data
        .column_position(&arguments.target)
        .map_err(|error| Failure::input(format!("--target: {error}")).maybe_hint(error.hint()))?;
    let inputs: Vec<usize> = (0..data.columns.len()).filter(|column| *column != target).collect();
    if inputs.is_empty() {
        return Err(Failure::input(format!(
            "{} has no column but the target {:?}",
            arguments.data.display(),
            data.columns[target]
        ))
        .hint("give a table with columns to predict it from"));
    }
    // The method counts inputs, and the target after them.
    let mut names: Vec<String> = inputs.iter().map(|&column| data.columns[column].clone()).collect();
    names.push(data.columns[target].clone());
    let test = arguments.test.as_deref().map(table).transpose()?;
    let y: Vec<f64> = data.values.column(target).collect();
    let named = |error: backstitch_statistics::Error| Failure::input(error.named(&names));
    let model = method.fit(&picked(&data, &inputs), &y).map_err(named)?;
    let posterior = model.posterior().map_err(named)?;
    let target = names.pop().unwrap_or_default();
    let saved = Saved { schema: MODEL_SCHEMA.into(), target, inputs: names, model };
    let quality = match (&test, &arguments.test) {
        (Some(test), Some(file)) => {
            let (predicted, y) = predictions(&saved, &posterior, test, file, false)?;
            let y = y.ok_or_else(|| {
                Failure::input(format!("{} has no column {:?}", file.display(), saved.target))
                    .hint("a --test table needs the target; `predict` does without")
            })?;
            Some(Quality::new("test rows", &predicted, &y)?)
        }
        // Left out one by one, where that can be had from one factor.
        _ if arguments.inducing.is_none() => {
            let left = posterior.leave_one_out().map_err(Failure::input)?;
            Some(Quality::of("rows left out", &left.log_density, &left.level, &left.mean, &y))
        }
        _ => None,
    };
    let summary = summary(&saved, &posterior, arguments.data.as_path(), quality.as_ref());
    if let Some(folder) = &arguments.out {
        let mut files = vec![("model.json", lines(&saved)?), ("summary.json", lines(&summary)?)];
        if let Some(quality) = &quality {
            files.extend([("calibration.csv", quality.csv()), ("calibration.svg", quality.svg())]);
        }
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&words(&saved, &posterior, quality.as_ref()))?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    if !(arguments.level > 0.0 && arguments.level < 1.0) {
        return Err(Failure::input(format!(
            "--level is {}, but must be above 0 and below 1",
            arguments.level
        ))
        .hint("0.95 is usual"));
    }
    let file = ModelFile { path: &arguments.model, schema: MODEL_SCHEMA, writer: "`fit --out`" };
    let saved: Saved = file.read()?;
    if saved.inputs.len() != saved.model.inputs.len() {
        return Err(file.unusable(&"it names another number of columns than its model reads"));
    }
    let posterior = saved.model.posterior().map_err(|error| file.unusable(&error))?;
    let data = table(&arguments.data)?;
    let (predicted, y) = predictions(&saved, &posterior, &data, &arguments.data, arguments.latent)?;
    let y = y.filter(|_| !arguments.latent);
    let densities = y.as_ref().map(|y| predicted.log_density(y).map_err(Failure::input)).transpose()?;
    let quality = y.as_ref().map(|y| Quality::new("rows", &predicted, y)).transpose()?;
    let csv = prediction_lines(&predicted, arguments.level, densities.as_deref());
    if let Some(folder) = &arguments.out {
        let mut files = vec![("predictions.csv", csv)];
        if let Some(quality) = &quality {
            let found =
                json!({"schema": "backstitch/scale-mixture-nngp-quality/1", "quality": quality.json()});
            files.extend([
                ("calibration.csv", quality.csv()),
                ("calibration.svg", quality.svg()),
                ("summary.json", lines(&found)?),
            ]);
        }
        write_all(folder, &files)?;
        terminal::say(format_args!("written: {}", folder.display()));
    } else if !common.json {
        terminal::print(&csv)?;
    }
    if common.json {
        let width = predicted.half_width(arguments.level);
        terminal::print_json(&json!({
            "target": saved.target,
            "level": arguments.level,
            "mean": predicted.mean,
            "half_width": width,
            "scale": predicted.scale(),
            "degrees_of_freedom": finite(predicted.mixing.degrees_of_freedom()),
            "quality": quality.as_ref().map(Quality::json),
        }))?;
    } else if let Some(quality) = &quality {
        terminal::say(quality.words().trim_end());
    }
    Ok(EXIT_DONE)
}

/// Some columns of a table.
fn picked(table: &Table, columns: &[usize]) -> Matrix {
    Matrix::from_fn(table.values.rows(), columns.len(), |row, place| table.values[(row, columns[place])])
}

/// Predictions for a table, and its targets if it has them.
fn predictions(
    saved: &Saved,
    posterior: &Posterior,
    table: &Table,
    file: &Path,
    latent: bool,
) -> Result<(Predictive, Option<Vec<f64>>), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let columns = saved
        .inputs
        .iter()
        .map(|name| table.column_position(name).map_err(|error| failed(&error).maybe_hint(error.hint())))
        .collect::<Result<Vec<_>, _>>()?;
    let predicted = posterior
        .predict(&picked(table, &columns), latent)
        .map_err(|error| failed(&error.named(&saved.inputs)))?;
    // By name only: positions name columns of tables without a header, where a missing target would be another column.
    let target = table.columns.iter().position(|name| *name == saved.target);
    Ok((predicted, target.map(|target| table.values.column(target).collect())))
}

fn prediction_lines(predicted: &Predictive, level: f64, densities: Option<&[f64]>) -> String {
    let degrees = predicted.mixing.degrees_of_freedom();
    let head = "mean,lower,upper,scale,degrees_of_freedom";
    let mut text = format!("{head}{}\n", if densities.is_some() { ",log_density" } else { "" });
    let (width, scale) = (predicted.half_width(level), predicted.scale());
    for (row, mean) in predicted.mean.iter().enumerate() {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{mean},{},{},{},{degrees}", mean - width[row], mean + width[row], scale[row]);
        if let Some(densities) = densities {
            let _ = write!(text, ",{}", densities[row]);
        }
        text.push('\n');
    }
    text
}

/// How good predictions of rows with known targets are.
struct Quality {
    of: &'static str,
    rows: usize,
    nll: f64,
    rmse: f64,
    /// Level, share inside, and its interval.
    calibration: Vec<(f64, f64, (f64, f64))>,
}

impl Quality {
    fn new(of: &'static str, predicted: &Predictive, y: &[f64]) -> Result<Self, Failure> {
        let densities = predicted.log_density(y).map_err(Failure::input)?;
        let levels = predicted.levels(y).map_err(Failure::input)?;
        Ok(Self::of(of, &densities, &levels, &predicted.mean, y))
    }

    fn of(of: &'static str, densities: &[f64], levels: &[f64], mean: &[f64], y: &[f64]) -> Self {
        let n = y.len() as f64;
        let square: f64 = mean.iter().zip(y).map(|(mean, y)| (mean - y).powi(2)).sum();
        let share = |&level: &f64| {
            let inside = levels.iter().filter(|own| **own <= level).count();
            let interval = proportion_exact(inside as u64, y.len() as u64);
            let (lower, upper) = interval.map_or((0.0, 1.0), |interval| (interval.lower, interval.upper));
            (level, inside as f64 / n, (lower, upper))
        };
        Self {
            of,
            rows: y.len(),
            nll: -densities.iter().sum::<f64>() / n,
            rmse: (square / n).sqrt(),
            calibration: LEVELS.iter().map(share).collect(),
        }
    }

    fn json(&self) -> Value {
        let point = |(level, share, (lower, upper)): &(f64, f64, (f64, f64))| json!({"level": level, "share": share, "lower": lower, "upper": upper});
        json!({
            "of": self.of,
            "rows": self.rows,
            "nll": self.nll,
            "rmse": self.rmse,
            "calibration": self.calibration.iter().map(point).collect::<Vec<_>>(),
        })
    }

    fn csv(&self) -> String {
        let line = |(level, share, (lower, upper)): &(f64, f64, (f64, f64))| {
            format!("{level},{share},{lower},{upper}\n")
        };
        std::iter::once("level,share,lower,upper\n".to_owned())
            .chain(self.calibration.iter().map(line))
            .collect()
    }

    fn svg(&self) -> String {
        draw_calibration(&self.calibration)
    }

    fn words(&self) -> String {
        let mut text =
            format!("{} {}: NLL {:.4}, RMSE {:.4}\nlevel  inside\n", self.rows, self.of, self.nll, self.rmse);
        for (level, share, (lower, upper)) in &self.calibration {
            let outside = if level < lower || level > upper { "  not calibrated" } else { "" };
            let _ = writeln!(text, "{level:>5}  {share:.3} ({lower:.3} to {upper:.3}){outside}");
        }
        text
    }
}

fn summary(saved: &Saved, posterior: &Posterior, data: &Path, quality: Option<&Quality>) -> Value {
    let mixing = posterior.mixing();
    json!({
        "schema": "backstitch/scale-mixture-nngp/1",
        "data": data.to_string_lossy(),
        "rows": saved.model.y.len(),
        "target": saved.target,
        "inputs": saved.inputs,
        "architecture": saved.model.architecture,
        "prior": saved.model.prior,
        "hyperparameters": saved.model.hyperparameters,
        "inducing": saved.model.inducing.as_ref().map(Vec::len),
        "log_evidence": posterior.log_evidence(),
        "jitter": posterior.jitter(),
        "degrees_of_freedom": finite(mixing.degrees_of_freedom()),
        "squared_scale": mixing.squared_scale(),
        "quality": quality.map(Quality::json),
    })
}

fn words(saved: &Saved, posterior: &Posterior, quality: Option<&Quality>) -> String {
    let Hyperparameters { weight_std, bias_std, last_weight_std, noise } = saved.model.hyperparameters;
    let mixing = posterior.mixing();
    let mut text = format!(
        "{} from {} columns, {} rows\nevidence: log p = {:.3}\nweight_std {weight_std:.4}, bias_std {bias_std:.4}, last_weight_std \
         {last_weight_std:.4}, noise {noise:.4e}\ngiven the data: {:.1} degrees of freedom, s² about {:.4}\n",
        quoted(&saved.target),
        saved.inputs.len(),
        saved.model.y.len(),
        posterior.log_evidence(),
        mixing.degrees_of_freedom(),
        mixing.squared_scale(),
    );
    if posterior.jitter() > 0.0 {
        let _ = writeln!(
            text,
            "warning: {:.1e} was added to the kernel's diagonal to factor it; rows repeat, or the noise is next to nothing",
            posterior.jitter()
        );
    }
    if let Some(which) = &saved.model.inducing {
        let _ = writeln!(text, "seen through {} of the rows", which.len());
    }
    match quality {
        Some(quality) => text.push_str(&format!("\n{}", quality.words())),
        None => text.push_str("no rows are left out where inducing rows are used; give --test\n"),
    }
    text
}

fn lines(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(Failure::internal)? + "\n")
}

/// JSON has no infinity.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
