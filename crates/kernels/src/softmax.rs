//! Softmax of rows.

use rayon::prelude::*;

use crate::real::{Real, dot, largest, piece_rows, sum, vectorized};

/// `eˣ / Σ eˣ` of one row, in place; the largest value is taken off first.
#[inline(always)]
pub(crate) fn in_place<T: Real>(row: &mut [T]) {
    let top = largest(row);
    for value in row.iter_mut() {
        *value = (*value - top).exponential();
    }
    let scale = T::ONE / sum(row);
    for value in row.iter_mut() {
        *value *= scale;
    }
}

/// Softmax of every row of `x` `[rows, width]`.
pub fn forward<T: Real>(x: &[T], width: usize, y: &mut [T]) {
    if width == 0 {
        return;
    }
    let piece = piece_rows(width) * width;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
        y.copy_from_slice(x);
        vectorized(
            #[inline(always)]
            || y.chunks_exact_mut(width).for_each(|row| in_place(row)),
        );
    });
}

/// `∂x = y ∘ (∂y − Σ y ∂y)`, row by row.
pub fn backward<T: Real>(y: &[T], dy: &[T], width: usize, dx: &mut [T]) {
    if width == 0 {
        return;
    }
    let piece = piece_rows(width) * width;
    let pieces = (dx.par_chunks_mut(piece), y.par_chunks(piece), dy.par_chunks(piece));
    pieces.into_par_iter().for_each(|(dx, y, dy)| {
        vectorized(
            #[inline(always)]
            || {
                let rows = dx.chunks_exact_mut(width).zip(y.chunks_exact(width)).zip(dy.chunks_exact(width));
                for ((dx, y), dy) in rows {
                    let level = dot(y, dy);
                    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                        *dx = y * (dy - level);
                    }
                }
            },
        );
    });
}
