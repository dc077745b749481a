//! Small dense symmetric systems: what a block needs of its matrix.

use backstitch_numerics::Matrix;

/// A pivot below this share of the largest diagonal entry counts as zero.
const SINGULAR: f64 = 1e-13;
/// What is then added to the diagonal, as a share of its largest entry.
const LIFT: f64 = 1e-10;
/// Diagonals up to this count as zero: dividing by them overflows.
const VANISHING: f64 = 1e-200;
/// Steps of power iteration before its quotient is tried as a bound.
const POWER_STEPS: usize = 12;

/// The factor L of `LLᵀ`, the lower half of a symmetric matrix whose eigenvalues are not negative.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    factor: Matrix,
}

impl Cholesky {
    /// The factor of a matrix, or nothing if it is not positive definite.
    pub(super) fn new(matrix: &Matrix) -> Option<Self> {
        let most = (0..matrix.rows()).map(|i| matrix[(i, i)]).fold(0.0, f64::max);
        Self::above(matrix, 0.0, SINGULAR * most)
    }

    /// The factor of a matrix whose eigenvalues are not negative. A singular one is lifted a little first: if the right side is in its
    /// range, as gradients are, the solution is one of the solutions up to the lift.
    pub(super) fn lifted(matrix: &Matrix) -> Self {
        if let Some(factor) = Self::new(matrix) {
            return factor;
        }
        let most = (0..matrix.rows()).map(|i| matrix[(i, i)]).fold(0.0, f64::max);
        // A matrix of zeros, or almost, is lifted to what a step can be divided by.
        let mut lift = if most > VANISHING { LIFT * most } else { LIFT };
        loop {
            if let Some(factor) = Self::above(matrix, lift, 0.0) {
                return factor;
            }
            // Ends: from the trace up the matrix is dominated by its diagonal.
            lift *= 10.0;
        }
    }

    fn above(matrix: &Matrix, lift: f64, least: f64) -> Option<Self> {
        let n = matrix.rows();
        let mut factor = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..=i {
                let rest = matrix[(i, j)] - dot(&factor.row(i)[..j], &factor.row(j)[..j]);
                if i == j {
                    let pivot = rest + lift;
                    if !(pivot > least && pivot.is_finite()) {
                        return None;
                    }
                    factor[(i, i)] = pivot.sqrt();
                } else {
                    factor[(i, j)] = rest / factor[(j, j)];
                }
            }
        }
        Some(Self { factor })
    }

    /// Solves for one right side, in its place.
    pub(super) fn solve(&self, side: &mut [f64]) {
        self.halve(side);
        for i in (0..side.len()).rev() {
            let row = self.factor.row(i);
            side[i] /= row[i];
            let value = side[i];
            for (entry, factor) in side[..i].iter_mut().zip(row) {
                *entry -= factor * value;
            }
        }
    }

    /// `gᵀ(LLᵀ)⁻¹g`.
    pub(super) fn quadratic_form(&self, vector: &[f64]) -> f64 {
        let mut half = vector.to_vec();
        self.halve(&mut half);
        dot(&half, &half)
    }

    /// `L⁻¹` times a vector, in its place.
    fn halve(&self, side: &mut [f64]) {
        for i in 0..side.len() {
            let row = self.factor.row(i);
            side[i] = (side[i] - dot(&row[..i], &side[..i])) / row[i];
        }
    }

    /// Multiplications of making the factor.
    pub(super) fn cost(n: usize) -> u64 {
        (n * n * n / 6 + n * n) as u64
    }
}

