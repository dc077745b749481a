//! Factorisations of the prefix sum: their coefficients, norms and errors.
//!
//! With `A` the lower triangle of ones, a factorisation `A = L R` releases `L (R x + z)`. The error factor at time t is the
//! norm of row t of `L` times the largest column norm of `R`: the standard error is this factor times σ per unit of
//! sensitivity.

use serde::{Deserialize, Serialize};

/// Largest and root-mean-square error factor over the times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorFactor {
    /// At the worst time.
    pub max: f64,
    /// Root of the mean square over times.
    pub mean: f64,
}

impl ErrorFactor {
    /// From the squared row norms of `L` and the largest squared column norm of `R`.
    fn of(squares: impl Iterator<Item = f64>, column: f64) -> Self {
        let (mut max, mut sum, mut count) = (0.0_f64, 0.0, 0.0);
        for square in squares {
            max = max.max(square);
            sum += square;
            count += 1.0;
        }
        Self { max: (max * column).sqrt(), mean: (sum / count * column).sqrt() }
    }
}

/// The coefficients `b_k = C(2k, k)/4^k` of the square root of the prefix sum, k below `count`.
pub fn square_root_coefficients(count: usize) -> Vec<f64> {
    let next = |b: &mut f64, k: usize| {
        if k > 0 {
            *b *= 1.0 - 0.5 / k as f64;
        }
        Some(*b)
    };
    (0..count).scan(1.0, next).collect()
}

/// Levels of the binary tree over `horizon` leaves: `⌈log2 horizon⌉ + 1`.
pub fn levels(horizon: usize) -> usize {
    horizon.next_power_of_two().trailing_zeros() as usize + 1
}

/// The share of a node's own noise that remains in its estimate from below: 1 for a leaf, towards ½ higher up.
pub fn honaker_weight(level: usize) -> f64 {
    0.5 / (1.0 - 0.5_f64.powi(level as i32 + 1))
}

/// The binary tree: a prefix is the sum of the nodes of its binary digits.
pub fn tree_error(horizon: usize) -> ErrorFactor {
    ErrorFactor::of((1..=horizon).map(|t| f64::from(t.count_ones())), levels(horizon) as f64)
}

/// The tree with estimates from below.
pub fn honaker_error(horizon: usize) -> ErrorFactor {
    let variance =
        |t: usize| (0..usize::BITS as usize).filter(|&j| t >> j & 1 == 1).map(honaker_weight).sum();
    ErrorFactor::of((1..=horizon).map(variance), levels(horizon) as f64)
}

/// The exact square root.
pub fn square_root_error(horizon: usize) -> ErrorFactor {
    let squares = square_root_coefficients(horizon).into_iter().scan(0.0, |sum, b| {
        *sum += b * b;
        Some(*sum)
    });
    let squares: Vec<f64> = squares.collect();
    let column = squares.last().copied().unwrap_or(0.0);
    ErrorFactor::of(squares.into_iter(), column)
}

/// The exact column-normalised square root, O(horizon²): `R = C D` with unit columns, `L = A D⁻¹ C⁻¹`.
pub fn normalised_square_root_error(horizon: usize) -> ErrorFactor {
    let b = square_root_coefficients(horizon);
    let squares: Vec<f64> = b
        .iter()
        .scan(0.0, |sum, b| {
            *sum += b * b;
            Some(*sum)
        })
        .collect();
    let weights: Vec<f64> = squares.iter().rev().map(|square| square.sqrt()).collect();
    // Coefficients of (1 − x)^½, the inverse of the square root.
    let inverse: Vec<f64> = (0..horizon)
        .scan(1.0, |c, k| {
            if k > 0 {
                *c *= 1.0 - 1.5 / k as f64;
            }
            Some(*c)
        })
        .collect();
    let mut variance = vec![0.0; horizon];
    for from in 0..horizon {
        let mut entry = 0.0;
        for (time, coefficient) in (from..horizon).zip(&inverse) {
            entry += weights[time] * coefficient;
            variance[time] += entry * entry;
        }
    }
    ErrorFactor::of(variance.into_iter(), 1.0)
}

/// No factorisation has a smaller maximal or mean error factor: the nuclear norm of the prefix sum over the horizon.
pub fn lower_bound(horizon: usize) -> f64 {
    let angle = std::f64::consts::PI / (4 * horizon + 2) as f64;
    (1..=horizon).map(|j| 0.5 / ((2 * j - 1) as f64 * angle).sin()).sum::<f64>() / horizon as f64
}

/// A lower-triangular Toeplitz matrix `C` whose coefficients are a sum of exponentials: `b_0 = 1`,
/// `b_k = Σ_i weight_i · decay_i^(k−1)`. It and its inverse are applied to a stream with one number of memory per exponential.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponentials {
    /// `decay_i`, below 1.
    pub decay: Vec<f64>,
    /// `weight_i`, positive.
    pub weight: Vec<f64>,
    /// `ln decay_i`, which keeps the digits that `decay_i` has lost near 1.
    ln_decay: Vec<f64>,
}

