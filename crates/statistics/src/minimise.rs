//! Minimisation of a smooth function by L-BFGS.

use std::collections::VecDeque;

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 10;
/// Share of the predicted decrease that a step must reach.
const SUFFICIENT: f64 = 1e-4;
/// Halvings of a step before the search gives up.
const HALVINGS: usize = 40;
/// Steps whose summed relative decrease below [`FLAT`] ends the search.
const PATIENCE: usize = 5;
const FLAT: f64 = 1e-7;

/// Minimises from `start`: `function` writes the gradient and returns the value. Deterministic; ends after `iterations`
/// steps, at a gradient of zero, where the value no longer falls, or where it is not finite. Returns the best point.
pub(crate) fn minimise(
    start: Vec<f64>,
    iterations: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut point = start;
    let mut gradient = vec![0.0; point.len()];
    let mut value = function(&point, &mut gradient);
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    let mut recent: VecDeque<f64> = VecDeque::from([value]);
    let mut next = point.clone();
    let mut next_gradient = gradient.clone();
    for _ in 0..iterations {
        let mut direction = two_loops(&gradient, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope.is_nan() || slope >= 0.0 {
            // The memory has gone bad: start again from the gradient.
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        if slope == 0.0 || !slope.is_finite() {
            break;
        }
        // Along the gradient a step has no scale of its own. Where the function bends downwards the memory stays empty, and a
        // step as short as a small gradient would look like the end.
        let mut length = if memory.is_empty() { 0.3 / (-slope).sqrt() } else { 1.0 };
        let mut accepted = None;
        for _ in 0..HALVINGS {
            for ((next, point), direction) in next.iter_mut().zip(&point).zip(&direction) {
                *next = point + length * direction;
            }
            next_gradient.fill(0.0);
            let found = function(&next, &mut next_gradient);
            if found <= value + SUFFICIENT * length * slope {
                accepted = Some(found);
                break;
            }
            length *= 0.5;
        }
        let Some(found) = accepted else { break };
        let step: Vec<f64> = next.iter().zip(&point).map(|(next, point)| next - point).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(next, old)| next - old).collect();
        if dot(&step, &change) > 1e-10 * dot(&change, &change) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((step, change));
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = found;
        recent.push_back(value);
        if recent.len() > PATIENCE {
            let before = recent.pop_front().unwrap_or(f64::INFINITY);
            if before - value <= FLAT * (1.0 + value.abs()) {
                break;
            }
        }
    }
    point
}

/// The direction of L-BFGS.
fn two_loops(gradient: &[f64], memory: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(memory.len());
    for (step, change) in memory.iter().rev() {
        let factor = dot(step, &direction) / dot(step, change);
        add(&mut direction, -factor, change);
        factors.push(factor);
    }
    if let Some((step, change)) = memory.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, change), factor) in memory.iter().zip(factors.into_iter().rev()) {
        let back = dot(change, &direction) / dot(step, change);
        add(&mut direction, factor - back, step);
    }
    direction
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += factor * what;
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_rosenbrock_is_found() {
        let end = minimise(vec![-1.2, 1.0], 500, |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!((end[0] - 1.0).abs() < 1e-5 && (end[1] - 1.0).abs() < 1e-5, "{end:?}");
    }

    #[test]
    fn a_function_that_is_not_finite_ends_the_search() {
        let end = minimise(vec![1.0], 50, |_, gradient| {
            gradient[0] = f64::NAN;
            f64::NAN
        });
        assert_eq!(end, [1.0]);
    }
}
