//! Small symmetric systems.

/// Solves `A x = b` for a positive semidefinite `A` of `b.len()` rows by Cholesky; directions in which `A` is flat up to
/// rounding get no share of `x`.
pub(crate) fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    debug_assert_eq!(a.len(), n * n);
    let mut flat = vec![false; n];
    for k in 0..n {
        let before = a[k * n + k];
        let pivot = (0..k).fold(before, |pivot, j| pivot - a[k * n + j] * a[k * n + j]);
        flat[k] = pivot <= 1e-12 * before.abs() || pivot.is_nan();
        let root = if flat[k] { 1.0 } else { pivot.sqrt() };
        a[k * n + k] = root;
        for i in k + 1..n {
            let mut value = a[i * n + k];
            for j in 0..k {
                value -= a[i * n + j] * a[k * n + j];
            }
            a[i * n + k] = if flat[k] { 0.0 } else { value / root };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|j| a[i * n + j] * b[j]).sum();
        b[i] = if flat[i] { 0.0 } else { (b[i] - sum) / a[i * n + i] };
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|j| a[j * n + i] * b[j]).sum();
        b[i] = if flat[i] { 0.0 } else { (b[i] - sum) / a[i * n + i] };
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_a_flat_direction_left_out() {
        let x = solve(vec![4.0, 2.0, 2.0, 3.0], vec![2.0, 1.0]);
        assert!((x[0] - 0.5).abs() < 1e-12 && x[1].abs() < 1e-12, "{x:?}");
        let x = solve(vec![1.0, 1.0, 1.0, 1.0], vec![3.0, 3.0]);
        assert!((x[0] + x[1] - 3.0).abs() < 1e-12, "{x:?}");
    }
}
