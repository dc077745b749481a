//! What `run penalty-bilevel` says and writes.

use std::fmt::Write;
use std::path::Path;

use backstitch_optimize::block_descent::Model;
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Certificate, Effort, Everything, Fit, PenaltyBilevel, Sets, lower_minimiser,
};
use serde_json::{Value, json};

use super::super::rows::{coefficients, quality};
use super::{Prepared, Saved};
use crate::failure::Failure;

/// Most steps for which a level is solved anew.
const STEPS: usize = 5_000;

/// What was found.
pub(super) struct Found<'a> {
    pub(super) data: &'a Path,
    pub(super) prepared: &'a Prepared,
    pub(super) model: Model,
    pub(super) fit: &'a Fit,
    pub(super) certificate: &'a Certificate,
    /// The validation loss before and after.
    pub(super) losses: [f64; 2],
    /// What one of the two verbs adds to the summary.
    pub(super) own: Value,
}

/// The certificate of a point.
pub(super) fn certified(
    method: &PenaltyBilevel,
    problem: &dyn Bilevel,
    sets: Sets<'_>,
    fit: &Fit,
) -> Result<Certificate, Failure> {
    let sigma = method.parameters().sigma.last();
    let effort = Effort { steps: STEPS, tolerance: 1e-5 * sigma * sigma, accelerated: true };
    method.certificate(problem, sets, &fit.x, &fit.y, effort).map_err(Failure::input)
}

/// The model that x asks for.
pub(super) fn solved(
    problem: &dyn Bilevel,
    sets: Sets<'_>,
    x: &[f64],
    start: &[f64],
) -> Result<Vec<f64>, Failure> {
    let effort = Effort { steps: STEPS, tolerance: 1e-8, accelerated: true };
    lower_minimiser(problem, sets, x, start, effort).map(|found| found.0).map_err(Failure::input)
}

/// The validation loss of the model that x asks for, at the start and at the end.
pub(super) fn losses(problem: &dyn Bilevel, fit: &Fit, start: f64) -> Result<[f64; 2], Failure> {
    let sets = Sets { upper: &Everything, lower: &Everything };
    let first = vec![start; problem.upper_dimension()];
    let model = solved(problem, sets, &first, &vec![0.0; problem.lower_dimension()])?;
    Ok([problem.upper_value(&first, &model), problem.upper_value(&fit.x, &fit.z)])
}

