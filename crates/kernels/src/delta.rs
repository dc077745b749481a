//! The delta rule over whole sequences: products of generalised Householder matrices, in chunks.
//!
//! With `M` `[key, value]` the state of one head, a step is `M ← M + k β (v − Mᵀk)ᵀ` and its output `Mᵀq / √key`: `M` is multiplied by
//! `I − β k kᵀ`, whose eigenvalues for `‖k‖ = 1` are 1 and `1 − β`, and gets `β k vᵀ`. A zero key or a zero `β` leaves it as it is.
//!
//! [`recurrence`] does this step by step. [`forward`] does a chunk of steps at once: with the rows `K`, `Q`, `V` of the chunk and `A` the part
//! of `diag(β) K Kᵀ` below the diagonal, the updates are `U = (I + A)⁻¹ diag(β) (V − K M)` by forward substitution, the outputs `(Q M +
//! tril(Q Kᵀ) U) / √key`, and the state after the chunk is `M + Kᵀ U`. This is the WY form of the product with the state carried
//! along, so that the factors are never made. Heads of a batch run beside each other; within one, chunks follow each other.

use rayon::prelude::*;

use crate::product::{View, ViewMut, product};
use crate::real::{Real, dot, vectorized};

/// Steps done at once, where the caller has no reason for another number.
pub const CHUNK: usize = 32;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sequences.
    pub batch: usize,
    /// Steps of each.
    pub length: usize,
    /// Heads, each with a state of its own.
    pub heads: usize,
    /// Width of a key and of a query.
    pub key: usize,
    /// Width of a value and of an output.
    pub value: usize,
    /// Steps done at once; at least 1. It moves no result but by rounding.
    pub chunk: usize,
}

impl Sizes {
    fn chunks(self) -> usize {
        self.length.div_ceil(self.chunk)
    }

    /// Values of the states of one head: before every chunk and after the last.
    fn states(self) -> usize {
        (self.chunks() + 1) * self.key * self.value
    }

    fn is_empty(self) -> bool {
        self.batch * self.length * self.heads * self.key * self.value == 0
    }
}

/// What goes in: `query` and `key` `[batch, length, heads, key]`, `value` `[batch, length, heads, value]`, `beta` `[batch, length, heads]`.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T> {
    /// `q`.
    pub query: &'a [T],
    /// `k`, usually of length 1.
    pub key: &'a [T],
    /// `v`.
    pub value: &'a [T],
    /// `β`.
    pub beta: &'a [T],
}

/// The derivatives, each in the shape of its input.
#[derive(Clone, Debug, Default)]
pub struct Derivatives<T> {
    /// By `q`.
    pub query: Vec<T>,
    /// By `k`.
    pub key: Vec<T>,
    /// By `v`.
    pub value: Vec<T>,
    /// By `β`.
    pub beta: Vec<T>,
}

/// What [`backward`] reads of [`forward`].
#[derive(Clone, Debug)]
pub struct Saved<T> {
    /// States before every chunk and after the last, head by head.
    states: Vec<T>,
    /// The rows of `U`, head by head.
    updates: Vec<T>,
}

/// One step of one head: moves `state` `[key, value]` and writes `output` `[value]`.
pub fn step<T: Real>(query: &[T], key: &[T], value: &[T], beta: T, state: &mut [T], output: &mut [T]) {
    advance(key, value, beta, state, output);
    let scale = T::ONE / T::of(query.len().max(1) as f64).root();
    vectorized(
        #[inline(always)]
        || {
            output.fill(T::ZERO);
            for (row, &q) in state.chunks_exact(value.len().max(1)).zip(query) {
                let factor = q * scale;
                output.iter_mut().zip(row).for_each(|(out, &m)| *out += factor * m);
            }
        },
    );
}

/// One step of the state alone, for a token that multiplies it more than once; `scratch` is `[value]`.
pub fn advance<T: Real>(key: &[T], value: &[T], beta: T, state: &mut [T], scratch: &mut [T]) {
    let width = value.len().max(1);
    vectorized(
        #[inline(always)]
        || {
            scratch.copy_from_slice(value);
            for (row, &k) in state.chunks_exact(width).zip(key) {
                scratch.iter_mut().zip(row).for_each(|(update, &m)| *update -= k * m);
            }
            for (row, &k) in state.chunks_exact_mut(width).zip(key) {
                let factor = beta * k;
                row.iter_mut().zip(scratch.iter()).for_each(|(m, &update)| *m += factor * update);
            }
        },
    );
}

