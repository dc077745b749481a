//! A sparse matrix in rows: what readers of sparse data give and methods take.
//!
//! A row is the list of its entries with their columns, four bytes of column and eight of value each. Where every entry is 1, as in
//! data of categories, no values are kept at all.

use crate::matrix::Matrix;

/// A `rows × columns` matrix of `f64` of which only some entries are kept (compressed sparse rows).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix {
    columns: usize,
    /// Row i has the entries `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// Columns of the entries, ascending within a row.
    indices: Vec<u32>,
    /// Values of the entries; nothing where all are 1.
    values: Option<Vec<f64>>,
}

/// An entry that cannot stand where it is put.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SparseError {
    /// A column that does not come after the one before it in its row.
    #[error("row {row}: column {column} comes after column {before}; columns of a row must ascend")]
    Order {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The column before it.
        before: usize,
    },
    /// A column outside the matrix.
    #[error("row {row} has an entry in column {column}, but there are {columns} columns, counted from 0")]
    Column {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// Columns of the matrix.
        columns: usize,
    },
}

/// Most columns: what four bytes count.
pub const MOST_COLUMNS: usize = u32::MAX as usize;

/// Puts a sparse matrix together, entry by entry and row by row.
#[derive(Clone, Debug)]
pub struct SparseBuilder {
    matrix: SparseMatrix,
}

impl Default for SparseBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SparseBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { matrix: SparseMatrix { columns: 0, starts: vec![0], indices: Vec::new(), values: None } }
    }

    /// Adds an entry to the row that is open. A zero is kept as an entry.
    ///
    /// # Errors
    /// If the column is not after the last one of the row, or not below [`MOST_COLUMNS`].
    pub fn push(&mut self, column: usize, value: f64) -> Result<(), SparseError> {
        let row = self.rows();
        let matrix = &mut self.matrix;
        let begin = matrix.starts.last().copied().unwrap_or(0);
        let before = if matrix.indices.len() > begin { matrix.indices.last().copied() } else { None };
        if let Some(before) = before.filter(|before| column <= *before as usize) {
            return Err(SparseError::Order { row, column, before: before as usize });
        }
        let index = u32::try_from(column).ok().filter(|_| column < MOST_COLUMNS);
        let Some(index) = index else {
            return Err(SparseError::Column { row, column, columns: MOST_COLUMNS });
        };
        if value != 1.0 && matrix.values.is_none() {
            matrix.values = Some(vec![1.0; matrix.indices.len()]);
        }
        if let Some(values) = &mut matrix.values {
            grow(values);
            values.push(value);
        }
        grow(&mut matrix.indices);
        matrix.indices.push(index);
        matrix.columns = matrix.columns.max(column + 1);
        Ok(())
    }

    /// Ends the open row.
    pub fn end_row(&mut self) {
        grow(&mut self.matrix.starts);
        self.matrix.starts.push(self.matrix.indices.len());
    }

    /// Rows that are ended.
    pub fn rows(&self) -> usize {
        self.matrix.rows()
    }

    /// One more than the largest column so far.
    pub fn columns(&self) -> usize {
        self.matrix.columns
    }

    /// Bytes that are kept so far.
    pub fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// The matrix, with as many columns as entries ask for. Entries of a row that was not ended are dropped.
    pub fn finish(mut self) -> SparseMatrix {
        let matrix = &mut self.matrix;
        let end = matrix.starts.last().copied().unwrap_or(0);
        matrix.indices.truncate(end);
        matrix.indices.shrink_to_fit();
        matrix.starts.shrink_to_fit();
        if let Some(values) = &mut matrix.values {
            values.truncate(end);
            values.shrink_to_fit();
        }
        self.matrix
    }
}

/// Grows in steps of a quarter where doubling would waste memory.
fn grow<T>(values: &mut Vec<T>) {
    if values.len() == values.capacity() && values.len() >= 1 << 16 {
        values.reserve_exact(values.len() / 4);
    }
}

