//! Cross-entropy of logits with weighted targets.

use rayon::prelude::*;

use crate::real::{Real, largest, piece_rows, sum, vectorized};

/// `−Σ wᵢ ln softmax(xᵢ)[targetᵢ] / Σ wᵢ`, and its derivative in `dx`. `x` is `[rows, classes]`. Zero if all weights are 0.
///
/// # Panics
/// If a target with a weight is not a class.
pub fn cross_entropy<T: Real>(x: &[T], targets: &[i32], weights: &[T], classes: usize, dx: &mut [T]) -> T {
    let total: f64 = weights.iter().map(|weight| weight.wide()).sum();
    let unit = if total > 0.0 { 1.0 / total } else { 0.0 };
    let rows = piece_rows(classes);
    let pieces = (
        dx.par_chunks_mut((rows * classes).max(1)),
        x.par_chunks((rows * classes).max(1)),
        targets.par_chunks(rows),
        weights.par_chunks(rows),
    );
    let losses: Vec<f64> = pieces
        .into_par_iter()
        .map(|(dx, x, targets, weights)| {
            let mut loss = 0.0;
            vectorized(
                #[inline(always)]
                || {
                    let rows = dx
                        .chunks_exact_mut(classes)
                        .zip(x.chunks_exact(classes))
                        .zip(targets.iter().zip(weights));
                    for ((dx, x), (&target, &weight)) in rows {
                        if weight == T::ZERO {
                            dx.fill(T::ZERO);
                            continue;
                        }
                        let top = largest(x);
                        for (dx, &x) in dx.iter_mut().zip(x) {
                            *dx = (x - top).exponential();
                        }
                        let (target, normal) = (target as usize, sum(dx));
                        loss += weight.wide() * (normal.wide().ln() + (top - x[target]).wide());
                        let share = weight * T::of(unit);
                        let scale = share / normal;
                        for dx in dx.iter_mut() {
                            *dx *= scale;
                        }
                        dx[target] -= share;
                    }
                },
            );
            loss
        })
        .collect();
    T::of(losses.into_iter().sum::<f64>() * unit)
}
