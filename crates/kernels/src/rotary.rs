//! Rotary positions on packed queries and keys.

use rayon::prelude::*;

use crate::attention::Heads;
use crate::real::{Real, vectorized};

/// Rotates the pairs (i, i + width/2) of every query and key head of `qkv`, `[batch · length, packed]`, by the angles of their
/// position; values stay. `cosines` and `sines` are `[positions, width/2]`; row `r` of `qkv` has position `r mod positions`.
/// With `back` it rotates the other way, which is the backward pass.
pub fn rotate<T: Real>(qkv: &mut [T], cosines: &[T], sines: &[T], heads: Heads, back: bool) {
    let (half, packed) = (heads.width / 2, heads.packed());
    if half == 0 || qkv.is_empty() {
        return;
    }
    let positions = cosines.len() / half;
    qkv.par_chunks_mut(packed * positions).for_each(|rows| {
        vectorized(
            #[inline(always)]
            || {
                for (position, row) in rows.chunks_exact_mut(packed).enumerate() {
                    let angles = position * half..(position + 1) * half;
                    let (cosines, sines) = (&cosines[angles.clone()], &sines[angles]);
                    for head in
                        row[..(heads.queries + heads.shared) * heads.width].chunks_exact_mut(heads.width)
                    {
                        let (first, second) = head.split_at_mut(half);
                        for at in 0..half {
                            let (a, b) = (first[at], second[at]);
                            let sine = if back { -sines[at] } else { sines[at] };
                            first[at] = a * cosines[at] - b * sine;
                            second[at] = b * cosines[at] + a * sine;
                        }
                    }
                }
            },
        );
    });
}
