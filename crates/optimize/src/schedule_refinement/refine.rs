//! From gradient norms to the multipliers of the next run.

use super::log::{GradientLog, Warning};
use super::median::median_filter;
use super::parameters::Parameters;
use super::schedule::resample;
use crate::Error;

/// A schedule made from one log.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// Multipliers of the peak learning rate, one per norm of the log; the largest is 1, the last is 0.
    pub multipliers: Vec<f64>,
    /// The norms after the median filter.
    pub smoothed: Vec<f64>,
    /// Length of the filter's window.
    pub window: usize,
    /// What is odd in the log.
    pub warnings: Vec<Warning>,
}

/// A schedule made from several logs of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// Multipliers, one per step of the next run: the mean over logs, divided by its largest value.
    pub multipliers: Vec<f64>,
    /// The 95 % interval (Student's t) of that mean at every step, divided likewise; nothing for one log.
    pub band: Option<Vec<(f64, f64)>>,
    /// What was made from every log.
    pub runs: Vec<Refined>,
}

pub(super) fn refine(parameters: &Parameters, log: &GradientLog) -> Result<Refined, Error> {
    let norms = log.norms();
    let window = parameters.window(norms.len());
    let smoothed = median_filter(norms, window)?;
    // Only ratios of weights matter; the largest one is 1, and none vanishes.
    let least = smoothed.iter().copied().fold(f64::INFINITY, f64::min);
    let weight = |norm: &f64| (least / norm).powi(parameters.norm.power()).max(f64::MIN_POSITIVE);
    let weights: Vec<f64> = smoothed.iter().map(weight).collect();
    Ok(Refined {
        multipliers: schedule_of_weights(&weights)?,
        smoothed,
        window,
        warnings: log.warnings().to_vec(),
    })
}

/// `η_t ∝ w_t Σ_{p>t} w_p`, divided by its largest value: what gradient descent with weights w is, with the guarantee of the last
/// iterate.
///
/// # Errors
/// [`Error::Weights`] for weights that are not positive and finite, [`Error::Length`] for fewer than two.
pub fn schedule_of_weights(weights: &[f64]) -> Result<Vec<f64>, Error> {
    check_weights(weights)?;
    let mut multipliers = tails(weights);
    for (tail, weight) in multipliers.iter_mut().zip(weights) {
        *tail *= weight;
    }
    let largest = multipliers.iter().copied().fold(0.0, f64::max);
    if !(largest > 0.0 && largest.is_finite()) {
        return Err(Error::Weights { row: 0, value: weights[0] });
    }
    multipliers.iter_mut().for_each(|multiplier| *multiplier /= largest);
    Ok(multipliers)
}

pub(super) fn check_weights(weights: &[f64]) -> Result<(), Error> {
    if weights.len() < 2 {
        return Err(Error::Length { what: "the list of weights".into(), found: weights.len(), expected: 2 });
    }
    match weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
        Some(row) => Err(Error::Weights { row, value: weights[row] }),
        None => Ok(()),
    }
}

/// `Σ_{p>t} w_p` for every t.
pub(super) fn tails(weights: &[f64]) -> Vec<f64> {
    let mut tails = vec![0.0; weights.len()];
    for row in (1..weights.len()).rev() {
        tails[row - 1] = tails[row] + weights[row];
    }
    tails
}

pub(super) fn combine(runs: Vec<Refined>, steps: usize) -> Result<Combined, Error> {
    let count = runs.len() as f64;
    let (mut sums, mut squares) = (vec![0.0; steps], vec![0.0; steps]);
    for run in &runs {
        for ((sum, square), value) in
            sums.iter_mut().zip(&mut squares).zip(resample(&run.multipliers, steps)?)
        {
            *sum += value / count;
            *square += value * value / count;
        }
    }
    // Two steps may both be next to nothing.
    let largest = sums.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let band = (runs.len() > 1).then(|| {
        let quantile = backstitch_numerics::special::student_t_quantile(0.975, count - 1.0);
        let ends = |(mean, square): (&f64, &f64)| {
            let deviation = (square - mean * mean).max(0.0).sqrt();
            let half = quantile * deviation / (count - 1.0).sqrt();
            ((mean - half).max(0.0) / largest, (mean + half) / largest)
        };
        sums.iter().zip(&squares).map(ends).collect()
    });
    sums.iter_mut().for_each(|sum| *sum /= largest);
    Ok(Combined { multipliers: sums, band, runs })
}
