//! Products of row-major matrices.

use backstitch_numerics::Matrix;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

fn view(matrix: &Matrix) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(matrix.values(), matrix.rows(), matrix.columns())
}

fn into(target: &mut Matrix, accumulate: Accum, left: MatRef<'_, f64>, right: MatRef<'_, f64>, factor: f64) {
    let (rows, columns) = (target.rows(), target.columns());
    let target = MatMut::from_row_major_slice_mut(target.values_mut(), rows, columns);
    matmul(target, accumulate, left, right, factor, Par::Seq);
}

/// left · right.
pub(super) fn times(left: &Matrix, right: &Matrix) -> Matrix {
    let mut found = Matrix::zeros(left.rows(), right.columns());
    into(&mut found, Accum::Replace, view(left), view(right), 1.0);
    found
}

/// left · right'.
pub(super) fn times_transposed(left: &Matrix, right: &Matrix) -> Matrix {
    let mut found = Matrix::zeros(left.rows(), right.rows());
    into(&mut found, Accum::Replace, view(left), view(right).transpose(), 1.0);
    found
}

/// left' · right.
pub(super) fn transposed_times(left: &Matrix, right: &Matrix) -> Matrix {
    let mut found = Matrix::zeros(left.columns(), right.columns());
    into(&mut found, Accum::Replace, view(left).transpose(), view(right), 1.0);
    found
}

/// target + factor · left · right, in place.
pub(super) fn add_times(target: &mut Matrix, factor: f64, left: &Matrix, right: &Matrix) {
    into(target, Accum::Add, view(left), view(right), factor);
}

/// target + factor · left · right', in place.
pub(super) fn add_times_transposed(target: &mut Matrix, factor: f64, left: &Matrix, right: &Matrix) {
    into(target, Accum::Add, view(left), view(right).transpose(), factor);
}

/// target + factor · other, in place.
pub(super) fn add(target: &mut Matrix, factor: f64, other: &Matrix) {
    for (target, other) in target.values_mut().iter_mut().zip(other.values()) {
        *target += factor * other;
    }
}

/// ⟨left, right⟩ of all entries.
pub(super) fn inner(left: &Matrix, right: &Matrix) -> f64 {
    left.values().iter().zip(right.values()).map(|(left, right)| left * right).sum()
}

/// Some rows, in order.
pub(super) fn rows(matrix: &Matrix, picked: &[usize]) -> Matrix {
    let mut found = Matrix::zeros(picked.len(), matrix.columns());
    for (place, &row) in picked.iter().enumerate() {
        found.row_mut(place).copy_from_slice(matrix.row(row));
    }
    found
}

/// Some columns, in order.
pub(super) fn columns(matrix: &Matrix, picked: &[usize]) -> Matrix {
    let mut found = Matrix::zeros(matrix.rows(), picked.len());
    for row in 0..matrix.rows() {
        let own = matrix.row(row);
        for (target, &column) in found.row_mut(row).iter_mut().zip(picked) {
            *target = own[column];
        }
    }
    found
}

/// Adds columns to some columns, in order.
pub(super) fn add_columns(target: &mut Matrix, picked: &[usize], part: &Matrix) {
    for row in 0..target.rows() {
        let (target, part) = (target.row_mut(row), part.row(row));
        for (place, &column) in picked.iter().enumerate() {
            target[column] += part[place];
        }
    }
}
