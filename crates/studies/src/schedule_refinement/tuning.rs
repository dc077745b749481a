//! The peak learning rate of an arm: the same grid for all, widened where its best point is at an edge.

use super::training::{Optimizer, Training};

/// The grid is 2^k.
pub(super) const STEP: f64 = 2.0;
/// A grid is not widened beyond so many points.
const MOST: usize = 24;
/// Runs that the loss is taken from, each of an order of its own.
const EVALUATIONS: u64 = 3;

/// A tuned arm.
#[derive(Clone, Debug)]
pub(super) struct Tuned {
    /// Logarithm of the peak rate to the base 2.
    pub(super) exponent: i32,
    /// Points of the grid that were tried.
    pub(super) tried: usize,
    /// Mean of ln(loss) over the evaluating runs, whose orders the search has not seen.
    pub(super) log_loss: f64,
    /// Gradient norms of the searching run at the best peak rate.
    pub(super) norms: Vec<f64>,
}

/// First and last exponent of the grid that every search begins with.
pub(super) fn grid(optimizer: Optimizer) -> (i32, i32) {
    match optimizer {
        Optimizer::Sgd => (-8, 0),
        Optimizer::Adam => (-10, -2),
    }
}

/// Searches the peak rate for these multipliers, then measures the loss at the best one on other orders of the examples.
///
/// # Errors
/// A sentence, if the best point is still at an edge of the widest grid, or no run ends with a finite loss.
pub(super) fn tune(training: &Training<'_>, multipliers: &[f64]) -> Result<Tuned, String> {
    let search = Training { order: 0, ..*training };
    let loss = |exponent: i32| search.run(STEP.powi(exponent), multipliers).loss;
    let (first, last) = grid(training.optimizer);
    let mut tried: std::collections::VecDeque<(i32, f64)> =
        (first..=last).map(|exponent| (exponent, loss(exponent))).collect();
    let best = loop {
        let finite = tried.iter().enumerate().filter(|(_, (_, loss))| loss.is_finite());
        let Some((place, (exponent, _))) = finite.min_by(|a, b| a.1.1.total_cmp(&b.1.1)) else {
            return Err(format!("no peak rate from 2^{first} to 2^{last} ends with a finite loss"));
        };
        if place > 0 && place + 1 < tried.len() {
            break *exponent;
        }
        if tried.len() >= MOST {
            let (low, high) = (tried[0].0, tried[tried.len() - 1].0);
            return Err(format!(
                "the best peak rate, 2^{exponent}, is at an edge of the grid from 2^{low} to 2^{high}"
            ));
        }
        if place == 0 {
            let lower = *exponent - 1;
            tried.push_front((lower, loss(lower)));
        } else {
            let higher = *exponent + 1;
            tried.push_back((higher, loss(higher)));
        }
    };
    let peak = STEP.powi(best);
    let evaluate = |order: u64| Training { order, ..*training }.run(peak, multipliers).loss.ln();
    let log_loss = (1..=EVALUATIONS).map(evaluate).sum::<f64>() / EVALUATIONS as f64;
    Ok(Tuned { exponent: best, tried: tried.len(), log_loss, norms: search.run(peak, multipliers).norms })
}
