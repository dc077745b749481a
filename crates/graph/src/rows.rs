//! Sparse rows in single precision: features of nodes, and the kernel that sums rows of a dense matrix.

use std::ops::Range;

use backstitch_numerics::SparseMatrix;
use pulp::Arch;
use rayon::prelude::*;

use crate::dense::{Dense, PIECE};

/// Columns that are summed in registers.
const BLOCK: usize = 64;

/// Sums of rows of `given`, as long as `width`: row i of `out` becomes `finish(i)` of the weighed sum over its entries.
///
/// `entries(i)` gives targets, and `weight(place, target)` the weight of the entry at a place. Every sum is taken in the order of
/// the entries.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel on slices")]
pub(crate) fn gather(
    starts: &[usize],
    targets: &[u32],
    rows: Range<usize>,
    given: &[f32],
    width: usize,
    out: &mut [f32],
    weight: impl Fn(usize, usize) -> f32,
    finish: impl Fn(usize, &mut [f32]),
) {
    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
        let entries = starts[row]..starts[row + 1];
        let mut from = 0;
        while from + BLOCK <= width {
            let mut sums = [0.0_f32; BLOCK];
            for place in entries.clone() {
                let target = targets[place] as usize;
                let weight = weight(place, target);
                let start = target * width + from;
                let values = &given[start..start + BLOCK];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            out[from..from + BLOCK].copy_from_slice(&sums);
            from += BLOCK;
        }
        if from < width {
            let rest = &mut out[from..];
            rest.fill(0.0);
            for place in entries {
                let target = targets[place] as usize;
                let weight = weight(place, target);
                let values = &given[target * width + from..(target + 1) * width];
                for (sum, value) in rest.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
        }
        finish(row, out);
    }
}

/// A sparse matrix in single precision with its transpose.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    by_row: Half,
    by_column: Half,
}

/// One of the two orders.
#[derive(Clone, Debug, PartialEq)]
struct Half {
    starts: Vec<usize>,
    targets: Vec<u32>,
    values: Vec<f32>,
}

impl Half {
    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// `out (+)= self · given`, with the rows `from..` of `given`.
    fn product(&self, given: &[f32], width: usize, add: bool, out: &mut [f32]) {
        let arch = Arch::new();
        out.par_chunks_mut(PIECE * width).enumerate().for_each(|(piece, out)| {
            let rows = piece * PIECE..(piece * PIECE + out.len() / width).min(self.rows());
            let mut sums = if add { vec![0.0; out.len()] } else { Vec::new() };
            let place = if add { sums.as_mut_slice() } else { &mut *out };
            arch.dispatch(
                #[inline(always)]
                || {
                    gather(
                        &self.starts,
                        &self.targets,
                        rows,
                        given,
                        width,
                        place,
                        #[inline(always)]
                        |place, _| self.values[place],
                        |_, _| {},
                    );
                },
            );
            if add {
                out.iter_mut().zip(sums).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

impl Rows {
    /// From rows of (column, value), columns ascending.
    pub fn new(columns: usize, rows: impl Iterator<Item = Vec<(usize, f32)>>) -> Self {
        let mut by_row = Half { starts: vec![0], targets: Vec::new(), values: Vec::new() };
        for row in rows {
            for (column, value) in row {
                by_row.targets.push(column as u32);
                by_row.values.push(value);
            }
            by_row.starts.push(by_row.targets.len());
        }
        let by_column = transposed(&by_row, columns);
        Self { by_row, by_column }
    }

    /// From a sparse matrix in double precision.
    pub fn from_sparse(matrix: &SparseMatrix) -> Self {
        let row = |row: usize| matrix.row(row).iter().map(|(column, value)| (column, value as f32)).collect();
        Self::new(matrix.columns(), (0..matrix.rows()).map(row))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.by_row.rows()
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.by_column.rows()
    }

    /// Entries of a row: column and value.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let entries = self.by_row.starts[row]..self.by_row.starts[row + 1];
        entries.map(|place| (self.by_row.targets[place] as usize, self.by_row.values[place]))
    }

    /// `out (+)= self · W` with W the rows `from..` of `weights`.
    pub(crate) fn product(&self, weights: &Dense, from: usize, add: bool, out: &mut Dense) {
        let width = weights.columns();
        let given = &weights.values()[from * width..(from + self.columns()) * width];
        self.by_row.product(given, width, add, out.values_mut());
    }

    /// The rows `from..from + self.columns()` of `out` become `self' · gradient`.
    pub(crate) fn transposed_product(&self, gradient: &Dense, from: usize, out: &mut Dense) {
        let width = gradient.columns();
        let place = from * width..(from + self.columns()) * width;
        self.by_column.product(gradient.values(), width, false, &mut out.values_mut()[place]);
    }
}

fn transposed(matrix: &Half, columns: usize) -> Half {
    let mut starts = vec![0; columns + 1];
    for &target in &matrix.targets {
        starts[target as usize + 1] += 1;
    }
    for column in 0..columns {
        starts[column + 1] += starts[column];
    }
    let mut next = starts.clone();
    let mut found =
        Half { starts, targets: vec![0; matrix.targets.len()], values: vec![0.0; matrix.targets.len()] };
    for row in 0..matrix.rows() {
        for place in matrix.starts[row]..matrix.starts[row + 1] {
            let to = &mut next[matrix.targets[place] as usize];
            found.targets[*to] = row as u32;
            found.values[*to] = matrix.values[place];
            *to += 1;
        }
    }
    found
}
