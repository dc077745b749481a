//! The logarithm of the upper tail of the standard normal distribution, accurate where the tail itself underflows.

use std::f64::consts::PI;

/// `ln P(Z > z)` for `z ≥ 0`; infinite `z` gives negative infinity.
pub(super) fn ln_upper_tail(z: f64) -> f64 {
    if z < 2.0 { (0.5 - central(z)).ln() } else { -0.5 * z * z - 0.5 * (2.0 * PI).ln() + mills(z).ln() }
}

/// `P(0 < Z < z)` by the series `φ(z)(z + z³/3 + z⁵/(3·5) + …)`.
fn central(z: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term > 1e-17 * sum {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    sum * (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Tail over density by Laplace's continued fraction `1/(z + 1/(z + 2/(z + 3/(z + …))))`, from the inside out. Its error after n
/// levels falls like `exp(−2z√(2n))`; these many leave nothing above rounding from z = 2 on.
fn mills(z: f64) -> f64 {
    let levels = 12 + (400.0 / (z * z)) as u32;
    1.0 / (1..=levels).rev().fold(z, |inner, level| z + f64::from(level) / inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `math.erfc(z/√2)/2` of Python.
    #[test]
    fn known_tails() {
        for (z, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (1.999_999, 0.022_750_185_939_199_714),
            (2.0, 0.022_750_131_948_179_21),
            (3.0, 0.001_349_898_031_630_094_6),
            (8.0, 6.220_960_574_271_819e-16),
            (30.0, 4.906_713_927_148_764e-198),
        ] {
            let ours = ln_upper_tail(z);
            assert!(
                (ours - f64::ln(tail)).abs() < 1e-12 * ours.abs().max(1.0),
                "{z}: {ours} against {}",
                tail.ln()
            );
        }
        assert_eq!(ln_upper_tail(f64::INFINITY), f64::NEG_INFINITY);
    }
}