impl SparseMatrix {
    /// The entries of a dense matrix that are not zero.
    pub fn from_dense(dense: &Matrix) -> Self {
        let mut builder = SparseBuilder::new();
        for row in 0..dense.rows() {
            for (column, value) in dense.row(row).iter().enumerate() {
                if *value != 0.0 {
                    // Columns ascend, and a dense matrix of 2^32 columns does not fit a machine.
                    let pushed = builder.push(column, *value);
                    debug_assert!(pushed.is_ok(), "{pushed:?}");
                }
            }
            builder.end_row();
        }
        Self { columns: dense.columns(), ..builder.finish() }
    }

    /// The same entries in a matrix of more columns, or of fewer where they stay empty.
    ///
    /// # Errors
    /// If an entry lies outside.
    pub fn with_columns(mut self, columns: usize) -> Result<Self, SparseError> {
        if columns < self.columns {
            for row in 0..self.rows() {
                if let Some(column) = self.row(row).last_column().filter(|column| *column >= columns) {
                    return Err(SparseError::Column { row, column, columns });
                }
            }
        }
        self.columns = columns;
        Ok(self)
    }

    /// The rows of these numbers, in this order; a row may be taken more than once.
    ///
    /// # Panics
    /// If a number is not below [`Self::rows`].
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let entries = rows.iter().map(|&row| self.starts[row + 1] - self.starts[row]).sum();
        let mut starts = Vec::with_capacity(rows.len() + 1);
        let mut indices = Vec::with_capacity(entries);
        let mut values = self.values.as_ref().map(|_| Vec::with_capacity(entries));
        starts.push(0);
        for &row in rows {
            let entries = self.starts[row]..self.starts[row + 1];
            indices.extend_from_slice(&self.indices[entries.clone()]);
            if let (Some(all), Some(values)) = (&self.values, &mut values) {
                values.extend_from_slice(&all[entries]);
            }
            starts.push(indices.len());
        }
        Self { columns: self.columns, starts, indices, values }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of entries that are kept.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Bytes of the entries and of the places where rows begin.
    pub fn bytes(&self) -> usize {
        size_of_val(self.starts.as_slice())
            + size_of_val(self.indices.as_slice())
            + self.values.as_ref().map_or(0, |values| size_of_val(values.as_slice()))
    }

    /// Whether no entry is negative.
    pub fn is_nonnegative(&self) -> bool {
        self.values.as_ref().is_none_or(|values| values.iter().all(|value| *value >= 0.0))
    }

    /// One row.
    ///
    /// # Panics
    /// If it is not below [`Self::rows`].
    #[inline]
    pub fn row(&self, row: usize) -> SparseRow<'_> {
        let entries = self.starts[row]..self.starts[row + 1];
        SparseRow {
            indices: &self.indices[entries.clone()],
            values: self.values.as_ref().map(|values| &values[entries]),
        }
    }

    /// The same matrix with all its zeros.
    pub fn to_dense(&self) -> Matrix {
        let mut dense = Matrix::zeros(self.rows(), self.columns);
        for row in 0..self.rows() {
            for (column, value) in self.row(row).iter() {
                dense[(row, column)] = value;
            }
        }
        dense
    }
}

/// One row of a [`SparseMatrix`].
#[derive(Clone, Copy, Debug)]
pub struct SparseRow<'a> {
    indices: &'a [u32],
    values: Option<&'a [f64]>,
}

