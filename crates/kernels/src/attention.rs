//! Attention over packed queries, keys and values.

use rayon::prelude::*;

use crate::product::{View, ViewMut, product};
use crate::real::{Real, dot, vectorized};
use crate::softmax;

/// The heads in one packed row: all queries, then all keys, then all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides `queries`. Each serves `queries / shared` query heads that follow one another.
    pub shared: usize,
    /// Width of a head.
    pub width: usize,
}

impl Heads {
    /// Width of a packed row.
    pub fn packed(self) -> usize {
        (self.queries + 2 * self.shared) * self.width
    }

    fn offsets(self, head: usize) -> [usize; 3] {
        let shared = head / (self.queries / self.shared);
        let key = self.queries + shared;
        [head * self.width, key * self.width, (key + self.shared) * self.width]
    }
}

/// Softmax of the rows of `scores` over what each query sees; zero elsewhere.
#[inline(always)]
fn probabilities<T: Real>(scores: &mut [T], length: usize, causal: bool) {
    for (query, row) in scores.chunks_exact_mut(length).enumerate() {
        let seen = if causal { query + 1 } else { length };
        let (row, hidden) = row.split_at_mut(seen);
        softmax::in_place(row);
        hidden.fill(T::ZERO);
    }
}

/// `softmax(q kᵀ/√width + mask) v` for every head. `qkv` is `[batch, length, packed]`; writes `out` `[batch, length, queries ·
/// width]` and the probabilities `[batch, queries, length, length]`, which the backward pass reads.
pub fn forward<T: Real>(
    qkv: &[T],
    length: usize,
    heads: Heads,
    causal: bool,
    out: &mut [T],
    probabilities: &mut [T],
) {
    let (packed, outer, square) = (heads.packed(), heads.queries * heads.width, length * length);
    if length == 0 || outer == 0 {
        return;
    }
    let scale = T::of(1.0 / (heads.width as f64).sqrt());
    let shape = [length, heads.width];
    let batches = (
        out.par_chunks_mut(length * outer),
        probabilities.par_chunks_mut(heads.queries * square),
        qkv.par_chunks(length * packed),
    );
    batches.into_par_iter().for_each(|(out, probabilities, qkv)| {
        for (head, scores) in probabilities.chunks_exact_mut(square).enumerate() {
            let [query, key, value] =
                heads.offsets(head).map(|offset| View::rows(qkv, offset, shape, packed));
            product(ViewMut::whole(scores, [length, length]), false, scale, query, key.transposed(), false);
            vectorized(
                #[inline(always)]
                || self::probabilities(scores, length, causal),
            );
            let out = ViewMut::rows(out, head * heads.width, shape, outer);
            product(out, false, T::ONE, View::whole(scores, [length, length]), value, false);
        }
    });
}

/// The derivative with respect to `qkv`.
pub fn backward<T: Real>(
    qkv: &[T],
    probabilities: &[T],
    d_out: &[T],
    length: usize,
    heads: Heads,
    causal: bool,
    d_qkv: &mut [T],
) {
    let (packed, outer, square) = (heads.packed(), heads.queries * heads.width, length * length);
    if length == 0 || outer == 0 {
        return;
    }
    let scale = T::of(1.0 / (heads.width as f64).sqrt());
    let shape = [length, heads.width];
    let batches = (
        d_qkv.par_chunks_mut(length * packed),
        qkv.par_chunks(length * packed),
        probabilities.par_chunks(heads.queries * square),
        d_out.par_chunks(length * outer),
    );
    batches.into_par_iter().for_each_init(
        || vec![T::ZERO; square],
        |d_scores, (d_qkv, qkv, probabilities, d_out)| {
            for (head, probabilities) in probabilities.chunks_exact(square).enumerate() {
                let offsets = heads.offsets(head);
                let [query, key, value] = offsets.map(|offset| View::rows(qkv, offset, shape, packed));
                let d_out = View::rows(d_out, head * heads.width, shape, outer);
                product(
                    ViewMut::whole(d_scores, [length, length]),
                    false,
                    T::ONE,
                    d_out,
                    value.transposed(),
                    false,
                );
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = d_scores.chunks_exact_mut(length).zip(probabilities.chunks_exact(length));
                        for (query, (d_scores, probabilities)) in rows.enumerate() {
                            let seen = if causal { query + 1 } else { length };
                            let level = dot(&d_scores[..seen], &probabilities[..seen]);
                            for (d_score, &probability) in d_scores.iter_mut().zip(probabilities) {
                                *d_score = scale * probability * (*d_score - level);
                            }
                        }
                    },
                );
                let probabilities = View::whole(probabilities, [length, length]);
                let scores = View::whole(d_scores, [length, length]);
                // The first query head of a key head writes, the others add.
                let add = !head.is_multiple_of(heads.queries / heads.shared);
                let mut write = |offset, add, a, b| {
                    product(ViewMut::rows(d_qkv, offset, shape, packed), add, T::ONE, a, b, false);
                };
                write(offsets[0], false, scores, key);
                write(offsets[1], add, scores.transposed(), query);
                write(offsets[2], add, probabilities.transposed(), d_out);
            }
        },
    );
}
