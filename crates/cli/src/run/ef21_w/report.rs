//! What `run ef21-w` says of a fit.

use std::fmt::Write;

use backstitch_optimize::ef21_w::{Certificate, Compressor, Fit, Model, Outcome, Smoothness};
use backstitch_optimize::objective::{Loss, Objective, RowObjective};
use serde_json::{Value, json};

use super::{FitArguments, Problem};
use crate::failure::Failure;

/// How well the model fits the rows it was made from.
pub(super) struct Quality {
    /// Share of rows with the right label, or the root of the mean squared error.
    value: f64,
    /// What a constant prediction reaches.
    constant: f64,
    /// Whether a hyperplane without error was found.
    separated: bool,
}

pub(super) fn quality(problem: &Problem, model: &Model) -> Result<Quality, Failure> {
    let labels = problem.federated.labels();
    let rows = labels.len() as f64;
    let predictions = model.predict(problem.federated.features()).map_err(Failure::internal)?;
    let pairs = || predictions.iter().zip(labels);
    Ok(match model.loss {
        Loss::Logistic => {
            let right =
                pairs().filter(|(prediction, label)| (prediction.score > 0.0) == (**label > 0.0)).count();
            let positive = labels.iter().filter(|label| **label > 0.0).count() as f64 / rows;
            let separated = pairs().all(|(prediction, label)| prediction.score * label > 0.0);
            Quality { value: right as f64 / rows, constant: positive.max(1.0 - positive), separated }
        }
        Loss::LeastSquares => {
            let mean = labels.iter().sum::<f64>() / rows;
            let squares: f64 = pairs().map(|(prediction, label)| (prediction.score - label).powi(2)).sum();
            let around: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
            Quality { value: (squares / rows).sqrt(), constant: (around / rows).sqrt(), separated: false }
        }
    })
}

/// A fit in words and as JSON.
pub(super) struct Report<'a> {
    pub(super) arguments: &'a FitArguments,
    pub(super) problem: &'a Problem,
    pub(super) fit: &'a Fit,
    pub(super) quality: Quality,
}

impl Report<'_> {
    fn last_squared_gradient(&self) -> Option<f64> {
        self.fit.trace.last().map(|last| last.squared_gradient)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.fit.outcome == Outcome::Diverged {
            warnings.push(format!(
                "diverged after {} rounds; take a certified step (--step new) and an algorithm with feedback (ef21, ef21-w)",
                self.fit.rounds
            ));
        }
        if self.quality.separated && self.arguments.regulariser.strength() == 0.0 {
            warnings.push(
                "the two classes can be separated, so without a regulariser the loss has no minimum and the weights grow for ever; \
                 add --regulariser ridge:0.001"
                    .into(),
            );
        }
        if !self.fit.certificate.certified {
            warnings.push("nothing is guaranteed for this algorithm and step".into());
        }
        warnings
    }

    pub(super) fn summary(&self) -> Value {
        let (fit, federated) = (self.fit, &self.problem.federated);
        json!({
            "schema": "backstitch/ef21-w/1",
            "data": self.arguments.data.to_string_lossy(),
            "rows": federated.features().rows(),
            "features": federated.features().columns(),
            "entries": federated.features().entries(),
            "clients": federated.clients(),
            "compressor": self.arguments.sending.compressor.to_string(),
            "certificate": fit.certificate,
            "guarantee": fit.guarantee,
            "mean_squared_gradient": fit.mean_squared_gradient,
            "squared_gradient": self.last_squared_gradient(),
            "first_value": fit.first_value,
            "last_value": fit.last_value,
            "rounds": fit.rounds,
            "outcome": fit.outcome,
            "bits_up": fit.bits_up,
            "bits_down_per_client": fit.bits_down,
            "accuracy": (self.problem.classes.is_some()).then_some(self.quality.value),
            "root_mean_squared_error": (self.problem.classes.is_none()).then_some(self.quality.value),
            "constant_prediction": self.quality.constant,
            "warnings": self.warnings(),
        })
    }

    pub(super) fn words(&self) -> String {
        let (fit, federated) = (self.fit, &self.problem.federated);
        let mut text = format!(
            "{}, {}, {}\n",
            counted(federated.features().rows(), "row"),
            counted(federated.features().columns(), "feature"),
            counted(federated.clients(), "client")
        );
        text += &certificate_words(&fit.certificate, self.arguments.sending.compressor);
        let outcome = match fit.outcome {
            Outcome::Converged => " (tolerance reached)",
            Outcome::RoundsUsed => "",
            Outcome::Diverged => " (diverged)",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}{outcome}: |gradient|^2 {:.3e} · loss {:.6}, from {:.6}",
            counted(fit.rounds, "round"),
            self.last_squared_gradient().unwrap_or(f64::NAN),
            fit.last_value,
            fit.first_value
        );
        if let Some(guarantee) = fit.guarantee {
            let _ = writeln!(
                text,
                "mean of |gradient|^2 over the rounds: at most {guarantee:.3e} guaranteed, {:.3e} found",
                fit.mean_squared_gradient
            );
        }
        let _ = match self.problem.classes {
            Some(_) => writeln!(
                text,
                "{:.2} % of the rows right; always the commoner class: {:.2} %",
                100.0 * self.quality.value,
                100.0 * self.quality.constant
            ),
            None => writeln!(
                text,
                "root mean squared error {:.4}; the mean alone: {:.4}",
                self.quality.value, self.quality.constant
            ),
        };
        let _ = writeln!(
            text,
            "sent: {} by all clients together, {} to each client",
            amount(fit.bits_up),
            amount(fit.bits_down)
        );
        text
    }
}

