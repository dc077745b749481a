//! The predictor and worst-case risks in closed form, for linear models with Gaussian noise and one mutable column.
//!
//! It is what the networks are held to. Under do(M = J(PA_M)) the error of a linear predictor is `a + c·J(PA_M)`, with `a`
//! Gaussian and `c` what one unit of M adds to it on all ways. Its mean square is convex in J, so that the worst map bounded by
//! `bound` goes to one of the ends, the one with the sign of `c·E[a | PA_M]`:
//!
//! ```text
//! h* = E[a²] + c²·bound² + 2·|c|·bound·E|E[a | PA_M]|,     E|N(0, s²)| = s·√(2/π)
//! ```
//!
//! Of f_S' itself the error is uncorrelated with M, so that c = 0 for every S': in a linear Gaussian model the mutable columns
//! cannot hurt any f_S', and more stable columns are never worse. What the search is for begins where this ends.

use backstitch_numerics::Matrix;

use super::graph::Graph;
use super::set::Set;
use super::solve::solve;
use crate::Error;

/// A linear model with Gaussian noise, means of zero and one mutable column.
#[derive(Clone, Debug)]
pub struct LinearModel {
    /// Entry (i, j): what one unit of column i adds to column j. Its nonzero entries are the edges.
    pub weights: Matrix,
    /// Standard deviation of the noise of every column.
    pub noise: Vec<f64>,
    /// The column to predict.
    pub target: usize,
    /// The column whose mechanism changes.
    pub mutable: usize,
}

impl LinearModel {
    /// The coefficients of f_S' = E[Y | x_S', do(m)], one per column, zero outside S' and the mutable column.
    ///
    /// # Errors
    /// [`Error::Shape`] if the weights are not square or do not fit the noise, [`Error::GraphCycle`],
    /// [`Error::GraphColumn`] if a column is not there.
    pub fn predictor(&self, subset: Set) -> Result<Vec<f64>, Error> {
        let (_, shares) = self.shares(subset)?;
        let inputs: Vec<usize> = subset.union(Set::one(self.mutable)).iter().collect();
        // Any variance of the mutable column gives the same: the others are as they are under every do(m).
        let found = regress(&shares, &inputs, shares.row(self.target), |x, y| self.covariance(x, y, 1.0));
        let mut coefficients = vec![0.0; self.noise.len()];
        for (&input, coefficient) in inputs.iter().zip(found) {
            coefficients[input] = coefficient;
        }
        Ok(coefficients)
    }

    /// h* of any linear predictor, with the mutable column within `bound` of zero, in the units of the model.
    ///
    /// # Errors
    /// As [`predictor`](Self::predictor); [`Error::Shape`] if there is not one coefficient per column.
    pub fn worst_case_risk(&self, coefficients: &[f64], bound: f64) -> Result<f64, Error> {
        let (graph, shares) = self.shares(Set::EMPTY)?;
        if coefficients.len() != self.noise.len() {
            let (found, expected) = ((1, coefficients.len()), (1, self.noise.len()));
            return Err(Error::Shape { what: "the row of coefficients", found, expected });
        }
        let mut error = shares.row(self.target).to_vec();
        for (input, coefficient) in coefficients.iter().enumerate() {
            for (slot, share) in error.iter_mut().zip(shares.row(input)) {
                *slot -= coefficient * share;
            }
        }
        let push = std::mem::take(&mut error[self.mutable]).abs() * bound;
        // The parents' share of the rest of the error: they do not depend on the mutable column.
        let parents: Vec<usize> = graph.parents(self.mutable).iter().collect();
        let fixed = |x: &[f64], y: &[f64]| self.covariance(x, y, 0.0);
        let known = regress(&shares, &parents, &error, fixed);
        let explained: f64 = parents
            .iter()
            .zip(&known)
            .map(|(&parent, share)| share * fixed(shares.row(parent), &error))
            .sum();
        let expected_size = explained.max(0.0).sqrt() * std::f64::consts::FRAC_2_PI.sqrt();
        Ok(fixed(&error, &error) + push * push + 2.0 * push * expected_size)
    }

    /// The graph, and every column as a combination of the noises with the mutable column set from outside.
    fn shares(&self, subset: Set) -> Result<(Graph, Matrix), Error> {
        let columns = self.noise.len();
        if (self.weights.rows(), self.weights.columns()) != (columns, columns) {
            let found = (self.weights.rows(), self.weights.columns());
            return Err(Error::Shape { what: "the weights", found, expected: (columns, columns) });
        }
        let edges: Vec<(usize, usize)> = (0..columns)
            .flat_map(|from| (0..columns).map(move |to| (from, to)))
            .filter(|&(from, to)| self.weights[(from, to)] != 0.0)
            .collect();
        let graph = Graph::new(columns, &edges)?;
        let mut named = [self.target, self.mutable].into_iter().chain(subset.iter());
        if let Some(column) = named.find(|&column| column >= columns) {
            return Err(Error::GraphColumn { column, columns });
        }
        let mut shares = Matrix::zeros(columns, columns);
        for &column in graph.order() {
            shares[(column, column)] = 1.0;
            if column == self.mutable {
                continue;
            }
            for parent in graph.parents(column).iter() {
                for noise in 0..columns {
                    shares[(column, noise)] += self.weights[(parent, column)] * shares[(parent, noise)];
                }
            }
        }
        Ok((graph, shares))
    }

    fn covariance(&self, one: &[f64], other: &[f64], mutable_variance: f64) -> f64 {
        let variance = |noise: usize| {
            if noise == self.mutable { mutable_variance } else { self.noise[noise] * self.noise[noise] }
        };
        (0..self.noise.len()).map(|noise| one[noise] * other[noise] * variance(noise)).sum()
    }
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
