//! Steps of optimisers, in place, and the norm of a gradient.

use rayon::prelude::*;

use crate::real::{PIECE, Real, fold, vectorized};

/// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101), its constants made ready:
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `x ← shrink · x − rate · m / (root · √v + ε)` with `g` the gradient times `scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW<T> {
    /// What the gradient is multiplied by first (clipping).
    pub scale: T,
    /// β₁.
    pub beta1: T,
    /// β₂.
    pub beta2: T,
    /// ε.
    pub epsilon: T,
    /// `1 − η λ`: decay of the weights.
    pub shrink: T,
    /// `η / (1 − β₁ᵗ)`.
    pub rate: T,
    /// `1 / √(1 − β₂ᵗ)`.
    pub root: T,
}

impl<T: Real> AdamW<T> {
    /// Moves `x` and both moments.
    pub fn step(self, x: &mut [T], gradient: &[T], first: &mut [T], second: &mut [T]) {
        let Self { scale, beta1, beta2, epsilon, shrink, rate, root } = self;
        let pieces = (x.par_chunks_mut(PIECE), gradient.par_chunks(PIECE))
            .into_par_iter()
            .zip((first.par_chunks_mut(PIECE), second.par_chunks_mut(PIECE)).into_par_iter());
        pieces.for_each(|((x, gradient), (first, second))| {
            vectorized(
                #[inline(always)]
                || {
                    for (((x, &g), m), v) in x.iter_mut().zip(gradient).zip(first).zip(second) {
                        let g = g * scale;
                        *m = beta1 * *m + (T::ONE - beta1) * g;
                        *v = beta2 * *v + (T::ONE - beta2) * g * g;
                        *x = *x * shrink - rate * *m / (v.root() * root + epsilon);
                    }
                },
            );
        });
    }
}

/// One step of stochastic gradient descent: `v ← μ v + g + λ x`, `x ← x − η v` with `g` the gradient times `scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd<T> {
    /// What the gradient is multiplied by first (clipping).
    pub scale: T,
    /// μ.
    pub momentum: T,
    /// λ.
    pub decay: T,
    /// η.
    pub rate: T,
}

impl<T: Real> Sgd<T> {
    /// Moves `x` and its velocity.
    pub fn step(self, x: &mut [T], gradient: &[T], velocity: &mut [T]) {
        let Self { scale, momentum, decay, rate } = self;
        let pieces = (x.par_chunks_mut(PIECE), gradient.par_chunks(PIECE), velocity.par_chunks_mut(PIECE));
        pieces.into_par_iter().for_each(|(x, gradient, velocity)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((x, &g), v) in x.iter_mut().zip(gradient).zip(velocity) {
                        *v = momentum * *v + g * scale + decay * *x;
                        *x -= rate * *v;
                    }
                },
            );
        });
    }
}

/// `Σ x²` in double precision.
pub fn squared_norm<T: Real>(values: &[T]) -> f64 {
    let pieces: Vec<f64> = values
        .par_chunks(PIECE)
        .map(|piece| {
            vectorized(
                #[inline(always)]
                || fold(piece, 0.0, |total, x| total + x.wide() * x.wide(), |a, b| a + b),
            )
        })
        .collect();
    pieces.iter().sum()
}