impl Exponentials {
    /// The square root up to `horizon`: `b_k = (1/π) ∫ u^k / √(u(1−u)) du` over (0, 1), by the trapezoidal rule in `ln(u/(1−u))`
    /// with spacing `spacing`. Half the spacing squares the error; 2 gives coefficients within 2.1 %.
    pub fn square_root(horizon: usize, spacing: f64) -> Self {
        // Above the last node every u^k is 1 within a few per cent up to the horizon; below the first, even k = 1 has no mass.
        let (upper, lower) = if spacing < 1.0 { (20.0, -18.0) } else { (4.0, -5.0) };
        let last = (horizon.max(2) as f64).ln() + upper;
        let nodes = ((last - lower) / spacing).ceil() as usize;
        let mut factor = Self { decay: Vec::new(), weight: Vec::new(), ln_decay: Vec::new() };
        for node in 0..nodes {
            let place = last - node as f64 * spacing;
            let ln_decay = -(-place).exp().ln_1p();
            let decay = ln_decay.exp();
            let mut mass = spacing / std::f64::consts::PI * (0.5 * (ln_decay - place.exp().ln_1p())).exp();
            if node == 0 {
                // The nodes beyond the last form a geometric series.
                mass /= 1.0 - (-0.5 * spacing).exp();
            }
            factor.decay.push(decay);
            factor.weight.push(mass * decay);
            factor.ln_decay.push(ln_decay);
        }
        factor
    }

    /// Number of exponentials.
    pub fn order(&self) -> usize {
        self.decay.len()
    }

    /// The coefficients `b_first, …`, `count` of them, `first ≥ 1`.
    pub fn coefficients(&self, first: usize, count: usize) -> Vec<f64> {
        let mut powers: Vec<f64> = self
            .ln_decay
            .iter()
            .zip(&self.weight)
            .map(|(ln_decay, weight)| weight * ((first as f64 - 1.0) * ln_decay).exp())
            .collect();
        (0..count)
            .map(|_| {
                let sum = powers.iter().sum();
                powers.iter_mut().zip(&self.decay).for_each(|(power, decay)| *power *= decay);
                sum
            })
            .collect()
    }

    /// `Σ_{k<count} b_k²`, `count ≥ 1`, in closed form: every term is positive, so nothing cancels.
    pub fn square(&self, count: usize) -> f64 {
        let terms = (count - 1) as f64;
        let mut sum = 1.0;
        for (left, a) in self.ln_decay.iter().zip(&self.weight) {
            for (right, b) in self.ln_decay.iter().zip(&self.weight) {
                let rate = left + right;
                sum += a * b * (terms * rate).exp_m1() / rate.exp_m1();
            }
        }
        sum
    }

    /// `√(Σ_{k<n} b_k²)` for `n = horizon − time`, over `count` times from `first` on: the column norms of `C`.
    pub fn column_norms(&self, horizon: usize, first: usize, count: usize) -> Vec<f64> {
        let count = count.min(horizon - first);
        let shortest = horizon - first - count + 1;
        let mut square = self.square(shortest);
        let mut norms = vec![square.sqrt()];
        for b in self.coefficients(shortest, count - 1) {
            square += b * b;
            norms.push(square.sqrt());
        }
        norms.reverse();
        norms
    }

    /// The error factor of this factorisation, O(horizon · order²), with columns normalised or not.
    pub fn error(&self, horizon: usize, normalised: bool) -> ErrorFactor {
        let mut variance = Variance::new(self);
        let mut weights = Vec::new();
        let squares = (0..horizon).map(|time| {
            let place = time % BLOCK;
            if normalised && place == 0 {
                weights = self.column_norms(horizon, time, BLOCK);
            }
            variance.step(self, if normalised { weights[place] } else { 1.0 })
        });
        let column = if normalised { 1.0 } else { self.square(horizon) };
        ErrorFactor::of(squares, column)
    }
}

/// Steps whose weights are made together.
pub(crate) const BLOCK: usize = 1024;

/// The variance of `Σ_{s≤t} w_s (C⁻¹ z)_s` for unit noise z, exactly, by the covariance of the decoder's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Variance {
    /// Covariance of the buffers, order × order.
    buffers: Vec<f64>,
    /// Covariance of the buffers with the estimate.
    with_estimate: Vec<f64>,
    /// Variance of the estimate.
    estimate: f64,
}

impl Variance {
    pub(crate) fn new(factor: &Exponentials) -> Self {
        let order = factor.order();
        Self { buffers: vec![0.0; order * order], with_estimate: vec![0.0; order], estimate: 0.0 }
    }

    pub(crate) fn fits(&self, order: usize) -> bool {
        self.buffers.len() == order * order && self.with_estimate.len() == order
    }

    /// Goes one step with weight `w` and returns the variance after it.
    pub(crate) fn step(&mut self, factor: &Exponentials, weight: f64) -> f64 {
        let order = factor.order();
        let dot = |row: &[f64]| row.iter().zip(&factor.weight).map(|(a, b)| a * b).sum::<f64>();
        // y = z − ω·s, and cov(s, y) = −P ω.
        let with_buffers: Vec<f64> = self.buffers.chunks_exact(order).map(dot).collect();
        let with_estimate = dot(&self.with_estimate);
        let own = 1.0 + dot(&with_buffers);
        self.estimate += weight * (weight * own - 2.0 * with_estimate);
        for i in 0..order {
            self.with_estimate[i] = factor.decay[i] * (self.with_estimate[i] - weight * with_buffers[i])
                - with_estimate
                + weight * own;
            let (decay, shared) = (factor.decay[i], own - factor.decay[i] * with_buffers[i]);
            let row = &mut self.buffers[i * order..(i + 1) * order];
            for ((entry, other), mixed) in row.iter_mut().zip(&factor.decay).zip(&with_buffers) {
                *entry = other * (decay * *entry - mixed) + shared;
            }
        }
        self.estimate
    }
}
