//! `run scale-mixture-nngp classify`: rows with labels and rows without in, probabilities of classes out.

use std::fmt::Write;
use std::path::PathBuf;

use backstitch_numerics::Matrix;
use backstitch_statistics::scale_mixture_nngp::{
    Architecture, ClassScale, ClassificationParameters, ImageShape, Prior,
};
use clap::Args;
use serde_json::json;

use super::{NetworkArguments, lines, picked, prior, table};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::run::output::write_all;
use crate::terminal;

/// More classes than this are rather numbers.
const MOST_CLASSES: usize = 1_000;

#[derive(Args, Debug)]
pub(super) struct ClassifyArguments {
    /// Table of numbers with named columns (CSV, TSV, spaces); plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column of labels, which are numbers
    #[arg(long, value_name = "COLUMN")]
    target: String,
    /// Table with the same columns, whose rows are classified; with the labels too, accuracy and NLL are reported
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// Prior of the scale: t:SHAPE[,SCALE] or gaussian
    #[arg(long, value_name = "PRIOR", default_value = "t:2", value_parser = class_scale)]
    prior: ClassScale,
    #[command(flatten)]
    network: NetworkArguments,
    /// Columns are pixels of images, row by row, channels innermost: convolutions instead of dense layers, and no scaling of columns
    #[arg(long, value_name = "HEIGHT,WIDTH[,CHANNELS]", value_parser = image)]
    image: Option<ImageShape>,
    /// Rows that all others are seen through
    #[arg(long, value_name = "N", default_value_t = ClassificationParameters::default().inducing)]
    inducing: usize,
    /// Steps of training
    #[arg(long, value_name = "N", default_value_t = ClassificationParameters::default().steps)]
    steps: usize,
    /// Rows of a step
    #[arg(long, value_name = "N", default_value_t = ClassificationParameters::default().batch)]
    batch: usize,
    /// First rate of the steps, which falls to zero
    #[arg(long, value_name = "RATE", default_value_t = ClassificationParameters::default().rate, allow_negative_numbers = true)]
    rate: f64,
    /// Folder for predictions.csv and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn class_scale(text: &str) -> Result<ClassScale, String> {
    match prior(text)? {
        Prior::Fixed => Ok(ClassScale::Fixed),
        Prior::InverseGamma { shape, scale } => Ok(ClassScale::InverseGamma { shape, scale }),
        _ => Err("classes take t:SHAPE[,SCALE] or gaussian".into()),
    }
}

fn image(text: &str) -> Result<ImageShape, String> {
    let numbers: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match numbers.as_deref() {
        Ok([height, width]) => Ok(ImageShape { height: *height, width: *width, channels: 1 }),
        Ok([height, width, channels]) => {
            Ok(ImageShape { height: *height, width: *width, channels: *channels })
        }
        _ => Err("give HEIGHT,WIDTH or HEIGHT,WIDTH,CHANNELS, as in 28,28".into()),
    }
}

