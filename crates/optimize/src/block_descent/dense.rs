//! Small dense symmetric systems: what a block needs of its matrix.

use backstitch_numerics::Matrix;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::{MatMut, Par, Spec};

/// A pivot below this share of the largest diagonal entry counts as zero.
const SINGULAR: f64 = 1e-13;
/// What is then added to the diagonal, as a share of its largest entry.
const LIFT: f64 = 1e-10;
/// Diagonals up to this count as zero: dividing by them overflows.
const VANISHING: f64 = 1e-200;
/// Steps of power iteration before its quotient is tried as a bound.
const POWER_STEPS: usize = 12;

/// From this size on a factor is made in blocks.
const BLOCKED: usize = 48;

/// The factor L of `LLᵀ`, a symmetric matrix whose eigenvalues are not negative.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    /// `Lᵀ`; what is below its diagonal is no part of it.
    upper: Matrix,
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
        let mut values = matrix.values().to_vec();
        for i in 0..n {
            values[i * n + i] += lift;
        }
        if n < BLOCKED {
            plain(&mut values, n)?
        } else {
            blocked(&mut values, n)?
        }
        let large_enough = |i: usize| {
            let pivot = values[i * n + i] * values[i * n + i];
            pivot > least && pivot.is_finite()
        };
        (0..n).all(large_enough).then(|| Matrix::new(n, n, values).ok().map(|upper| Self { upper }))?
    }

    /// Solves for one right side, in its place.
    pub(super) fn solve(&self, side: &mut [f64]) {
        self.halve(side);
        for i in (0..side.len()).rev() {
            let row = self.upper.row(i);
            side[i] = (side[i] - dot(&row[i + 1..], &side[i + 1..])) / row[i];
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
            let row = self.upper.row(i);
            side[i] /= row[i];
            let (solved, rest) = side.split_at_mut(i + 1);
            add_multiple(rest, -solved[i], &row[i + 1..]);
        }
    }

    /// Multiplications of making the factor.
    pub(super) fn cost(n: usize) -> u64 {
        (n * n * n / 6 + n * n) as u64
    }
}

/// Turns the upper half of a symmetric matrix into `Lᵀ`, or gives nothing where a pivot is not positive.
fn plain(values: &mut [f64], n: usize) -> Option<()> {
    for i in 0..n {
        let (done, rest) = values.split_at_mut((i + 1) * n);
        let row = &mut done[i * n..];
        let pivot = row[i];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let share = 1.0 / pivot.sqrt();
        row[i..].iter_mut().for_each(|value| *value *= share);
        for (below, later) in (i + 1..n).zip(rest.chunks_exact_mut(n)) {
            add_multiple(&mut later[below..], -row[below], &row[below..]);
        }
    }
    Some(())
}

/// The same in blocks, on one thread: the factor does not depend on their number.
fn blocked(values: &mut [f64], n: usize) -> Option<()> {
    let (parallel, parameters) = (Par::Seq, Spec::default());
    let mut room = MemBuffer::try_new(cholesky_in_place_scratch::<f64>(n, parallel, parameters)).ok()?;
    // A row of a symmetric matrix is a column of it.
    let columns = MatMut::from_column_major_slice_mut(values, n, n);
    let found = cholesky_in_place(
        columns,
        LltRegularization::default(),
        parallel,
        MemStack::new(&mut room),
        parameters,
    );
    found.ok().map(drop)
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
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
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
        },
    )
}

/// Adds a multiple of a vector to another.
pub(super) fn add_multiple(to: &mut [f64], multiple: f64, vector: &[f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || to.iter_mut().zip(vector).for_each(|(sum, value)| *sum += multiple * value),
    );
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
        for n in [1, 2, 9, 40, 70] {
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
    fn blocks_make_the_same_factor() {
        for n in [1, 7, 48, 131] {
            let matrix = gram(n, n + 5, 5);
            let (mut one, mut other) = (matrix.values().to_vec(), matrix.values().to_vec());
            plain(&mut one, n).unwrap();
            blocked(&mut other, n).unwrap();
            for i in 0..n {
                for j in i..n {
                    let (one, other) = (one[i * n + j], other[i * n + j]);
                    assert!((one - other).abs() <= 1e-9 * (1.0 + one.abs()), "{n}: {one} {other}");
                }
            }
        }
    }

    #[test]
    fn a_singular_matrix_is_solved_within_its_range() {
        for n in [8, 60] {
            let matrix = gram(n, n - 5, 2);
            assert!(Cholesky::new(&matrix).is_none());
            let side: Vec<f64> = (0..n).map(|i| dot(matrix.row(i), &vec![1.0; n])).collect();
            let mut found = side.clone();
            Cholesky::lifted(&matrix).solve(&mut found);
            for i in 0..n {
                assert!((dot(matrix.row(i), &found) - side[i]).abs() < 1e-6);
            }
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
