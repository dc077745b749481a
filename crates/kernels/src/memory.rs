//! Attention over keys and values that grow: reading a text token by token.

use rayon::prelude::*;

use crate::attention::Heads;
use crate::product::{View, ViewMut, product};
use crate::real::{Real, vectorized};
use crate::softmax;

/// Keys and values of the positions that each row of a batch has read.
///
/// The positions of a key lie side by side for each of its components, those of a value one after another: so both products of a
/// single query run along memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValues<T> {
    /// Per row: keys `[key heads, width, capacity]`, then values `[key heads, capacity, width]`.
    rows: Vec<Vec<T>>,
    length: usize,
    capacity: usize,
}

impl<T: Real> KeyValues<T> {
    /// Positions read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The given rows, in that order; a row may be named more than once.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { rows: rows.iter().map(|&row| self.rows[row].clone()).collect(), ..*self }
    }

    /// Makes room for so many positions.
    fn reserve(&mut self, batch: usize, length: usize, heads: Heads) {
        if self.rows.is_empty() {
            self.rows = vec![Vec::new(); batch];
        }
        if length <= self.capacity {
            return;
        }
        let (before, old, new) = (self.length, self.capacity, length.next_power_of_two().max(16));
        let components = heads.shared * heads.width;
        self.rows.par_iter_mut().for_each(|row| {
            let mut grown = vec![T::ZERO; 2 * components * new];
            let (keys, values) = grown.split_at_mut(components * new);
            if old > 0 {
                let (old_keys, old_values) = row.split_at(components * old);
                for (key, old_key) in keys.chunks_exact_mut(new).zip(old_keys.chunks_exact(old)) {
                    key[..before].copy_from_slice(&old_key[..before]);
                }
                let (head, old_head) = (new * heads.width, old * heads.width);
                for (value, old_value) in values.chunks_exact_mut(head).zip(old_values.chunks_exact(old_head))
                {
                    value[..before * heads.width].copy_from_slice(&old_value[..before * heads.width]);
                }
            }
            *row = grown;
        });
        self.capacity = new;
    }
}

/// Takes the keys and values of `length` new positions of every row into `memory` and answers their queries: `softmax(q kᵀ/√width) v`
/// over all positions up to the query's own. `qkv` is `[batch, length, packed]`, `out` `[batch, length, queries · width]`.
///
/// The first `padding[row]` positions of a row are hidden; a hidden query sees itself only, so that its softmax is defined.
///
/// # Panics
/// If the batch is not that of `memory`.
pub fn extend<T: Real>(
    qkv: &[T],
    length: usize,
    heads: Heads,
    padding: &[usize],
    memory: &mut KeyValues<T>,
    out: &mut [T],
) {
    let (packed, outer, width) = (heads.packed(), heads.queries * heads.width, heads.width);
    if length == 0 || outer == 0 || padding.is_empty() {
        return;
    }
    let (before, keys) = (memory.length, memory.length + length);
    memory.reserve(padding.len(), keys, heads);
    assert_eq!(memory.rows.len(), padding.len(), "rows of a batch and of its memory");
    let capacity = memory.capacity;
    let scale = T::of(1.0 / (width as f64).sqrt());
    let rows = (
        out.par_chunks_mut(length * outer),
        qkv.par_chunks(length * packed),
        memory.rows.par_iter_mut(),
        padding.par_iter(),
    );
    rows.into_par_iter().for_each_init(
        || vec![T::ZERO; length * keys],
        |scores, (out, qkv, row, &hidden)| {
            let (all_keys, all_values) = row.split_at_mut(heads.shared * width * capacity);
            for (step, packed) in qkv.chunks_exact(packed).enumerate() {
                let (_, new) = packed.split_at(outer);
                let (new_keys, new_values) = new.split_at(heads.shared * width);
                for (key, &value) in all_keys.chunks_exact_mut(capacity).zip(new_keys) {
                    key[before + step] = value;
                }
                let head_values = all_values.chunks_exact_mut(capacity * width);
                for (values, new) in head_values.zip(new_values.chunks_exact(width)) {
                    values[(before + step) * width..(before + step + 1) * width].copy_from_slice(new);
                }
            }
            for head in 0..heads.queries {
                let shared = head / (heads.queries / heads.shared);
                let head_keys = &all_keys[shared * width * capacity..(shared + 1) * width * capacity];
                let head_values = &all_values[shared * width * capacity..(shared + 1) * width * capacity];
                if length == 1 {
                    let query = &qkv[head * width..(head + 1) * width];
                    let out = &mut out[head * width..(head + 1) * width];
                    vectorized(
                        #[inline(always)]
                        || one(query, head_keys, head_values, capacity, scale, hidden, scores, out),
                    );
                    continue;
                }
                let query = View::rows(qkv, head * width, [length, width], packed);
                let head_keys = View::rows(head_keys, 0, [width, keys], capacity);
                product(ViewMut::whole(scores, [length, keys]), false, scale, query, head_keys, false);
                vectorized(
                    #[inline(always)]
                    || {
                        for (step, row) in scores.chunks_exact_mut(keys).enumerate() {
                            let now = before + step;
                            let (seen, later) = row.split_at_mut(now + 1);
                            let (earlier, seen) = seen.split_at_mut(hidden.min(now));
                            softmax::in_place(seen);
                            earlier.fill(T::ZERO);
                            later.fill(T::ZERO);
                        }
                    },
                );
                let out = ViewMut::rows(out, head * width, [length, width], outer);
                let head_values = View::rows(head_values, 0, [keys, width], width);
                product(out, false, T::ONE, View::whole(scores, [length, keys]), head_values, false);
            }
        },
    );
    memory.length = keys;
}

/// The answer to the one query of a head.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the parts of one head, taken apart by its caller")]
fn one<T: Real>(
    query: &[T],
    keys: &[T],
    values: &[T],
    capacity: usize,
    scale: T,
    hidden: usize,
    scores: &mut [T],
    out: &mut [T],
) {
    let first = hidden.min(scores.len() - 1);
    let seen = &mut scores[first..];
    seen.fill(T::ZERO);
    for (&component, key) in query.iter().zip(keys.chunks_exact(capacity)) {
        let component = component * scale;
        for (score, &key) in seen.iter_mut().zip(&key[first..]) {
            *score += component * key;
        }
    }
    softmax::in_place(seen);
    out.fill(T::ZERO);
    let width = out.len();
    for (&weight, value) in seen.iter().zip(values[first * width..].chunks_exact(width)) {
        for (out, &value) in out.iter_mut().zip(value) {
            *out += weight * value;
        }
    }
}
