//! The gradient of the hyper-objective by implicit differentiation: a second-order baseline, and the oracle of the tests.

use backstitch_numerics::Matrix;
use faer::Mat;
use faer::prelude::Solve;

use super::problem::{Bilevel, Samples, Slopes, add, norm};
use crate::Error;

/// How `H_yy v = ∇_y f` is solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inversion {
    /// By the pseudo-inverse: eigenvalues below this share of the largest count as zero. The right one where minimisers are not unique.
    PseudoInverse {
        /// The share.
        tolerance: f64,
    },
    /// By elimination, as for a lower level that is strongly convex. Breaks where H_yy is singular.
    Elimination,
    /// By conjugate gradients on products of H_yy, for long y.
    ConjugateGradients {
        /// Most steps.
        steps: usize,
        /// Ends at this share of the first residual.
        tolerance: f64,
    },
}

/// `∇ψ(x) = ∇_x f − H_xy H_yy⁺ ∇_y f` at a y that minimises f among the minimisers of `g(x, ·)`, without constraints.
///
/// y is taken as it is: at another minimiser of g, or away from them all, the result is another number. H_yy is put together from
/// q products ([`Bilevel::lower_hessian_product`]) except by conjugate gradients.
///
/// # Errors
/// [`Error::Length`]; [`Error::Overflow`] if the result is not finite.
pub fn hypergradient<P: Bilevel + ?Sized>(
    problem: &P,
    x: &[f64],
    y: &[f64],
    inversion: Inversion,
) -> Result<Vec<f64>, Error> {
    let (p, q) = (problem.upper_dimension(), problem.lower_dimension());
    for (what, found, expected) in [("the upper variable", x.len(), p), ("the lower variable", y.len(), q)] {
        if found != expected {
            return Err(Error::Length { what: what.into(), found, expected });
        }
    }
    let (mut gradient, mut right) = (vec![0.0; p], vec![0.0; q]);
    problem.upper_gradient(x, y, Samples::All, Slopes::both(&mut gradient, &mut right));
    let solution = match inversion {
        Inversion::ConjugateGradients { steps, tolerance } => {
            conjugate_gradients(problem, x, y, &right, steps, tolerance)
        }
        Inversion::PseudoInverse { tolerance } => {
            let hessian = symmetric(&hessian(problem, x, y));
            let values = hessian
                .self_adjoint_eigen(faer::Side::Lower)
                .map_err(|_| Error::Overflow { iteration: 0 })?;
            let (vectors, values) = (values.U(), values.S().column_vector());
            let largest = (0..q).map(|place| values[place].abs()).fold(0.0, f64::max);
            let mut solution = vec![0.0; q];
            for place in (0..q).filter(|&place| values[place].abs() > tolerance * largest) {
                let along: f64 = (0..q).map(|row| vectors[(row, place)] * right[row]).sum();
                for (row, sum) in solution.iter_mut().enumerate() {
                    *sum += along / values[place] * vectors[(row, place)];
                }
            }
            solution
        }
        Inversion::Elimination => {
            let solved =
                symmetric(&hessian(problem, x, y))
                    .partial_piv_lu()
                    .solve(Mat::from_fn(q, 1, |row, _| right[row]));
            (0..q).map(|row| solved[(row, 0)]).collect()
        }
    };
    let mut cross = vec![0.0; p];
    problem.lower_hessian_product(x, y, &solution, Slopes::in_x(&mut cross));
    add(&mut gradient, -1.0, &cross);
    if gradient.iter().all(|value| value.is_finite()) {
        Ok(gradient)
    } else {
        Err(Error::Overflow { iteration: 0 })
    }
}

/// H_yy, a column per product.
fn hessian<P: Bilevel + ?Sized>(problem: &P, x: &[f64], y: &[f64]) -> Matrix {
    let q = y.len();
    let mut hessian = Matrix::zeros(q, q);
    let mut direction = vec![0.0; q];
    for place in 0..q {
        direction[place] = 1.0;
        // Symmetric, so that a column is a row.
        problem.lower_hessian_product(x, y, &direction, Slopes::in_y(hessian.row_mut(place)));
        direction[place] = 0.0;
    }
    hessian
}

fn symmetric(hessian: &Matrix) -> Mat<f64> {
    Mat::from_fn(hessian.rows(), hessian.rows(), |row, column| {
        0.5 * (hessian[(row, column)] + hessian[(column, row)])
    })
}

fn conjugate_gradients<P: Bilevel + ?Sized>(
    problem: &P,
    x: &[f64],
    y: &[f64],
    right: &[f64],
    steps: usize,
    tolerance: f64,
) -> Vec<f64> {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
    let mut solution = vec![0.0; right.len()];
    let (mut rest, mut direction) = (right.to_vec(), right.to_vec());
    let mut image = vec![0.0; right.len()];
    let wanted = tolerance * norm(right);
    let mut square = dot(&rest, &rest);
    for _ in 0..steps {
        if square.sqrt() <= wanted {
            break;
        }
        problem.lower_hessian_product(x, y, &direction, Slopes::in_y(&mut image));
        let curvature = dot(&direction, &image);
        // Rounding has taken over, or the matrix has a direction without curvature.
        if curvature.is_nan() || curvature <= 0.0 {
            break;
        }
        let length = square / curvature;
        add(&mut solution, length, &direction);
        add(&mut rest, -length, &image);
        let next = dot(&rest, &rest);
        for (direction, rest) in direction.iter_mut().zip(&rest) {
            *direction = rest + next / square * *direction;
        }
        square = next;
    }
    solution
}
