//! One layer of a wide network on a run of kernel entries: the fused, branch-free step, and the plain formulas that test it.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use pulp::Arch;

use super::parameters::Activation;

/// What a layer needs besides the entries: per entry the product of both diagonals' scales, and for derivatives the sum of their
/// relative changes.
///
/// The scale of a diagonal d is √d for ReLU and √(1 + 2d) for erf; its relative change is d′/d and d′/(1 + 2d).
pub(crate) struct Run<'a> {
    /// Products of scales.
    pub(crate) scales: &'a [f64],
    /// Sums of relative changes, by weight variance and by bias variance.
    pub(crate) changes: [&'a [f64]; 2],
}

/// Replaces covariances k before an activation by those after it, F(k).
pub(crate) fn activate(activation: Activation, entries: &mut [f64], scales: &[f64]) {
    let scales = &scales[..entries.len()];
    vectorized(
        #[inline(always)]
        || match activation {
            Activation::Relu => {
                for (k, &scale) in entries.iter_mut().zip(scales) {
                    let (value, _, _) = relu(*k, scale);
                    *k = value;
                }
            }
            Activation::Erf => {
                for (k, &scale) in entries.iter_mut().zip(scales) {
                    let (value, _, _) = erf(*k, scale);
                    *k = value;
                }
            }
        },
    );
}

/// The same with two derivatives carried along.
pub(crate) fn activate_with_tangents(
    activation: Activation,
    entries: &mut [f64],
    tangents: [&mut [f64]; 2],
    run: &Run<'_>,
) {
    let n = entries.len();
    let scales = &run.scales[..n];
    let [first, second] = tangents;
    let (first, second) = (&mut first[..n], &mut second[..n]);
    let (by_first, by_second) = (&run.changes[0][..n], &run.changes[1][..n]);
    vectorized(
        #[inline(always)]
        || {
            for i in 0..n {
                let (value, slope, spread) = match activation {
                    Activation::Relu => relu(entries[i], scales[i]),
                    Activation::Erf => erf(entries[i], scales[i]),
                };
                entries[i] = value;
                first[i] = slope * first[i] + spread * by_first[i];
                second[i] = slope * second[i] + spread * by_second[i];
            }
        },
    );
}

/// F(k), its derivative by k, and the factor of the diagonals' relative changes.
#[inline(always)]
fn relu(k: f64, scale: f64) -> (f64, f64, f64) {
    // Rounding takes correlations a little out of [-1, 1]; rows of zeros have none.
    let c = if scale > 0.0 { (k / scale).clamp(-1.0, 1.0) } else { 0.0 };
    let sine = ((1.0 - c) * (1.0 + c)).sqrt();
    let slope = (PI - arc_cosine(c)) * (0.5 * FRAC_1_PI);
    (scale * (sine * (0.5 * FRAC_1_PI) + slope * c), slope, scale * sine * (0.25 * FRAC_1_PI))
}

#[inline(always)]
fn erf(k: f64, scale: f64) -> (f64, f64, f64) {
    let u = (2.0 * k / scale).clamp(-1.0, 1.0);
    let value = (2.0 * FRAC_1_PI) * (FRAC_PI_2 - arc_cosine(u));
    let steep = (2.0 * FRAC_1_PI) / ((1.0 - u) * (1.0 + u)).sqrt();
    (value, 2.0 * steep / scale, -steep * u)
}

/// arccos without a branch, to 2 units in the last place: the rational approximation of arcsin on [0, ½] of Sun's fdlibm, and
/// half-angles above.
#[inline(always)]
fn arc_cosine(x: f64) -> f64 {
    const P: [f64; 6] = [
        1.666_666_666_666_666_6e-1,
        -3.255_658_186_224_009e-1,
        2.012_125_321_348_629_3e-1,
        -4.005_553_450_067_941e-2,
        7.915_349_942_898_145e-4,
        3.479_331_075_960_212e-5,
    ];
    const Q: [f64; 5] = [
        1.0,
        -2.403_394_911_734_414,
        2.020_945_760_233_505_7,
        -6.882_839_716_054_533e-1,
        7.703_815_055_590_194e-2,
    ];
    let size = x.abs();
    let near = size < 0.5;
    let z = if near { x * x } else { 0.5 * (1.0 - size) };
    let p = z * (P[0] + z * (P[1] + z * (P[2] + z * (P[3] + z * (P[4] + z * P[5])))));
    let q = Q[0] + z * (Q[1] + z * (Q[2] + z * (Q[3] + z * Q[4])));
    let ratio = p / q;
    let root = z.sqrt();
    let inner = FRAC_PI_2 - (x + x * ratio);
    let half = 2.0 * (root + root * ratio);
    let outer = if x > 0.0 { half } else { PI - half };
    if near { inner } else { outer }
}

/// Runs a plain loop compiled for this machine's instructions. Additions and products are never fused, so that all machines give the
/// same bits.
#[inline(always)]
fn vectorized(work: impl FnOnce()) {
    Arch::new().dispatch(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arc_cosine_is_that_of_the_standard_library() {
        for step in 0..=20_000 {
            let x = f64::from(step - 10_000) / 10_000.0;
            assert!((arc_cosine(x) - x.acos()).abs() <= 4e-16 * 4.0, "{x}");
        }
    }
}
