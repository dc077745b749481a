//! The predictor and its worst-case risk in closed form, for linear models with Gaussian noise and one mutable column.
//!
//! It is what the networks are held to. Under do(M = J(PA_M)) the error of a linear predictor is `a + c·J(PA_M)`, with `a`
//! Gaussian and `c` what one unit of M adds to it on all ways. Its mean square is convex in J, so that the worst map bounded by
//! `reach` goes to one of the ends, the one with the sign of `c·E[a | PA_M]`:
//!
//! ```text
//! h* = E[a²] + c²·reach² + 2·|c|·reach·E|E[a | PA_M]|,     E|N(0, s²)| = s·√(2/π)
//! ```

use backstitch_numerics::Matrix;

use super::graph::Graph;
use super::set::Set;
use super::solve::solve;
use crate::Error;

/// A linear model with Gaussian noise and means of zero.
#[derive(Clone, Debug)]
pub struct LinearModel {
    /// Entry (i, j): what one unit of column i adds to column j. Its nonzero entries are the edges.
    pub weights: Matrix,
    /// Standard deviation of the noise of every column.
    pub noise: Vec<f64>,
}

/// The answer in closed form, in the units of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedForm {
    /// Coefficient of every column in f_S' (zero outside S' and the mutable column).
    pub coefficients: Vec<f64>,
    /// h*.
    pub worst_case_risk: f64,
}

/// f_S' and h* of a subset. `mutable_deviation` is the standard deviation of the mutable column where the predictor is
/// fitted; the adversary keeps it within `reach` of zero.
///
/// # Errors
/// [`Error::Shape`] if the weights are not square or do not fit the noise, [`Error::GraphCycle`], [`Error::GraphColumn`] if a
/// column is not there.
pub fn closed_form(
    model: &LinearModel,
    target: usize,
    mutable: usize,
    subset: Set,
    mutable_deviation: f64,
    reach: f64,
) -> Result<ClosedForm, Error> {
    let columns = model.noise.len();
    if (model.weights.rows(), model.weights.columns()) != (columns, columns) {
        let found = (model.weights.rows(), model.weights.columns());
        return Err(Error::Shape { what: "the weights", found, expected: (columns, columns) });
    }
    let edges: Vec<(usize, usize)> = (0..columns)
        .flat_map(|from| (0..columns).map(move |to| (from, to)))
        .filter(|&(from, to)| model.weights[(from, to)] != 0.0)
        .collect();
    let graph = Graph::new(columns, &edges)?;
    if let Some(column) = [target, mutable].into_iter().chain(subset.iter()).find(|&column| column >= columns) {
        return Err(Error::GraphColumn { column, columns });
    }
    // Every column as a combination of the noises, with the mutable column set from outside.
    let mut shares = Matrix::zeros(columns, columns);
    for &column in graph.order() {
        shares[(column, column)] = 1.0;
        if column == mutable {
            continue;
        }
        for parent in graph.parents(column).iter() {
            for noise in 0..columns {
                shares[(column, noise)] += model.weights[(parent, column)] * shares[(parent, noise)];
            }
        }
    }
    let variance = |noise: usize, mutable_variance: f64| {
        if noise == mutable { mutable_variance } else { model.noise[noise] * model.noise[noise] }
    };
    let covariance = |one: &[f64], other: &[f64], mutable_variance: f64| -> f64 {
        (0..columns).map(|noise| one[noise] * other[noise] * variance(noise, mutable_variance)).sum()
    };

    let spread = mutable_deviation * mutable_deviation;
    let inputs: Vec<usize> = subset.union(Set::one(mutable)).iter().collect();
    let coefficients = regress(&shares, &inputs, shares.row(target), |x, y| covariance(x, y, spread));
    let mut error = shares.row(target).to_vec();
    for (&input, coefficient) in inputs.iter().zip(&coefficients) {
        for (slot, share) in error.iter_mut().zip(shares.row(input)) {
            *slot -= coefficient * share;
        }
    }
    let through_mutable = std::mem::take(&mut error[mutable]);
    // The parents' share of the rest of the error: they do not depend on the mutable column.
    let parents: Vec<usize> = graph.parents(mutable).iter().collect();
    let fixed = |x: &[f64], y: &[f64]| covariance(x, y, 0.0);
    let known = regress(&shares, &parents, &error, fixed);
    let explained: f64 =
        parents.iter().zip(&known).map(|(&parent, share)| share * fixed(shares.row(parent), &error)).sum();
    let expected_size = explained.max(0.0).sqrt() * std::f64::consts::FRAC_2_PI.sqrt();
    let push = through_mutable.abs() * reach;
    let worst_case_risk = fixed(&error, &error) + push * push + 2.0 * push * expected_size;

    let mut by_column = vec![0.0; columns];
    for (&input, coefficient) in inputs.iter().zip(coefficients) {
        by_column[input] = coefficient;
    }
    Ok(ClosedForm { coefficients: by_column, worst_case_risk })
}

/// Least-squares coefficients of `target` on the columns `inputs`, all as combinations of noises.
fn regress(
    shares: &Matrix,
    inputs: &[usize],
    target: &[f64],
    covariance: impl Fn(&[f64], &[f64]) -> f64,
) -> Vec<f64> {
    let row = |input: &usize| shares.row(*input);
    let a = inputs.iter().flat_map(|i| inputs.iter().map(|j| covariance(row(i), row(j)))).collect();
    let b = inputs.iter().map(|i| covariance(row(i), target)).collect();
    solve(a, b)
}
