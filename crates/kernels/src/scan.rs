//! Diagonal linear recurrences `h_t = a_t h_{t−1} + b_t` over whole sequences.
//!
//! The factors may be negative, so that no sum of logarithms stands for their product: the recurrence is run as it is, many channels
//! beside each other, sequences of a batch in parallel. A factor of 1 with an input of 0 leaves the state as it is, which is what
//! padding needs.

use rayon::prelude::*;

use crate::real::{Real, vectorized};

/// `a` and `b` `[batch, length, width]` → every state `h` `[batch, length, width]`, from a state of zeros.
pub fn forward<T: Real>(a: &[T], b: &[T], [length, width]: [usize; 2], h: &mut [T]) {
    let row = (length * width).max(1);
    (h.par_chunks_mut(row), a.par_chunks(row), b.par_chunks(row)).into_par_iter().for_each(|(h, a, b)| {
        vectorized(
            #[inline(always)]
            || {
                h[..width].copy_from_slice(&b[..width]);
                for step in 1..length {
                    let (before, now) = h.split_at_mut(step * width);
                    let before = &before[(step - 1) * width..];
                    let at = step * width..(step + 1) * width;
                    let inputs = a[at.clone()].iter().zip(&b[at]);
                    for ((now, &before), (&a, &b)) in now[..width].iter_mut().zip(before).zip(inputs) {
                        *now = a * before + b;
                    }
                }
            },
        );
    });
}

/// The derivatives by `a` and `b` from that by the states; `h` are the states.
pub fn backward<T: Real>(
    a: &[T],
    h: &[T],
    dh: &[T],
    [length, width]: [usize; 2],
    da: &mut [T],
    db: &mut [T],
) {
    let row = (length * width).max(1);
    let inputs = (a.par_chunks(row), h.par_chunks(row), dh.par_chunks(row));
    let outputs = (da.par_chunks_mut(row), db.par_chunks_mut(row));
    (inputs, outputs).into_par_iter().for_each(|((a, h, dh), (da, db))| {
        vectorized(
            #[inline(always)]
            || {
                db.copy_from_slice(dh);
                for step in (1..length).rev() {
                    let (before, now) = db.split_at_mut(step * width);
                    let before = &mut before[(step - 1) * width..];
                    let at = step * width..(step + 1) * width;
                    let states = &h[(step - 1) * width..step * width];
                    let factors = da[at.clone()].iter_mut().zip(&a[at]).zip(states);
                    for ((before, &now), ((da, &a), &h)) in before.iter_mut().zip(&now[..width]).zip(factors)
                    {
                        *da = now * h;
                        *before += a * now;
                    }
                }
                da[..width].fill(T::ZERO);
            },
        );
    });
}