/// The outputs `[batch, length, heads, value]`, step by step: the oracle of [`forward`].
pub fn recurrence<T: Real>(inputs: Inputs<'_, T>, sizes: Sizes, output: &mut [T]) {
    if sizes.is_empty() {
        return;
    }
    for sequence in 0..sizes.batch {
        for head in 0..sizes.heads {
            let mut state = vec![T::ZERO; sizes.key * sizes.value];
            for at in 0..sizes.length {
                let place = (sequence * sizes.length + at) * sizes.heads + head;
                let (keys, values) = (place * sizes.key, place * sizes.value);
                step(
                    &inputs.query[keys..keys + sizes.key],
                    &inputs.key[keys..keys + sizes.key],
                    &inputs.value[values..values + sizes.value],
                    inputs.beta[place],
                    &mut state,
                    &mut output[values..values + sizes.value],
                );
            }
        }
    }
}

/// The inputs of one head of one sequence.
#[derive(Clone, Copy)]
struct Head<'a, T> {
    inputs: Inputs<'a, T>,
    sizes: Sizes,
    /// Place of its first step among all steps of all heads.
    first: usize,
}

impl<'a, T: Real> Head<'a, T> {
    fn new(inputs: Inputs<'a, T>, sizes: Sizes, number: usize) -> Self {
        let (sequence, head) = (number / sizes.heads, number % sizes.heads);
        Self { inputs, sizes, first: sequence * sizes.length * sizes.heads + head }
    }

    fn place(&self, step: usize) -> usize {
        self.first + step * self.sizes.heads
    }

    fn rows(&self, data: &'a [T], width: usize, from: usize, rows: usize) -> View<'a, T> {
        View::rows(data, self.place(from) * width, [rows, width], self.sizes.heads * width)
    }

    fn queries(&self, from: usize, rows: usize) -> View<'a, T> {
        self.rows(self.inputs.query, self.sizes.key, from, rows)
    }

    fn keys(&self, from: usize, rows: usize) -> View<'a, T> {
        self.rows(self.inputs.key, self.sizes.key, from, rows)
    }

    fn value(&self, step: usize) -> &'a [T] {
        &self.inputs.value[self.place(step) * self.sizes.value..][..self.sizes.value]
    }

    fn beta(&self, step: usize) -> T {
        self.inputs.beta[self.place(step)]
    }

    fn scale(&self) -> T {
        T::ONE / T::of(self.sizes.key as f64).root()
    }

    /// `diag(β) K Kᵀ` below the diagonal, from `K Kᵀ`.
    fn scaled(&self, from: usize, rows: usize, products: &[T], out: &mut [T]) {
        for row in 0..rows {
            let beta = self.beta(from + row);
            for column in 0..row {
                out[row * rows + column] = beta * products[row * rows + column];
            }
        }
    }
}

/// Cuts the part above the diagonal off, and the diagonal too where `strictly`.
fn lower<T: Real>(matrix: &mut [T], rows: usize, strictly: bool) {
    for (at, row) in matrix.chunks_exact_mut(rows).enumerate() {
        row[at + usize::from(!strictly)..].fill(T::ZERO);
    }
}

/// `x ← (I + A)⁻¹ x` with `A` below the diagonal.
fn substitute<T: Real>(a: &[T], rows: usize, width: usize, x: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for row in 1..rows {
                let (before, now) = x.split_at_mut(row * width);
                let now = &mut now[..width];
                for (other, &factor) in before.chunks_exact(width).zip(&a[row * rows..row * rows + row]) {
                    now.iter_mut().zip(other).for_each(|(x, &y)| *x -= factor * y);
                }
            }
        },
    );
}

/// `x ← (I + A)⁻ᵀ x`.
fn substitute_transposed<T: Real>(a: &[T], rows: usize, width: usize, x: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for row in (1..rows).rev() {
                let (before, now) = x.split_at_mut(row * width);
                let now = &now[..width];
                for (other, &factor) in before.chunks_exact_mut(width).zip(&a[row * rows..row * rows + row]) {
                    other.iter_mut().zip(now).for_each(|(x, &y)| *x -= factor * y);
                }
            }
        },
    );
}

/// Writes the outputs `[batch, length, heads, value]`, from states of zeros, and gives what [`backward`] reads.
pub fn forward<T: Real>(inputs: Inputs<'_, T>, sizes: Sizes, output: &mut [T]) -> Saved<T> {
    let heads = sizes.batch * sizes.heads;
    let mut saved = Saved {
        states: vec![T::ZERO; heads * sizes.states()],
        updates: vec![T::ZERO; heads * sizes.length * sizes.value],
    };
    if sizes.is_empty() {
        return saved;
    }
    let mut apart = vec![T::ZERO; output.len()];
    let row = sizes.length * sizes.value;
    let pieces = (
        apart.par_chunks_mut(row),
        saved.states.par_chunks_mut(sizes.states()),
        saved.updates.par_chunks_mut(row),
    );
    pieces.into_par_iter().enumerate().for_each(|(number, (output, states, updates))| {
        forward_head(Head::new(inputs, sizes, number), states, updates, output);
    });
    interleave(&apart, sizes, sizes.value, output);
    saved
}

