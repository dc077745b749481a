//! `y = x W + b` and its derivatives.

use rayon::prelude::*;

use crate::product::{View, ViewMut, product};
use crate::real::{Real, piece_rows, vectorized};

/// `x` is `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`; writes `y` `[rows, outputs]`.
pub fn forward<T: Real>(x: &[T], weight: &[T], bias: Option<&[T]>, shape: [usize; 3], y: &mut [T]) {
    let [rows, inputs, outputs] = shape;
    if let Some(bias) = bias {
        y.par_chunks_mut((piece_rows(outputs) * outputs).max(1)).for_each(|piece| {
            for row in piece.chunks_exact_mut(outputs) {
                row.copy_from_slice(bias);
            }
        });
    }
    let (x, weight) = (View::whole(x, [rows, inputs]), View::whole(weight, [inputs, outputs]));
    product(ViewMut::whole(y, [rows, outputs]), bias.is_some(), T::ONE, x, weight, true);
}

/// `∂x = ∂y Wᵀ`.
pub fn input_gradient<T: Real>(dy: &[T], weight: &[T], [rows, inputs, outputs]: [usize; 3], dx: &mut [T]) {
    let (dy, weight) =
        (View::whole(dy, [rows, outputs]), View::whole(weight, [inputs, outputs]).transposed());
    product(ViewMut::whole(dx, [rows, inputs]), false, T::ONE, dy, weight, true);
}

/// `∂W = xᵀ ∂y`.
pub fn weight_gradient<T: Real>(x: &[T], dy: &[T], [rows, inputs, outputs]: [usize; 3], dw: &mut [T]) {
    let (x, dy) = (View::whole(x, [rows, inputs]).transposed(), View::whole(dy, [rows, outputs]));
    product(ViewMut::whole(dw, [inputs, outputs]), false, T::ONE, x, dy, true);
}

/// `∂b`: the sum of the rows of `∂y`.
pub fn bias_gradient<T: Real>(dy: &[T], outputs: usize, db: &mut [T]) {
    let partial: Vec<Vec<T>> = dy
        .par_chunks((piece_rows(outputs) * outputs).max(1))
        .map(|piece| {
            let mut total = vec![T::ZERO; outputs];
            vectorized(
                #[inline(always)]
                || {
                    for row in piece.chunks_exact(outputs) {
                        for (total, &value) in total.iter_mut().zip(row) {
                            *total += value;
                        }
                    }
                },
            );
            total
        })
        .collect();
    add_up(&partial, db);
}

/// The sum of partial results, in their order.
pub(crate) fn add_up<T: Real>(partial: &[Vec<T>], out: &mut [T]) {
    out.fill(T::ZERO);
    for part in partial {
        for (total, &value) in out.iter_mut().zip(part) {
            *total += value;
        }
    }
}

/// `y = x W + b` of one row, on one core: what answers token by token.
pub fn row<T: Real>(x: &[T], weight: &[T], bias: Option<&[T]>, y: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(T::ZERO),
            }
            for (&x, weights) in x.iter().zip(weight.chunks_exact(y.len().max(1))) {
                y.iter_mut().zip(weights).for_each(|(y, &w)| *y += x * w);
            }
        },
    );
}
