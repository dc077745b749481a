//! Layer norm and RMS norm over the last dimension.

use rayon::prelude::*;

use crate::linear::add_up;
use crate::real::{Real, dot, piece_rows, sum, vectorized};

/// What the backward pass needs of each row: the mean (0 for RMS norm) and the reciprocal deviation.
pub type Moments<T> = Vec<[T; 2]>;

/// `y = (x − mean)/√(variance + ε) · γ + β`, or without `bias` `y = x/√(mean square + ε) · γ`. `x` is `[rows, width]`, `weight`
/// and `bias` `[width]`.
pub fn forward<T: Real>(x: &[T], weight: &[T], bias: Option<&[T]>, epsilon: f64, y: &mut [T]) -> Moments<T> {
    let width = weight.len();
    if width == 0 {
        return Vec::new();
    }
    let mut moments = vec![[T::ZERO; 2]; x.len() / width];
    let rows = piece_rows(width);
    let pieces = (y.par_chunks_mut(rows * width), x.par_chunks(rows * width), moments.par_chunks_mut(rows));
    pieces.into_par_iter().for_each(|(y, x, moments)| {
        vectorized(
            #[inline(always)]
            || {
                for ((y, x), moments) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(moments) {
                    let size = T::of(width as f64);
                    let mean = if bias.is_some() { sum(x) / size } else { T::ZERO };
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x - mean;
                    }
                    let scale = T::ONE / (dot(y, y) / size + T::of(epsilon)).root();
                    match bias {
                        Some(bias) => {
                            for ((y, &weight), &bias) in y.iter_mut().zip(weight).zip(bias) {
                                *y = *y * scale * weight + bias;
                            }
                        }
                        None => {
                            for (y, &weight) in y.iter_mut().zip(weight) {
                                *y = *y * scale * weight;
                            }
                        }
                    }
                    *moments = [mean, scale];
                }
            },
        );
    });
    moments
}

/// The derivatives: `∂x` in the place of `∂y`; writes `∂γ` and, for layer norm, `∂β`.
pub fn backward<T: Real>(
    x: &[T],
    weight: &[T],
    moments: &[[T; 2]],
    dy: &mut [T],
    d_weight: &mut [T],
    d_bias: Option<&mut [T]>,
) {
    let width = weight.len();
    if width == 0 {
        return;
    }
    let (rows, centred) = (piece_rows(width), d_bias.is_some());
    let inputs = (x.par_chunks(rows * width), moments.par_chunks(rows));
    let partial: Vec<(Vec<T>, Vec<T>)> = dy
        .par_chunks_mut(rows * width)
        .zip(inputs.into_par_iter())
        .map(|(dy, (x, moments))| {
            let (mut d_weight, mut d_bias) = (vec![T::ZERO; width], vec![T::ZERO; width]);
            let mut normal = vec![T::ZERO; width];
            vectorized(
                #[inline(always)]
                || {
                    for ((dy, x), &[mean, scale]) in
                        dy.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(moments)
                    {
                        for at in 0..width {
                            normal[at] = (x[at] - mean) * scale;
                            d_weight[at] += dy[at] * normal[at];
                            d_bias[at] += dy[at];
                            dy[at] *= weight[at];
                        }
                        let size = T::of(width as f64);
                        let along = dot(dy, &normal) / size;
                        let level = if centred { sum(dy) / size } else { T::ZERO };
                        for (dx, &normal) in dy.iter_mut().zip(&normal) {
                            *dx = scale * (*dx - level - normal * along);
                        }
                    }
                },
            );
            (d_weight, d_bias)
        })
        .collect();
    let (weights, biases): (Vec<Vec<T>>, Vec<Vec<T>>) = partial.into_iter().unzip();
    add_up(&weights, d_weight);
    if let Some(d_bias) = d_bias {
        add_up(&biases, d_bias);
    }
}
