//! From the steps of any optimizer to a guarantee for the last point.

use super::refine::{check_weights, tails};
use crate::Error;

/// Turns the steps of an optimizer whose regret is known into steps with a guarantee for the last point.
///
/// The optimizer is fed `w_t g_t`, where g_t is a gradient at x_t, and moves a point z_t of its own by Δ_t. The point in use moves by a
/// share of that: `x_{t+1} = x_t + (Σ_{p>t} w_p / Σ_p w_p) Δ_t`, from `x_1 = z_1`. For a convex f, then,
///
/// ```text
/// E f(x_T) − f(u) ≤ E Σ_t w_t ⟨g_t, z_t − u⟩ / Σ_t w_t      for every u
/// ```
///
/// and the right side is the optimizer's regret divided by the sum of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LastIterate {
    shares: Vec<f64>,
    taken: usize,
}

impl LastIterate {
    /// For these weights, one per step.
    ///
    /// # Errors
    /// [`Error::Weights`], [`Error::Length`].
    pub fn new(weights: &[f64]) -> Result<Self, Error> {
        check_weights(weights)?;
        let mut shares = tails(weights);
        let all = shares[0] + weights[0];
        if !all.is_finite() {
            return Err(Error::Weights { row: 0, value: weights[0] });
        }
        shares.iter_mut().for_each(|share| *share /= all);
        Ok(Self { shares, taken: 0 })
    }

    /// What every step is multiplied by; 0 for the last.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Moves the point in use by the share of the optimizer's next step.
    ///
    /// # Errors
    /// [`Error::Length`] if the step has another length than the point, or all steps were taken.
    pub fn advance(&mut self, point: &mut [f64], step: &[f64]) -> Result<(), Error> {
        if step.len() != point.len() {
            return Err(Error::Length { what: "the step".into(), found: step.len(), expected: point.len() });
        }
        let Some(share) = self.shares.get(self.taken) else {
            let what = "the list of steps".into();
            return Err(Error::Length { what, found: self.taken + 1, expected: self.shares.len() });
        };
        for (coordinate, change) in point.iter_mut().zip(step) {
            *coordinate += share * change;
        }
        self.taken += 1;
        Ok(())
    }
}
