//! Gated recurrent units and long short-term memory over whole sequences.
//!
//! The inputs' share of the gates is one product over all steps and comes from outside; here is what has to go step by step. Rows of a
//! batch are independent, so pieces of [`ROWS`] rows run beside each other.

use rayon::prelude::*;

use crate::linear::{bias_gradient, weight_gradient};
use crate::product::{View, ViewMut, product};
use crate::real::{Real, vectorized};

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

/// `state U + c` for all rows of a piece.
fn recurrent_gates<T: Real>(state: &[T], weight: &[T], bias: &[T], width: usize, gates: &mut [T]) {
    let (rows, outputs) = (state.len() / width, bias.len());
    for row in gates.chunks_exact_mut(outputs) {
        row.copy_from_slice(bias);
    }
    let out = ViewMut::whole(gates, [rows, outputs]);
    product(
        out,
        true,
        T::ONE,
        View::whole(state, [rows, width]),
        View::whole(weight, [width, outputs]),
        false,
    );
}

/// `carry += ∂gates Uᵀ`, the gates being those of one step of a piece.
fn carry_back<T: Real>(
    d_gates: &[T],
    step: usize,
    weight: &[T],
    sizes: Sizes,
    parts: usize,
    carry: &mut [T],
) {
    let (width, outputs) = (sizes.width, sizes.width * parts);
    let rows = carry.len() / width;
    let d_gates = View::rows(d_gates, step * outputs, [rows, outputs], sizes.length * outputs);
    let weight = View::whole(weight, [width, outputs]).transposed();
    product(ViewMut::whole(carry, [rows, width]), true, T::ONE, d_gates, weight, false);
}

/// `∂U` and `∂c` from the derivatives of the recurrent gates of all steps. `states` has `stride` values per step, the hidden
/// state first.
fn weight_gradients<T: Real>(
    states: &[T],
    stride: usize,
    d_gates: &[T],
    sizes: Sizes,
    d_weight: &mut [T],
    d_bias: &mut [T],
) {
    let (width, outputs) = (sizes.width, d_bias.len());
    // The state before each step; zero before the first.
    let mut before = vec![T::ZERO; sizes.values(1)];
    before.par_chunks_mut(sizes.length * width).zip(states.par_chunks(sizes.length * stride)).for_each(
        |(before, states)| {
            for (before, state) in before[width..].chunks_exact_mut(width).zip(states.chunks_exact(stride)) {
                before.copy_from_slice(&state[..width]);
            }
        },
    );
    weight_gradient(&before, d_gates, [sizes.batch * sizes.length, width, outputs], d_weight);
    bias_gradient(d_gates, outputs, d_bias);
}

/// Gated recurrent unit: with `[a_r, a_z, a_n]` from the input and `[b_r, b_z, b_n] = h U + c`, `r = σ(a_r + b_r)`, `z = σ(a_z + b_z)`,
/// `n = tanh(a_n + r b_n)`, `h ← n + z (h − n)` from `h = 0`.
///
/// `from_input` is `[batch, length, 3 width]`, `weight` `[width, 3 width]`, `bias` `[3 width]`; writes `hidden` `[batch, length,
/// width]` and `[r, z, n, b_n]` of every step to `saved`, `[batch, length, 4 width]`.
pub fn gru_forward<T: Real>(
    from_input: &[T],
    weight: &[T],
    bias: &[T],
    sizes: Sizes,
    hidden: &mut [T],
    saved: &mut [T],
) {
    let Sizes { length, width, .. } = sizes;
    if sizes.is_empty() {
        return;
    }
    let pieces = (
        hidden.par_chunks_mut(sizes.piece(1)),
        saved.par_chunks_mut(sizes.piece(4)),
        from_input.par_chunks(sizes.piece(3)),
    );
    pieces.into_par_iter().for_each(|(hidden, saved, from_input)| {
        let rows = hidden.len() / (length * width);
        let (mut state, mut gates) = (vec![T::ZERO; rows * width], vec![T::ZERO; rows * 3 * width]);
        for step in 0..length {
            recurrent_gates(&state, weight, bias, width, &mut gates);
            let rows = at_step_mut(hidden, step, length, width)
                .zip(at_step_mut(saved, step, length, 4 * width))
                .zip(at_step(from_input, step, length, 3 * width))
                .zip(gates.chunks_exact(3 * width).zip(state.chunks_exact_mut(width)));
            vectorized(
                #[inline(always)]
                || {
                    for (((hidden, saved), input), (gates, state)) in rows {
                        let [reset, update, new, from_state] = parts_mut(saved, width);
                        let ([a_r, a_z, a_n], [b_r, b_z, b_n]) = (parts(input, width), parts(gates, width));
                        let (hidden, state) = (&mut hidden[..width], &mut state[..width]);
                        for at in 0..width {
                            let r = (a_r[at] + b_r[at]).logistic();
                            let z = (a_z[at] + b_z[at]).logistic();
                            let n = (a_n[at] + r * b_n[at]).hyperbolic_tangent();
                            let h = n + z * (state[at] - n);
                            (reset[at], update[at], new[at], from_state[at]) = (r, z, n, b_n[at]);
                            (hidden[at], state[at]) = (h, h);
                        }
                    }
                },
            );
        }
    });
}

