//! A dense matrix in single precision, its products, and the count of how much memory such matrices hold.
//!
//! Products are taken in pieces of a fixed number of rows, and sums over pieces in the order of the pieces: no result depends on the
//! number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows that one thread works on at a time. Fixed: the order of sums rests on it.
pub(crate) const PIECE: usize = 512;
/// Rows whose outer products are summed together before pieces are.
const LONG_PIECE: usize = 4096;

/// How many bytes of matrices are alive, and the most that ever were.
#[derive(Debug, Default)]
pub struct Ledger {
    live: AtomicUsize,
    peak: AtomicUsize,
}

impl Ledger {
    /// Bytes alive now.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The most bytes that were alive at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(live, Ordering::Relaxed);
    }
}

/// Bytes entered in a ledger, taken out when dropped.
#[derive(Debug)]
struct Held {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Held {
    fn new(ledger: &Arc<Ledger>, bytes: usize) -> Self {
        ledger.add(bytes);
        Self { ledger: Arc::clone(ledger), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.live.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A `rows × columns` matrix of `f32`, row after row.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Plain", into = "Plain")]
pub struct Dense {
    rows: usize,
    columns: usize,
    pub(crate) values: Vec<f32>,
    held: Option<Held>,
}

/// The form of a matrix in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl From<Dense> for Plain {
    fn from(dense: Dense) -> Self {
        Self { rows: dense.rows, columns: dense.columns, values: dense.values }
    }
}

impl TryFrom<Plain> for Dense {
    type Error = String;

    fn try_from(plain: Plain) -> Result<Self, String> {
        let Plain { rows, columns, values } = plain;
        if rows.checked_mul(columns) != Some(values.len()) || !values.iter().all(|value| value.is_finite()) {
            return Err(format!(
                "{} values are not a finite matrix of {rows} rows and {columns} columns",
                values.len()
            ));
        }
        Ok(Self { rows, columns, values, held: None })
    }
}

impl Clone for Dense {
    fn clone(&self) -> Self {
        let held =
            self.held.as_ref().map(|held| Held::new(&held.ledger, size_of_val(self.values.as_slice())));
        Self { rows: self.rows, columns: self.columns, values: self.values.clone(), held }
    }
}

impl PartialEq for Dense {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.columns) == (other.rows, other.columns) && self.values == other.values
    }
}

impl Dense {
    /// Zeros that no ledger counts.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns], held: None }
    }

    /// Zeros that a ledger counts for as long as they are alive.
    pub fn counted(rows: usize, columns: usize, ledger: &Arc<Ledger>) -> Self {
        let held = Some(Held::new(ledger, rows * columns * size_of::<f32>()));
        Self { held, ..Self::zeros(rows, columns) }
    }

