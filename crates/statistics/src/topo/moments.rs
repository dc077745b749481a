//! From a table to its covariance, with every refusal of bad data in one place.

use backstitch_numerics::Matrix;

use super::{Parameters, Score};
use crate::Error;

/// A residual variance below this share of the column's variance counts as zero: the column is a combination of others.
/// It is far above the rounding of a covariance (1e-16 times its size) and far below any noise worth the name.
const COLLINEAR: f64 = 1e-11;

/// What the search keeps of the table.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) rows: usize,
    /// d × d, after centring, scaling and ridge.
    pub(super) covariance: Matrix,
    /// Subtracted from each column; zeros when not centred.
    pub(super) means: Vec<f64>,
    /// Each column was divided by this; ones when not standardised.
    pub(super) scales: Vec<f64>,
}

impl Moments {
    pub(super) fn new(samples: &Matrix, parameters: &Parameters) -> Result<Self, Error> {
        check_values(samples)?;
        if let Score::Logistic { .. } = parameters.score {
            check_binary(samples)?;
        }
        let (rows, columns) = (samples.rows(), samples.columns());
        let binary = matches!(parameters.score, Score::Logistic { .. });
        if !binary && parameters.ridge == 0.0 && rows < columns + usize::from(parameters.centre) {
            return Err(Error::TooFewRows { rows, columns });
        }
        // Logistic columns stay 0/1; there, centring is an intercept.
        let centre = parameters.centre && !binary;
        let means: Vec<f64> = (0..columns).map(|c| if centre { mean(samples, c) } else { 0.0 }).collect();
        let mut covariance = second_moments(samples, &means);
        let mut scales = vec![1.0; columns];
        if parameters.standardise {
            for (column, scale) in scales.iter_mut().enumerate() {
                *scale = covariance[(column, column)].sqrt();
            }
            covariance =
                Matrix::from_fn(columns, columns, |i, j| covariance[(i, j)] / (scales[i] * scales[j]));
        }
        for column in 0..columns {
            covariance[(column, column)] *= 1.0 + parameters.ridge;
        }
        if !binary {
            check_independent(&covariance)?;
        }
        Ok(Self { rows, covariance, means, scales })
    }
}

/// Two passes, so that a large mean does not eat the digits of the spread.
fn mean(samples: &Matrix, column: usize) -> f64 {
    let rows = samples.rows() as f64;
    let rough = samples.column(column).sum::<f64>() / rows;
    rough + samples.column(column).map(|x| x - rough).sum::<f64>() / rows
}

fn check_values(samples: &Matrix) -> Result<(), Error> {
    if samples.columns() == 0 {
        return Err(Error::NoColumns);
    }
    if samples.rows() < 2 {
        return Err(Error::OneRow { rows: samples.rows() });
    }
    for row in 0..samples.rows() {
        if let Some(column) = samples.row(row).iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite { row, column, value: samples[(row, column)] });
        }
    }
    for column in 0..samples.columns() {
        let first = samples[(0, column)];
        let (low, high) =
            samples.column(column).fold((first, first), |(low, high), x| (low.min(x), high.max(x)));
        let largest = high.abs().max(low.abs());
        if largest > 1e140 {
            return Err(Error::TooLarge { column, value: largest });
        }
        // A spread of a few units in the last place is a constant that went through arithmetic.
        if high - low <= 8.0 * f64::EPSILON * largest {
            return Err(Error::Constant { column, value: first });
        }
    }
    Ok(())
}

fn check_binary(samples: &Matrix) -> Result<(), Error> {
    for row in 0..samples.rows() {
        if let Some(column) = samples.row(row).iter().position(|x| *x != 0.0 && *x != 1.0) {
            return Err(Error::NotBinary { row, column, value: samples[(row, column)] });
        }
    }
    Ok(())
}

/// `(1/n) (X − means)'(X − means)`: row by row, so that one thread or many give the same sums.
fn second_moments(samples: &Matrix, means: &[f64]) -> Matrix {
    let columns = samples.columns();
    let mut sums = Matrix::zeros(columns, columns);
    let mut centred = vec![0.0; columns];
    for row in 0..samples.rows() {
        for ((value, x), mean) in centred.iter_mut().zip(samples.row(row)).zip(means) {
            *value = x - mean;
        }
        for i in 0..columns {
            let factor = centred[i];
            for (sum, value) in sums.row_mut(i)[i..].iter_mut().zip(&centred[i..]) {
                *sum += factor * value;
            }
        }
    }
    let rows = samples.rows() as f64;
    Matrix::from_fn(columns, columns, |i, j| sums[(i.min(j), i.max(j))] / rows)
}

/// Cholesky of the correlation matrix in the columns' own order; the first vanishing pivot names its column.
fn check_independent(covariance: &Matrix) -> Result<(), Error> {
    let columns = covariance.columns();
    let scale: Vec<f64> = (0..columns).map(|c| covariance[(c, c)].sqrt()).collect();
    let mut upper = Matrix::from_fn(columns, columns, |i, j| covariance[(i, j)] / (scale[i] * scale[j]));
    for k in 0..columns {
        let pivot = upper[(k, k)];
        if pivot.is_nan() || pivot <= COLLINEAR {
            return Err(Error::Collinear { column: k, on: combination(&upper, k) });
        }
        let root = pivot.sqrt();
        for value in &mut upper.row_mut(k)[k..] {
            *value /= root;
        }
        let row = upper.row(k).to_vec();
        for i in k + 1..columns {
            let factor = row[i];
            for (value, x) in upper.row_mut(i)[i..].iter_mut().zip(&row[i..]) {
                *value -= factor * x;
            }
        }
    }
    Ok(())
}

/// The columns before `k` that column `k` is a combination of: solve `R w = r_k` with the finished rows of the factor.
fn combination(upper: &Matrix, k: usize) -> Vec<usize> {
    let mut weights = vec![0.0; k];
    for i in (0..k).rev() {
        let rest: f64 = (i + 1..k).map(|j| upper[(i, j)] * weights[j]).sum();
        weights[i] = (upper[(i, k)] - rest) / upper[(i, i)];
    }
    let largest = weights.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
    (0..k).filter(|&i| weights[i].abs() > 1e-4 * largest).collect()
}
