//! The tasks of the study: small public tables and generated ones, none of which a model can fit without error.

use backstitch_claim::CellError;
use backstitch_data::embedded::{BREAST_CANCER, DIABETES, DIGITS, EmbeddedTable};
use backstitch_numerics::{Matrix, Stream};

use super::training::Task;

/// Names of all tasks.
pub(super) const TASKS: &[&str] = &[
    "digits",
    "digits-noisy",
    "breast-cancer",
    "diabetes",
    "mixture",
    "answers",
    "digits-network",
    "teacher-network",
];
/// Share of the rows that a seed learns from.
const SHARE: f64 = 0.8;
/// Rows of a generated task.
const ROWS: usize = 2000;
/// Share of the labels that are drawn anew where a model could otherwise learn every row by heart.
const NOISE: f64 = 0.1;

/// A task of a seed, and whether it was generated.
pub(super) fn task(name: &str, seed: u64) -> Result<(Task, bool), CellError> {
    let mut stream = Stream::new(seed, &format!("schedule study task {name}"));
    let (mut task, generated) = match name {
        "digits" => (pooled_digits(0)?, false),
        "digits-noisy" => (classified(&DIGITS, 64)?, false),
        "digits-network" => (pooled_digits(16)?, false),
        "breast-cancer" => (classified(&BREAST_CANCER, 10)?, false),
        "diabetes" => (with_products(&above_the_median(&DIABETES)?), false),
        "mixture" => (mixture(&mut stream), true),
        "answers" => (answers(&mut stream), true),
        "teacher-network" => (teacher(&mut stream), true),
        _ => return Err(CellError::new(format!("no task `{name}`"))),
    };
    if matches!(name, "digits-noisy" | "digits-network") {
        for class in &mut task.classes {
            if stream.uniform() < NOISE {
                *class = stream.below(task.count);
            }
        }
    }
    let mut task = drawn(&task, &mut stream);
    // Pixels and indicators keep their scales, which is what makes them slow to learn.
    scale(&mut task.features, !matches!(name, "digits" | "digits-noisy" | "mixture" | "answers"));
    Ok((task, generated))
}

/// Some rows of a task.
fn drawn(task: &Task, stream: &mut Stream) -> Task {
    let rows = task.classes.len();
    let mut chosen = stream.permutation(rows);
    chosen.truncate((SHARE * rows as f64) as usize);
    let columns = task.features.columns();
    let features = Matrix::from_fn(chosen.len(), columns, |row, column| task.features[(chosen[row], column)]);
    Task { features, classes: chosen.iter().map(|&row| task.classes[row]).collect(), ..*task }
}

/// Columns with mean 0, and variance 1 each or on average.
fn scale(features: &mut Matrix, each: bool) {
    let (rows, columns) = (features.rows(), features.columns());
    let mut variances = vec![0.0; columns];
    for (column, variance) in variances.iter_mut().enumerate() {
        let mean = features.column(column).sum::<f64>() / rows as f64;
        for row in 0..rows {
            features[(row, column)] -= mean;
        }
        *variance = features.column(column).map(|value| value * value).sum::<f64>() / rows as f64;
    }
    let common = variances.iter().sum::<f64>() / columns as f64;
    for (column, own) in variances.into_iter().enumerate() {
        let variance = if each { own } else { common };
        let factor = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
        for row in 0..rows {
            features[(row, column)] *= factor;
        }
    }
}

/// The first columns of a table whose last one is a class.
fn classified(table: &EmbeddedTable, columns: usize) -> Result<Task, CellError> {
    let values = table.table().map_err(CellError::new)?.values;
    let last = values.columns() - 1;
    let classes: Vec<usize> = values.column(last).map(|value| value as usize).collect();
    let features = Matrix::from_fn(values.rows(), columns.min(last), |row, column| values[(row, column)]);
    let count = classes.iter().max().map_or(1, |most| most + 1);
    Ok(Task { features, classes, count, hidden: 0 })
}

/// Digits of 4 x 4 pixels, each the sum of four.
fn pooled_digits(hidden: usize) -> Result<Task, CellError> {
    let task = classified(&DIGITS, 64)?;
    let pixel = |row: usize, pooled: usize| {
        let corner = 16 * (pooled / 4) + 2 * (pooled % 4);
        [0, 1, 8, 9].iter().map(|offset| task.features[(row, corner + offset)]).sum()
    };
    let features = Matrix::from_fn(task.classes.len(), 16, pixel);
    Ok(Task { features, hidden, ..task })
}

