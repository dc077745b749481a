//! Linear maps: dense, or sparse where most weights are zero (convolutions, and values carried past an activation).

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

/// A map of at least this share of nonzero weights is kept dense.
const DENSE_FROM: f64 = 0.25;

/// A linear map from `columns` to `rows` numbers.
#[derive(Clone, Debug)]
pub(super) enum Map {
    Dense(Mat<f64>),
    Sparse(Sparse),
}

/// Rows of (column, weight), columns ascending.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    columns: usize,
    starts: Vec<usize>,
    indices: Vec<u32>,
    weights: Vec<f64>,
}

impl Sparse {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, starts: vec![0], indices: Vec::new(), weights: Vec::new() }
    }

    /// Adds a row. Columns must ascend; zeros are dropped.
    pub(super) fn push_row(&mut self, entries: impl IntoIterator<Item = (u32, f64)>) {
        for (column, weight) in entries {
            if weight != 0.0 {
                self.indices.push(column);
                self.weights.push(weight);
            }
        }
        self.starts.push(self.indices.len());
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn entries(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = self.starts[row]..self.starts[row + 1];
        self.indices[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }
}

impl Map {
    /// Dense or sparse, whichever suits.
    pub(super) fn new(sparse: Sparse) -> Self {
        let (rows, columns) = (sparse.rows(), sparse.columns());
        if (sparse.entries() as f64) < DENSE_FROM * rows as f64 * columns as f64 {
            return Self::Sparse(sparse);
        }
        let mut dense = Mat::zeros(rows, columns);
        for row in 0..rows {
            for (column, weight) in sparse.row(row) {
                dense[(row, column as usize)] = weight;
            }
        }
        Self::Dense(dense)
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.nrows(),
            Self::Sparse(sparse) => sparse.rows(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.ncols(),
            Self::Sparse(sparse) => sparse.columns,
        }
    }

    /// Calls `visit(row, column, weight)` for every weight that is kept; zeros may or may not be among them.
    pub(super) fn for_each(&self, mut visit: impl FnMut(usize, usize, f64)) {
        match self {
            Self::Dense(dense) => {
                for column in 0..dense.ncols() {
                    for (row, weight) in dense.col(column).iter().enumerate() {
                        visit(row, column, *weight);
                    }
                }
            }
            Self::Sparse(sparse) => {
                for row in 0..sparse.rows() {
                    for (column, weight) in sparse.row(row) {
                        visit(row, column as usize, weight);
                    }
                }
            }
        }
    }

    /// Some rows and some columns, both ascending.
    pub(super) fn select(&self, rows: &[usize], columns: &[usize]) -> Self {
        if rows.len() == self.rows() && columns.len() == self.columns() {
            return self.clone();
        }
        match self {
            Self::Dense(dense) => {
                let mut found = Mat::zeros(rows.len(), columns.len());
                for (place, &column) in columns.iter().enumerate() {
                    let (from, to) = (dense.col(column), found.col_mut(place));
                    for (to, &row) in to.iter_mut().zip(rows) {
                        *to = from[row];
                    }
                }
                Self::Dense(found)
            }
            Self::Sparse(sparse) => {
                let mut places = vec![u32::MAX; sparse.columns];
                for (place, &column) in (0..).zip(columns) {
                    places[column] = place;
                }
                let mut found = Sparse::new(columns.len());
                for &row in rows {
                    let moved = sparse.row(row).map(|(column, weight)| (places[column as usize], weight));
                    found.push_row(moved.filter(|(place, _)| *place != u32::MAX));
                }
                Self::Sparse(found)
            }
        }
    }

    /// `A W`: coefficients of what comes out of the map become coefficients of what goes in.
    pub(super) fn pull(&self, coefficients: MatRef<'_, f64>) -> Mat<f64> {
        let mut found = Mat::zeros(coefficients.nrows(), self.columns());
        match self {
            Self::Dense(dense) => {
                matmul(found.as_mut(), Accum::Replace, coefficients, dense, 1.0, Par::Seq);
            }
            Self::Sparse(sparse) => {
                for row in 0..sparse.rows() {
                    // What is off has no coefficient at all.
                    if coefficients.col(row).iter().all(|a| *a == 0.0) {
                        continue;
                    }
                    for (column, weight) in sparse.row(row) {
                        add(&mut found, column as usize, coefficients, row, weight);
                    }
                }
            }
        }
        found
    }

    /// `A Wᵀ`.
    pub(super) fn push(&self, coefficients: MatRef<'_, f64>) -> Mat<f64> {
        let mut found = Mat::zeros(coefficients.nrows(), self.rows());
        match self {
            Self::Dense(dense) => {
                matmul(found.as_mut(), Accum::Replace, coefficients, dense.transpose(), 1.0, Par::Seq);
            }
            Self::Sparse(sparse) => {
                for row in 0..sparse.rows() {
                    for (column, weight) in sparse.row(row) {
                        add(&mut found, row, coefficients, column as usize, weight);
                    }
                }
            }
        }
        found
    }

    /// Some rows, one after the other, as a matrix. A whole map of an image would not fit into memory.
    pub(super) fn rows_from(&self, from: usize, count: usize) -> Mat<f64> {
        match self {
            Self::Dense(dense) => dense.subrows(from, count).to_owned(),
            Self::Sparse(sparse) => {
                let mut found = Mat::zeros(count, sparse.columns);
                for place in 0..count {
                    for (column, weight) in sparse.row(from + place) {
                        found[(place, column as usize)] = weight;
                    }
                }
                found
            }
        }
    }

    pub(super) fn transposed(&self) -> Self {
        match self {
            Self::Dense(dense) => Self::Dense(dense.transpose().to_owned()),
            Self::Sparse(sparse) => {
                let mut starts = vec![0; sparse.columns + 1];
                for column in &sparse.indices {
                    starts[*column as usize + 1] += 1;
                }
                for column in 0..sparse.columns {
                    starts[column + 1] += starts[column];
                }
                let mut places = starts.clone();
                let (mut indices, mut weights) = (vec![0; sparse.entries()], vec![0.0; sparse.entries()]);
                for row in 0..sparse.rows() {
                    for (column, weight) in sparse.row(row) {
                        let place = &mut places[column as usize];
                        (indices[*place], weights[*place]) = (row as u32, weight);
                        *place += 1;
                    }
                }
                Self::Sparse(Sparse { columns: sparse.rows(), starts, indices, weights })
            }
        }
    }

    /// The product with a vector.
    pub(super) fn apply(&self, vector: &[f64]) -> Vec<f64> {
        let mut found = vec![0.0; self.rows()];
        self.for_each(|row, column, weight| found[row] += weight * vector[column]);
        found
    }

    /// The largest absolute weight of each column, or of each row if `of_rows`.
    pub(super) fn largest(&self, of_rows: bool) -> Vec<f64> {
        let mut found = vec![0.0_f64; if of_rows { self.rows() } else { self.columns() }];
        self.for_each(|row, column, weight| {
            let place = &mut found[if of_rows { row } else { column }];
            *place = place.max(weight.abs());
        });
        found
    }

    /// The largest sum of absolute weights of a row, rounded up.
    pub(super) fn norm(&self) -> f64 {
        let mut sums = vec![0.0_f64; self.rows()];
        self.for_each(|row, _, weight| sums[row] += weight.abs());
        let most = sums.into_iter().fold(0.0, f64::max);
        most * (1.0 + super::rounding::factor(self.columns()))
    }

    /// Bounds of the product with a vector between `lower` and `upper`, rounded outward; of the product of its transpose if
    /// `transposed`.
    pub(super) fn interval(
        &self,
        lower: &[f64],
        upper: &[f64],
        offset: Option<&[f64]>,
        transposed: bool,
    ) -> (Vec<f64>, Vec<f64>) {
        let (to, from) =
            if transposed { (self.columns(), self.rows()) } else { (self.rows(), self.columns()) };
        let zeros = || vec![0.0; to];
        let (mut low, mut high, mut low_size, mut high_size) = (zeros(), zeros(), zeros(), zeros());
        self.for_each(|row, column, weight| {
            let (place, other) = if transposed { (column, row) } else { (row, column) };
            let (one, two) = (weight * lower[other], weight * upper[other]);
            let (least, most) = (one.min(two), one.max(two));
            low[place] += least;
            high[place] += most;
            low_size[place] += least.abs();
            high_size[place] += most.abs();
        });
        let factor = super::rounding::factor(from + 1);
        for place in 0..to {
            let shift = offset.map_or(0.0, |offset| offset[place]);
            // A sum of nothing but zeros is exact, and one of numbers of one sign keeps it.
            let slack = |size: f64| factor * (size + shift.abs());
            let (below, over) = (slack(low_size[place]), slack(high_size[place]));
            let (least, most) = (low[place] + shift, high[place] + shift);
            low[place] = if below == 0.0 { least } else { (least - below).next_down() };
            high[place] = if over == 0.0 { most } else { (most + over).next_up() };
        }
        (low, high)
    }
}

fn add(into: &mut Mat<f64>, to: usize, from: MatRef<'_, f64>, column: usize, weight: f64) {
    for (to, from) in into.col_mut(to).iter_mut().zip(from.col(column).iter()) {
        *to += weight * from;
    }
}
