//! How the eigenvalues that a model makes of its input are spread.

use serde::Serialize;

use super::model::Model;
use super::stream::Stepper;
use super::tasks::Example;
use crate::Error;

/// Bins between −1 and 1.
pub const BINS: usize = 20;

/// The eigenvalues of one layer over all tokens of some sequences: `1 − β` of a delta layer, the factors of a diagonal one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spectrum {
    /// The layer, counted from 1.
    pub layer: usize,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
    /// How many lie in each of [`BINS`] equal bins from −1 to 1.
    pub counts: Vec<u64>,
}

/// The spectrum of every layer. A layer that is no linear recurrence has none.
///
/// # Errors
/// If the model is one of attention, or does not know a token.
pub fn spectra(model: &Model, examples: &[Example]) -> Result<Vec<Spectrum>, Error> {
    let beginning = Stepper::new(model, 0.0)?;
    let mut spectra: Vec<Spectrum> = (0..model.tracker().config().layers)
        .map(|at| Spectrum {
            layer: at + 1,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            counts: vec![0; BINS],
        })
        .collect();
    for example in examples {
        let mut stepper = beginning.clone();
        for &token in &example.tokens {
            stepper.step(token)?;
            for (spectrum, eigenvalues) in spectra.iter_mut().zip(stepper.eigenvalues()) {
                for &value in eigenvalues {
                    let value = f64::from(value);
                    spectrum.lowest = spectrum.lowest.min(value);
                    spectrum.highest = spectrum.highest.max(value);
                    let bin = ((value + 1.0) / 2.0 * BINS as f64).clamp(0.0, BINS as f64 - 1.0);
                    spectrum.counts[bin as usize] += 1;
                }
            }
        }
    }
    spectra.retain(|own| own.lowest <= own.highest);
    Ok(spectra)
}