/// Whether the last column is above its median.
fn above_the_median(table: &EmbeddedTable) -> Result<Task, CellError> {
    let values = table.table().map_err(CellError::new)?.values;
    let last = values.columns() - 1;
    let mut ordered: Vec<f64> = values.column(last).collect();
    ordered.sort_unstable_by(f64::total_cmp);
    let median = ordered[ordered.len() / 2];
    let classes = values.column(last).map(|value| usize::from(value > median)).collect();
    let features = Matrix::from_fn(values.rows(), last, |row, column| values[(row, column)]);
    Ok(Task { features, classes, count: 2, hidden: 0 })
}

/// Standardised columns, and the products of every two of them.
fn with_products(task: &Task) -> Task {
    let mut single = task.features.clone();
    scale(&mut single, true);
    let columns = single.columns();
    let pairs: Vec<(usize, usize)> = (0..columns).flat_map(|i| (i..columns).map(move |j| (i, j))).collect();
    let features = Matrix::from_fn(single.rows(), columns + pairs.len(), |row, column| {
        if column < columns {
            return single[(row, column)];
        }
        let (i, j) = pairs[column - columns];
        single[(row, i)] * single[(row, j)]
    });
    Task { features, ..task.clone() }
}

/// Ten normal clouds in twenty dimensions that overlap; the dimensions' spreads fall by a factor of thirty.
fn mixture(stream: &mut Stream) -> Task {
    const CLASSES: usize = 10;
    const DIMENSIONS: usize = 20;
    let centres = Matrix::from_fn(CLASSES, DIMENSIONS, |_, _| 0.8 * stream.normal());
    let classes: Vec<usize> = (0..ROWS).map(|_| stream.below(CLASSES)).collect();
    let features = Matrix::from_fn(ROWS, DIMENSIONS, |row, column| {
        let spread = 30_f64.powf(-(column as f64) / (DIMENSIONS - 1) as f64);
        spread * (centres[(classes[row], column)] + stream.normal())
    });
    Task { features, classes, count: CLASSES, hidden: 0 }
}

/// Answers to eight questions as indicators, a few of them common and most of them rare, and whether a random weighing of them, with
/// noise, is among the largest quarter.
fn answers(stream: &mut Stream) -> Task {
    const QUESTIONS: usize = 8;
    const CHOICES: usize = 12;
    let weights: Vec<f64> = (0..QUESTIONS * CHOICES).map(|_| stream.normal()).collect();
    let mut features = Matrix::zeros(ROWS, QUESTIONS * CHOICES);
    let mut scores = vec![0.0; ROWS];
    for (row, score) in scores.iter_mut().enumerate() {
        for question in 0..QUESTIONS {
            // Choice k has a share of about 1/k.
            let choice = ((CHOICES as f64).powf(stream.uniform()) as usize).min(CHOICES) - 1;
            features[(row, question * CHOICES + choice)] = 1.0;
            *score += weights[question * CHOICES + choice];
        }
        *score += stream.normal();
    }
    let mut ordered = scores.clone();
    ordered.sort_unstable_by(f64::total_cmp);
    let bound = ordered[3 * ROWS / 4];
    let classes = scores.iter().map(|score| usize::from(*score > bound)).collect();
    Task { features, classes, count: 2, hidden: 0 }
}

/// Classes drawn from the probabilities that a random network gives, for a network to learn.
fn teacher(stream: &mut Stream) -> Task {
    const INPUTS: usize = 10;
    const UNITS: usize = 8;
    const CLASSES: usize = 4;
    let features = Matrix::from_fn(ROWS, INPUTS, |_, _| stream.normal());
    let below = Matrix::from_fn(UNITS, INPUTS, |_, _| stream.normal());
    let above = Matrix::from_fn(CLASSES, UNITS, |_, _| 1.5 * stream.normal());
    let product = |weights: &Matrix, unit: usize, input: &[f64]| -> f64 {
        weights.row(unit).iter().zip(input).map(|(weight, value)| weight * value).sum()
    };
    let mut class = |row: usize| {
        let units: Vec<f64> =
            (0..UNITS).map(|unit| product(&below, unit, features.row(row)).tanh()).collect();
        let shares: Vec<f64> = (0..CLASSES).map(|class| product(&above, class, &units).exp()).collect();
        let mut draw = stream.uniform() * shares.iter().sum::<f64>();
        shares
            .iter()
            .position(|share| {
                draw -= share;
                draw < 0.0
            })
            .unwrap_or(CLASSES - 1)
    };
    let classes = (0..ROWS).map(&mut class).collect();
    Task { features, classes, count: CLASSES, hidden: 16 }
}
