//! Elementary functions in loops that compilers turn into vector code. Call them inside [`vectorized`].

use std::f32::consts::{LN_2, LOG2_E};

/// Runs a loop compiled for the vector instructions of this machine.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// eˣ within a few units of the last place for |x| up to 80; beyond, the value at ±80.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 · 2²³ rounds to a whole number, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = LN_2 - HIGH;
    let x = x.clamp(-80.0, 80.0);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = (-whole).mul_add(LOW, (-whole).mul_add(HIGH, x));
    let mut sum = 1.0 / 5_040.0;
    for inverse in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = r.mul_add(sum, inverse);
    }
    let exponent = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    sum * f32::from_bits(exponent)
}

/// The natural logarithm of a positive normal number within a few units of the last place of the larger of it and 1.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = 2ᵉ m with m in [√½, √2).
    const SEAM: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(SEAM);
    let exponent = (bits as i32) >> 23;
    let m = f32::from_bits((bits & 0x007f_ffff) + SEAM);
    // ln m = 2 artanh t with |t| < 0.172.
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let mut sum = 1.0 / 9.0;
    for odd in [7.0, 5.0, 3.0, 1.0] {
        sum = square.mul_add(sum, 1.0 / odd);
    }
    (exponent as f32).mul_add(LN_2, 2.0 * t * sum)
}

/// xᵖ for x from 0 on; 0 where x is below the least normal number.
#[inline(always)]
pub(crate) fn power(x: f32, p: f32) -> f32 {
    let value = exp(p * ln(x.max(f32::MIN_POSITIVE)));
    if x < f32::MIN_POSITIVE { 0.0 } else { value }
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_double_precision() {
        for step in -700..700 {
            let x = step as f32 * 0.1;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-6, "{x}");
            let positive = exp(x);
            assert!(
                (f64::from(ln(positive)) - f64::from(positive).ln()).abs()
                    < 3e-6 * (1.0 + f64::from(x).abs())
            );
        }
        assert!((power(0.3, 2.4) - 0.3_f32.powf(2.4)).abs() < 1e-6);
        assert_eq!(power(0.0, 2.4), 0.0);
        assert_eq!(logistic(0.0), 0.5);
    }
}
