//! Gated recurrent units and long short-term memory over whole sequences.
//!
//! The inputs' share of the gates is one product over all steps and comes from outside; here is what has to go step by step. Rows of a
//! batch are independent, so pieces of [`ROWS`] rows run beside each other.

use rayon::prelude::*;

use crate::linear::{bias_gradient, weight_gradient};
use crate::product::{View, ViewMut, product};
use crate::real::{Real, vectorized};

/// Values per hidden unit and step that the backward pass reads.
const SAVED: usize = 4;

/// Sequences that one task works on.
const ROWS: usize = 16;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sequences.
    pub batch: usize,
    /// Steps of each.
    pub length: usize,
    /// Width of the hidden state.
    pub width: usize,
}

impl Sizes {
    /// Number of values with `parts` per hidden unit and step.
    pub fn values(self, parts: usize) -> usize {
        self.batch * self.length * self.width * parts
    }

    /// Values of one piece.
    fn piece(self, parts: usize) -> usize {
        (ROWS * self.length * self.width * parts).max(1)
    }

    fn is_empty(self) -> bool {
        self.values(1) == 0
    }
}

/// The rows of one step inside a piece of `[rows, length, width]`.
fn at_step<T>(piece: &[T], step: usize, length: usize, width: usize) -> impl Iterator<Item = &[T]> {
    piece.chunks_exact(length * width).map(move |row| &row[step * width..(step + 1) * width])
}

fn at_step_mut<T>(
    piece: &mut [T],
    step: usize,
    length: usize,
    width: usize,
) -> impl Iterator<Item = &mut [T]> {
    piece.chunks_exact_mut(length * width).map(move |row| &mut row[step * width..(step + 1) * width])
}

/// One step of a recurrence, row by row. A state has one or more parts of the width, the hidden state first; what goes in and out is
/// cut into parts in the same way.
pub trait Cell {
    /// Gates.
    const GATES: usize;
    /// Parts of a state.
    const STATES: usize;

    /// From the inputs' share of the gates and that of the hidden state: the new state, and what backward reads.
    fn forward<T: Real>(width: usize, input: &[T], recurrent: &[T], state: &mut [T], saved: &mut [T]);

    /// The derivatives by both shares of the gates. `states` are those before and after the step, `d_state` the derivative by the one
    /// after; it becomes the derivative by the one before, but for what goes through the gates.
    fn backward<T: Real>(
        width: usize,
        states: [&[T]; 2],
        saved: &[T],
        d_state: &mut [T],
        d_input: &mut [T],
        d_recurrent: &mut [T],
    );
}

/// Gated recurrent unit: with `a` the inputs' share and `b` that of the hidden state, `r = σ(a_r + b_r)`, `z = σ(a_z + b_z)`,
/// `n = tanh(a_n + r b_n)`, `h ← n + z (h − n)`. Gates in the order reset, update, new.
#[derive(Clone, Copy, Debug)]
pub struct Gru;

impl Cell for Gru {
    const GATES: usize = 3;
    const STATES: usize = 1;

    #[inline(always)]
    fn forward<T: Real>(width: usize, input: &[T], recurrent: &[T], state: &mut [T], saved: &mut [T]) {
        let ([a_r, a_z, a_n], [b_r, b_z, b_n]) = (parts(input, width), parts(recurrent, width));
        let ([reset, update, new, from_state], [h]) = (parts_mut(saved, width), parts_mut(state, width));
        for at in 0..width {
            let r = (a_r[at] + b_r[at]).logistic();
            let z = (a_z[at] + b_z[at]).logistic();
            let n = (a_n[at] + r * b_n[at]).hyperbolic_tangent();
            (reset[at], update[at], new[at], from_state[at]) = (r, z, n, b_n[at]);
            h[at] = n + z * (h[at] - n);
        }
    }

    #[inline(always)]
    fn backward<T: Real>(
        width: usize,
        [before, _]: [&[T]; 2],
        saved: &[T],
        d_state: &mut [T],
        d_input: &mut [T],
        d_recurrent: &mut [T],
    ) {
        let ([h], [r, z, n, b_n]) = (parts(before, width), parts(saved, width));
        let [d_h] = parts_mut(d_state, width);
        let ([a_r, a_z, a_n], [b_r, b_z, d_b_n]) = (parts_mut(d_input, width), parts_mut(d_recurrent, width));
        for at in 0..width {
            let d_new = d_h[at] * (T::ONE - z[at]) * (T::ONE - n[at] * n[at]);
            let d_update = d_h[at] * (h[at] - n[at]) * z[at] * (T::ONE - z[at]);
            let d_reset = d_new * b_n[at] * r[at] * (T::ONE - r[at]);
            (a_r[at], a_z[at], a_n[at]) = (d_reset, d_update, d_new);
            (b_r[at], b_z[at], d_b_n[at]) = (d_reset, d_update, d_new * r[at]);
            d_h[at] *= z[at];
        }
    }
}

