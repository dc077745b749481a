//! Tables of tasks: which columns they have, how those are scaled, and what labels mean.

use std::path::Path;

use backstitch_continual::cuber::Task;
use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What a model file says beside the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) target: String,
    pub(super) inputs: Vec<String>,
    /// Subtracted from inputs, and what they are divided by.
    pub(super) means: Vec<f64>,
    pub(super) deviations: Vec<f64>,
    /// Labels of the classes, for every task.
    pub(super) classes: Vec<Vec<f64>>,
}

/// Rows of a table, as it has them.
pub(super) struct Rows {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) inputs: Matrix,
    pub(super) targets: Vec<f64>,
}

impl Rows {
    pub(super) fn read(file: &Path, table: &Table, columns: &Columns) -> Result<Self, Failure> {
        let target = position(file, table, &columns.target)?;
        Ok(Self {
            file: file.display().to_string(),
            name: file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            inputs: picked(file, table, &columns.inputs)?,
            targets: table.values.column(target).collect(),
        })
    }

    /// Labels that occur, ascending.
    pub(super) fn labels(&self) -> Vec<f64> {
        let mut labels = self.targets.clone();
        labels.sort_by(f64::total_cmp);
        labels.dedup();
        labels
    }

    /// Four fifths of the rows, and the others.
    pub(super) fn held_out(self, seed: u64) -> (Self, Self) {
        let order =
            Stream::new(seed, &format!("cuber held out {}", self.name)).permutation(self.targets.len());
        let (held, kept) = order.split_at(order.len() / 5);
        let part = |rows: &[usize]| Self {
            file: self.file.clone(),
            name: self.name.clone(),
            inputs: Matrix::from_fn(rows.len(), self.inputs.columns(), |row, column| {
                self.inputs[(rows[row], column)]
            }),
            targets: rows.iter().map(|&row| self.targets[row]).collect(),
        };
        (part(kept), part(held))
    }

    pub(super) fn task(&self, columns: &Columns, place: usize) -> Result<Task, Failure> {
        let classes = &columns.classes[place];
        let class = |label: &f64| {
            classes.iter().position(|class| class == label).ok_or_else(|| {
                Failure::input(format!("{}: a row has the label {label}, which no training row of the task has", self.file))
                    .hint("give test rows of the same classes; with --from, tables of the classes that the shared head has")
            })
        };
        let labels = self.targets.iter().map(class).collect::<Result<_, _>>()?;
        Task::new(&self.name, columns.scaled(&self.inputs), labels)
            .map_err(|error| Failure::input(format!("{}: {error}", self.file)))
    }
}

impl Columns {
    /// Of the first table.
    pub(super) fn found(file: &Path, target: Option<&str>, table: &Table) -> Result<Self, Failure> {
        let target = match target {
            Some(name) => position(file, table, name)?,
            None => table.columns.len().saturating_sub(1),
        };
        let inputs: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != target)
            .map(|(_, name)| name.clone())
            .collect();
        if inputs.is_empty() {
            let problem = format!("{} has one column, but inputs and labels are needed", file.display());
            return Err(Failure::input(problem).hint("give a table with named columns"));
        }
        let (means, deviations) = (vec![0.0; inputs.len()], vec![1.0; inputs.len()]);
        Ok(Self { target: table.columns[target].clone(), inputs, means, deviations, classes: Vec::new() })
    }

    pub(super) fn scale_by(&mut self, rows: &Matrix) {
        let count = rows.rows() as f64;
        for column in 0..rows.columns() {
            let mean = rows.column(column).sum::<f64>() / count;
            let variance = rows.column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            self.means[column] = mean;
            self.deviations[column] = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        }
    }

    pub(super) fn scaled(&self, rows: &Matrix) -> Matrix {
        Matrix::from_fn(rows.rows(), rows.columns(), |row, column| {
            (rows[(row, column)] - self.means[column]) / self.deviations[column]
        })
    }
}

pub(super) fn table(file: &Path) -> Result<Table, Failure> {
    read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
}

fn position(file: &Path, table: &Table, name: &str) -> Result<usize, Failure> {
    table
        .column_position(name)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())).maybe_hint(error.hint()))
}

pub(super) fn picked(file: &Path, table: &Table, names: &[String]) -> Result<Matrix, Failure> {
    let places = names.iter().map(|name| position(file, table, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Matrix::from_fn(table.values.rows(), places.len(), |row, column| table.values[(row, places[column])]))
}