/// A number that no eigenvalue of a symmetric positive semidefinite matrix is above, within a hundredth of the largest one.
///
/// Power iteration proposes, a Cholesky factor of `bound·I − matrix` certifies.
pub(super) fn largest_eigenvalue(matrix: &Matrix) -> f64 {
    let n = matrix.rows();
    let row_sums = |i: usize| matrix.row(i).iter().map(|value| value.abs()).sum::<f64>();
    let safe = (0..n).map(row_sums).fold(0.0, f64::max);
    if n <= 1 || safe == 0.0 {
        return safe;
    }
    let mut vector: Vec<f64> = (0..n).map(row_sums).collect();
    let mut quotient: f64 = 0.0;
    for _ in 0..POWER_STEPS {
        let length = dot(&vector, &vector).sqrt();
        if length == 0.0 {
            return safe;
        }
        vector.iter_mut().for_each(|value| *value /= length);
        let image: Vec<f64> = (0..n).map(|i| dot(matrix.row(i), &vector)).collect();
        quotient = quotient.max(dot(&vector, &image));
        vector = image;
    }
    let mut bound = quotient * 1.001;
    while bound < safe {
        let gap = Matrix::from_fn(n, n, |i, j| f64::from(u8::from(i == j)) * bound - matrix[(i, j)]);
        if Cholesky::new(&gap).is_some() {
            return bound;
        }
        bound *= 1.01;
    }
    safe
}

/// Eight sums, so that no addition waits for the one before.
pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    let length = one.len().min(other.len());
    let (one, other) = (&one[..length], &other[..length]);
    let mut sums = [0.0; 8];
    let (eights, rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    for (eight, other) in eights.iter().zip(others) {
        for ((sum, x), y) in sums.iter_mut().zip(eight).zip(other) {
            *sum += x * y;
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(x, y)| x * y).sum();
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    fn gram(n: usize, rank: usize, seed: u64) -> Matrix {
        let mut stream = Stream::new(seed, "gram");
        let tall = Matrix::from_fn(n, rank, |_, _| stream.normal());
        Matrix::from_fn(n, n, |i, j| dot(tall.row(i), tall.row(j)))
    }

    #[test]
    fn a_factor_solves() {
        for n in [1, 2, 9, 40] {
            let matrix = gram(n, n + 5, 1);
            let solution: Vec<f64> = (0..n).map(|i| i as f64 - 3.0).collect();
            let side: Vec<f64> = (0..n).map(|i| dot(matrix.row(i), &solution)).collect();
            let factor = Cholesky::new(&matrix).unwrap();
            let mut found = side.clone();
            factor.solve(&mut found);
            for (x, y) in found.iter().zip(&solution) {
                assert!((x - y).abs() < 1e-8, "{x} {y}");
            }
            assert!((factor.quadratic_form(&side) / dot(&side, &solution) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_singular_matrix_is_solved_within_its_range() {
        let matrix = gram(8, 3, 2);
        assert!(Cholesky::new(&matrix).is_none());
        let side: Vec<f64> = (0..8).map(|i| dot(matrix.row(i), &[1.0; 8])).collect();
        let mut found = side.clone();
        Cholesky::lifted(&matrix).solve(&mut found);
        for i in 0..8 {
            assert!((dot(matrix.row(i), &found) - side[i]).abs() < 1e-6);
        }
        let mut zero = [1.0];
        Cholesky::lifted(&Matrix::zeros(1, 1)).solve(&mut zero);
        assert!(zero[0].is_finite());
    }

    #[test]
    fn the_bound_is_above_the_eigenvalue_and_near_it() {
        for (n, rank) in [(1, 1), (2, 2), (12, 3), (30, 60)] {
            let matrix = gram(n, rank, 3);
            let bound = largest_eigenvalue(&matrix);
            // Many steps from a random start come as near as rounding lets them.
            let mut stream = Stream::new(4, "start");
            let mut vector: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
            let mut exact = 0.0;
            for _ in 0..20_000 {
                let length = dot(&vector, &vector).sqrt();
                vector.iter_mut().for_each(|value| *value /= length);
                let image: Vec<f64> = (0..n).map(|i| dot(matrix.row(i), &vector)).collect();
                exact = dot(&vector, &image);
                vector = image;
            }
            assert!(bound >= exact * (1.0 - 1e-12) && bound <= 1.02 * exact, "{n}: {bound} {exact}");
        }
        assert_eq!(largest_eigenvalue(&Matrix::zeros(3, 3)), 0.0);
    }
}
