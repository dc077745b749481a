//! The kernels: of the hidden features (arc-cosine, order 1) and of gradient descent on both layers.

use std::f64::consts::PI;

use super::Parametrisation;

/// `1/(2π)`: k times the kernel of two inputs without a common one.
pub(super) const C: f64 = 0.5 / PI;

/// k times the covariance of the hidden features for unit inputs at a cosine, `(sin θ + (π − θ) cos θ)/(2π)`.
pub(super) fn features(cosine: f64) -> f64 {
    let (angle, sine) = angle_and_sine(cosine);
    C * (sine + (PI - angle) * cosine)
}

/// k times the kernel that gradient descent sees, for unit inputs at a cosine.
pub(super) fn training(parametrisation: Parametrisation, cosine: f64) -> f64 {
    match parametrisation {
        Parametrisation::Standard => features(cosine),
        Parametrisation::Ntk => {
            let (angle, _) = angle_and_sine(cosine);
            features(cosine) + C * (PI - angle) * cosine
        }
    }
}

/// The same from the vectors themselves, for inputs of any size: the plain version that tests hold the closed forms to.
/// Returns (features, training), not multiplied by k.
pub(super) fn of_vectors(parametrisation: Parametrisation, one: &[f64], other: &[f64]) -> (f64, f64) {
    let length = one.len() as f64;
    let product: f64 = one.iter().zip(other).map(|(x, y)| x * y).sum();
    let norm = |x: &[f64]| x.iter().map(|value| value * value).sum::<f64>().sqrt();
    let (size, other_size) = (norm(one), norm(other));
    // The angle from chords: exact to rounding also where the cosine is near ±1.
    let chord = |sign: f64| -> f64 {
        one.iter().zip(other).map(|(x, y)| (x / size + sign * y / other_size).powi(2)).sum::<f64>().sqrt()
    };
    let angle = 2.0 * chord(-1.0).atan2(chord(1.0));
    let features = size * other_size / length * C * (angle.sin() + (PI - angle) * angle.cos());
    let first_layer = match parametrisation {
        Parametrisation::Ntk => product / length * C * (PI - angle),
        Parametrisation::Standard => 0.0,
    };
    (features, features + first_layer)
}

/// Cosines of binary inputs are roots of ratios of integers, so 1 is exactly 1.
fn angle_and_sine(cosine: f64) -> (f64, f64) {
    let cosine = cosine.clamp(-1.0, 1.0);
    let sine = ((1.0 - cosine) * (1.0 + cosine)).sqrt();
    (sine.atan2(cosine), sine)
}
