//! Single and double precision, and the few functions the kernels need of them.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` or `f64`.
pub trait Real:
    Copy
    + Send
    + Sync
    + Debug
    + PartialOrd
    + Default
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Minus infinity.
    const LOWEST: Self;

    /// The nearest value.
    fn of(value: f64) -> Self;
    /// In double precision.
    fn wide(self) -> f64;
    /// `√x`.
    fn root(self) -> Self;
    /// The larger of two, neither of which is NaN.
    fn larger(self, other: Self) -> Self;
    /// `eˣ` without branches, so that a loop over it is vectorised. Clamped to the finite range.
    fn exponential(self) -> Self;
    /// `tanh x`, likewise.
    fn hyperbolic_tangent(self) -> Self;
    /// `1/(1 + e⁻ˣ)`, likewise.
    #[inline(always)]
    fn logistic(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exponential())
    }
}

/// `eˣ = 2ⁿ eʳ` with `|r| ≤ ½ ln 2`; `eʳ` by its Taylor series to the degree that the precision needs. `ln 2` is split in two
/// so that `r` is exact to the last bits.
macro_rules! real {
    ($type:ty, $bits:ty, $mantissa:expr, $lowest:expr, $highest:expr, $high:expr, $low:expr, [$($coefficient:expr),+], $series_end:expr) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = <$type>::NEG_INFINITY;

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if self > other { self } else { other }
            }

            #[inline(always)]
            fn exponential(self) -> Self {
                let x = self.max($lowest).min($highest);
                // Adding 1.5 · 2^mantissa rounds to a whole number, which then stands in the last bits.
                let shift: $type = 1.5 * ((1 as $bits) << $mantissa) as $type;
                let shifted = x * std::f64::consts::LOG2_E as $type + shift;
                let n = shifted - shift;
                let r = (x - n * $high) - n * $low;
                let mut series: $type = $series_end;
                $(series = series * r + $coefficient;)+
                let exponent = (shifted.to_bits() << $mantissa).wrapping_add(<$type>::to_bits(1.0));
                let result = series * <$type>::from_bits(exponent);
                if self.is_nan() { self } else { result }
            }

            #[inline(always)]
            fn hyperbolic_tangent(self) -> Self {
                let far = 2.0 / ((self + self).exponential() + 1.0);
                1.0 - far
            }
        }
    };
}

real!(
    f32,
    u32,
    23,
    -87.0,
    88.0,
    0.693_359_4,
    -2.121_944_4e-4,
    [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0],
    1.0 / 5040.0
);
real!(
    f64,
    u64,
    52,
    -708.0,
    709.0,
    0.693_147_180_369_123_8,
    1.908_214_929_270_587_7e-10,
    [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0
    ],
    1.0 / 6_227_020_800.0
);

/// Elements that one task works on. Fixed: it decides how sums are cut.
pub(crate) const PIECE: usize = 16 * 1024;

/// Rows of a width that one task works on.
pub(crate) fn piece_rows(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Runs a loop compiled for the instruction set of this machine.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The sum in sixteen interleaved parts, which a compiler can keep in vector registers.
#[inline(always)]
pub(crate) fn sum<T: Real>(values: &[T]) -> T {
    fold(values, T::ZERO, |total, value| total + value, |a, b| a + b)
}

/// `Σ f(a) …` over interleaved parts.
#[inline(always)]
pub(crate) fn fold<T: Real, A: Copy>(
    values: &[T],
    start: A,
    step: impl Fn(A, T) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
    const LANES: usize = 16;
    let mut lanes = [start; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], block[lane]);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] = step(lanes[lane], value);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `Σ aᵢ bᵢ` in interleaved parts.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::ZERO; LANES];
    let ((blocks, rest), (others, other_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (x, y) in blocks.iter().zip(others) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (&x, &y)) in rest.iter().zip(other_rest).enumerate() {
        lanes[lane] += x * y;
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The largest value; minus infinity of nothing.
#[inline(always)]
pub(crate) fn largest<T: Real>(values: &[T]) -> T {
    fold(values, T::LOWEST, |a, b| b.larger(a), |a, b| b.larger(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for step in -80_000..80_000 {
            let x = f64::from(step) * 1e-3;
            let narrow = (x as f32).exponential();
            let exact = f64::from(x as f32).exp();
            assert!((f64::from(narrow) / exact - 1.0).abs() < 4e-7, "{x}");
            assert!((x.exponential() / x.exp() - 1.0).abs() < 1e-14, "{x}");
            assert!((x.hyperbolic_tangent() - x.tanh()).abs() < 1e-15);
            assert!((f64::from((x as f32).hyperbolic_tangent()) - f64::from(x as f32).tanh()).abs() < 3e-7);
        }
        assert!(f32::NAN.exponential().is_nan() && f64::NAN.exponential().is_nan());
        assert_eq!(0.0_f32.exponential(), 1.0);
        assert!(f32::LOWEST.exponential() < 1e-37 && f32::INFINITY.exponential().is_finite());
    }

    #[test]
    fn interleaved_sums_are_sums() {
        for length in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f64> = (0..length).map(|i| f64::from(i) + 0.5).collect();
            assert_eq!(sum(&values), values.iter().sum::<f64>());
            assert_eq!(dot(&values, &values), values.iter().map(|x| x * x).sum::<f64>());
            assert_eq!(largest(&values), values.last().copied().unwrap_or(f64::NEG_INFINITY));
        }
    }
}
