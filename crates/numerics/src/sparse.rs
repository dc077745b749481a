//! A sparse matrix in rows: what readers of sparse data give and methods take.
//!
//! A row is the list of its entries with their columns: one, two or four bytes of column, as many as the number of columns asks for,
//! and eight of value. Where every entry is 1, as in data of categories, no values are kept at all.

use std::ops::Range;

use crate::matrix::Matrix;

/// A `rows × columns` matrix of `f64` of which only some entries are kept (compressed sparse rows).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix {
    columns: usize,
    /// Row i has the entries `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// Columns of the entries, ascending within a row.
    indices: Indices,
    /// Values of the entries; nothing where all are 1.
    values: Option<Vec<f64>>,
}

/// Columns in as few bytes as hold them.
#[derive(Clone, Debug, PartialEq)]
enum Indices {
    /// Below 256.
    One(Vec<u8>),
    /// Below 65,536.
    Two(Vec<u16>),
    Four(Vec<u32>),
}

/// Vectors of so many entries need no check of a column that takes one byte, or two.
const SHORT: usize = 1 << 8;
const LONG: usize = 1 << 16;

/// Does the same with the indices, whatever they take.
macro_rules! with_indices {
    ($indices:expr, $name:ident => $body:expr) => {
        match $indices {
            Indices::One($name) => $body,
            Indices::Two($name) => $body,
            Indices::Four($name) => $body,
        }
    };
}

/// A column in some bytes.
trait Index: Copy {
    fn place(self) -> usize;
}

impl Index for u8 {
    fn place(self) -> usize {
        usize::from(self)
    }
}

impl Index for u16 {
    fn place(self) -> usize {
        usize::from(self)
    }
}

impl Index for u32 {
    fn place(self) -> usize {
        self as usize
    }
}

impl Indices {
    /// The same columns in as few bytes as `columns` of them ask for.
    fn narrowed(wide: Vec<u32>, columns: usize) -> Self {
        // Every index is below the number of columns, so nothing is cut off.
        if columns <= SHORT {
            Self::One(wide.into_iter().map(|index| index as u8).collect())
        } else if columns <= LONG {
            Self::Two(wide.into_iter().map(|index| index as u16).collect())
        } else {
            Self::Four(wide)
        }
    }

    fn len(&self) -> usize {
        with_indices!(self, indices => indices.len())
    }

    fn bytes(&self) -> usize {
        with_indices!(self, indices => size_of_val(indices.as_slice()))
    }

    /// The entries at these places, one after the other.
    fn select(&self, places: impl Iterator<Item = Range<usize>>, entries: usize) -> Self {
        fn copied<I: Copy>(all: &[I], places: impl Iterator<Item = Range<usize>>, entries: usize) -> Vec<I> {
            let mut chosen = Vec::with_capacity(entries);
            places.for_each(|place| chosen.extend_from_slice(&all[place]));
            chosen
        }
        match self {
            Self::One(all) => Self::One(copied(all, places, entries)),
            Self::Two(all) => Self::Two(copied(all, places, entries)),
            Self::Four(all) => Self::Four(copied(all, places, entries)),
        }
    }
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
    columns: usize,
    starts: Vec<usize>,
    indices: Vec<u32>,
    values: Option<Vec<f64>>,
}

