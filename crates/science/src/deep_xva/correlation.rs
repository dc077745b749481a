//! The root of a correlation matrix.

use backstitch_numerics::Matrix;

/// Eigenvalues down to this count as 0: correlations are given in few digits.
const ROUNDING: f64 = 1e-10;

/// A lower triangular L with L Lᵀ = `matrix`, which may be singular.
///
/// # Errors
/// The smallest eigenvalue and its eigenvector if it is negative.
pub(crate) fn factor(matrix: &Matrix) -> Result<Matrix, (f64, Vec<f64>)> {
    let (smallest, vector) = smallest_eigenvalue(matrix);
    if smallest < -ROUNDING {
        return Err((smallest, vector));
    }
    let n = matrix.rows();
    let mut root = Matrix::zeros(n, n);
    for column in 0..n {
        let used: f64 = root.row(column)[..column].iter().map(|value| value * value).sum();
        let pivot = (matrix[(column, column)] - used).max(0.0).sqrt();
        // A driver that follows from those before it.
        if pivot < 1e-7 {
            continue;
        }
        root[(column, column)] = pivot;
        for row in column + 1..n {
            let product: f64 =
                root.row(row)[..column].iter().zip(&root.row(column)[..column]).map(|(a, b)| a * b).sum();
            root[(row, column)] = (matrix[(row, column)] - product) / pivot;
        }
    }
    Ok(root)
}

/// By Jacobi's rotations, which are exact enough at any size that correlations come in.
fn smallest_eigenvalue(matrix: &Matrix) -> (f64, Vec<f64>) {
    let n = matrix.rows();
    let mut a = matrix.clone();
    let mut vectors = Matrix::from_fn(n, n, |i, j| f64::from(u8::from(i == j)));
    for _ in 0..60 {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|at| a[at] * a[at]).sum();
        if off < 1e-28 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[(p, q)].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[(q, q)] - a[(p, p)]) / (2.0 * a[(p, q)]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[(k, p)], a[(k, q)]);
                    a[(k, p)] = c * x - s * y;
                    a[(k, q)] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[(p, k)], a[(q, k)]);
                    a[(p, k)] = c * x - s * y;
                    a[(q, k)] = s * x + c * y;
                    let (x, y) = (vectors[(k, p)], vectors[(k, q)]);
                    vectors[(k, p)] = c * x - s * y;
                    vectors[(k, q)] = s * x + c * y;
                }
            }
        }
    }
    let place = (0..n).min_by(|&i, &j| a[(i, i)].total_cmp(&a[(j, j)])).unwrap_or(0);
    (a[(place, place)], (0..n).map(|row| vectors[(row, place)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_multiply_to_the_matrix_also_where_it_is_singular() {
        // The third follows from the first two: (x + y) / √2.
        let half = 0.5_f64.sqrt();
        let matrix = Matrix::new(3, 3, vec![1.0, 0.0, half, 0.0, 1.0, half, half, half, 1.0]).unwrap();
        let root = factor(&matrix).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = root.row(i).iter().zip(root.row(j)).map(|(a, b)| a * b).sum();
                assert!((product - matrix[(i, j)]).abs() < 1e-12, "{i} {j}");
            }
        }
    }

    #[test]
    fn the_smallest_eigenvalue_is_told() {
        // All pairs at c: the smallest eigenvalue is 1 + 2 c, at c = −0.9 minus 0.8.
        let matrix = Matrix::from_fn(3, 3, |i, j| if i == j { 1.0 } else { -0.9 });
        let (smallest, vector) = factor(&matrix).unwrap_err();
        assert!((smallest + 0.8).abs() < 1e-12, "{smallest}");
        assert!(vector.iter().all(|value| (value.abs() - 3.0_f64.sqrt().recip()).abs() < 1e-9));
    }
}
