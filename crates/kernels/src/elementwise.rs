//! Activations, element by element.

use rayon::prelude::*;

use crate::real::{PIECE, Real, vectorized};

/// Which activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the GELU of GPT-2 (Hendrycks and Gimpel, arXiv 1606.08415).
    GeluTanh,
    /// `x / (1 + e⁻ˣ)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// `√(2/π)` and the cubic coefficient of GELU.
const GELU: (f64, f64) = (0.797_884_560_802_865_4, 0.044_715);

/// A function and its derivative, as a type: each gets loops of its own, which the compiler can vectorise.
trait Curve {
    fn value<T: Real>(x: T) -> T;
    fn slope<T: Real>(x: T) -> T;
}

struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value<T: Real>(x: T) -> T {
        let inner = T::of(GELU.0) * (x + T::of(GELU.1) * x * x * x);
        T::of(0.5) * x * (T::ONE + inner.hyperbolic_tangent())
    }

    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        let (scale, cubic) = (T::of(GELU.0), T::of(GELU.1));
        let tanh = (scale * (x + cubic * x * x * x)).hyperbolic_tangent();
        let inner = scale * (T::ONE + T::of(3.0) * cubic * x * x);
        T::of(0.5) * (T::ONE + tanh + x * (T::ONE - tanh * tanh) * inner)
    }
}

struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value<T: Real>(x: T) -> T {
        x * x.logistic()
    }

    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        let sigma = x.logistic();
        sigma * (T::ONE + x * (T::ONE - sigma))
    }
}

struct Relu;

impl Curve for Relu {
    #[inline(always)]
    fn value<T: Real>(x: T) -> T {
        T::ZERO.larger(x)
    }

    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        if x > T::ZERO { T::ONE } else { T::ZERO }
    }
}

/// Calls a generic function with the type of a curve.
macro_rules! with_curve {
    ($function:expr, $call:ident($($argument:expr),*)) => {
        match $function {
            Function::GeluTanh => $call::<T, GeluTanh>($($argument),*),
            Function::Silu => $call::<T, Silu>($($argument),*),
            Function::Relu => $call::<T, Relu>($($argument),*),
        }
    };
}

/// `y = f(x)`.
pub fn forward<T: Real>(function: Function, x: &[T], y: &mut [T]) {
    with_curve!(function, forward_of(x, y));
}

fn forward_of<T: Real, C: Curve>(x: &[T], y: &mut [T]) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = C::value(x);
                }
            },
        );
    });
}

/// `∂x = f′(x) ∂y`, in the place of `∂y`.
pub fn backward<T: Real>(function: Function, x: &[T], dy: &mut [T]) {
    with_curve!(function, backward_of(x, dy));
}

fn backward_of<T: Real, C: Curve>(x: &[T], dy: &mut [T]) {
    dy.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(dy, x)| {
        vectorized(
            #[inline(always)]
            || {
                for (dy, &x) in dy.iter_mut().zip(x) {
                    *dy *= C::slope(x);
                }
            },
        );
    });
}

/// `y = f(gate) · up`, the gated feed-forward layer (with SiLU the SwiGLU of Shazeer, arXiv 2002.05202).
pub fn gated_forward<T: Real>(function: Function, gate: &[T], up: &[T], y: &mut [T]) {
    with_curve!(function, gated_forward_of(gate, up, y));
}

fn gated_forward_of<T: Real, C: Curve>(gate: &[T], up: &[T], y: &mut [T]) {
    let pieces = (y.par_chunks_mut(PIECE), gate.par_chunks(PIECE), up.par_chunks(PIECE)).into_par_iter();
    pieces.for_each(|(y, gate, up)| {
        vectorized(
            #[inline(always)]
            || {
                for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                    *y = C::value(gate) * up;
                }
            },
        );
    });
}

/// `∂gate = f′(gate) · up · ∂y` and `∂up = f(gate) · ∂y`.
pub fn gated_backward<T: Real>(
    function: Function,
    gate: &[T],
    up: &[T],
    dy: &[T],
    d_gate: &mut [T],
    d_up: &mut [T],
) {
    with_curve!(function, gated_backward_of(gate, up, dy, d_gate, d_up));
}

fn gated_backward_of<T: Real, C: Curve>(gate: &[T], up: &[T], dy: &[T], d_gate: &mut [T], d_up: &mut [T]) {
    let out = (d_gate.par_chunks_mut(PIECE), d_up.par_chunks_mut(PIECE)).into_par_iter();
    let inputs = (gate.par_chunks(PIECE), up.par_chunks(PIECE), dy.par_chunks(PIECE)).into_par_iter();
    out.zip(inputs).for_each(|((d_gate, d_up), (gate, up, dy))| {
        vectorized(
            #[inline(always)]
            || {
                let inputs = gate.iter().zip(up).zip(dy);
                for ((d_gate, d_up), ((&gate, &up), &dy)) in
                    d_gate.iter_mut().zip(d_up.iter_mut()).zip(inputs)
                {
                    *d_gate = C::slope(gate) * up * dy;
                    *d_up = C::value(gate) * dy;
                }
            },
        );
    });
}