impl SparseRow<'_> {
    /// Entries that are kept.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Columns and values, columns ascending.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let value = |place: usize| self.values.map_or(1.0, |values| values[place]);
        self.indices.iter().enumerate().map(move |(place, index)| (*index as usize, value(place)))
    }

    /// The last column with an entry.
    pub fn last_column(&self) -> Option<usize> {
        self.indices.last().map(|index| *index as usize)
    }

    /// The product with a vector that has an entry per column.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for.
    #[inline]
    pub fn dot(&self, vector: &[f64]) -> f64 {
        match self.values {
            None => self.indices.iter().map(|index| vector[*index as usize]).sum(),
            Some(values) => {
                self.indices.iter().zip(values).map(|(index, value)| vector[*index as usize] * value).sum()
            }
        }
    }

    /// Adds a multiple of the row to a vector.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for.
    #[inline]
    pub fn add_to(&self, multiple: f64, vector: &mut [f64]) {
        match self.values {
            None => {
                for index in self.indices {
                    vector[*index as usize] += multiple;
                }
            }
            Some(values) => {
                for (index, value) in self.indices.iter().zip(values) {
                    vector[*index as usize] += multiple * value;
                }
            }
        }
    }

    /// Sum of the squares of the entries.
    pub fn squared_norm(&self) -> f64 {
        self.values.map_or(self.indices.len() as f64, |values| values.iter().map(|value| value * value).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SparseMatrix {
        let mut builder = SparseBuilder::new();
        builder.push(1, 1.0).unwrap();
        builder.push(4, 1.0).unwrap();
        builder.end_row();
        builder.end_row();
        builder.push(0, 1.0).unwrap();
        builder.push(2, -2.5).unwrap();
        builder.end_row();
        builder.finish()
    }

    #[test]
    fn sparse_and_dense_are_one_matrix() {
        let sparse = sample();
        assert_eq!((sparse.rows(), sparse.columns(), sparse.entries()), (3, 5, 4));
        let dense = sparse.to_dense();
        assert_eq!(dense.row(0), [0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(dense.row(2), [1.0, 0.0, -2.5, 0.0, 0.0]);
        assert_eq!(SparseMatrix::from_dense(&dense), sparse);
        let vector = [1.0, 2.0, 3.0, 4.0, 5.0];
        let products: Vec<f64> = (0..3).map(|row| sparse.row(row).dot(&vector)).collect();
        assert_eq!(products, [7.0, 0.0, -6.5]);
        let mut sum = [0.0; 5];
        sparse.row(2).add_to(2.0, &mut sum);
        assert_eq!(sum, [2.0, 0.0, -5.0, 0.0, 0.0]);
        assert_eq!(sparse.row(2).squared_norm(), 7.25);
        assert!(!sparse.is_nonnegative());
    }

    #[test]
    fn ones_take_no_values() {
        let mut builder = SparseBuilder::new();
        for row in 0..100 {
            builder.push(row, 1.0).unwrap();
            builder.end_row();
        }
        let ones = builder.finish();
        assert_eq!(ones.bytes(), 100 * 4 + 101 * 8);
        assert_eq!((ones.row(7).dot(&[2.0; 100]), ones.row(7).squared_norm()), (2.0, 1.0));
    }

    #[test]
    fn rows_are_selected_in_the_order_asked_for() {
        let selected = sample().select(&[2, 2, 0]);
        assert_eq!(selected.columns(), 5);
        assert_eq!(selected.to_dense().row(1), [1.0, 0.0, -2.5, 0.0, 0.0]);
        assert_eq!(selected.to_dense().row(2), [0.0, 1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn entries_out_of_place_are_refused() {
        let mut builder = SparseBuilder::new();
        builder.push(3, 1.0).unwrap();
        assert_eq!(
            builder.push(3, 1.0).unwrap_err().to_string(),
            "row 0: column 3 comes after column 3; columns of a row must ascend"
        );
        assert!(builder.push(MOST_COLUMNS, 1.0).is_err());
        builder.end_row();
        let matrix = builder.finish();
        assert_eq!(matrix.clone().with_columns(9).unwrap().columns(), 9);
        assert!(matrix.with_columns(3).is_err());
    }

    #[test]
    fn a_row_that_was_not_ended_is_dropped() {
        let mut builder = SparseBuilder::new();
        builder.push(0, 2.0).unwrap();
        builder.end_row();
        builder.push(1, 2.0).unwrap();
        let matrix = builder.finish();
        assert_eq!((matrix.rows(), matrix.entries()), (1, 1));
    }
}