impl Found<'_> {
    fn quality(&self) -> Result<[(&'static str, f64); 2], Failure> {
        // The model is for features as they are; rows are scaled and have their ones.
        let prepared = self.prepared;
        let classes = self.model.classes();
        let weights = self.model.weights.iter().enumerate();
        let weights = weights
            .map(|(place, weight)| weight * prepared.scales.get(place / classes).copied().unwrap_or(1.0))
            .collect();
        let model = Model { task: self.model.task.clone(), weights };
        Ok([
            quality(&model, &prepared.training, &prepared.training_labels)?,
            quality(&model, &prepared.validation, &prepared.validation_labels)?,
        ])
    }

    pub(super) fn summary(&self) -> Result<Value, Failure> {
        let [training, validation] = self.quality()?;
        let mut summary = json!({
            "schema": "backstitch/penalty-bilevel/1",
            "data": self.data.to_string_lossy(),
            "training_rows": self.prepared.training_labels.len(),
            "validation_rows": self.prepared.validation_labels.len(),
            "features": self.prepared.features(),
            "outcome": self.fit.outcome,
            "iterations": self.fit.iterations,
            "calls": self.fit.calls,
            "validation_loss_before": self.losses[0],
            "validation_loss": self.losses[1],
            "certificate": self.certificate,
        });
        summary[format!("training_{}", training.0)] = json!(training.1);
        summary[format!("validation_{}", validation.0)] = json!(validation.1);
        if let (Value::Object(summary), Value::Object(own)) = (&mut summary, &self.own) {
            summary.extend(own.clone());
        }
        Ok(summary)
    }

    pub(super) fn words(&self) -> Result<String, Failure> {
        let [training, validation] = self.quality()?;
        let certificate = self.certificate;
        let bound =
            certificate.error_bound.map_or("not seen".into(), |constant| format!("at most {constant:.1e}"));
        Ok(format!(
            "{} training rows, {} validation rows, {} features\n\
             validation loss {:.4} -> {:.4} after {} iterations\n\
             {} {:.4} on training rows, {:.4} on validation rows\n\
             sigma {}, gradient {:.1e} (bias about {:.1e}), penalty gap {:.1e}, residual {:.1e}\n\
             error bound: constant {bound}, {}\n",
            self.prepared.training_labels.len(),
            self.prepared.validation_labels.len(),
            self.prepared.features(),
            self.losses[0],
            self.losses[1],
            self.fit.iterations,
            training.0.replace('_', " "),
            training.1,
            validation.1,
            certificate.sigma,
            certificate.gradient,
            certificate.bias,
            certificate.gap,
            certificate.residual,
            if certificate.violated { "looks violated" } else { "nothing speaks against it" },
        ))
    }

    /// The files that both verbs write.
    pub(super) fn files(
        &self,
        saved: &Saved,
        summary: &Value,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let pretty =
            |value: serde_json::Result<String>| value.map(|text| text + "\n").map_err(Failure::internal);
        Ok(vec![
            ("coefficients.csv", coefficients(&self.model, |feature| self.name(feature))),
            ("model.json", pretty(serde_json::to_string_pretty(saved))?),
            ("trace.csv", trace(self.fit)),
            ("certificate.json", pretty(serde_json::to_string_pretty(self.certificate))?),
            ("summary.json", pretty(serde_json::to_string_pretty(summary))?),
        ])
    }

    fn name(&self, feature: usize) -> String {
        if feature < self.prepared.features() { self.prepared.rows.name(feature) } else { "intercept".into() }
    }
}

/// `trace.csv`.
fn trace(fit: &Fit) -> String {
    let mut text =
        String::from("iteration,sigma,validation_loss,gradient,residual,upper_calls,lower_calls\n");
    for line in &fit.trace {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{}",
            line.iteration,
            line.sigma,
            line.upper_value,
            line.gradient,
            line.residual,
            line.calls.upper,
            line.calls.lower
        );
    }
    text
}

/// `penalties.csv`: the penalty of the scaled feature, and what it was divided by.
pub(super) fn penalties(prepared: &Prepared, penalties: &[f64]) -> String {
    let mut text = String::from("feature,penalty,scale\n");
    for (feature, (penalty, scale)) in penalties.iter().zip(&prepared.scales).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{},{penalty},{scale}", prepared.rows.name(feature));
    }
    text
}

/// The penalties in words: the one, or the smallest and the largest.
pub(super) fn penalty_words(prepared: &Prepared, penalties: &[f64], one: bool) -> String {
    let by = |larger: bool| {
        (0..penalties.len()).reduce(|best, feature| {
            if (penalties[feature] > penalties[best]) == larger { feature } else { best }
        })
    };
    match (by(false), by(true)) {
        (Some(least), _) if one => format!("penalty of all features: {:.2e}\n", penalties[least]),
        (Some(least), Some(most)) => format!(
            "smallest penalty: {} ({:.2e}); largest: {} ({:.2e})\n",
            prepared.rows.name(least),
            penalties[least],
            prepared.rows.name(most),
            penalties[most]
        ),
        _ => String::new(),
    }
}

/// `row-weights.csv`: data rows counted from 1, as they stand in their file.
pub(super) fn row_weights(prepared: &Prepared, weights: &[f64], threshold: f64) -> String {
    let mut text = String::from("row,weight,suspicious\n");
    for (place, weight) in prepared.places.iter().zip(weights) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{},{weight},{}", place + 1, *weight < threshold);
    }
    text
}
