//! Rows of a table, and the sum of gradients back into them.

use rayon::prelude::*;

use crate::real::{Real, piece_rows};

/// `y[i] = table[tokens[i]]`; rows are `width` wide.
///
/// # Panics
/// If a token is not a row of the table.
pub fn gather<T: Real>(table: &[T], tokens: &[i32], width: usize, y: &mut [T]) {
    if width == 0 {
        return;
    }
    let rows = piece_rows(width);
    y.par_chunks_mut(rows * width).zip(tokens.par_chunks(rows)).for_each(|(y, tokens)| {
        for (y, &token) in y.chunks_exact_mut(width).zip(tokens) {
            let start = token as usize * width;
            y.copy_from_slice(&table[start..start + width]);
        }
    });
}

/// `∂table[tokens[i]] += ∂y[i]`, in the order of `i`.
///
/// # Panics
/// If a token is not a row of the table.
pub fn scatter_add<T: Real>(tokens: &[i32], dy: &[T], width: usize, d_table: &mut [T]) {
    d_table.fill(T::ZERO);
    if width == 0 {
        return;
    }
    for (dy, &token) in dy.chunks_exact(width).zip(tokens) {
        let start = token as usize * width;
        for (total, &dy) in d_table[start..start + width].iter_mut().zip(dy) {
            *total += dy;
        }
    }
}
