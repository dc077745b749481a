//! A dense matrix in single precision and its products.
//!
//! Products are taken in pieces of a fixed number of rows, and sums over pieces in the order of the pieces: no result depends on the number of
//! threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows that one thread works on at a time. Fixed: the order of sums rests on it.
const PIECE: usize = 64;
/// Rows whose outer products are summed together before pieces are.
const LONG_PIECE: usize = 2048;
/// Products smaller than this stay on one thread.
const PARALLEL: usize = 1 << 20;

/// A `rows × columns` matrix of `f32`, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Rows {
    /// The matrix of these values, row after row; none if their number is another one.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns) == Some(values.len())).then_some(Self { rows, columns, values })
    }

    /// Zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// The matrix whose entry (row, column) is `entry(row, column)`.
    pub fn from_fn(rows: usize, columns: usize, mut entry: impl FnMut(usize, usize) -> f32) -> Self {
        let mut found = Self::zeros(rows, columns);
        for row in 0..rows {
            for (column, value) in found.row_mut(row).iter_mut().enumerate() {
                *value = entry(row, column);
            }
        }
        found
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One row, to change.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, row after row, to change.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Some rows, in order.
    pub fn picked(&self, places: &[usize]) -> Self {
        let mut found = Self::zeros(places.len(), self.columns);
        for (row, &place) in places.iter().enumerate() {
            found.row_mut(row).copy_from_slice(self.row(place));
        }
        found
    }

    /// Adjoining rows.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        let values = self.values[first * self.columns..(first + count) * self.columns].to_vec();
        Self { rows: count, columns: self.columns, values }
    }

    /// Puts a matrix of as many columns below.
    pub(crate) fn append(&mut self, other: &Self) {
        if self.values.is_empty() {
            self.columns = other.columns;
        }
        assert_eq!(self.columns, other.columns, "columns");
        self.rows += other.rows;
        self.values.extend_from_slice(&other.values);
    }

    pub(crate) fn first_not_finite(&self) -> Option<(usize, usize, f32)> {
        let place = self.values.iter().position(|value| !value.is_finite())?;
        Some((place / self.columns, place % self.columns, self.values[place]))
    }
}

fn view(values: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, rows, columns)
}

fn view_mut(values: &mut [f32], rows: usize, columns: usize) -> MatMut<'_, f32> {
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

/// target ← left · right, or with the right side transposed.
fn product(target: &mut [f32], left: &Rows, right: MatRef<'_, f32>) {
    let (inner, columns) = (left.columns, right.ncols());
    let work = |(target, left): (&mut [f32], &[f32])| {
        let rows = left.len() / inner.max(1);
        let target = view_mut(target, rows, columns);
        matmul(target, Accum::Replace, view(left, rows, inner), right, 1.0, Par::Seq);
    };
    if inner == 0 || columns == 0 {
        return target.fill(0.0);
    }
    if left.rows * inner * columns < PARALLEL {
        target.chunks_mut(PIECE * columns).zip(left.values.chunks(PIECE * inner)).for_each(work);
    } else {
        target.par_chunks_mut(PIECE * columns).zip(left.values.par_chunks(PIECE * inner)).for_each(work);
    }
}

/// left · right.
pub(crate) fn times(left: &Rows, right: &Rows) -> Rows {
    let mut found = Rows::zeros(left.rows, right.columns);
    times_into(&mut found, left, right);
    found
}

/// target ← left · right.
pub(crate) fn times_into(target: &mut Rows, left: &Rows, right: &Rows) {
    assert_eq!((target.rows, target.columns, left.columns), (left.rows, right.columns, right.rows), "shapes");
    product(&mut target.values, left, view(&right.values, right.rows, right.columns));
}

/// left · right'.
pub(crate) fn times_transposed(left: &Rows, right: &Rows) -> Rows {
    assert_eq!(left.columns, right.columns, "shapes");
    let mut found = Rows::zeros(left.rows, right.rows);
    product(&mut found.values, left, view(&right.values, right.rows, right.columns).transpose());
    found
}

/// target + left' · right.
pub(crate) fn add_transposed_times(target: &mut Rows, left: &Rows, right: &Rows) {
    assert_eq!((target.rows, target.columns, left.rows), (left.columns, right.columns, right.rows), "shapes");
    if left.columns == 0 || right.columns == 0 {
        return;
    }
    let pieces: Vec<Vec<f32>> = left
        .values
        .par_chunks(LONG_PIECE * left.columns)
        .zip(right.values.par_chunks(LONG_PIECE * right.columns))
        .map(|(left_part, right_part)| {
            let rows = left_part.len() / left.columns;
            let mut sum = vec![0.0; left.columns * right.columns];
            let sums = view_mut(&mut sum, left.columns, right.columns);
            let left = view(left_part, rows, left.columns).transpose();
            matmul(sums, Accum::Replace, left, view(right_part, rows, right.columns), 1.0, Par::Seq);
            sum
        })
        .collect();
    for piece in pieces {
        target.values.iter_mut().zip(piece).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_plain_sums() {
        let left = Rows::from_fn(70, 3, |row, column| (row * 3 + column) as f32 % 7.0 - 3.0);
        let right = Rows::from_fn(3, 5, |row, column| (row + 2 * column) as f32 - 4.0);
        let plain = |row: usize, column: usize| {
            (0..3).map(|inner| left.row(row)[inner] * right.row(inner)[column]).sum::<f32>()
        };
        assert_eq!(times(&left, &right), Rows::from_fn(70, 5, plain));
        let transposed = Rows::from_fn(5, 3, |row, column| right.row(column)[row]);
        assert_eq!(times_transposed(&left, &transposed), Rows::from_fn(70, 5, plain));
        let mut gram = Rows::zeros(3, 3);
        add_transposed_times(&mut gram, &left, &left);
        let entry =
            |row: usize, column: usize| (0..70).map(|r| left.row(r)[row] * left.row(r)[column]).sum::<f32>();
        assert_eq!(gram, Rows::from_fn(3, 3, entry));
    }
}
