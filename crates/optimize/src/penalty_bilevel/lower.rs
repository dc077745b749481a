//! One level solved on its own: `σ f(x, ·) + g(x, ·)` over a convex set, by projected gradient steps.

use super::problem::{Bilevel, Counted, Samples, Slopes, add, distance};
use super::sets::ConvexSet;

/// How far a level is solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Most gradient steps.
    pub steps: usize,
    /// Ends before that once the residual is at most this.
    pub tolerance: f64,
    /// With Nesterov's momentum, restarted where it points uphill. For convex levels.
    pub accelerated: bool,
}

/// `σ f(x, ·) + g(x, ·)` at an x.
pub(super) struct Level<'a> {
    pub(super) x: &'a [f64],
    /// σ, 0 for g alone.
    pub(super) sigma: f64,
    pub(super) set: &'a dyn ConvexSet,
    /// Length of a step.
    pub(super) step: f64,
    /// Centre and radius ρ of the proximal term `‖y − centre‖²/2ρ`, if there is one.
    pub(super) proximal: Option<(&'a [f64], f64)>,
}

impl Level<'_> {
    /// Writes the gradient in y. `room` is of the length of y.
    fn gradient<P: Bilevel + ?Sized>(
        &self,
        problem: &mut Counted<'_, P>,
        y: &[f64],
        slope: &mut [f64],
        room: &mut [f64],
    ) {
        problem.lower(self.x, y, Samples::All, Slopes::in_y(slope));
        if self.sigma > 0.0 {
            problem.upper(self.x, y, Samples::All, Slopes::in_y(room));
            add(slope, self.sigma, room);
        }
        if let Some((centre, radius)) = self.proximal {
            for ((slope, y), centre) in slope.iter_mut().zip(y).zip(centre) {
                *slope += (y - centre) / radius;
            }
        }
    }

    /// Steps from a point, which becomes the last one. Gives the residual: the length of the last gradient mapping, `‖y − y⁺‖/step`.
    ///
    /// `visit` sees every point with its residual.
    pub(super) fn solve<P: Bilevel + ?Sized>(
        &self,
        problem: &mut Counted<'_, P>,
        point: &mut Vec<f64>,
        effort: Effort,
        mut visit: impl FnMut(&[f64], f64),
    ) -> f64 {
        let mut from = point.clone();
        let (mut slope, mut room) = (vec![0.0; point.len()], vec![0.0; point.len()]);
        let (mut momentum, mut residual) = (1.0_f64, f64::INFINITY);
        for _ in 0..effort.steps {
            self.gradient(problem, &from, &mut slope, &mut room);
            let mut next = from.clone();
            add(&mut next, -self.step, &slope);
            self.set.project(&mut next);
            residual = distance(&from, &next) / self.step;
            visit(&from, residual);
            if effort.accelerated {
                let uphill: f64 = from
                    .iter()
                    .zip(&next)
                    .zip(&*point)
                    .map(|((from, next), last)| (from - next) * (next - last))
                    .sum();
                let grown =
                    if uphill > 0.0 { 1.0 } else { 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) };
                let share = if uphill > 0.0 { 0.0 } else { (momentum - 1.0) / grown };
                momentum = grown;
                for ((from, next), last) in from.iter_mut().zip(&next).zip(&*point) {
                    *from = next + share * (next - last);
                }
            } else {
                from.copy_from_slice(&next);
            }
            std::mem::swap(point, &mut next);
            if residual <= effort.tolerance || !residual.is_finite() {
                break;
            }
        }
        residual
    }
}

/// The length of a step that never overshoots: one over the curvature.
pub(super) fn step_of<P: Bilevel + ?Sized>(problem: &P, x: &[f64], sigma: f64) -> f64 {
    let curvature = problem.lower_smoothness(x) + sigma * problem.upper_smoothness();
    if curvature > 0.0 { 1.0 / curvature } else { 1.0 }
}

/// The residual of a point: the length of its gradient mapping with the step of the level.
pub(super) fn residual_of<P: Bilevel + ?Sized>(
    problem: &mut Counted<'_, P>,
    x: &[f64],
    point: &[f64],
    sigma: f64,
    set: &dyn ConvexSet,
) -> f64 {
    let level = Level { x, sigma, set, step: step_of(problem.problem, x, sigma), proximal: None };
    let effort = Effort { steps: 1, tolerance: 0.0, accelerated: false };
    level.solve(problem, &mut point.to_vec(), effort, |_, _| ())
}
