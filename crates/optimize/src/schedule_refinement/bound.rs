//! The bounds that the refinement minimises: in closed form, and a sharper one by descent as a check.

use crate::Error;

/// Most iterations of the descent.
const MOST_ITERATIONS: usize = 20_000;
/// The descent ends where no derivative by a logarithm of a step is larger than this share of the bound.
const SLOPE: f64 = 1e-9;
/// Differences of points and gradients that the descent remembers.
const MEMORY: usize = 20;

/// The bound of the last point under weights w: `(D² + Σ w² G²)/(2 Σ w)`, with gradients of norms G and the minimiser at distance D from
/// the start.
///
/// # Errors
/// [`Error::Length`] if there are not as many weights as norms.
pub fn bound_of_weights(weights: &[f64], norms: &[f64], distance: f64) -> Result<f64, Error> {
    check(weights, norms)?;
    let squares: f64 = weights.iter().zip(norms).map(|(weight, norm)| (weight * norm).powi(2)).sum();
    Ok((distance * distance + squares) / (2.0 * weights.iter().sum::<f64>()))
}

/// The weights that minimise [`bound_of_weights`], `D G^-2 / √(Σ G^-2)`. The minimum is `D / √(Σ G^-2)`.
pub fn best_weights(norms: &[f64], distance: f64) -> Vec<f64> {
    let inverse: f64 = norms.iter().map(|norm| norm.powi(-2)).sum();
    norms.iter().map(|norm| distance * norm.powi(-2) / inverse.sqrt()).collect()
}

/// The sharper bound of the last point of `x_{t+1} = x_t − η_t g_t`, which knows the steps themselves: with `S_k = Σ_{t≥k} η_t`,
///
/// ```text
/// (D² + Σ η_t² G_t²)/(2 S_1) + ½ Σ_k η_k/(S_k S_{k+1}) Σ_{t≥k} η_t² G_t²      k to the last but one
/// ```
///
/// # Errors
/// [`Error::Length`] if there are not as many steps as norms.
pub fn bound_of_steps(steps: &[f64], norms: &[f64], distance: f64) -> Result<f64, Error> {
    check(steps, norms)?;
    Ok(bound_and_slopes(steps, norms, distance).0)
}

/// The steps that minimise [`bound_of_steps`], found by descent over their logarithms from equal steps. It takes time: use it for some
/// hundred steps, as a check of the closed form.
///
/// # Errors
/// [`Error::Parameter`] for a distance or norms that are not positive and finite, [`Error::Length`] for none.
pub fn best_steps(norms: &[f64], distance: f64) -> Result<Vec<f64>, Error> {
    if norms.is_empty() {
        return Err(Error::Length { what: "the list of norms".into(), found: 0, expected: 1 });
    }
    for (name, values) in [("distance", &[distance][..]), ("a norm", norms)] {
        if let Some(value) = values.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
            return Err(Error::parameter(
                name,
                *value,
                "positive and finite",
                "use 1 for the distance, and floored norms",
            ));
        }
    }
    // In units in which the distance and the mean norm are 1.
    let mean = norms.iter().sum::<f64>() / norms.len() as f64;
    let norms: Vec<f64> = norms.iter().map(|norm| norm / mean).collect();
    let value = |logarithms: &[f64]| {
        let steps: Vec<f64> = logarithms.iter().map(|logarithm| logarithm.exp()).collect();
        let (value, mut slopes) = bound_and_slopes(&steps, &norms, 1.0);
        slopes.iter_mut().zip(&steps).for_each(|(slope, step)| *slope *= step);
        (value, slopes)
    };
    let logarithms = descend(vec![-0.5 * (norms.len() as f64).ln(); norms.len()], value);
    Ok(logarithms.iter().map(|logarithm| logarithm.exp() * distance / mean).collect())
}

fn check(values: &[f64], norms: &[f64]) -> Result<(), Error> {
    if values.len() == norms.len() && !norms.is_empty() {
        return Ok(());
    }
    Err(Error::Length {
        what: "the list of steps or weights".into(),
        found: values.len(),
        expected: norms.len().max(1),
    })
}

