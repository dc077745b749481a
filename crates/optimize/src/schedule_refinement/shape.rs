//! A schedule in two numbers: how long it warms up, and by which power it then falls.

use serde::Serialize;

use super::schedule::{Schedule, resample};
use crate::Error;

/// Places that the shape is compared at.
const PLACES: usize = 1000;
/// Powers are looked for up to here, and down to its inverse.
const MOST_POWER: f64 = 32.0;

/// The polynomial decay with warm-up that is nearest to a schedule, in squared distance over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// Share of the run that rises linearly to the peak.
    pub warm_up: f64,
    /// The power of the decay after it: 1 for linear, above 1 for a faster fall.
    pub power: f64,
    /// Root of the mean squared difference of multipliers.
    pub root_mean_square: f64,
}

impl Shape {
    /// Fits the two numbers: the best of a grid, refined around its best point until the grid is finer than a thousandth of the run.
    ///
    /// # Errors
    /// As [`resample`].
    pub fn of(multipliers: &[f64]) -> Result<Self, Error> {
        let target = resample(multipliers, PLACES)?;
        const POINTS: i32 = 10;
        let (mut best, mut widths) =
            (Self { warm_up: 0.45, power: 1.0, root_mean_square: f64::INFINITY }, [0.45, MOST_POWER.ln()]);
        for _ in 0..6 {
            let centre = best;
            for i in -POINTS..=POINTS {
                for j in -POINTS..=POINTS {
                    let part = |k: i32| f64::from(k) / f64::from(POINTS);
                    let warm_up = (centre.warm_up + widths[0] * part(i)).clamp(0.0, 0.99);
                    let power =
                        (centre.power.ln() + widths[1] * part(j)).exp().clamp(1.0 / MOST_POWER, MOST_POWER);
                    let root_mean_square = distance(&target, warm_up, power);
                    if root_mean_square < best.root_mean_square {
                        best = Self { warm_up, power, root_mean_square };
                    }
                }
            }
            widths = widths.map(|width| width / 4.0);
        }
        Ok(best)
    }

    /// The shape as a schedule for [`Schedule::multipliers`] with [`Self::warm_up`].
    pub fn schedule(&self) -> Schedule {
        Schedule::Polynomial { power: self.power }
    }
}

fn distance(target: &[f64], warm_up: f64, power: f64) -> f64 {
    let end = (target.len() - 1) as f64;
    let squares = target.iter().enumerate().map(|(place, value)| {
        let place = place as f64 / end;
        let shape =
            if place < warm_up { place / warm_up } else { ((1.0 - place) / (1.0 - warm_up)).powf(power) };
        (shape - value).powi(2)
    });
    (squares.sum::<f64>() / target.len() as f64).sqrt()
}
