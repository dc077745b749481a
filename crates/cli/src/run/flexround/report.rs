//! What `run flexround` says: words, JSON and tables.

use std::fmt::Write;

use backstitch_compress::Rows;
use backstitch_compress::flexround::{LayerReport, QuantisedNetwork};
use serde_json::{Value, json};

use super::Found;
use crate::run::output::quoted;

/// Mean squared error of outputs as a share of their mean square.
pub(super) fn error(wanted: &Rows, outputs: &Rows) -> f64 {
    let pairs = wanted.values().iter().zip(outputs.values());
    let error: f64 = pairs.map(|(wanted, own)| (f64::from(*wanted) - f64::from(*own)).powi(2)).sum();
    let signal: f64 = wanted.values().iter().map(|value| f64::from(*value).powi(2)).sum();
    if signal > 0.0 { error / signal } else { 0.0 }
}

pub(super) fn summary(found: &Found) -> Value {
    let mut value = described(&found.network);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("seconds".into(), json!(found.seconds));
        fields.insert(
            "bytes".into(),
            json!({"before": found.before_bytes, "memory": found.network.bytes(), "file": found.file.len()}),
        );
        fields.insert(
            "test".into(),
            json!(found.test.map(|(rows, error)| json!({"rows": rows, "error": error}))),
        );
    }
    value
}

pub(super) fn described(network: &QuantisedNetwork) -> Value {
    let layers = network.reports().iter().zip(network.layers()).zip(network.activations());
    let layers: Vec<Value> = layers
        .map(|((report, own), activation)| {
            json!({
                "name": report.name, "outputs": report.outputs, "inputs": report.inputs, "bits": own.grid.bits,
                "grids": own.grid.scales.len(), "activation": activation, "error_nearest": report.before,
                "error": report.after, "kept_nearest": report.kept_nearest, "moved": report.moved(),
                "moves_by_magnitude": report.moves, "warnings": report.warnings,
            })
        })
        .collect();
    json!({
        "schema": "backstitch/flexround/1",
        "parameters": network.parameters(),
        "calibration": network.calibration(),
        "error": network.error(),
        "layers": layers,
    })
}

pub(super) fn warnings(network: &QuantisedNetwork) -> impl Iterator<Item = String> {
    network.reports().iter().flat_map(|report| {
        let kept = report.kept_nearest.then(|| {
            format!(
                "{}: learning made outputs worse, so that weights are rounded to nearest; lower --rate",
                report.name
            )
        });
        kept.into_iter().chain(report.warnings.iter().map(|warning| format!("{}: {warning}", report.name)))
    })
}

/// A line for every layer.
pub(super) fn table(reports: &[LayerReport], bits: u8) -> String {
    let width = reports.iter().map(|report| report.name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "{:<width$}  {:>13}  {:>4}  {:>13}  {:>10}  {:>14}\n",
        "layer", "weights", "bits", "error nearest", "error", "moved 1, 2+"
    );
    for report in reports {
        let [_, one, more] = report.moved();
        let size = format!("{}×{}", report.outputs, report.inputs);
        let moved = format!("{:.1} %, {:.1} %", 100.0 * one, 100.0 * more);
        let _ = writeln!(
            text,
            "{:<width$}  {size:>13}  {bits:>4}  {:>13.3e}  {:>10.3e}  {moved:>14}",
            report.name, report.before, report.after
        );
    }
    text
}

/// What is said while layers are being learned.
pub(super) fn line(report: &LayerReport) -> String {
    let LayerReport { name, before, after, seconds, .. } = report;
    format!("{name}: error {before:.3e} rounded to nearest, {after:.3e} as it was left; {seconds:.1} s")
}

pub(super) fn layers(network: &QuantisedNetwork) -> String {
    let mut text = table(network.reports(), network.parameters().bits);
    let calibration = network.calibration();
    let _ = writeln!(
        text,
        "\nerror of the outputs on {} calibration rows ({}): {:.3e} of their mean square",
        calibration.rows,
        calibration.order,
        network.error()
    );
    if !calibration.sha256.is_empty() {
        let _ = writeln!(text, "calibration file, SHA-256: {}", calibration.sha256);
    }
    text
}

pub(super) fn words(found: &Found) -> String {
    let mut text = layers(&found.network);
    if let Some((rows, error)) = found.test {
        let _ = writeln!(text, "on {rows} test rows: {error:.3e}");
    }
    let bytes = found.network.bytes();
    let _ = writeln!(
        text,
        "weights and biases: {} bytes in memory instead of {} ({:.1} times less), {} in the file; learned in {:.1} s",
        bytes,
        found.before_bytes,
        found.before_bytes as f64 / bytes.max(1) as f64,
        found.file.len(),
        found.seconds
    );
    text
}

pub(super) fn reports_csv(reports: &[LayerReport], bits: u8) -> String {
    let mut text = String::from("layer,outputs,inputs,bits,error_nearest,error,moved_1,moved_2_or_more\n");
    for report in reports {
        let [_, one, more] = report.moved();
        let LayerReport { outputs, inputs, before, after, .. } = report;
        let name = quoted(&report.name);
        let _ = writeln!(text, "{name},{outputs},{inputs},{bits},{before},{after},{one},{more}");
    }
    text
}

pub(super) fn outputs_csv(outputs: &Rows) -> String {
    let names: Vec<String> = (1..=outputs.columns()).map(|number| format!("output_{number}")).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..outputs.rows() {
        let values: Vec<String> = outputs.row(row).iter().map(f32::to_string).collect();
        text += &(values.join(",") + "\n");
    }
    text
}
