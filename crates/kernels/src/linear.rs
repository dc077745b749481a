//! `y = x W + b` and its derivatives.

use rayon::prelude::*;

use crate::product::{View, ViewMut, product, product_of};
use crate::real::{Real, piece_rows, vectorized};

/// `x` is `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`; gives `y` `[rows, outputs]`.
pub fn forward<T: Real>(
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    [rows, inputs, outputs]: [usize; 3],
) -> Vec<T> {
    let (x, weight) = (View::whole(x, [rows, inputs]), View::whole(weight, [inputs, outputs]));
    let Some(bias) = bias else { return product_of(x, weight, true) };
    let mut y = bias.repeat(rows);
    product(ViewMut::whole(&mut y, [rows, outputs]), true, T::ONE, x, weight, true);
    y
}

/// `∂x = ∂y Wᵀ`.
pub fn input_gradient<T: Real>(dy: &[T], weight: &[T], [rows, inputs, outputs]: [usize; 3]) -> Vec<T> {
    product_of(View::whole(dy, [rows, outputs]), View::whole(weight, [inputs, outputs]).transposed(), true)
}

/// `∂W = xᵀ ∂y`.
pub fn weight_gradient<T: Real>(x: &[T], dy: &[T], [rows, inputs, outputs]: [usize; 3]) -> Vec<T> {
    product_of(View::whole(x, [rows, inputs]).transposed(), View::whole(dy, [rows, outputs]), true)
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
