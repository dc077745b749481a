//! Dense linear algebra in fixed pieces: what each thread computes does not depend on how many there are.
//!
//! Matrices are column-major slices; of symmetric ones the lower triangle is kept. Blocks are multiplied, factored and
//! solved by faer, each by one thread.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par, Spec};
use rayon::prelude::*;

/// Rows and columns of a block.
pub(crate) const BLOCK: usize = 96;

/// Factors a positive definite matrix in place: A = L Lᵀ, L in the lower triangle.
///
/// # Errors
/// The column at which the matrix is found not to be positive definite.
pub(crate) fn cholesky(values: &mut [f64], n: usize) -> Result<(), usize> {
    for start in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - start);
        let below = n - start - width;
        // The panel is copied out: it is read by all while the columns right of it are written.
        let mut panel = vec![0.0; (width + below) * width];
        for column in 0..width {
            let from = (start + column) * n + start;
            panel[column * (width + below)..][..width + below]
                .copy_from_slice(&values[from..from + width + below]);
        }
        let whole = MatMut::from_column_major_slice_mut(&mut panel, width + below, width);
        let (mut corner, mut rest) = whole.split_at_row_mut(width);
        let parameters = Spec::<LltParams, f64>::default();
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(width, Par::Seq, parameters));
        let stack = MemStack::new(&mut memory);
        cholesky_in_place(corner.rb_mut(), Default::default(), Par::Seq, stack, parameters).map_err(
            |error| {
                let faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index } = error;
                start + index
            },
        )?;
        let corner = corner.rb();
        rest.rb_mut().par_row_chunks_mut(BLOCK).for_each(|chunk| {
            solve_lower_triangular_in_place(corner, chunk.transpose_mut(), Par::Seq);
        });
        let rest = rest.rb();
        values[(start + width) * n..].par_chunks_mut(BLOCK * n).enumerate().for_each(|(block, columns)| {
            let first = block * BLOCK;
            let wide = columns.len() / n;
            let target = MatMut::from_column_major_slice_mut(columns, n, wide);
            let target = target.submatrix_mut(start + width + first, 0, below - first, wide);
            let (left, right) = (rest.subrows(first, below - first), rest.subrows(first, wide).transpose());
            matmul(target, Accum::Add, left, right, -1.0, Par::Seq);
        });
        for column in 0..width {
            let to = (start + column) * n + start;
            values[to..to + width + below]
                .copy_from_slice(&panel[column * (width + below)..][..width + below]);
        }
    }
    Ok(())
}

/// Solves L X = B in place for the columns of B.
pub(crate) fn solve_lower(factor: &[f64], n: usize, right: &mut [f64]) {
    let factor = MatRef::from_column_major_slice(factor, n, n);
    right.par_chunks_mut(BLOCK * n.max(1)).for_each(|columns| {
        let wide = columns.len() / n;
        let columns = MatMut::from_column_major_slice_mut(columns, n, wide);
        solve_lower_triangular_in_place(factor, columns, Par::Seq);
    });
}

/// Solves Lᵀ X = B in place for the columns of B.
pub(crate) fn solve_upper(factor: &[f64], n: usize, right: &mut [f64]) {
    let factor = MatRef::from_column_major_slice(factor, n, n);
    right.par_chunks_mut(BLOCK * n.max(1)).for_each(|columns| {
        let wide = columns.len() / n;
        let columns = MatMut::from_column_major_slice_mut(columns, n, wide);
        solve_upper_triangular_in_place(factor.transpose(), columns, Par::Seq);
    });
}

/// The lower triangle of (L Lᵀ)⁻¹.
pub(crate) fn inverse(factor: &[f64], n: usize) -> Vec<f64> {
    let lower = MatRef::from_column_major_slice(factor, n, n);
    // L⁻¹, whose columns of a block are zero above it.
    let mut root = vec![0.0; n * n];
    root.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, columns)| {
        let first = block * BLOCK;
        let wide = columns.len() / n;
        for column in 0..wide {
            columns[column * n + first + column] = 1.0;
        }
        let target = MatMut::from_column_major_slice_mut(columns, n, wide);
        let target = target.submatrix_mut(first, 0, n - first, wide);
        let corner = lower.submatrix(first, first, n - first, n - first);
        solve_lower_triangular_in_place(corner, target, Par::Seq);
    });
    let root = MatRef::from_column_major_slice(&root, n, n);
    let mut found = vec![0.0; n * n];
    found.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, columns)| {
        let first = block * BLOCK;
        let wide = columns.len() / n;
        let mut target = MatMut::from_column_major_slice_mut(columns, n, wide);
        for down in (first..n).step_by(BLOCK) {
            let tall = BLOCK.min(n - down);
            let target = target.rb_mut().submatrix_mut(down, 0, tall, wide);
            // Rows above `down` are zero in the columns from `down` on.
            let left = root.submatrix(down, down, n - down, tall).transpose();
            let right = root.submatrix(down, first, n - down, wide);
            matmul(target, Accum::Replace, left, right, 1.0, Par::Seq);
        }
    });
    found
}