/// `1 row`, `2 rows`.
fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Bits in a unit that people read.
fn amount(bits: u64) -> String {
    let bits = bits as f64;
    match bits {
        _ if bits >= 1e9 => format!("{:.2} Gbit", bits / 1e9),
        _ if bits >= 1e6 => format!("{:.2} Mbit", bits / 1e6),
        _ if bits >= 1e3 => format!("{:.2} kbit", bits / 1e3),
        _ => format!("{bits} bit"),
    }
}

pub(super) fn certificate_words(certificate: &Certificate, compressor: Compressor) -> String {
    let Certificate { smoothness, arithmetic_mean, quadratic_mean, variance, contraction, .. } = certificate;
    format!(
        "smoothness: L {smoothness:.6} · L_AM {arithmetic_mean:.6} · L_QM {quadratic_mean:.6} · L_var {variance:.3e}\n\
         {compressor}: alpha {:.6} · xi {:.4} · {} bits per message\n\
         certified steps: new {:.6e} · old {:.6e} · on clones {:.6e}; new is {:.3} times as long as old\n\
         step taken: {:.6e}\n",
        contraction.alpha,
        contraction.xi,
        compressor.bits(certificate.dimension),
        certificate.new_step,
        certificate.old_step,
        certificate.clones_step,
        certificate.new_step / certificate.old_step,
        certificate.step,
    )
}

pub(super) fn trace(fit: &Fit) -> String {
    let lines =
        fit.trace.iter().map(|line| format!("{},{},{}\n", line.round, line.squared_gradient, line.bits_up));
    std::iter::once("round,squared_gradient,bits_up\n".to_owned()).chain(lines).collect()
}

pub(super) fn clients(objectives: &[RowObjective<'_>], smoothness: &Smoothness) -> String {
    let weights = smoothness.weights();
    let line = |(number, objective): (usize, &RowObjective<'_>)| {
        format!("{number},{},{},{}\n", objective.samples(), smoothness.of_clients()[number], weights[number])
    };
    let lines = objectives.iter().enumerate().map(line);
    std::iter::once("client,rows,smoothness,weight\n".to_owned()).chain(lines).collect()
}