    /// The matrix whose entry (row, column) is `entry(row, column)`.
    pub fn from_fn(rows: usize, columns: usize, mut entry: impl FnMut(usize, usize) -> f32) -> Self {
        let mut dense = Self::zeros(rows, columns);
        for row in 0..rows {
            for (column, value) in dense.row_mut(row).iter_mut().enumerate() {
                *value = entry(row, column);
            }
        }
        dense
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

    /// Takes a shape; the values are then anything.
    pub(crate) fn reshape(&mut self, rows: usize, columns: usize, ledger: &Arc<Ledger>) {
        if (self.rows, self.columns) != (rows, columns) {
            // What was held goes back first.
            *self = Self::default();
            *self = Self::counted(rows, columns, ledger);
        }
    }

    /// Divides every row by its Euclidean norm plus 1e-8.
    pub(crate) fn normalise_rows(&mut self) {
        let columns = self.columns.max(1);
        self.values.par_chunks_mut(PIECE * columns).for_each(|piece| {
            for row in piece.chunks_mut(columns) {
                let square: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
                let factor = (1.0 / (square.sqrt() + 1e-8)) as f32;
                row.iter_mut().for_each(|value| *value *= factor);
            }
        });
    }

    /// Sums of the columns.
    pub(crate) fn column_sums(&self) -> Vec<f32> {
        let columns = self.columns.max(1);
        let pieces: Vec<Vec<f32>> = self
            .values
            .par_chunks(PIECE * columns)
            .map(|piece| {
                let mut sums = vec![0.0; columns];
                for row in piece.chunks(columns) {
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0_f32; self.columns];
        for piece in pieces {
            sums.iter_mut().zip(piece).for_each(|(sum, value)| *sum += value);
        }
        sums
    }

    fn view(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }

    /// `out (+)= self · W` with W the rows `from..` of `weights`, as many as there are columns.
    pub(crate) fn product(&self, weights: &Self, from: usize, add: bool, out: &mut Self) {
        let (inner, columns) = (self.columns, weights.columns);
        if inner == 0 || columns == 0 {
            if !add {
                out.values.fill(0.0);
            }
            return;
        }
        let factor = weights.view().subrows(from, inner);
        let accumulate = if add { Accum::Add } else { Accum::Replace };
        let wanted = out.values.par_chunks_mut(PIECE * columns);
        self.values.par_chunks(PIECE * inner).zip(wanted).for_each(|(given, wanted)| {
            let rows = given.len() / inner;
            matmul(
                MatMut::from_row_major_slice_mut(wanted, rows, columns),
                accumulate,
                MatRef::from_row_major_slice(given, rows, inner),
                factor,
                1.0,
                Par::Seq,
            );
        });
    }

    /// `out = self · W'` with W the rows `from..from + out.columns()` of `weights`.
    pub(crate) fn product_transposed(&self, weights: &Self, from: usize, add: bool, out: &mut Self) {
        let (inner, columns) = (self.columns, out.columns);
        if inner == 0 || columns == 0 {
            return;
        }
        let factor = weights.view().subrows(from, columns).transpose();
        let accumulate = if add { Accum::Add } else { Accum::Replace };
        let wanted = out.values.par_chunks_mut(PIECE * columns);
        self.values.par_chunks(PIECE * inner).zip(wanted).for_each(|(given, wanted)| {
            let rows = given.len() / inner;
            matmul(
                MatMut::from_row_major_slice_mut(wanted, rows, columns),
                accumulate,
                MatRef::from_row_major_slice(given, rows, inner),
                factor,
                1.0,
                Par::Seq,
            );
        });
    }

    /// The rows `from..from + self.columns()` of `out` become `self' · gradient`.
    pub(crate) fn transposed_product(&self, gradient: &Self, from: usize, out: &mut Self) {
        let (inner, columns) = (self.columns, gradient.columns);
        if inner == 0 || columns == 0 {
            return;
        }
        let place = from * columns..(from + inner) * columns;
        let pieces = self.values.par_chunks(LONG_PIECE * inner);
        let sums: Vec<Vec<f32>> = pieces
            .zip(gradient.values.par_chunks(LONG_PIECE * columns))
            .map(|(given, gradient)| {
                let rows = given.len() / inner;
                let mut sum = vec![0.0_f32; inner * columns];
                matmul(
                    MatMut::from_row_major_slice_mut(&mut sum, inner, columns),
                    Accum::Replace,
                    MatRef::from_row_major_slice(given, rows, inner).transpose(),
                    MatRef::from_row_major_slice(gradient, rows, columns),
                    1.0,
                    Par::Seq,
                );
                sum
            })
            .collect();
        let out = &mut out.values[place];
        out.fill(0.0);
        for sum in sums {
            out.iter_mut().zip(sum).for_each(|(total, value)| *total += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(rows: usize, columns: usize) -> Dense {
        Dense::from_fn(rows, columns, |row, column| ((7 * row + 3 * column) % 11) as f32 - 5.0)
    }

    #[test]
    fn products_are_plain_sums() {
        let (left, right) = (example(5000, 6), example(9, 4));
        let mut found = Dense::zeros(5000, 4);
        left.product(&right, 2, false, &mut found);
        left.product(&right, 2, true, &mut found);
        for row in [0, 511, 512, 4999] {
            for column in 0..4 {
                let sum: f32 = (0..6).map(|k| left.row(row)[k] * right.row(k + 2)[column]).sum();
                assert_eq!(found.row(row)[column], 2.0 * sum);
            }
        }
        let mut back = Dense::zeros(5000, 6);
        found.product_transposed(&right, 2, false, &mut back);
        let sum: f32 = (0..4).map(|k| found.row(4000)[k] * right.row(2 + 5)[k]).sum();
        assert_eq!(back.row(4000)[5], sum);
        let mut outer = Dense::zeros(9, 4);
        left.transposed_product(&found, 2, &mut outer);
        let sum: f64 = (0..5000).map(|row| f64::from(left.row(row)[1]) * f64::from(found.row(row)[3])).sum();
        assert!((f64::from(outer.row(3)[3]) - sum).abs() < 1e-3 * sum.abs().max(1.0));
        assert_eq!(outer.row(0), [0.0; 4]);
    }

    #[test]
    fn a_ledger_knows_what_is_alive_and_the_most_that_was() {
        let ledger = Arc::new(Ledger::default());
        let first = Dense::counted(10, 10, &ledger);
        let copy = first.clone();
        drop(first);
        assert_eq!((ledger.live(), ledger.peak()), (400, 800));
        let mut last = copy;
        last.reshape(30, 10, &ledger);
        assert_eq!((ledger.live(), ledger.peak()), (1200, 1200));
        drop(last);
        assert_eq!(ledger.live(), 0);
    }
}