/// The derivatives: writes `∂from_input`, `∂U` and `∂c`.
#[expect(clippy::too_many_arguments, reason = "what forward read and saved, and what is asked of backward")]
pub fn gru_backward<T: Real>(
    weight: &[T],
    hidden: &[T],
    saved: &[T],
    dy: &[T],
    sizes: Sizes,
    d_input: &mut [T],
    d_weight: &mut [T],
    d_bias: &mut [T],
) {
    let Sizes { length, width, .. } = sizes;
    d_weight.fill(T::ZERO);
    d_bias.fill(T::ZERO);
    if sizes.is_empty() {
        return;
    }
    let mut d_gates = vec![T::ZERO; sizes.values(3)];
    let pieces = (
        d_input.par_chunks_mut(sizes.piece(3)),
        d_gates.par_chunks_mut(sizes.piece(3)),
        hidden.par_chunks(sizes.piece(1)),
        saved.par_chunks(sizes.piece(4)),
        dy.par_chunks(sizes.piece(1)),
    );
    pieces.into_par_iter().for_each(|(d_input, d_gates, hidden, saved, dy)| {
        let rows = hidden.len() / (length * width);
        let (mut carry, start) = (vec![T::ZERO; rows * width], vec![T::ZERO; width]);
        for step in (0..length).rev() {
            let rows = at_step_mut(d_input, step, length, 3 * width)
                .zip(at_step_mut(d_gates, step, length, 3 * width))
                .zip(hidden.chunks_exact(length * width))
                .zip(at_step(saved, step, length, 4 * width))
                .zip(at_step(dy, step, length, width).zip(carry.chunks_exact_mut(width)));
            vectorized(
                #[inline(always)]
                || {
                    for ((((d_input, d_gates), hidden), saved), (dy, carry)) in rows {
                        let before =
                            if step == 0 { &start[..] } else { &hidden[(step - 1) * width..step * width] };
                        let [r, z, n, b_n] = parts(saved, width);
                        let ([ia_r, ia_z, ia_n], [ib_r, ib_z, ib_n]) =
                            (parts_mut(d_input, width), parts_mut(d_gates, width));
                        let (before, dy, carry) = (&before[..width], &dy[..width], &mut carry[..width]);
                        for at in 0..width {
                            let d_hidden = dy[at] + carry[at];
                            let d_new = d_hidden * (T::ONE - z[at]) * (T::ONE - n[at] * n[at]);
                            let d_update = d_hidden * (before[at] - n[at]) * z[at] * (T::ONE - z[at]);
                            let d_reset = d_new * b_n[at] * r[at] * (T::ONE - r[at]);
                            (ia_r[at], ia_z[at], ia_n[at]) = (d_reset, d_update, d_new);
                            (ib_r[at], ib_z[at], ib_n[at]) = (d_reset, d_update, d_new * r[at]);
                            carry[at] = d_hidden * z[at];
                        }
                    }
                },
            );
            if step > 0 {
                carry_back(d_gates, step, weight, sizes, 3, &mut carry);
            }
        }
    });
    weight_gradients(hidden, width, &d_gates, sizes, d_weight, d_bias);
}

