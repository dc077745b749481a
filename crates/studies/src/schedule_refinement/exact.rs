//! The identities: what the derivation promises, to rounding.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::Stream;
use backstitch_optimize::schedule_refinement::{
    GradientLog, LastIterate, Parameters, ScheduleRefinement, best_weights, bound_of_weights,
};

/// Length of the vectors.
const DIMENSION: usize = 10;
/// Planes of the convex function.
const PLANES: usize = 20;
/// Rate of the gradient steps, too large for their own last point.
const RATE: f64 = 0.5;

pub(super) fn run(cell: &Cell, steps: usize, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let stream = |identity: &str| Stream::new(cell.seed, &format!("schedule study {identity}"));
    if matches!(cell.arm.as_str(), "refined" | "unsummed") {
        context.observe("identity_gap", gap_of_equal_norms(cell, &mut stream("equal norms"), steps)?);
    }
    if matches!(cell.arm.as_str(), "refined" | "refined-inverted") {
        context.observe("bound_gap", gap_of_bound(cell, &mut stream("bound"), steps)?);
    }
    if matches!(cell.arm.as_str(), "last-iterate" | "unscaled") {
        context.observe("excess", excess(cell, &mut stream("last point"), steps)?);
    }
    Ok(())
}

/// Largest distance of the refinement of equal norms from linear decay.
fn gap_of_equal_norms(cell: &Cell, stream: &mut Stream, steps: usize) -> Result<f64, CellError> {
    let norms = vec![stream.normal().exp(); steps];
    let multipliers = if cell.arm == "unsummed" {
        vec![1.0; steps]
    } else {
        let method = ScheduleRefinement::new(Parameters::default()).map_err(CellError::new)?;
        let log = GradientLog::new(&norms).map_err(CellError::new)?;
        method.refine(&log).map_err(CellError::new)?.multipliers
    };
    let apart =
        |(step, multiplier): (usize, &f64)| (multiplier - (1.0 - step as f64 / (steps - 1) as f64)).abs();
    Ok(multipliers.iter().enumerate().map(apart).fold(0.0, f64::max))
}

/// How far the bound is from the least possible, for random norms and distance.
fn gap_of_bound(cell: &Cell, stream: &mut Stream, steps: usize) -> Result<f64, CellError> {
    let norms: Vec<f64> = (0..steps).map(|_| stream.normal().exp()).collect();
    let distance = stream.normal().exp();
    let least = distance / norms.iter().map(|norm| norm.powi(-2)).sum::<f64>().sqrt();
    let weights = if cell.arm == "refined-inverted" {
        // Weights by the square instead of its inverse, at the scale that is best for them.
        let of_inverted: Vec<f64> = norms.iter().map(|norm| norm.powi(2)).collect();
        let squares: f64 = of_inverted.iter().zip(&norms).map(|(weight, norm)| (weight * norm).powi(2)).sum();
        of_inverted.iter().map(|weight| weight * distance / squares.sqrt()).collect()
    } else {
        best_weights(&norms, distance)
    };
    let bound = bound_of_weights(&weights, &norms, distance).map_err(CellError::new)?;
    Ok((bound / least - 1.0).abs())
}

/// How far the last point is beyond what the regret of gradient steps of one rate guarantees, on the maximum of random planes.
fn excess(cell: &Cell, stream: &mut Stream, steps: usize) -> Result<f64, CellError> {
    let mut planes: Vec<(Vec<f64>, f64)> = Vec::new();
    for _ in 0..PLANES / 2 {
        let slope: Vec<f64> = (0..DIMENSION).map(|_| stream.normal()).collect();
        // With its opposite, so that the function has a minimum.
        planes.push((slope.iter().map(|slope| -slope).collect(), stream.normal()));
        planes.push((slope, stream.normal()));
    }
    let value =
        |point: &[f64]| {
            let heights = planes.iter().map(|(slope, height)| height + dot(slope, point));
            heights.enumerate().fold((0, f64::NEG_INFINITY), |most, (plane, height)| {
                if height > most.1 { (plane, height) } else { most }
            })
        };
    let weights: Vec<f64> = (0..steps).map(|_| 0.5 + stream.uniform()).collect();
    let other: Vec<f64> = (0..DIMENSION).map(|_| 0.1 * stream.normal()).collect();
    let mut last_iterate = LastIterate::new(&weights).map_err(CellError::new)?;
    let mut point = vec![0.0; DIMENSION];
    let (mut inner, mut regret) = (point.clone(), 0.0);
    let first = value(&point).1;
    let mut last = first;
    for weight in &weights {
        let at = if cell.arm == "unscaled" { &inner } else { &point };
        let (plane, height) = value(at);
        last = height;
        let slope = &planes[plane].0;
        regret += weight * slope.iter().zip(&inner).zip(&other).map(|((g, z), u)| g * (z - u)).sum::<f64>();
        let step: Vec<f64> = slope.iter().map(|slope| -RATE * weight * slope).collect();
        inner.iter_mut().zip(&step).for_each(|(z, step)| *z += step);
        last_iterate.advance(&mut point, &step).map_err(CellError::new)?;
    }
    let guaranteed = value(&other).1 + regret / weights.iter().sum::<f64>();
    Ok(((last - guaranteed) / first.abs()).max(0.0))
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}