/// Long short-term memory: with `[i, f, g, o] = a + b`, `cell ← σ(f) cell + σ(i) tanh(g)`, `h ← σ(o) tanh(cell)`. Gates in the order
/// input, forget, cell, output; the state is `h` and the cell.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

impl Cell for Lstm {
    const GATES: usize = 4;
    const STATES: usize = 2;

    #[inline(always)]
    fn forward<T: Real>(width: usize, input: &[T], recurrent: &[T], state: &mut [T], saved: &mut [T]) {
        let ([a_i, a_f, a_g, a_o], [b_i, b_f, b_g, b_o]) = (parts(input, width), parts(recurrent, width));
        let ([i, f, g, o], [h, cell]) = (parts_mut(saved, width), parts_mut(state, width));
        for at in 0..width {
            i[at] = (a_i[at] + b_i[at]).logistic();
            f[at] = (a_f[at] + b_f[at]).logistic();
            g[at] = (a_g[at] + b_g[at]).hyperbolic_tangent();
            o[at] = (a_o[at] + b_o[at]).logistic();
            cell[at] = f[at] * cell[at] + i[at] * g[at];
            h[at] = o[at] * cell[at].hyperbolic_tangent();
        }
    }

    #[inline(always)]
    fn backward<T: Real>(
        width: usize,
        [before, after]: [&[T]; 2],
        saved: &[T],
        d_state: &mut [T],
        d_input: &mut [T],
        d_recurrent: &mut [T],
    ) {
        let ([_, before], [_, after]) = (parts(before, width), parts(after, width));
        let ([i, f, g, o], [d_h, d_cell]) = (parts(saved, width), parts_mut(d_state, width));
        let [d_i, d_f, d_g, d_o] = parts_mut(d_input, width);
        for at in 0..width {
            let tanh = after[at].hyperbolic_tangent();
            let d = d_cell[at] + d_h[at] * o[at] * (T::ONE - tanh * tanh);
            d_i[at] = d * g[at] * i[at] * (T::ONE - i[at]);
            d_f[at] = d * before[at] * f[at] * (T::ONE - f[at]);
            d_g[at] = d * i[at] * (T::ONE - g[at] * g[at]);
            d_o[at] = d_h[at] * tanh * o[at] * (T::ONE - o[at]);
            (d_h[at], d_cell[at]) = (T::ZERO, d * f[at]);
        }
        d_recurrent.copy_from_slice(d_input);
    }
}

/// Runs a recurrence from a state of zeros. `from_input` `[batch, length, gates · width]` is the inputs' share of the gates, `weight`
/// `[width, gates · width]` and `bias` `[gates · width]` make that of the hidden state; writes `states` `[batch, length, states · width]`
/// and `saved` `[batch, length, 4 width]`.
pub fn forward<C: Cell, T: Real>(
    from_input: &[T],
    weight: &[T],
    bias: &[T],
    sizes: Sizes,
    states: &mut [T],
    saved: &mut [T],
) {
    let Sizes { length, width, .. } = sizes;
    if sizes.is_empty() {
        return;
    }
    let (outputs, stride) = (C::GATES * width, C::STATES * width);
    let pieces = (
        states.par_chunks_mut(sizes.piece(C::STATES)),
        saved.par_chunks_mut(sizes.piece(SAVED)),
        from_input.par_chunks(sizes.piece(C::GATES)),
    );
    pieces.into_par_iter().for_each(|(states, saved, from_input)| {
        let rows = states.len() / (length * stride);
        let (mut state, mut gates) = (vec![T::ZERO; rows * stride], vec![T::ZERO; rows * outputs]);
        for step in 0..length {
            gates.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
            let hidden = View::rows(&state, 0, [rows, width], stride);
            let weight = View::whole(weight, [width, outputs]);
            product(ViewMut::whole(&mut gates, [rows, outputs]), true, T::ONE, hidden, weight, false);
            let rows = at_step_mut(states, step, length, stride)
                .zip(at_step_mut(saved, step, length, SAVED * width))
                .zip(at_step(from_input, step, length, outputs))
                .zip(gates.chunks_exact(outputs).zip(state.chunks_exact_mut(stride)));
            vectorized(
                #[inline(always)]
                || {
                    for (((out, saved), input), (gates, state)) in rows {
                        C::forward(width, input, gates, state, saved);
                        out.copy_from_slice(state);
                    }
                },
            );
        }
    });
}

