//! What can be said of a point after the fact: residuals, the penalty gap, the bias, and whether the error bound holds.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::gradient::{PenaltyGradient, Sets, solved};
use super::lower::{Effort, Level, step_of};
use super::problem::{Bilevel, Calls, Counted, add, distance, norm};
use super::upper::mapping;
use crate::Error;

/// Points from which the error bound is measured.
const PROBES: usize = 4;
/// How often σ is halved.
const HALVINGS: usize = 3;
/// Under an error bound the gradient moves half as much when σ is halved again. From this share on it does not settle.
const SETTLES: f64 = 0.75;
/// Distances below this share of the first one are rounding.
const NEAREST: f64 = 1e-6;

/// What was measured at a point x, both levels solved anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// σ.
    pub sigma: f64,
    /// Length of the gradient mapping of ψ_σ, measured with steps of length 1.
    pub gradient: f64,
    /// ψ_σ(x).
    pub value: f64,
    /// `g(x, y) − g(x, z)`, of order σ² where the error bound holds.
    pub gap: f64,
    /// The larger residual of the two lower-level problems; above σ the gradient says nothing.
    pub residual: f64,
    /// `2‖∇ψ_(σ/2) − ∇ψ_σ‖`: about the distance of `∇ψ_σ` from the gradient of the bilevel problem, where that is of order σ.
    pub bias: f64,
    /// How much more the gradient moves when σ is halved once more, `‖∇ψ_(σ/4) − ∇ψ_(σ/2)‖/‖∇ψ_(σ/2) − ∇ψ_σ‖` or the same from σ/2 on,
    /// whichever is larger: 1/2 where the bias is of order σ. Nothing where the gradient does not move at all.
    pub halving: Option<f64>,
    /// The empirical constant of the error bound: the least ratio of a residual of g to the distance from its minimiser, over points
    /// near y and at x and next to it. From above: a worse point may have been missed. Nothing where no point moved.
    pub error_bound: Option<f64>,
    /// σ times the curvature of f, which that constant should be well above.
    pub penalty_curvature: f64,
    /// Whether the bound looks violated: its constant is below the curvature of the penalty, and the gradient does not settle.
    pub violated: bool,
    /// Gradients that were taken.
    pub calls: Calls,
}

impl Certificate {
    /// Refuses a point whose gradient cannot be relied on.
    ///
    /// # Errors
    /// [`Error::LowerResidual`], [`Error::ErrorBound`].
    pub fn check(&self) -> Result<(), Error> {
        if self.residual.is_nan() || self.residual > self.sigma {
            return Err(Error::LowerResidual { residual: self.residual, sigma: self.sigma });
        }
        match (self.violated, self.error_bound, self.halving) {
            (true, Some(constant), Some(halving)) => {
                Err(Error::ErrorBound { constant, curvature: self.penalty_curvature, halving })
            }
            _ => Ok(()),
        }
    }
}

/// Measures at x, the lower level from `start`.
pub(super) fn certificate<P: Bilevel + ?Sized>(
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    start: &[f64],
    sigma: f64,
    effort: Effort,
    seed: u64,
) -> Certificate {
    let mut levels = vec![solved(problem, sets, x, start, sigma, effort)];
    for _ in 0..HALVINGS {
        let last = &levels[levels.len() - 1];
        let next = solved(problem, sets, x, &last.y, 0.5 * last.sigma, effort);
        levels.push(next);
    }
    let moves: Vec<f64> =
        levels.windows(2).map(|pair| distance(&pair[0].gradient, &pair[1].gradient)).collect();
    let worst = levels.iter().map(|level| level.residual / level.sigma).fold(0.0, f64::max);
    let whole = levels.swap_remove(0);
    // What the residuals leave open is no movement.
    let noise = 4.0 * worst + 1e-9 * norm(&whole.gradient);
    let halving = moves
        .windows(2)
        .filter(|pair| pair[0] > noise || pair[1] > noise)
        .map(|pair| pair[1] / pair[0].max(noise))
        .reduce(f64::max);
    let mut calls = levels.iter().fold(whole.calls, |sum, level| sum + level.calls);
    let (error_bound, more) = error_bound(problem, sets, x, &whole, effort, seed);
    calls = calls + more;
    let penalty_curvature = sigma * problem.upper_smoothness();
    let weak = error_bound.is_some_and(|constant| constant <= penalty_curvature);
    Certificate {
        sigma,
        gradient: mapping(x, &whole.gradient, 1.0, sets.upper),
        value: whole.value,
        gap: whole.gap,
        residual: whole.residual,
        bias: 2.0 * moves[0],
        halving,
        error_bound,
        penalty_curvature,
        violated: weak && halving.is_some_and(|ratio| ratio >= SETTLES),
        calls,
    }
}

/// The least `residual/distance` along the way of g's gradient steps to a minimiser, from points around y, at x and next to it.
fn error_bound<P: Bilevel + ?Sized>(
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    at: &PenaltyGradient,
    effort: Effort,
    seed: u64,
) -> (Option<f64>, Calls) {
    let mut counted = Counted::new(problem);
    let mut stream = Stream::new(seed, "penalty-bilevel probes");
    let mut least: Option<f64> = None;
    for probe in 0..PROBES {
        let mut direction = |length: usize| -> Vec<f64> {
            let drawn: Vec<f64> = (0..length).map(|_| stream.normal()).collect();
            let scale = norm(&drawn).max(f64::MIN_POSITIVE);
            drawn.iter().map(|value| value / scale).collect()
        };
        let (of_x, of_y) = (direction(x.len()), direction(at.y.len()));
        let mut near = x.to_vec();
        // ψ_σ cannot tell points apart that are nearer than σ; the first probe stays at x itself.
        add(&mut near, if probe == 0 { 0.0 } else { at.sigma }, &of_x);
        sets.upper.project(&mut near);
        let mut point = at.y.clone();
        add(&mut point, 0.1 * (1.0 + norm(&at.y)), &of_y);
        sets.lower.project(&mut point);
        let mut way: Vec<(Vec<f64>, f64)> = Vec::new();
        let (step, effort) = (step_of(problem, &near, 0.0), Effort { accelerated: false, ..effort });
        let level = Level { x: &near, sigma: 0.0, set: sets.lower, step, proximal: None };
        let mut visited = 0_usize;
        level.solve(&mut counted, &mut point, effort, |from, residual| {
            // The first point, and those after twice as many steps each time.
            if visited.is_power_of_two() || visited == 0 {
                way.push((from.to_vec(), residual));
            }
            visited += 1;
        });
        let first = way.first().map_or(0.0, |(from, _)| distance(from, &point));
        for (from, residual) in way {
            let apart = distance(&from, &point);
            if apart > NEAREST * first && apart > 0.0 {
                let ratio = residual / apart;
                least = Some(least.map_or(ratio, |least| least.min(ratio)));
            }
        }
    }
    (least, counted.calls)
}
