//! Least squares on polynomials, date by date: the regressions of least-squares Monte Carlo.

use backstitch_numerics::Matrix;

use super::features::Features;
use super::simulation::{Chunk, Grid};

/// Added to the diagonal of the normal equations, as a share of it: polynomials of a start that is the same on all paths are
/// constant.
const RIDGE: f64 = 1e-9;

/// Polynomials of the features, one for every date and equation.
#[derive(Clone, Debug)]
pub(crate) struct Regression {
    features: Features,
    /// For every date, one row of coefficients per equation.
    coefficients: Vec<Matrix>,
}

/// Sums of products over paths, for every date: what normal equations need.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    size: usize,
    /// For every date: products of terms, then of terms and targets.
    dates: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Sums {
    /// Of one chunk: for every equation and date, targets on every path that has not ended.
    pub(crate) fn of(
        features: &Features,
        grid: &Grid,
        chunk: &Chunk,
        values: &[f64],
        ends: &[usize],
        targets: &[Vec<f64>],
    ) -> Self {
        let paths = chunk.paths;
        let size = terms(features.columns() - 1);
        let mut rows = Matrix::zeros(paths, features.columns());
        let mut basis = vec![0.0; size];
        let dates = (0..grid.steps())
            .map(|date| {
                features.fill(grid, chunk, values, date..date + 1, &mut rows);
                let mut products = vec![0.0; size * size];
                let mut with_targets = vec![0.0; size * targets.len()];
                for path in (0..paths).filter(|&path| date < ends[path]) {
                    expand(&rows.row(path)[1..], &mut basis);
                    for (row, left) in products.chunks_exact_mut(size).zip(&basis) {
                        row.iter_mut().zip(&basis).for_each(|(sum, right)| *sum += left * right);
                    }
                    for (row, target) in with_targets.chunks_exact_mut(size).zip(targets) {
                        let target = target[date * paths + path];
                        row.iter_mut().zip(&basis).for_each(|(sum, right)| *sum += target * right);
                    }
                }
                (products, with_targets)
            })
            .collect();
        Self { size, dates }
    }

    fn add(&mut self, other: &Self) {
        for ((products, targets), (more, others)) in self.dates.iter_mut().zip(&other.dates) {
            products.iter_mut().zip(more).for_each(|(sum, value)| *sum += value);
            targets.iter_mut().zip(others).for_each(|(sum, value)| *sum += value);
        }
    }
}

impl Regression {
    /// From the sums of all chunks, in their order.
    pub(crate) fn fit(features: Features, sums: Vec<Sums>) -> Self {
        let total = sums.into_iter().reduce(|mut total, next| {
            total.add(&next);
            total
        });
        let coefficients = total.map_or_else(Vec::new, |total| {
            total.dates.into_iter().map(|(products, targets)| solve(products, &targets, total.size)).collect()
        });
        Self { features, coefficients }
    }

    /// What the polynomials say for every equation, date and path; 0 at the last date. Dates that the grid does not share with that of
    /// the fit are given the polynomial of the same position.
    pub(crate) fn evaluate(&self, grid: &Grid, chunk: &Chunk, values: &[f64]) -> Vec<Vec<f64>> {
        let paths = chunk.paths;
        let equations = self.coefficients.first().map_or(0, Matrix::rows);
        let mut found = vec![vec![0.0; grid.times.len() * paths]; equations];
        let mut rows = Matrix::zeros(paths, self.features.columns());
        let mut basis = vec![0.0; terms(self.features.columns() - 1)];
        for (date, coefficients) in self.coefficients.iter().enumerate() {
            self.features.fill(grid, chunk, values, date..date + 1, &mut rows);
            for path in 0..paths {
                expand(&rows.row(path)[1..], &mut basis);
                for (equation, found) in found.iter_mut().enumerate() {
                    let products = coefficients.row(equation).iter().zip(&basis).map(|(c, term)| c * term);
                    found[date * paths + path] = products.sum();
                }
            }
        }
        found
    }
}

/// Number of terms: 1, three powers of each feature, and products of two.
fn terms(features: usize) -> usize {
    1 + 3 * features + features * features.saturating_sub(1) / 2
}

fn expand(features: &[f64], basis: &mut [f64]) {
    basis[0] = 1.0;
    let mut place = 1;
    for (index, &x) in features.iter().enumerate() {
        basis[place..place + 3].copy_from_slice(&[x, x * x, x * x * x]);
        place += 3;
        for &y in &features[..index] {
            basis[place] = x * y;
            place += 1;
        }
    }
}

/// Coefficients for every equation, by Cholesky's factorisation.
fn solve(mut products: Vec<f64>, targets: &[f64], size: usize) -> Matrix {
    let count = products[0].max(1.0);
    for i in 0..size {
        products[i * size + i] += RIDGE * (products[i * size + i] + count);
        for j in 0..=i {
            let used: f64 = (0..j).map(|k| products[i * size + k] * products[j * size + k]).sum();
            let value = products[i * size + j] - used;
            products[i * size + j] =
                if i == j { value.max(RIDGE * RIDGE * count).sqrt() } else { value / products[j * size + j] };
        }
    }
    let equations = targets.len() / size;
    let mut coefficients = Matrix::zeros(equations, size);
    for (equation, target) in targets.chunks_exact(size).enumerate() {
        let row = coefficients.row_mut(equation);
        for i in 0..size {
            let used: f64 = (0..i).map(|k| products[i * size + k] * row[k]).sum();
            row[i] = (target[i] - used) / products[i * size + i];
        }
        for i in (0..size).rev() {
            let used: f64 = (i + 1..size).map(|k| products[k * size + i] * row[k]).sum();
            row[i] = (row[i] - used) / products[i * size + i];
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_found_again() {
        let mut basis = vec![0.0; terms(2)];
        let wanted = [0.5, -1.0, 2.0, 0.25, 0.0, 1.0, -0.5, 3.0];
        let (mut products, mut targets) = (vec![0.0; 64], vec![0.0; 8]);
        let mut stream = backstitch_numerics::Stream::new(0, "regression test");
        for _ in 0..400 {
            expand(&[stream.normal(), stream.normal()], &mut basis);
            let target: f64 = basis.iter().zip(wanted).map(|(term, c)| term * c).sum();
            for i in 0..8 {
                targets[i] += target * basis[i];
                for j in 0..8 {
                    products[i * 8 + j] += basis[i] * basis[j];
                }
            }
        }
        let found = solve(products, &targets, 8);
        for (found, wanted) in found.row(0).iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
}