pub(super) fn classify(arguments: &ClassifyArguments, common: &Common) -> Result<i32, Failure> {
    let defaults = ClassificationParameters::default();
    let parameters = ClassificationParameters {
        architecture: Architecture { image: arguments.image, ..arguments.network.architecture() },
        hyperparameters: arguments.network.hyperparameters(defaults.hyperparameters),
        scale: arguments.prior,
        inducing: arguments.inducing,
        steps: arguments.steps,
        batch: arguments.batch,
        rate: arguments.rate,
        seed: common.seed,
    };
    parameters.validate().map_err(Failure::input)?;
    let (data, test) = (table(&arguments.data)?, table(&arguments.test)?);
    let target = data
        .column_position(&arguments.target)
        .map_err(|error| Failure::input(format!("--target: {error}")).maybe_hint(error.hint()))?;
    let inputs: Vec<usize> = (0..data.columns.len()).filter(|column| *column != target).collect();
    let names: Vec<String> = inputs.iter().map(|&column| data.columns[column].clone()).collect();
    let of_test = names
        .iter()
        .map(|name| {
            test.column_position(name).map_err(|error| {
                Failure::input(format!("{}: {error}", arguments.test.display())).maybe_hint(error.hint())
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let labels: Vec<f64> = data.values.column(target).collect();
    let classes = classes(&labels)?;
    // Every label is among them.
    let numbers: Vec<usize> = labels.iter().map(|label| classes.partition_point(|c| c < label)).collect();
    let (mut x, mut rows) = (picked(&data, &inputs), picked(&test, &of_test));
    if arguments.image.is_none() {
        standardise(&mut x, &mut rows);
    }
    let named = |error: backstitch_statistics::Error| Failure::input(error.named(&names));
    let classifier = parameters.fit(&x, &numbers, classes.len()).map_err(named)?;
    let probabilities = classifier.predict(&rows).map_err(named)?;
    let known = test.columns.iter().position(|name| *name == data.columns[target]);
    let known: Option<Vec<f64>> = known.map(|column| test.values.column(column).collect());
    let quality = known.map(|known| Quality::of(&probabilities, &classes, &known)).transpose()?;
    let csv = prediction_lines(&probabilities, &classes);
    let summary = json!({
        "schema": "backstitch/scale-mixture-nngp-classes/1",
        "target": data.columns[target],
        "classes": classes,
        "rows": data.values.rows(),
        "scale": classifier.scale(),
        "accuracy": quality.as_ref().map(|quality| quality.accuracy),
        "nll": quality.as_ref().map(|quality| quality.nll),
        "probabilities": (0..probabilities.rows()).map(|row| probabilities.row(row)).collect::<Vec<_>>(),
    });
    if let Some(folder) = &arguments.out {
        write_all(folder, &[("predictions.csv", csv.clone()), ("summary.json", lines(&summary)?)])?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else if arguments.out.is_none() {
        terminal::print(&csv)?;
    }
    if let Some(Quality { accuracy, nll }) = quality {
        terminal::say(format_args!("{} rows: accuracy {accuracy:.4}, NLL {nll:.4}", rows.rows()));
    }
    Ok(EXIT_DONE)
}

/// The labels that occur, ascending.
fn classes(labels: &[f64]) -> Result<Vec<f64>, Failure> {
    let mut classes = labels.to_vec();
    classes.sort_by(f64::total_cmp);
    classes.dedup();
    match classes.len() {
        0 | 1 => {
            let message = format!("all {} labels are the same", labels.len());
            Err(Failure::input(message).hint("give rows of two classes or more"))
        }
        2..=MOST_CLASSES => Ok(classes),
        count => Err(Failure::input(format!(
            "there are {count} different labels, but at most {MOST_CLASSES} classes"
        ))
        .hint("numbers are predicted by `fit`")),
    }
}

/// Shifts and scales columns by the mean and deviation of the training rows; a constant one is shifted only.
fn standardise(x: &mut Matrix, rows: &mut Matrix) {
    for column in 0..x.columns() {
        let count = x.rows() as f64;
        let mean = x.column(column).sum::<f64>() / count;
        let variance = x.column(column).map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        for table in [&mut *x, &mut *rows] {
            for row in 0..table.rows() {
                table[(row, column)] = (table[(row, column)] - mean) / scale;
            }
        }
    }
}

fn prediction_lines(probabilities: &Matrix, classes: &[f64]) -> String {
    let heads: String = classes.iter().map(|class| format!(",probability_{class}")).collect();
    let mut text = format!("label{heads}\n");
    for row in 0..probabilities.rows() {
        let probabilities = probabilities.row(row);
        let shares: String = probabilities.iter().map(|probability| format!(",{probability}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}{shares}", classes[likeliest(probabilities)]);
    }
    text
}

/// The first of the largest.
fn likeliest(probabilities: &[f64]) -> usize {
    (1..probabilities.len()).fold(
        0,
        |best, class| {
            if probabilities[class] > probabilities[best] { class } else { best }
        },
    )
}

/// How good probabilities of rows with known labels are.
struct Quality {
    accuracy: f64,
    /// Minus the mean logarithm of the probability of the label.
    nll: f64,
}

impl Quality {
    fn of(probabilities: &Matrix, classes: &[f64], known: &[f64]) -> Result<Self, Failure> {
        let (mut right, mut sum) = (0_usize, 0.0);
        for (row, label) in known.iter().enumerate() {
            let class = classes.iter().position(|class| class == label).ok_or_else(|| {
                Failure::input(format!("a test row has the label {label}, which no training row has"))
                    .hint("give test rows of the same classes, or leave the column of labels out")
            })?;
            let probabilities = probabilities.row(row);
            right += usize::from(likeliest(probabilities) == class);
            sum -= probabilities[class].max(f64::MIN_POSITIVE).ln();
        }
        let count = known.len() as f64;
        Ok(Self { accuracy: right as f64 / count, nll: sum / count })
    }
}
