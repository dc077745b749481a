//! What `run block-descent` and `run penalty-bilevel` share: rows of a LIBSVM file or a table, coefficients, predictions.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::libsvm::{LibsvmOptions, LibsvmProblem, read_libsvm};
use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_numerics::{Matrix, SparseMatrix};
use backstitch_optimize::block_descent::{Model, Prediction, Task};
use clap::Args;

use crate::arguments::Common;
use crate::failure::Failure;
use crate::terminal;

/// How sparse rows are read.
#[derive(Args, Debug)]
pub(super) struct Reading {
    /// Indices of the LIBSVM format count from 0
    #[arg(long)]
    pub(super) zero_based: bool,
    /// Number of features of the LIBSVM format [default: the largest index]
    #[arg(long, value_name = "N")]
    pub(super) features: Option<usize>,
}

/// What a prediction for rows is asked for with.
#[derive(Args, Debug)]
pub(super) struct PredictArguments {
    /// A model.json
    #[arg(long, value_name = "FILE")]
    pub(super) model: PathBuf,
    /// Rows in the format that the model was fitted on; labels of LIBSVM rows, or the target column of a table, are not looked at
    #[arg(long, value_name = "FILE")]
    pub(super) data: PathBuf,
    /// Indices of the LIBSVM format count from 0
    #[arg(long)]
    pub(super) zero_based: bool,
}

/// Rows with labels, and names of the features where the file has them.
pub(super) struct Rows {
    pub(super) features: SparseMatrix,
    pub(super) labels: Vec<f64>,
    pub(super) names: Option<Vec<String>>,
}

impl Rows {
    /// A table if a target is named, else the LIBSVM format.
    pub(super) fn read(file: &Path, target: Option<&str>, reading: &Reading) -> Result<Self, Failure> {
        match target {
            Some(target) => Self::of_table(&read_named(file)?, target),
            None => of_libsvm(file, reading.zero_based, reading.features),
        }
    }

    fn of_table(table: &Table, target: &str) -> Result<Self, Failure> {
        let place =
            table.column_position(target).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        let kept: Vec<usize> = (0..table.columns.len()).filter(|column| *column != place).collect();
        let dense =
            Matrix::from_fn(table.values.rows(), kept.len(), |row, column| table.values[(row, kept[column])]);
        Ok(Self {
            features: SparseMatrix::from_dense(&dense),
            labels: table.values.column(place).collect(),
            names: Some(kept.iter().map(|&column| table.columns[column].clone()).collect()),
        })
    }

    /// The column of a feature, in quotes where a file needs them, or its number counted from 1 as in the LIBSVM format.
    pub(super) fn name(&self, feature: usize) -> String {
        match &self.names {
            Some(names) if names[feature].contains([',', '"']) => {
                format!("\"{}\"", names[feature].replace('"', "\"\""))
            }
            Some(names) => names[feature].clone(),
            None => (feature + 1).to_string(),
        }
    }
}

/// Rows of a later file, for a model with these columns or, of the LIBSVM format, so many features.
pub(super) fn features_for(
    file: &Path,
    columns: Option<&[String]>,
    features: usize,
    zero_based: bool,
) -> Result<SparseMatrix, Failure> {
    let Some(names) = columns else {
        return Ok(of_libsvm(file, zero_based, Some(features))?.features);
    };
    let table = read_named(file)?;
    let place = |name: &String| {
        table.column_position(name).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
    };
    let places: Vec<usize> = names.iter().map(place).collect::<Result<_, _>>()?;
    let dense =
        Matrix::from_fn(table.values.rows(), places.len(), |row, column| table.values[(row, places[column])]);
    Ok(SparseMatrix::from_dense(&dense))
}

fn read_named(file: &Path) -> Result<Table, Failure> {
    read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
}

fn of_libsvm(file: &Path, zero_based: bool, features: Option<usize>) -> Result<Rows, Failure> {
    let options = LibsvmOptions { zero_based, features, ..LibsvmOptions::default() };
    let data = read_libsvm(file, &options).map_err(|error| {
        let hint = match &error.problem {
            LibsvmProblem::IndexZero { .. } => Some("give --zero-based".into()),
            _ => error.hint().map(|hint| format!("{hint}; a table needs --target COLUMN")),
        };
        Failure::input(&error).maybe_hint(hint)
    })?;
    Ok(Rows { features: data.features, labels: data.labels, names: None })
}

/// The share of rows with the right class, or the root of the mean squared error.
pub(super) fn quality(
    model: &Model,
    features: &SparseMatrix,
    labels: &[f64],
) -> Result<(&'static str, f64), Failure> {
    let predictions = model.predict(features).map_err(Failure::internal)?;
    let pairs = || predictions.iter().zip(labels);
    let count = labels.len() as f64;
    Ok(match &model.task {
        Task::LeastSquares => {
            let squares: f64 =
                pairs().map(|(row, label)| (row.value.unwrap_or(f64::NAN) - label).powi(2)).sum();
            ("root_mean_squared_error", (squares / count).sqrt())
        }
        // "One of the others" is right for every label that is not the positive one.
        Task::Logistic(classes) => {
            let right = pairs().filter(|(row, label)| {
                row.value.map_or(**label != classes.positive, |value| value == **label)
            });
            ("accuracy", right.count() as f64 / count)
        }
        Task::Softmax(_) => {
            let right = pairs().filter(|(row, label)| row.value == Some(**label));
            ("accuracy", right.count() as f64 / count)
        }
    })
}

/// `coefficients.csv`, the name of a feature by its number.
pub(super) fn coefficients(model: &Model, name: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let classes = model.classes();
    if let Task::Softmax(labels) = &model.task {
        text += "feature,class,weight\n";
        for (place, weight) in model.weights.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{},{},{weight}", name(place / classes), labels[place % classes]);
        }
    } else {
        text += "feature,weight\n";
        for (place, weight) in model.weights.iter().enumerate() {
            let _ = writeln!(text, "{},{weight}", name(place));
        }
    }
    text
}

/// Prints predictions, one per line.
pub(super) fn print_predictions(
    task: &Task,
    predictions: &[Prediction],
    common: &Common,
) -> Result<(), Failure> {
    if common.json {
        return terminal::print_json(&predictions);
    }
    let mut text =
        String::from(if *task == Task::LeastSquares { "prediction\n" } else { "label,probability\n" });
    for row in predictions {
        let value = row.value.map_or("other".into(), |value| value.to_string());
        // Writing to a String cannot fail.
        let _ = match row.probability {
            Some(probability) => writeln!(text, "{value},{probability}"),
            None => writeln!(text, "{value}"),
        };
    }
    terminal::print(&text)
}
