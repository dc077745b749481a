//! What `run negative-eigenvalues` prints and writes.

use std::fmt::Write;

use backstitch_sequence::Error;
use backstitch_sequence::negative_eigenvalues::sequences::Sequence;
use backstitch_sequence::negative_eigenvalues::tasks::Example;
use backstitch_sequence::negative_eigenvalues::{Answer, BINS, Model, Prediction, Probe, Spectrum};
use serde::Serialize;
use serde_json::json;

use crate::run::output::quoted;

/// The share of labels that are right among sequences of some lengths.
#[derive(Debug, Serialize)]
pub(super) struct LengthRow {
    shortest: usize,
    longest: usize,
    sequences: usize,
    labels: usize,
    right: f64,
}

/// Accuracy by length: 1, 2, 3 to 4, 5 to 8, …
pub(super) fn by_length(model: &Model, sequences: &[Sequence]) -> Result<Vec<LengthRow>, Error> {
    let encode = |sequence| model.vocabulary().encode(sequence);
    let examples: Vec<Example> = sequences.iter().map(encode).collect::<Result<_, _>>()?;
    let predicted = model.predict(&examples)?;
    let mut rows: std::collections::BTreeMap<usize, (usize, usize, usize, usize, usize)> = Default::default();
    for (example, predicted) in examples.iter().zip(predicted) {
        let length = example.tokens.len();
        let row = rows.entry(length.next_power_of_two()).or_insert((length, length, 0, 0, 0));
        (row.0, row.1, row.2) = (row.0.min(length), row.1.max(length), row.2 + 1);
        for (label, prediction) in example.labels.iter().zip(predicted) {
            if let Some(label) = label {
                row.3 += 1;
                row.4 += usize::from(*label as usize == prediction.label);
            }
        }
    }
    let rows = rows.into_values().filter(|row| row.3 > 0);
    Ok(rows
        .map(|(shortest, longest, sequences, labels, right)| LengthRow {
            shortest,
            longest,
            sequences,
            labels,
            right: right as f64 / labels as f64,
        })
        .collect())
}

/// The share of labels that are right; nothing where there are none.
pub(super) fn share_right(examples: &[Example], predicted: &[Vec<Prediction>]) -> Option<f64> {
    let (mut labels, mut right) = (0_usize, 0_usize);
    for (example, predicted) in examples.iter().zip(predicted) {
        for (label, prediction) in example.labels.iter().zip(predicted) {
            if let Some(label) = label {
                labels += 1;
                right += usize::from(*label as usize == prediction.label);
            }
        }
    }
    (labels > 0).then(|| right as f64 / labels as f64)
}

pub(super) fn accuracy_table(measured: &[(&str, Vec<LengthRow>)]) -> String {
    let mut text = format!("{:<10}{:>12}{:>11}{:>10}{:>9}\n", "on", "length", "sequences", "labels", "right");
    for (name, rows) in measured {
        for row in rows {
            let length = if row.shortest == row.longest {
                row.shortest.to_string()
            } else {
                format!("{}-{}", row.shortest, row.longest)
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name:<10}{length:>12}{:>11}{:>10}{:>7.1} %",
                row.sequences,
                row.labels,
                100.0 * row.right
            );
        }
    }
    text
}

/// One row per sequence with its last label, or one per position.
pub(super) fn predictions(
    sequences: &[Sequence],
    predicted: &[Vec<Prediction>],
    labels: &[String],
    every: bool,
) -> String {
    let mut text = String::from(if every {
        "line,position,token,label,probability\n"
    } else {
        "line,label,probability\n"
    });
    for (sequence, row) in sequences.iter().zip(predicted) {
        for (at, Prediction { label, probability }) in row.iter().enumerate() {
            let label = quoted(&labels[*label]);
            // Writing to a String cannot fail.
            let _ = if every {
                let token = quoted(&sequence.tokens[at]);
                writeln!(text, "{},{},{token},{label},{probability:.6}", sequence.line, at + 1)
            } else if at + 1 == row.len() {
                writeln!(text, "{},{label},{probability:.6}", sequence.line)
            } else {
                Ok(())
            };
        }
    }
    text
}

pub(super) fn histogram(spectra: &[Spectrum]) -> String {
    let mut text = String::new();
    for spectrum in spectra {
        let total: u64 = spectrum.counts.iter().sum();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "layer {}: {total} eigenvalues from {:.4} to {:.4}",
            spectrum.layer, spectrum.lowest, spectrum.highest
        );
        for (bin, count) in spectrum.counts.iter().enumerate() {
            let edge = |bin: usize| -1.0 + 2.0 * bin as f64 / BINS as f64;
            let share = *count as f64 / total as f64;
            let bar = "#".repeat((40.0 * share).round() as usize);
            let line = format!("{:>5.1} to {:>4.1} {:>6.1} % {bar}", edge(bin), edge(bin + 1), 100.0 * share);
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

pub(super) fn probe(probe: &Probe) -> String {
    let more = if probe.all_actions { "" } else { " or more" };
    let mut text = format!(
        "{} states; its words act in {}{more} ways; the longest period of a word is {}{more}\n\n{:<16}{:>8}{:>14}{:>14}\n",
        probe.states, probe.actions, probe.longest_period, "token", "period", "permutation", "reflections"
    );
    for token in &probe.tokens {
        let permutation = if token.permutation { "yes" } else { "no" };
        let reflections = token.reflections.map_or("-".into(), |count| count.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<16}{:>8}{permutation:>14}{reflections:>14}", token.name, token.period);
    }
    text.push('\n');
    let answers = [
        ("diagonal, eigenvalues in [0, 1]", probe.positive_diagonal),
        ("diagonal, eigenvalues in [-1, 1]", probe.signed_diagonal),
        ("delta of one step, eigenvalues in [0, 1]", probe.positive_householder),
        ("delta of one step, eigenvalues in [-1, 1]", probe.signed_householder),
    ];
    for (layer, answer) in answers {
        let words = match answer {
            Answer::Yes => "yes, exactly, in one layer",
            Answer::Open => "not ruled out; may take several layers",
            Answer::Stack => "not in one layer; may be in several",
            Answer::No => "no, not at every length",
            Answer::Unknown => "unknown; there are too many words to look at",
        };
        let _ = writeln!(text, "{layer:<44}{words}");
    }
    if let Some(count) = probe.householders.filter(|count| *count > 0) {
        let _ =
            writeln!(text, "one delta layer, eigenvalues in [-1, 1]: exactly, with --householders {count}");
    }
    text
}

/// One line of JSON Lines.
pub(super) fn line(example: &Example, tokens: &[String], labels: &[String], last: bool) -> String {
    let names: Vec<&str> = example.tokens.iter().map(|&token| tokens[token as usize].as_str()).collect();
    let each: Option<Vec<&str>> =
        example.labels.iter().map(|label| label.map(|label| labels[label as usize].as_str())).collect();
    let line = match each {
        Some(each) if !last => json!({"tokens": names.join(" "), "labels": each.join(" ")}),
        _ => {
            let label = example.labels.last().copied().flatten().map(|label| &labels[label as usize]);
            json!({"tokens": names.join(" "), "label": label})
        }
    };
    line.to_string() + "\n"
}
