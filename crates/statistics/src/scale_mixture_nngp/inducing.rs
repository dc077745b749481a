//! Many rows seen through a few: the fully independent training conditional.
//!
//! With inducing rows Z, Q = K_xz K_zz⁻¹ K_zx stands for K off the diagonal, and Λ = diag(K − Q) + ε keeps the diagonal exact. What the scale
//! prior does to the posterior rests on the quadratic form and the determinant alone, so that it carries over.

use backstitch_numerics::Matrix;

use super::kernel::Kernel;
use super::linear::{factor_with_jitter, log_determinant, solve_lower, transposed_product};
use super::prior::{Prior, ScalePosterior};
use crate::Error;

/// The posterior through inducing rows.
pub(crate) struct Inducing {
    /// Inducing rows.
    pub(crate) points: Matrix,
    /// L of K_zz.
    prior_factor: Vec<f64>,
    /// L of I + V Λ⁻¹ Vᵀ with V = L_zz⁻¹ K_zx.
    posterior_factor: Vec<f64>,
    /// L⁻¹ V Λ⁻¹ y with that factor.
    weights: Vec<f64>,
    pub(crate) scale: ScalePosterior,
    pub(crate) evidence: f64,
    pub(crate) jitter: f64,
}

/// Rows whose kernel with the inducing rows is held at once.
const PIECE: usize = 4096;

impl Inducing {
    pub(crate) fn new(
        kernel: &Kernel,
        noise: f64,
        prior: &Prior,
        (x, y): (&Matrix, &[f64]),
        points: Matrix,
    ) -> Result<Self, Error> {
        let m = points.rows();
        let failed = |row| Error::NotPositiveDefinite { row, jitter: 1e-4 };
        let (prior_factor, jitter) = factor_with_jitter(&kernel.lower(&points), m).map_err(failed)?;
        let mut inner = vec![0.0; m * m];
        for i in 0..m {
            inner[i * m + i] = 1.0;
        }
        let mut weights = vec![0.0; m];
        let (mut square, mut logs) = (0.0, 0.0);
        for start in (0..y.len()).step_by(PIECE) {
            let end = y.len().min(start + PIECE);
            let piece = rows(x, &(start..end).collect::<Vec<_>>());
            let mut v = kernel.columns(&points, &piece);
            solve_lower(&prior_factor, m, &mut v);
            let diagonal = kernel.diagonal(&piece)?;
            let mut scaled = v.clone();
            for (row, column) in v.chunks_exact(m).enumerate() {
                let seen: f64 = column.iter().map(|value| value * value).sum();
                let left = (diagonal[row] - seen).max(0.0) + noise;
                if left <= 0.0 {
                    return Err(failed(start + row));
                }
                let target = y[start + row];
                square += target * target / left;
                logs += left.ln();
                for (i, value) in column.iter().enumerate() {
                    weights[i] += value * target / left;
                    scaled[row * m + i] /= left;
                }
            }
            // Rows run down the columns of the transposes.
            let turned = |values: &[f64]| -> Vec<f64> {
                let rows = end - start;
                (0..m * rows).map(|at| values[(at % rows) * m + at / rows]).collect()
            };
            let part = transposed_product(&turned(&v), &turned(&scaled), m, end - start);
            inner.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let (posterior_factor, _) = factor_with_jitter(&inner, m).map_err(failed)?;
        solve_lower(&posterior_factor, m, &mut weights);
        let q = square - weights.iter().map(|w| w * w).sum::<f64>();
        let scale = prior.posterior(y.len(), q.max(0.0));
        let determinant = logs + log_determinant(&posterior_factor, m);
        let evidence = scale.log_evidence - 0.5 * (y.len() as f64 * std::f64::consts::TAU.ln() + determinant);
        Ok(Self { points, prior_factor, posterior_factor, weights, scale, evidence, jitter })
    }

    /// Means and variances, at a scale of 1 and without noise, of new rows.
    pub(crate) fn moments(&self, kernel: &Kernel, x: &Matrix, diagonal: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let m = self.points.rows();
        let mut v = kernel.columns(&self.points, x);
        solve_lower(&self.prior_factor, m, &mut v);
        let mut w = v.clone();
        solve_lower(&self.posterior_factor, m, &mut w);
        let mean = w.chunks_exact(m).map(|w| w.iter().zip(&self.weights).map(|(w, b)| w * b).sum()).collect();
        let variance = v.chunks_exact(m).zip(w.chunks_exact(m)).zip(diagonal).map(|((v, w), &all)| {
            let seen: f64 = v.iter().map(|v| v * v).sum();
            let back: f64 = w.iter().map(|w| w * w).sum();
            (all - seen).max(0.0) + back
        });
        (mean, variance.collect())
    }
}

/// The rows of a table that leave least unseen, one after the other: pivots of its kernel's Cholesky factor. Deterministic; ties go to
/// the earlier row. Fewer than asked where the rows before determine all others.
pub(crate) fn choose(kernel: &Kernel, x: &Matrix, count: usize) -> Result<Vec<usize>, Error> {
    let n = x.rows();
    let mut left = kernel.diagonal(x)?;
    let total: f64 = left.iter().sum();
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut chosen = Vec::new();
    while chosen.len() < count.min(n) {
        let (pivot, most) = left.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (row, &value)| {
            if value > best.1 { (row, value) } else { best }
        });
        if most <= 1e-10 * total / n as f64 {
            break;
        }
        let mut column = kernel.columns(x, &rows(x, &[pivot]));
        for earlier in &columns {
            let factor = earlier[pivot];
            column.iter_mut().zip(earlier).for_each(|(value, earlier)| *value -= factor * earlier);
        }
        let root = most.sqrt();
        for (value, left) in column.iter_mut().zip(&mut left) {
            *value /= root;
            *left -= *value * *value;
        }
        left[pivot] = f64::NEG_INFINITY;
        columns.push(column);
        chosen.push(pivot);
    }
    Ok(chosen)
}

/// Some rows of a table.
pub(crate) fn rows(x: &Matrix, which: &[usize]) -> Matrix {
    Matrix::from_fn(which.len(), x.columns(), |row, column| x[(which[row], column)])
}
