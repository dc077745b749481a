//! The gradient of the penalised hyper-objective at a point, both levels solved.

use serde::{Deserialize, Serialize};

use super::lower::{Effort, Level, step_of};
use super::problem::{Bilevel, Calls, Counted, Samples, Slopes, add};
use super::sets::ConvexSet;
use crate::Error;

/// The sets that x and y are kept in.
#[derive(Clone, Copy)]
pub struct Sets<'a> {
    /// X.
    pub upper: &'a dyn ConvexSet,
    /// Y.
    pub lower: &'a dyn ConvexSet,
}

impl Sets<'_> {
    pub(super) fn check<P: Bilevel + ?Sized>(&self, problem: &P, x: &[f64], y: &[f64]) -> Result<(), Error> {
        let (p, q) = (problem.upper_dimension(), problem.lower_dimension());
        for (what, vector, expected) in [("the upper variable", x, p), ("the lower variable", y, q)] {
            if vector.len() != expected {
                return Err(Error::Length { what: what.into(), found: vector.len(), expected });
            }
            if let Some(row) = vector.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite { what: "the start", row, value: vector[row] });
            }
        }
        self.upper.check(p)?;
        self.lower.check(q)
    }
}

/// `∇ψ_σ(x)` with everything that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PenaltyGradient {
    /// σ.
    pub sigma: f64,
    /// `∇ψ_σ(x) = ∇_x f(x, y) + (∇_x g(x, y) − ∇_x g(x, z))/σ`, of length p.
    pub gradient: Vec<f64>,
    /// `ψ_σ(x) = f(x, y) + (g(x, y) − g(x, z))/σ`.
    pub value: f64,
    /// The minimiser y of `σ f + g`.
    pub y: Vec<f64>,
    /// The minimiser z of g that was found from y.
    pub z: Vec<f64>,
    /// `g(x, y) − g(x, z)`: what the penalty lets y give away.
    pub gap: f64,
    /// The larger residual of the two levels.
    pub residual: f64,
    /// Gradients that were taken.
    pub calls: Calls,
}

/// `∇ψ_σ` at x: y is sought from `start`, z from y, so that both lie in one basin.
///
/// # Errors
/// [`Error::LowerResidual`] if a level could not be solved so far that its residual is below σ; [`Error::Length`],
/// [`Error::NotFinite`], [`Error::Parameter`].
pub fn penalty_gradient<P: Bilevel + ?Sized>(
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    start: &[f64],
    sigma: f64,
    effort: Effort,
) -> Result<PenaltyGradient, Error> {
    sets.check(problem, x, start)?;
    check_sigma("sigma", sigma)?;
    let found = solved(problem, sets, x, start, sigma, effort);
    if found.residual <= sigma {
        Ok(found)
    } else {
        Err(Error::LowerResidual { residual: found.residual, sigma })
    }
}

/// A minimiser of `g(x, ·)`, sought from `start`, and its residual: the length of the last gradient mapping.
///
/// # Errors
/// [`Error::Length`], [`Error::NotFinite`], [`Error::Parameter`].
pub fn lower_minimiser<P: Bilevel + ?Sized>(
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    start: &[f64],
    effort: Effort,
) -> Result<(Vec<f64>, f64), Error> {
    sets.check(problem, x, start)?;
    let mut point = start.to_vec();
    sets.lower.project(&mut point);
    let level = Level { x, sigma: 0.0, set: sets.lower, step: step_of(problem, x, 0.0), proximal: None };
    let residual = level.solve(&mut Counted::new(problem), &mut point, effort, |_, _| ());
    Ok((point, residual))
}

/// [`penalty_gradient`], however large the residual is.
pub(super) fn solved<P: Bilevel + ?Sized>(
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    start: &[f64],
    sigma: f64,
    effort: Effort,
) -> PenaltyGradient {
    let mut counted = Counted::new(problem);
    let level = |sigma| Level { x, sigma, set: sets.lower, step: step_of(problem, x, sigma), proximal: None };
    let mut y = start.to_vec();
    sets.lower.project(&mut y);
    let first = level(sigma).solve(&mut counted, &mut y, effort, |_, _| ());
    let mut z = y.clone();
    let second = level(0.0).solve(&mut counted, &mut z, effort, |_, _| ());
    let mut gradient = vec![0.0; x.len()];
    penalty_slope(&mut counted, x, &y, &z, sigma, &mut gradient);
    let gap = problem.lower_value(x, &y) - problem.lower_value(x, &z);
    PenaltyGradient {
        sigma,
        value: problem.upper_value(x, &y) + gap / sigma,
        gap,
        residual: first.max(second),
        gradient,
        y,
        z,
        calls: counted.calls,
    }
}

/// Writes `∇_x f(x, y) + (∇_x g(x, y) − ∇_x g(x, z))/σ`.
pub(super) fn penalty_slope<P: Bilevel + ?Sized>(
    problem: &mut Counted<'_, P>,
    x: &[f64],
    y: &[f64],
    z: &[f64],
    sigma: f64,
    slope: &mut [f64],
) {
    let mut other = vec![0.0; x.len()];
    problem.lower(x, y, Samples::All, Slopes::in_x(slope));
    problem.lower(x, z, Samples::All, Slopes::in_x(&mut other));
    // The difference before the division: both are large beside it.
    for (slope, other) in slope.iter_mut().zip(&other) {
        *slope = (*slope - other) / sigma;
    }
    problem.upper(x, y, Samples::All, Slopes::in_x(&mut other));
    add(slope, 1.0, &other);
}

pub(super) fn check_sigma(name: &'static str, sigma: f64) -> Result<(), Error> {
    /// Below it the difference of the two gradients of g is mostly rounding.
    const LEAST: f64 = 1e-10;
    if sigma.is_finite() && sigma >= LEAST {
        return Ok(());
    }
    Err(Error::parameter(name, sigma, format!("finite and at least {LEAST:e}"), "use 0.01"))
}