impl Default for SparseBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SparseBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { columns: 0, starts: vec![0], indices: Vec::new(), values: None }
    }

    /// Adds an entry to the row that is open. A zero is kept as an entry.
    ///
    /// # Errors
    /// If the column is not after the last one of the row, or not below [`MOST_COLUMNS`].
    pub fn push(&mut self, column: usize, value: f64) -> Result<(), SparseError> {
        let row = self.rows();
        let begin = self.starts.last().copied().unwrap_or(0);
        let before = if self.indices.len() > begin { self.indices.last().copied() } else { None };
        if let Some(before) = before.filter(|before| column <= *before as usize) {
            return Err(SparseError::Order { row, column, before: before as usize });
        }
        let index = u32::try_from(column).ok().filter(|_| column < MOST_COLUMNS);
        let Some(index) = index else {
            return Err(SparseError::Column { row, column, columns: MOST_COLUMNS });
        };
        if value != 1.0 && self.values.is_none() {
            self.values = Some(vec![1.0; self.indices.len()]);
        }
        if let Some(values) = &mut self.values {
            grow(values);
            values.push(value);
        }
        grow(&mut self.indices);
        self.indices.push(index);
        self.columns = self.columns.max(column + 1);
        Ok(())
    }

    /// Ends the open row.
    pub fn end_row(&mut self) {
        grow(&mut self.starts);
        self.starts.push(self.indices.len());
    }

    /// Rows that are ended.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// One more than the largest column so far.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes that are kept so far.
    pub fn bytes(&self) -> usize {
        size_of_val(self.starts.as_slice())
            + size_of_val(self.indices.as_slice())
            + self.values.as_ref().map_or(0, |values| size_of_val(values.as_slice()))
    }

    /// The matrix, with as many columns as entries ask for. Entries of a row that was not ended are dropped.
    pub fn finish(self) -> SparseMatrix {
        let Self { columns, mut starts, mut indices, mut values } = self;
        let end = starts.last().copied().unwrap_or(0);
        indices.truncate(end);
        indices.shrink_to_fit();
        starts.shrink_to_fit();
        if let Some(values) = &mut values {
            values.truncate(end);
            values.shrink_to_fit();
        }
        SparseMatrix { columns, starts, indices: Indices::narrowed(indices, columns), values }
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
        let places = || rows.iter().map(|&row| self.starts[row]..self.starts[row + 1]);
        let mut starts = Vec::with_capacity(rows.len() + 1);
        starts.push(0);
        let mut end = 0;
        for place in places() {
            end += place.len();
            starts.push(end);
        }
        let values = self.values.as_ref().map(|all| {
            let mut chosen = Vec::with_capacity(entries);
            places().for_each(|place| chosen.extend_from_slice(&all[place]));
            chosen
        });
        Self { columns: self.columns, starts, indices: self.indices.select(places(), entries), values }
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
            + self.indices.bytes()
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
        SparseRow { matrix: self, entries: self.starts[row]..self.starts[row + 1] }
    }

    /// The length of vectors that [`Self::multiply`] and [`Self::add_multiples`] are fastest with: the number of columns, or more.
    /// What lies behind the last column is not looked at and not changed.
    pub fn padded_columns(&self) -> usize {
        match self.indices {
            Indices::One(_) => SHORT.max(self.columns),
            Indices::Two(_) => LONG.max(self.columns),
            Indices::Four(_) => self.columns,
        }
    }

    /// Writes the product of each of some rows with a vector, of [`Self::padded_columns`] entries if it is to be fast.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for, or there are fewer products than rows.
    pub fn multiply(&self, rows: Range<usize>, vector: &[f64], products: &mut [f64]) {
        if let Some(full) = self.full(&rows) {
            return products_of_full(full, &vector[..self.columns], &mut products[..rows.len()]);
        }
        let starts = &self.starts[rows.start..=rows.end];
        let values = self.values.as_deref();
        match &self.indices {
            Indices::One(indices) => match <&[f64; SHORT]>::try_from(vector) {
                Ok(vector) => {
                    products_of(starts, indices, values, |index| vector[usize::from(index)], products)
                }
                Err(_) => products_of(starts, indices, values, |index| vector[usize::from(index)], products),
            },
            Indices::Two(indices) => match <&[f64; LONG]>::try_from(vector) {
                Ok(vector) => {
                    products_of(starts, indices, values, |index| vector[usize::from(index)], products)
                }
                Err(_) => products_of(starts, indices, values, |index| vector[usize::from(index)], products),
            },
            Indices::Four(indices) => {
                products_of(starts, indices, values, |index| vector[index as usize], products);
            }
        }
    }

    /// Adds a multiple of each of some rows to a vector, of [`Self::padded_columns`] entries if it is to be fast.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for, or there are fewer multiples than rows.
    pub fn add_multiples(&self, rows: Range<usize>, multiples: &[f64], vector: &mut [f64]) {
        if let Some(full) = self.full(&rows) {
            return add_full_to(full, &multiples[..rows.len()], &mut vector[..self.columns]);
        }
        let starts = &self.starts[rows.start..=rows.end];
        let values = self.values.as_deref();
        match &self.indices {
            Indices::One(indices) => match <&mut [f64; SHORT]>::try_from(&mut *vector) {
                Ok(vector) => {
                    add_to(starts, indices, values, multiples, |index, more| {
                        vector[usize::from(index)] += more
                    });
                }
                Err(_) => {
                    add_to(starts, indices, values, multiples, |index, more| {
                        vector[usize::from(index)] += more
                    });
                }
            },
            Indices::Two(indices) => match <&mut [f64; LONG]>::try_from(&mut *vector) {
                Ok(vector) => {
                    add_to(starts, indices, values, multiples, |index, more| {
                        vector[usize::from(index)] += more
                    });
                }
                Err(_) => {
                    add_to(starts, indices, values, multiples, |index, more| {
                        vector[usize::from(index)] += more
                    });
                }
            },
            Indices::Four(indices) => {
                add_to(starts, indices, values, multiples, |index, more| vector[index as usize] += more);
            }
        }
    }

    /// The values of some rows, if none of them lacks a column.
    fn full(&self, rows: &Range<usize>) -> Option<&[f64]> {
        let entries = self.starts[rows.start]..self.starts[rows.end];
        // No row has more entries than there are columns.
        let full = entries.len() == rows.len() * self.columns && self.columns > 0;
        self.values.as_deref().filter(|_| full).map(|values| &values[entries])
    }

    /// The same entries with rows and columns exchanged; zeros are left out.
    ///
    /// # Errors
    /// If there are more rows than columns can be counted.
    pub fn transposed(&self) -> Result<Self, SparseError> {
        if self.rows() >= MOST_COLUMNS {
            return Err(SparseError::Column { row: 0, column: self.rows() - 1, columns: MOST_COLUMNS });
        }
        let values = self.values.as_deref();
        let (starts, indices, values) = with_indices!(&self.indices, indices => {
            exchanged(&self.starts, indices, values, self.columns)
        });
        Ok(Self { columns: self.rows(), starts, indices: Indices::narrowed(indices, self.rows()), values })
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

/// The loop of [`SparseMatrix::multiply`]; `entry` looks a column up.
#[inline(always)]
fn products_of<I: Copy>(
    starts: &[usize],
    indices: &[I],
    values: Option<&[f64]>,
    entry: impl Fn(I) -> f64,
    products: &mut [f64],
) {
    let products = &mut products[..starts.len() - 1];
    for (pair, product) in starts.windows(2).zip(products) {
        let row = &indices[pair[0]..pair[1]];
        *product = match values {
            None => {
                // Four sums, so that no addition waits for the one before.
                let mut sums = [0.0; 4];
                let (fours, rest) = row.as_chunks::<4>();
                for four in fours {
                    for (sum, index) in sums.iter_mut().zip(four) {
                        *sum += entry(*index);
                    }
                }
                let rest: f64 = rest.iter().map(|index| entry(*index)).sum();
                (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
            }
            Some(values) => {
                row.iter().zip(&values[pair[0]..pair[1]]).map(|(index, value)| entry(*index) * value).sum()
            }
        };
    }
}

/// The loop of [`SparseMatrix::add_multiples`]; `add` adds to a column.
#[inline(always)]
fn add_to<I: Copy>(
    starts: &[usize],
    indices: &[I],
    values: Option<&[f64]>,
    multiples: &[f64],
    mut add: impl FnMut(I, f64),
) {
    let multiples = &multiples[..starts.len() - 1];
    for (pair, multiple) in starts.windows(2).zip(multiples) {
        let row = &indices[pair[0]..pair[1]];
        match values {
            None => row.iter().for_each(|index| add(*index, *multiple)),
            Some(values) => {
                row.iter()
                    .zip(&values[pair[0]..pair[1]])
                    .for_each(|(index, value)| add(*index, multiple * value));
            }
        }
    }
}

/// Where columns begin, the rows of their entries, and the values, those that are zero left out; rows are fewer than four bytes count.
fn exchanged<I: Index>(
    starts: &[usize],
    indices: &[I],
    values: Option<&[f64]>,
    columns: usize,
) -> (Vec<usize>, Vec<u32>, Option<Vec<f64>>) {
    let column = |place: usize| indices[place].place();
    let kept = |place: usize| values.is_none_or(|values| values[place] != 0.0);
    let mut begins = vec![0; columns + 1];
    (0..indices.len()).filter(|place| kept(*place)).for_each(|place| begins[column(place) + 1] += 1);
    for column in 0..columns {
        begins[column + 1] += begins[column];
    }
    let (mut next, mut rows) = (begins.clone(), vec![0; begins[columns]]);
    let mut moved = values.map(|_| vec![0.0; rows.len()]);
    for (row, pair) in starts.windows(2).enumerate() {
        for place in (pair[0]..pair[1]).filter(|place| kept(*place)) {
            let next = &mut next[column(place)];
            rows[*next] = row as u32;
            if let (Some(moved), Some(values)) = (&mut moved, values) {
                moved[*next] = values[place];
            }
            *next += 1;
        }
    }
    (begins, rows, moved.filter(|values| values.iter().any(|value| *value != 1.0)))
}

/// Rows that [`products_of_full`] and [`add_full_to`] take at a time.
const ABREAST: usize = 4;

/// [`SparseMatrix::multiply`] where rows lack no column. A product does not depend on the rows beside it.
fn products_of_full(rows: &[f64], vector: &[f64], products: &mut [f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let columns = vector.len();
            let (many, rest) = products.as_chunks_mut::<ABREAST>();
            let (rows, others) = rows.split_at(many.len() * ABREAST * columns);
            for (rows, products) in rows.chunks_exact(ABREAST * columns).zip(many) {
                *products =
                    dots(std::array::from_fn(|row| &rows[row * columns..(row + 1) * columns]), vector);
            }
            for (row, product) in others.chunks_exact(columns).zip(rest) {
                [*product] = dots([row], vector);
            }
        },
    );
}

/// Products of rows with a vector, each of eight sums, so that no addition waits for the one before.
#[inline(always)]
fn dots<const ROWS: usize>(rows: [&[f64]; ROWS], vector: &[f64]) -> [f64; ROWS] {
    const LANES: usize = 8;
    let (eights, rest) = vector.as_chunks::<LANES>();
    let rows = rows.map(|row| row[..vector.len()].as_chunks::<LANES>());
    let mut sums = [[0.0; LANES]; ROWS];
    for (place, eight) in eights.iter().enumerate() {
        for (sums, (row, _)) in sums.iter_mut().zip(&rows) {
            for ((sum, x), y) in sums.iter_mut().zip(&row[place]).zip(eight) {
                *sum += x * y;
            }
        }
    }
    std::array::from_fn(|row| {
        let rest: f64 = rows[row].1.iter().zip(rest).map(|(x, y)| x * y).sum();
        sums[row].iter().sum::<f64>() + rest
    })
}

/// [`SparseMatrix::add_multiples`] where rows lack no column: the same sums in the same order.
fn add_full_to(rows: &[f64], multiples: &[f64], vector: &mut [f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let columns = vector.len();
            let (many, rest) = multiples.as_chunks::<ABREAST>();
            let (rows, others) = rows.split_at(many.len() * ABREAST * columns);
            for (rows, [a, b, c, d]) in rows.chunks_exact(ABREAST * columns).zip(many) {
                let (one, rows) = rows.split_at(columns);
                let (two, rows) = rows.split_at(columns);
                let (three, four) = rows.split_at(columns);
                let entries = one.iter().zip(two).zip(three).zip(four);
                for (sum, (((one, two), three), four)) in vector.iter_mut().zip(entries) {
                    *sum = (((*sum + a * one) + b * two) + c * three) + d * four;
                }
            }
            for (row, multiple) in others.chunks_exact(columns).zip(rest) {
                vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += multiple * value);
            }
        },
    );
}