/// Long short-term memory: with `[i, f, g, o] = a + h U + c`, `cell ← σ(f) cell + σ(i) tanh(g)`, `h ← σ(o) tanh(cell)`, both from zero.
///
/// `from_input` `a` is `[batch, length, 4 width]`, `weight` `[width, 4 width]`, `bias` `[4 width]`; writes `h` and the cell of every
/// step to `states`, `[batch, length, 2 width]`, and `[σ(i), σ(f), tanh(g), σ(o)]` to `saved`, `[batch, length, 4 width]`.
pub fn lstm_forward<T: Real>(
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
    let pieces = (
        states.par_chunks_mut(sizes.piece(2)),
        saved.par_chunks_mut(sizes.piece(4)),
        from_input.par_chunks(sizes.piece(4)),
    );
    pieces.into_par_iter().for_each(|(states, saved, from_input)| {
        let rows = states.len() / (length * 2 * width);
        let mut gates = vec![T::ZERO; rows * 4 * width];
        let (mut hidden, mut cell) = (vec![T::ZERO; rows * width], vec![T::ZERO; rows * width]);
        for step in 0..length {
            recurrent_gates(&hidden, weight, bias, width, &mut gates);
            let rows = at_step_mut(states, step, length, 2 * width)
                .zip(at_step_mut(saved, step, length, 4 * width))
                .zip(at_step(from_input, step, length, 4 * width))
                .zip(gates.chunks_exact(4 * width))
                .zip(hidden.chunks_exact_mut(width).zip(cell.chunks_exact_mut(width)));
            vectorized(
                #[inline(always)]
                || {
                    for ((((states, saved), input), gates), (hidden, cell)) in rows {
                        let ([out, cell_out], [i, f, g, o]) =
                            (parts_mut(states, width), parts_mut(saved, width));
                        let ([a_i, a_f, a_g, a_o], [b_i, b_f, b_g, b_o]) =
                            (parts(input, width), parts(gates, width));
                        let (hidden, cell) = (&mut hidden[..width], &mut cell[..width]);
                        for at in 0..width {
                            i[at] = (a_i[at] + b_i[at]).logistic();
                            f[at] = (a_f[at] + b_f[at]).logistic();
                            g[at] = (a_g[at] + b_g[at]).hyperbolic_tangent();
                            o[at] = (a_o[at] + b_o[at]).logistic();
                            cell[at] = f[at] * cell[at] + i[at] * g[at];
                            hidden[at] = o[at] * cell[at].hyperbolic_tangent();
                            (out[at], cell_out[at]) = (hidden[at], cell[at]);
                        }
                    }
                },
            );
        }
    });
}

/// The derivatives: writes `∂from_input`, `∂U` and `∂c`. `dy` is that of `states`.
#[expect(clippy::too_many_arguments, reason = "what forward read and saved, and what is asked of backward")]
pub fn lstm_backward<T: Real>(
    weight: &[T],
    states: &[T],
    saved: &[T],
    dy: &[T],
    sizes: Sizes,
    d_input: &mut [T],
    d_weight: &mut [T],
    d_bias: &mut [T],
) {
    let Sizes { length, width, .. } = sizes;
    d_weight.fill(T::ZERO);
    d_bias.fill(T::ZERO);
    if sizes.is_empty() {
        return;
    }
    let pieces = (
        d_input.par_chunks_mut(sizes.piece(4)),
        states.par_chunks(sizes.piece(2)),
        saved.par_chunks(sizes.piece(4)),
        dy.par_chunks(sizes.piece(2)),
    );
    pieces.into_par_iter().for_each(|(d_gates, states, saved, dy)| {
        let rows = states.len() / (length * 2 * width);
        let (mut carry, mut carry_cell) = (vec![T::ZERO; rows * width], vec![T::ZERO; rows * width]);
        let start = vec![T::ZERO; 2 * width];
        for step in (0..length).rev() {
            let rows = at_step_mut(d_gates, step, length, 4 * width)
                .zip(states.chunks_exact(length * 2 * width))
                .zip(at_step(saved, step, length, 4 * width))
                .zip(at_step(dy, step, length, 2 * width))
                .zip(carry.chunks_exact_mut(width).zip(carry_cell.chunks_exact_mut(width)));
            vectorized(
                #[inline(always)]
                || {
                    for ((((d_gates, states), saved), dy), (carry, carry_cell)) in rows {
                        let row = |step: usize| &states[step * 2 * width..(step + 1) * 2 * width];
                        let [_, now] = parts(row(step), width);
                        let [_, before] = parts(if step == 0 { &start } else { row(step - 1) }, width);
                        let ([i, f, g, o], [dy, dy_cell]) = (parts(saved, width), parts(dy, width));
                        let [d_i, d_f, d_g, d_o] = parts_mut(d_gates, width);
                        let (carry, carry_cell) = (&mut carry[..width], &mut carry_cell[..width]);
                        for at in 0..width {
                            let tanh = now[at].hyperbolic_tangent();
                            let d_hidden = dy[at] + carry[at];
                            let d_cell =
                                dy_cell[at] + carry_cell[at] + d_hidden * o[at] * (T::ONE - tanh * tanh);
                            d_i[at] = d_cell * g[at] * i[at] * (T::ONE - i[at]);
                            d_f[at] = d_cell * before[at] * f[at] * (T::ONE - f[at]);
                            d_g[at] = d_cell * i[at] * (T::ONE - g[at] * g[at]);
                            d_o[at] = d_hidden * tanh * o[at] * (T::ONE - o[at]);
                            (carry[at], carry_cell[at]) = (T::ZERO, d_cell * f[at]);
                        }
                    }
                },
            );
            if step > 0 {
                carry_back(d_gates, step, weight, sizes, 4, &mut carry);
            }
        }
    });
    weight_gradients(states, 2 * width, d_input, sizes, d_weight, d_bias);
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