/// What the derivatives of a recurrence go to.
#[derive(Debug)]
pub struct Derivatives<'a, T> {
    /// By the inputs' share of the gates.
    pub input: &'a mut [T],
    /// By `weight`.
    pub weight: &'a mut [T],
    /// By `bias`.
    pub bias: &'a mut [T],
}

/// The derivatives, from that of `states`, `dy`.
pub fn backward<C: Cell, T: Real>(
    weight: &[T],
    states: &[T],
    saved: &[T],
    dy: &[T],
    sizes: Sizes,
    derivatives: Derivatives<'_, T>,
) {
    let Sizes { length, width, .. } = sizes;
    derivatives.weight.fill(T::ZERO);
    derivatives.bias.fill(T::ZERO);
    if sizes.is_empty() {
        return;
    }
    let (outputs, stride) = (C::GATES * width, C::STATES * width);
    let mut d_recurrent = vec![T::ZERO; sizes.values(C::GATES)];
    let pieces = (
        derivatives.input.par_chunks_mut(sizes.piece(C::GATES)),
        d_recurrent.par_chunks_mut(sizes.piece(C::GATES)),
        states.par_chunks(sizes.piece(C::STATES)),
        saved.par_chunks(sizes.piece(SAVED)),
        dy.par_chunks(sizes.piece(C::STATES)),
    );
    pieces.into_par_iter().for_each(|(d_input, d_recurrent, states, saved, dy)| {
        let rows = states.len() / (length * stride);
        let (mut d_state, start) = (vec![T::ZERO; rows * stride], vec![T::ZERO; stride]);
        for step in (0..length).rev() {
            let each = at_step_mut(d_input, step, length, outputs)
                .zip(at_step_mut(d_recurrent, step, length, outputs))
                .zip(states.chunks_exact(length * stride))
                .zip(at_step(saved, step, length, SAVED * width))
                .zip(at_step(dy, step, length, stride).zip(d_state.chunks_exact_mut(stride)));
            vectorized(
                #[inline(always)]
                || {
                    for ((((d_input, d_recurrent), states), saved), (dy, d_state)) in each {
                        let state = |step: usize| &states[step * stride..(step + 1) * stride];
                        let before = if step == 0 { &start } else { state(step - 1) };
                        for (d_state, &dy) in d_state.iter_mut().zip(dy) {
                            *d_state += dy;
                        }
                        C::backward(width, [before, state(step)], saved, d_state, d_input, d_recurrent);
                    }
                },
            );
            if step > 0 {
                let d_gates = View::rows(d_recurrent, step * outputs, [rows, outputs], length * outputs);
                let weight = View::whole(weight, [width, outputs]).transposed();
                let d_hidden = ViewMut::rows(&mut d_state, 0, [rows, width], stride);
                product(d_hidden, true, T::ONE, d_gates, weight, false);
            }
        }
    });
    // The hidden state before each step; zero before the first.
    let mut before = vec![T::ZERO; sizes.values(1)];
    before.par_chunks_mut(length * width).zip(states.par_chunks(length * stride)).for_each(
        |(before, states)| {
            for (before, state) in before[width..].chunks_exact_mut(width).zip(states.chunks_exact(stride)) {
                before.copy_from_slice(&state[..width]);
            }
        },
    );
    let d_weight = weight_gradient(&before, &d_recurrent, [sizes.batch * length, width, outputs]);
    derivatives.weight.copy_from_slice(&d_weight);
    bias_gradient(&d_recurrent, outputs, derivatives.bias);
}

/// A row cut into its parts of equal width.
#[inline(always)]
fn parts<T, const N: usize>(row: &[T], width: usize) -> [&[T]; N] {
    std::array::from_fn(|part| &row[part * width..(part + 1) * width])
}

#[inline(always)]
fn parts_mut<T, const N: usize>(row: &mut [T], width: usize) -> [&mut [T]; N] {
    let mut rest = row.chunks_exact_mut(width);
    std::array::from_fn(|_| rest.next().unwrap_or_default())
}