/// One row of a [`SparseMatrix`].
#[derive(Clone, Debug)]
pub struct SparseRow<'a> {
    matrix: &'a SparseMatrix,
    entries: Range<usize>,
}

impl SparseRow<'_> {
    /// Entries that are kept.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    fn column(&self, place: usize) -> usize {
        with_indices!(&self.matrix.indices, indices => indices[place] as usize)
    }

    /// Columns and values, columns ascending.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.matrix.values.as_deref();
        self.entries
            .clone()
            .map(move |place| (self.column(place), values.map_or(1.0, |values| values[place])))
    }

    /// The last column with an entry.
    pub fn last_column(&self) -> Option<usize> {
        self.entries.clone().next_back().map(|place| self.column(place))
    }

    /// The product with a vector that has an entry per column.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for.
    pub fn dot(&self, vector: &[f64]) -> f64 {
        self.iter().map(|(column, value)| vector[column] * value).sum()
    }

    /// Adds a multiple of the row to a vector.
    ///
    /// # Panics
    /// If the vector is shorter than a column asks for.
    pub fn add_to(&self, multiple: f64, vector: &mut [f64]) {
        self.iter().for_each(|(column, value)| vector[column] += multiple * value);
    }

    /// Sum of the squares of the entries.
    pub fn squared_norm(&self) -> f64 {
        match &self.matrix.values {
            Some(values) => values[self.entries.clone()].iter().map(|value| value * value).sum(),
            None => self.entries.len() as f64,
        }
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
        assert_eq!(ones.bytes(), 100 + 101 * 8);
        assert_eq!((ones.row(7).dot(&[2.0; 100]), ones.row(7).squared_norm()), (2.0, 1.0));
    }

    #[test]
    fn many_rows_at_once_are_rows_one_by_one() {
        // One, two and four bytes of column; with and without values; padded and not.
        for columns in [5, 300, 70_000] {
            for values in [[1.0, 1.0, 1.0], [0.5, -2.0, 1.0]] {
                let mut builder = SparseBuilder::new();
                for row in 0..40 {
                    for entry in 0..row % 5 {
                        let column = entry * (columns / 5) + row % (columns / 5);
                        builder.push(column, values[(row + entry) % 3]).unwrap();
                    }
                    builder.end_row();
                }
                let matrix = builder.finish().with_columns(columns).unwrap();
                let entry = |column: usize| ((column * 37) % 101) as f64 - 50.0;
                for length in [columns, matrix.padded_columns()] {
                    let vector: Vec<f64> = (0..length).map(entry).collect();
                    let mut products = [0.0; 30];
                    matrix.multiply(7..37, &vector, &mut products);
                    let mut sum = vec![0.0; length];
                    matrix.add_multiples(7..37, &products, &mut sum);
                    let mut expected = vec![0.0; length];
                    for (place, product) in products.iter().enumerate() {
                        assert_eq!(*product, matrix.row(7 + place).dot(&vector));
                        matrix.row(7 + place).add_to(*product, &mut expected);
                    }
                    assert_eq!(sum, expected);
                }
            }
        }
    }

    #[test]
    fn full_rows_need_no_columns() {
        for (rows, columns) in [(1, 1), (3, 7), (4, 8), (11, 37), (9, 300)] {
            let dense = Matrix::from_fn(rows, columns, |row, column| {
                ((row * 31 + column * 17) % 23) as f64 / 7.0 + 0.25
            });
            let matrix = SparseMatrix::from_dense(&dense);
            let vector: Vec<f64> = (0..columns).map(|column| (column % 5) as f64 - 1.5).collect();
            let mut products = vec![0.0; rows];
            matrix.multiply(0..rows, &vector, &mut products);
            let mut sum = vec![0.5; columns];
            matrix.add_multiples(0..rows, &products, &mut sum);
            let mut expected = vec![0.5; columns];
            for (row, product) in products.iter().enumerate() {
                let mut alone = [0.0];
                matrix.multiply(row..row + 1, &vector, &mut alone);
                assert_eq!(alone[0], *product);
                let exact = matrix.row(row).dot(&vector);
                assert!((product - exact).abs() <= 1e-13 * columns as f64 * (1.0 + exact.abs()));
                matrix.row(row).add_to(*product, &mut expected);
            }
            assert_eq!(sum, expected);
        }
    }

    #[test]
    fn rows_and_columns_are_exchanged() {
        let matrix = sample();
        let flipped = matrix.transposed().unwrap();
        assert_eq!((flipped.rows(), flipped.columns()), (5, 3));
        assert_eq!(flipped.to_dense(), Matrix::from_fn(5, 3, |i, j| matrix.to_dense()[(j, i)]));
        assert_eq!(flipped.transposed().unwrap(), matrix);
        // Entries that are zero go, and what is left may all be ones.
        let mut builder = SparseBuilder::new();
        builder.push(0, 0.0).unwrap();
        builder.push(1, 1.0).unwrap();
        builder.end_row();
        let ones = builder.finish().transposed().unwrap();
        assert_eq!((ones.entries(), ones.to_dense().row(1)), (1, &[1.0][..]));
        assert_eq!(ones.bytes(), 3 * 8 + 1);
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