/// `[batch, heads, length, width]` → `[batch, length, heads, width]`.
fn interleave<T: Real>(apart: &[T], sizes: Sizes, width: usize, out: &mut [T]) {
    let Sizes { length, heads, .. } = sizes;
    if heads == 1 {
        out.copy_from_slice(apart);
        return;
    }
    let row = length * heads * width;
    (out.par_chunks_mut(row), apart.par_chunks(row)).into_par_iter().for_each(|(out, apart)| {
        for (place, part) in out.chunks_exact_mut(width).enumerate() {
            let (step, head) = (place / heads, place % heads);
            part.copy_from_slice(&apart[(head * length + step) * width..][..width]);
        }
    });
}

fn forward_head<T: Real>(head: Head<'_, T>, states: &mut [T], updates: &mut [T], output: &mut [T]) {
    let Sizes { length, key, value, chunk, .. } = head.sizes;
    let most = chunk.min(length).pow(2);
    let (mut products, mut a) = (vec![T::ZERO; most], vec![T::ZERO; most]);
    for (number, from) in (0..length).step_by(chunk).enumerate() {
        let rows = chunk.min(length - from);
        let (products, a) = (&mut products[..rows * rows], &mut a[..rows * rows]);
        let (keys, queries) = (head.keys(from, rows), head.queries(from, rows));
        let (before, after) = states[number * key * value..].split_at_mut(key * value);
        let after = &mut after[..key * value];
        let update = &mut updates[from * value..(from + rows) * value];
        let out = &mut output[from * value..(from + rows) * value];
        let state = View::whole(before, [key, value]);
        let (long, square) = ([rows, value], [rows, rows]);

        product(ViewMut::whole(products, square), false, T::ONE, keys, keys.transposed(), false);
        head.scaled(from, rows, products, a);
        product(ViewMut::whole(update, long), false, T::ONE, keys, state, false);
        for (row, update) in update.chunks_exact_mut(value).enumerate() {
            let beta = head.beta(from + row);
            for (update, &v) in update.iter_mut().zip(head.value(from + row)) {
                *update = beta * (v - *update);
            }
        }
        substitute(a, rows, value, update);

        product(ViewMut::whole(products, square), false, T::ONE, queries, keys.transposed(), false);
        lower(products, rows, false);
        let scale = head.scale();
        product(ViewMut::whole(out, long), false, scale, queries, state, false);
        let update = View::whole(update, long);
        product(ViewMut::whole(out, long), true, scale, View::whole(products, square), update, false);
        after.copy_from_slice(before);
        product(ViewMut::whole(after, [key, value]), true, T::ONE, keys.transposed(), update, false);
    }
}

/// The derivatives by all inputs from that by the outputs.
pub fn backward<T: Real>(
    inputs: Inputs<'_, T>,
    saved: &Saved<T>,
    d_output: &[T],
    sizes: Sizes,
) -> Derivatives<T> {
    let steps = sizes.batch * sizes.heads * sizes.length;
    let zeros = |width: usize| vec![T::ZERO; steps * width];
    if sizes.is_empty() {
        let (key, value, beta) = (zeros(sizes.key), zeros(sizes.value), zeros(1));
        return Derivatives { query: key.clone(), key, value, beta };
    }
    let mut apart = Derivatives {
        query: zeros(sizes.key),
        key: zeros(sizes.key),
        value: zeros(sizes.value),
        beta: zeros(1),
    };
    let pieces = (
        apart.query.par_chunks_mut(sizes.length * sizes.key),
        apart.key.par_chunks_mut(sizes.length * sizes.key),
        apart.value.par_chunks_mut(sizes.length * sizes.value),
        apart.beta.par_chunks_mut(sizes.length),
    );
    pieces.into_par_iter().enumerate().for_each(|(number, (query, key, value, beta))| {
        let states = &saved.states[number * sizes.states()..][..sizes.states()];
        let updates = &saved.updates[number * sizes.length * sizes.value..][..sizes.length * sizes.value];
        let slices = Slices { query, key, value, beta };
        backward_head(Head::new(inputs, sizes, number), states, updates, d_output, slices);
    });
    let together = |apart: &[T], width: usize| {
        let mut out = vec![T::ZERO; apart.len()];
        interleave(apart, sizes, width, &mut out);
        out
    };
    Derivatives {
        query: together(&apart.query, sizes.key),
        key: together(&apart.key, sizes.key),
        value: together(&apart.value, sizes.value),
        beta: together(&apart.beta, 1),
    }
}

/// The derivatives of one head.
struct Slices<'a, T> {
    query: &'a mut [T],
    key: &'a mut [T],
    value: &'a mut [T],
    beta: &'a mut [T],
}