/// [`bound_of_steps`] and its derivatives by the steps.
fn bound_and_slopes(steps: &[f64], norms: &[f64], distance: f64) -> (f64, Vec<f64>) {
    let count = steps.len();
    // Sums from a step on, of steps and of squared lengths.
    let (mut sums, mut squares) = (steps.to_vec(), vec![0.0; count]);
    for k in (0..count).rev() {
        squares[k] = (steps[k] * norms[k]).powi(2);
        if k + 1 < count {
            sums[k] += sums[k + 1];
            squares[k] += squares[k + 1];
        }
    }
    let mut value = (distance * distance + squares[0]) / (2.0 * sums[0]);
    // Derivatives by the sums.
    let (mut by_sums, mut by_squares) = (vec![0.0; count], vec![0.0; count]);
    by_sums[0] = -value / sums[0];
    by_squares[0] = 0.5 / sums[0];
    for k in 0..count - 1 {
        // η_k/(S_k S_{k+1}) = 1/S_{k+1} − 1/S_k.
        let factor = 0.5 * (1.0 / sums[k + 1] - 1.0 / sums[k]);
        value += factor * squares[k];
        by_squares[k] += factor;
        by_sums[k] += 0.5 * squares[k] / sums[k].powi(2);
        by_sums[k + 1] -= 0.5 * squares[k] / sums[k + 1].powi(2);
    }
    let (mut of_sums, mut of_squares) = (0.0, 0.0);
    let slope = |k: usize| {
        of_sums += by_sums[k];
        of_squares += by_squares[k];
        of_sums + 2.0 * steps[k] * norms[k].powi(2) * of_squares
    };
    (value, (0..count).map(slope).collect())
}

/// L-BFGS with halved steps.
fn descend(mut point: Vec<f64>, value: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let (mut best, mut slopes) = value(&point);
    let mut memory: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..MOST_ITERATIONS {
        if slopes.iter().all(|slope| slope.abs() <= SLOPE * best) {
            break;
        }
        let mut direction = newton(&slopes, &memory);
        if dot(&direction, &slopes) >= 0.0 {
            memory.clear();
            direction = slopes.iter().map(|slope| -slope).collect();
        }
        let descent = dot(&direction, &slopes);
        let mut length = 1.0;
        let next = loop {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (found, found_slopes) = value(&next);
            if found <= best + 1e-4 * length * descent {
                break Some((next, found, found_slopes));
            }
            length /= 2.0;
            if length < 1e-20 {
                break None;
            }
        };
        // Rounding leaves nothing to gain.
        let Some((next, found, found_slopes)) = next else { break };
        let moved: Vec<f64> = next.iter().zip(&point).map(|(x, y)| x - y).collect();
        let turned: Vec<f64> = found_slopes.iter().zip(&slopes).map(|(x, y)| x - y).collect();
        if dot(&moved, &turned) > 1e-12 * dot(&turned, &turned) {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push((moved, turned));
        }
        (point, best, slopes) = (next, found, found_slopes);
    }
    point
}

/// The two loops of L-BFGS.
fn newton(slopes: &[f64], memory: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let mut direction: Vec<f64> = slopes.iter().map(|slope| -slope).collect();
    let mut shares = vec![0.0; memory.len()];
    for (share, (moved, turned)) in shares.iter_mut().zip(memory).rev() {
        *share = dot(moved, &direction) / dot(moved, turned);
        direction.iter_mut().zip(turned).for_each(|(d, y)| *d -= *share * y);
    }
    if let Some((moved, turned)) = memory.last() {
        let scale = dot(moved, turned) / dot(turned, turned);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (share, (moved, turned)) in shares.iter().zip(memory) {
        let correction = share - dot(turned, &direction) / dot(moved, turned);
        direction.iter_mut().zip(moved).for_each(|(d, s)| *d += correction * s);
    }
    direction
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}
