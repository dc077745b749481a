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

#[inline(always)]
fn value<T: Real>(function: Function, x: T) -> T {
    match function {
        Function::GeluTanh => {
            let inner = T::of(GELU.0) * (x + T::of(GELU.1) * x * x * x);
            T::of(0.5) * x * (T::ONE + inner.hyperbolic_tangent())
        }
        Function::Silu => x * x.logistic(),
        Function::Relu => T::ZERO.larger(x),
    }
}

#[inline(always)]
fn slope<T: Real>(function: Function, x: T) -> T {
    match function {
        Function::GeluTanh => {
            let (scale, cubic) = (T::of(GELU.0), T::of(GELU.1));
            let tanh = (scale * (x + cubic * x * x * x)).hyperbolic_tangent();
            let inner = scale * (T::ONE + T::of(3.0) * cubic * x * x);
            T::of(0.5) * (T::ONE + tanh + x * (T::ONE - tanh * tanh) * inner)
        }
        Function::Silu => {
            let sigma = x.logistic();
            sigma * (T::ONE + x * (T::ONE - sigma))
        }
        Function::Relu => {
            if x > T::ZERO {
                T::ONE
            } else {
                T::ZERO
            }
        }
    }
}

/// `y = f(x)`.
pub fn forward<T: Real>(function: Function, x: &[T], y: &mut [T]) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
        vectorized(|| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = value(function, x);
            }
        });
    });
}

/// `∂x = f′(x) ∂y`.
pub fn backward<T: Real>(function: Function, x: &[T], dy: &[T], dx: &mut [T]) {
    dx.par_chunks_mut(PIECE).zip((x.par_chunks(PIECE), dy.par_chunks(PIECE)).into_par_iter()).for_each(
        |(dx, (x, dy))| {
            vectorized(|| {
                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                    *dx = slope(function, x) * dy;
                }
            });
        },
    );
}

/// `y = f(gate) · up`, the gated feed-forward layer (with SiLU the SwiGLU of Shazeer, arXiv 2002.05202).
pub fn gated_forward<T: Real>(function: Function, gate: &[T], up: &[T], y: &mut [T]) {
    y.par_chunks_mut(PIECE).zip((gate.par_chunks(PIECE), up.par_chunks(PIECE)).into_par_iter()).for_each(
        |(y, (gate, up))| {
            vectorized(|| {
                for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                    *y = value(function, gate) * up;
                }
            });
        },
    );
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
    let out = (d_gate.par_chunks_mut(PIECE), d_up.par_chunks_mut(PIECE)).into_par_iter();
    let inputs = (gate.par_chunks(PIECE), up.par_chunks(PIECE), dy.par_chunks(PIECE)).into_par_iter();
    out.zip(inputs).for_each(|((d_gate, d_up), (gate, up, dy))| {
        vectorized(|| {
            for at in 0..dy.len() {
                d_gate[at] = slope(function, gate[at]) * up[at] * dy[at];
                d_up[at] = value(function, gate[at]) * dy[at];
            }
        });
    });
}