fn backward_head<T: Real>(
    head: Head<'_, T>,
    states: &[T],
    updates: &[T],
    d_output: &[T],
    out: Slices<'_, T>,
) {
    let Sizes { length, key, value, chunk, .. } = head.sizes;
    let most = chunk.min(length);
    let scratch = |size: usize| vec![T::ZERO; size];
    let (mut gram, mut a, mut p, mut d) =
        (scratch(most * most), scratch(most * most), scratch(most * most), scratch(most * most));
    let (mut dy, mut du, mut km) = (scratch(most * value), scratch(most * value), scratch(most * value));
    let (mut d_state, mut next) = (scratch(key * value), scratch(key * value));
    let scale = head.scale();
    for number in (0..head.sizes.chunks()).rev() {
        let from = number * chunk;
        let rows = chunk.min(length - from);
        let most = rows * rows;
        let (gram, a, p, d) = (&mut gram[..most], &mut a[..most], &mut p[..most], &mut d[..most]);
        let (dy, du, km) = (&mut dy[..rows * value], &mut du[..rows * value], &mut km[..rows * value]);
        let (keys, queries) = (head.keys(from, rows), head.queries(from, rows));
        let state = View::whole(&states[number * key * value..][..key * value], [key, value]);
        let update = View::whole(&updates[from * value..][..rows * value], [rows, value]);
        let dq = &mut out.query[from * key..(from + rows) * key];
        let dk = &mut out.key[from * key..(from + rows) * key];
        let dv = &mut out.value[from * value..(from + rows) * value];
        let (long, wide, square) = ([rows, value], [rows, key], [rows, rows]);

        product(ViewMut::whole(gram, square), false, T::ONE, keys, keys.transposed(), false);
        head.scaled(from, rows, gram, a);
        product(ViewMut::whole(p, square), false, T::ONE, queries, keys.transposed(), false);
        lower(p, rows, false);
        for (row, dy) in dy.chunks_exact_mut(value).enumerate() {
            let outer = &d_output[head.place(from + row) * value..][..value];
            dy.iter_mut().zip(outer).for_each(|(dy, &outer)| *dy = scale * outer);
        }

        // By the updates, and through the outputs and the state after the chunk by queries and keys.
        product(
            ViewMut::whole(du, long),
            false,
            T::ONE,
            View::whole(p, square).transposed(),
            View::whole(dy, long),
            false,
        );
        let after = View::whole(&d_state, [key, value]);
        product(ViewMut::whole(du, long), true, T::ONE, keys, after, false);
        product(ViewMut::whole(d, square), false, T::ONE, View::whole(dy, long), update.transposed(), false);
        lower(d, rows, false);
        product(ViewMut::whole(dq, wide), false, T::ONE, View::whole(dy, long), state.transposed(), false);
        product(ViewMut::whole(dq, wide), true, T::ONE, View::whole(d, square), keys, false);
        product(ViewMut::whole(dk, wide), false, T::ONE, View::whole(d, square).transposed(), queries, false);
        product(ViewMut::whole(dk, wide), true, T::ONE, update, after.transposed(), false);
        next.copy_from_slice(&d_state);
        product(
            ViewMut::whole(&mut next, [key, value]),
            true,
            T::ONE,
            queries.transposed(),
            View::whole(dy, long),
            false,
        );

        // Through the substitution: `du` becomes the derivative by its right side.
        substitute_transposed(a, rows, value, du);
        product(ViewMut::whole(d, square), false, -T::ONE, View::whole(du, long), update.transposed(), false);
        lower(d, rows, true);
        product(ViewMut::whole(km, long), false, T::ONE, keys, state, false);
        for row in 0..rows {
            let beta = head.beta(from + row);
            let at = row * rows..row * rows + row;
            let mut d_beta = dot(&d[at.clone()], &gram[at.clone()]);
            d[at].iter_mut().for_each(|d| *d = beta * *d);
            let own = row * value..(row + 1) * value;
            let values = head.value(from + row).iter().zip(&km[own.clone()]);
            for ((dv, &du), (&v, &km)) in dv[own.clone()].iter_mut().zip(&du[own]).zip(values) {
                *dv = beta * du;
                d_beta += du * (v - km);
            }
            out.beta[from + row] = d_beta;
        }
        product(ViewMut::whole(dk, wide), true, T::ONE, View::whole(d, square), keys, false);
        product(ViewMut::whole(dk, wide), true, T::ONE, View::whole(d, square).transposed(), keys, false);
        product(ViewMut::whole(dk, wide), true, -T::ONE, View::whole(dv, long), state.transposed(), false);
        product(
            ViewMut::whole(&mut next, [key, value]),
            true,
            -T::ONE,
            keys.transposed(),
            View::whole(dv, long),
            false,
        );
        std::mem::swap(&mut d_state, &mut next);
    }
}
