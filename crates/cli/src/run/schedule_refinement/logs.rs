//! Reading logs of gradient norms.

use std::path::Path;

use backstitch_data::jsonl::read_jsonl;
use backstitch_data::table::{TableOptions, read_table};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Names that columns of steps have, in any case.
const STEPS: &[&str] = &["step", "steps", "global_step", "_step", "trainer/global_step", "iteration", "iter"];

/// What the user says of the columns.
pub(super) struct Columns<'a> {
    pub(super) norms: Option<&'a str>,
    pub(super) steps: Option<&'a str>,
}

/// What a file says.
pub(super) struct Log {
    /// Name of the column of norms.
    pub(super) column: String,
    /// Steps of the norms, if there is a column of them.
    pub(super) steps: Option<Vec<f64>>,
    pub(super) norms: Vec<f64>,
    /// Lines that have no norm.
    pub(super) skipped: usize,
}

pub(super) fn read(file: &Path, columns: &Columns<'_>) -> Result<Log, Failure> {
    let name = file.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if [".jsonl", ".ndjson", ".json"].iter().any(|ending| name.ends_with(ending)) {
        lines(file, columns)
    } else {
        table(file, columns)
    }
}

fn table(file: &Path, columns: &Columns<'_>) -> Result<Log, Failure> {
    let options = TableOptions { keep_infinite: true, ..TableOptions::default() };
    let table =
        read_table(file, &options).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    let named = |name: &str| {
        table
            .column_position(name)
            .map_err(|error| Failure::input(format!("{}: {error}", file.display())).maybe_hint(error.hint()))
    };
    let names: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let norms = match columns.norms {
        Some(name) => named(name)?,
        None => the_norms(file, &names)?,
    };
    let steps = match columns.steps {
        Some(name) => Some(named(name)?),
        None => the_steps(file, &names)?,
    };
    Ok(Log {
        column: names[norms].to_owned(),
        steps: steps.map(|column| table.values.column(column).collect()),
        norms: table.values.column(norms).collect(),
        skipped: 0,
    })
}

fn lines(file: &Path, columns: &Columns<'_>) -> Result<Log, Failure> {
    let objects: Vec<(usize, Map<String, Value>)> = read_jsonl(file).map_err(Failure::input)?;
    let mut names: Vec<&str> = Vec::new();
    for key in objects.iter().flat_map(|(_, object)| object.keys()) {
        if !names.contains(&key.as_str()) {
            names.push(key);
        }
    }
    let known = |name: &str| names.iter().position(|known| *known == name);
    let named = |name: &str| {
        known(name).ok_or_else(|| {
            Failure::input(format!("{}: no line has {name:?}", file.display())).hint(listed(&names))
        })
    };
    let column = match columns.norms {
        Some(name) => named(name)?,
        None => the_norms(file, &names)?,
    };
    let step_column = match columns.steps {
        Some(name) => Some(named(name)?),
        None => the_steps(file, &names)?,
    };
    let (column, step_column) = (names[column], step_column.map(|place| names[place]));
    let (mut steps, mut norms) = (Vec::new(), Vec::new());
    for (line, object) in &objects {
        let number = |name: &str, value: Option<&Value>| {
            value.and_then(Value::as_f64).ok_or_else(|| {
                let found = value.map_or_else(|| "missing".into(), Value::to_string);
                let found: String = found.chars().take(40).collect();
                Failure::input(format!(
                    "{}, line {line}: {name:?} is {found}, but must be a number",
                    file.display()
                ))
                .hint("correct the line, or drop it")
            })
        };
        // Other lines of the log, such as those of an evaluation, have no norm.
        let Some(norm) = object.get(column) else { continue };
        norms.push(number(column, Some(norm))?);
        if let Some(name) = step_column {
            steps.push(number(name, object.get(name))?);
        }
    }
    let skipped = objects.len() - norms.len();
    Ok(Log { column: column.to_owned(), steps: step_column.map(|_| steps), norms, skipped })
}

/// The one column that is named after a norm. Weights & Biases adds a least and a largest value, which are none.
fn the_norms(file: &Path, names: &[&str]) -> Result<usize, Failure> {
    let is_norm = |name: &str| {
        let name = name.to_lowercase();
        name.contains("norm") && !name.ends_with("__min") && !name.ends_with("__max")
    };
    let found: Vec<usize> = (0..names.len()).filter(|&place| is_norm(names[place])).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::input(format!("{}: no column is named after a norm", file.display()))
            .hint(format!("say which one it is with --column; {}", listed(names)))),
        _ => {
            let found: Vec<&str> = found.iter().map(|&place| names[place]).collect();
            Err(Failure::input(format!("{}: several columns are named after a norm", file.display()))
                .hint(format!("say which one it is with --column; {}", listed(&found))))
        }
    }
}

fn the_steps(file: &Path, names: &[&str]) -> Result<Option<usize>, Failure> {
    let is_step = |name: &str| STEPS.contains(&name.to_lowercase().as_str());
    let found: Vec<usize> = (0..names.len()).filter(|&place| is_step(names[place])).collect();
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let found: Vec<&str> = found.iter().map(|&place| names[place]).collect();
            Err(Failure::input(format!("{}: several columns are named after steps", file.display()))
                .hint(format!("say which one it is with --step-column; {}", listed(&found))))
        }
    }
}

/// The first names, for a hint.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 8;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > MOST { ", …" } else { "" };
    format!("there is {}{more}", shown.join(", "))
}