/// The product Aᵀ B of column-major A (inner × rows) and B (inner × columns), column-major.
pub(crate) fn transposed_product(left: &[f64], right: &[f64], rows: usize, inner: usize) -> Vec<f64> {
    let columns = right.len() / inner.max(1);
    let left = MatRef::from_column_major_slice(left, inner, rows);
    let mut found = vec![0.0; rows * columns];
    if inner == 0 || rows == 0 {
        return found;
    }
    found.par_chunks_mut(BLOCK * rows).zip(right.par_chunks(BLOCK * inner)).for_each(|(target, right)| {
        let wide = target.len() / rows;
        let target = MatMut::from_column_major_slice_mut(target, rows, wide);
        let right = MatRef::from_column_major_slice(right, inner, wide);
        matmul(target, Accum::Replace, left.transpose(), right, 1.0, Par::Seq);
    });
    found
}

/// Twice the logarithms of the diagonal of L: the logarithm of the determinant of L Lᵀ.
pub(crate) fn log_determinant(factor: &[f64], n: usize) -> f64 {
    (0..n).map(|i| 2.0 * factor[i * n + i].ln()).sum()
}

/// Largest share of the mean diagonal that is added before a matrix counts as not positive definite.
const MOST_JITTER: f64 = 1e-4;

/// Factors a matrix, adding more and more to its diagonal until that works: a factor and what was added.
///
/// # Errors
/// The column at which the matrix is not positive definite with the most that is added.
pub(crate) fn factor_with_jitter(matrix: &[f64], n: usize) -> Result<(Vec<f64>, f64), usize> {
    let mean = (0..n).map(|i| matrix[i * n + i]).sum::<f64>() / n as f64;
    let mut share = 0.0;
    loop {
        let mut factor = matrix.to_vec();
        for i in 0..n {
            factor[i * n + i] += share * mean;
        }
        // A pivot that only rounding keeps above zero would make every solve noise.
        let found = cholesky(&mut factor, n).and_then(|()| {
            let least = 1e-15 * n as f64 * mean;
            match (0..n).find(|&i| {
                let pivot = factor[i * n + i] * factor[i * n + i];
                pivot.is_nan() || pivot <= least
            }) {
                Some(column) => Err(column),
                None => Ok(()),
            }
        });
        match found {
            Ok(()) => return Ok((factor, share * mean)),
            Err(column) if share >= MOST_JITTER || !mean.is_finite() || mean <= 0.0 => return Err(column),
            Err(_) => share = if share == 0.0 { 1e-12 } else { 10.0 * share },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    fn positive(n: usize) -> Vec<f64> {
        let mut stream = Stream::new(3, "linear");
        let root: Vec<f64> = (0..n * n).map(|_| stream.normal()).collect();
        let mut matrix = transposed_product(&root, &root, n, n);
        for i in 0..n {
            matrix[i * n + i] += n as f64;
        }
        matrix
    }

    #[test]
    fn a_factor_gives_the_matrix_and_its_inverse_back() {
        for n in [1, 5, BLOCK, BLOCK + 1, 3 * BLOCK - 7] {
            let matrix = positive(n);
            let mut factor = matrix.clone();
            cholesky(&mut factor, n).unwrap();
            for column in 0..n {
                factor[column * n..column * n + column].fill(0.0);
            }
            let inverse = inverse(&factor, n);
            let whole: Vec<f64> =
                (0..n * n).map(|at| inverse[(at / n).min(at % n) * n + (at / n).max(at % n)]).collect();
            // The matrix is symmetric.
            let unit = transposed_product(&matrix, &whole, n, n);
            for (at, value) in unit.iter().enumerate() {
                let expected = f64::from(u8::from(at / n == at % n));
                assert!((value - expected).abs() < 1e-10, "n={n} at {at}: {value}");
            }
            let mut identity = matrix.clone();
            solve_lower(&factor, n, &mut identity);
            solve_upper(&factor, n, &mut identity);
            assert!((0..n).all(|i| (identity[i * n + i] - 1.0).abs() < 1e-10));
        }
    }

    #[test]
    fn jitter_rescues_a_singular_matrix_and_not_an_indefinite_one() {
        let (_, jitter) = factor_with_jitter(&[1.0, 1.0, 1.0, 1.0], 2).unwrap();
        assert!(jitter > 0.0 && jitter < 1e-10, "{jitter}");
        assert_eq!(factor_with_jitter(&[2.0, 0.0, 0.0, 1.0], 2).unwrap().1, 0.0);
        assert_eq!(factor_with_jitter(&[1.0, 2.0, 2.0, 1.0], 2).unwrap_err(), 1);
    }
}
