//! Weighted graphs as matrices: thresholds, orders, refits and comparisons. Entry (i, j) is the weight of i → j.

use backstitch_numerics::Matrix;
use rayon::prelude::*;

use super::factor::invert_upper;
use crate::Error;

/// The weights with everything below `least` in absolute value set to zero (the paper: 0.3).
pub fn threshold(weights: &Matrix, least: f64) -> Matrix {
    Matrix::from_fn(weights.rows(), weights.columns(), |i, j| {
        if weights[(i, j)].abs() < least { 0.0 } else { weights[(i, j)] }
    })
}

/// An order with every parent before its children: of all nodes without a parent left, always the smallest index.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not square, [`Error::Cycle`] with one cycle if there is one.
pub fn topological_order(weights: &Matrix) -> Result<Vec<usize>, Error> {
    let d = square("the graph", weights)?;
    let mut parents: Vec<usize> =
        (0..d).map(|j| (0..d).filter(|&i| weights[(i, j)] != 0.0).count()).collect();
    let mut open: std::collections::BTreeSet<usize> = (0..d).filter(|&j| parents[j] == 0).collect();
    let mut order = Vec::with_capacity(d);
    while let Some(node) = open.pop_first() {
        order.push(node);
        for child in (0..d).filter(|&j| weights[(node, j)] != 0.0) {
            parents[child] -= 1;
            if parents[child] == 0 {
                open.insert(child);
            }
        }
    }
    if order.len() == d { Ok(order) } else { Err(Error::Cycle { nodes: one_cycle(weights, &parents) }) }
}

/// Walks parents within the nodes that could not be ordered until one repeats.
fn one_cycle(weights: &Matrix, parents: &[usize]) -> Vec<usize> {
    let stuck = |node: usize| parents[node] > 0;
    let mut walk: Vec<usize> = (0..parents.len()).filter(|&node| stuck(node)).take(1).collect();
    while let Some(&node) = walk.last() {
        let Some(parent) = (0..parents.len()).find(|&i| stuck(i) && weights[(i, node)] != 0.0) else { break };
        if let Some(place) = walk.iter().position(|&seen| seen == parent) {
            walk.drain(..place);
            break;
        }
        walk.push(parent);
    }
    walk.reverse();
    walk
}

/// Least squares on a given sparse support: for every node the regression on the nodes with a non-zero entry in its
/// column of `support`. Returns the weights and the score `½ tr((I − W)' S (I − W))`, S the d × d covariance.
///
/// # Errors
/// [`Error::Shape`] if the two matrices differ in shape, [`Error::Collinear`] if parents of a node are.
pub fn refit(covariance: &Matrix, support: &Matrix) -> Result<(Matrix, f64), Error> {
    let d = square("the covariance", covariance)?;
    same_shape("the support", support, d)?;
    let mut weights = Matrix::zeros(d, d);
    let mut score = 0.0;
    for node in 0..d {
        let parents: Vec<usize> = (0..d).filter(|&i| i != node && support[(i, node)] != 0.0).collect();
        let (found, residual) = regress(covariance, node, &parents)?;
        for (&parent, weight) in parents.iter().zip(found) {
            weights[(parent, node)] = weight;
        }
        score += 0.5 * residual;
    }
    Ok((weights, score))
}

/// Thresholding one edge at a time: for every node, of all parents with a weight below `least` in absolute value, the one
/// whose removal raises the residual variance least goes, the rest is fitted again, and so on until every weight that is
/// left reaches `least`. Ours, not in the paper: plain thresholding judges each weight while all the others are still in
/// the regression, where collinear predecessors make it noisy. Returns the weights and their score.
///
/// # Errors
/// See [`refit`].
pub fn prune(covariance: &Matrix, support: &Matrix, least: f64) -> Result<(Matrix, f64), Error> {
    let d = square("the covariance", covariance)?;
    same_shape("the support", support, d)?;
    // Nodes are independent of each other and keep their places: threads cannot change the result.
    let columns: Vec<(Vec<(usize, f64)>, f64)> = (0..d)
        .into_par_iter()
        .map(|node| prune_node(covariance, support, node, least))
        .collect::<Result<_, Error>>()?;
    let mut weights = Matrix::zeros(d, d);
    let mut score = 0.0;
    for (node, (parents, residual)) in columns.into_iter().enumerate() {
        parents.into_iter().for_each(|(parent, weight)| weights[(parent, node)] = weight);
        score += 0.5 * residual;
    }
    Ok((weights, score))
}

fn prune_node(
    covariance: &Matrix,
    support: &Matrix,
    node: usize,
    least: f64,
) -> Result<(Vec<(usize, f64)>, f64), Error> {
    let d = support.rows();
    let mut parents: Vec<usize> = (0..d).filter(|&i| i != node && support[(i, node)] != 0.0).collect();
    let mut state = precision(covariance, node, &parents)?;
    while let Some((place, _)) = state.weakest(|weight| weight.abs() < least) {
        state.remove(place);
        parents.remove(place);
    }
    let (weights, residual) = regress(covariance, node, &parents)?;
    Ok((parents.into_iter().zip(weights).collect(), residual))
}

/// The regression of a node on its parents in a form from which parents leave in O(k²).
pub(super) struct Regression {
    /// Inverse covariance of the parents.
    inverse: Matrix,
    weights: Vec<f64>,
    /// Places still in, as indices into the first parents.
    places: Vec<usize>,
    pub(super) residual: f64,
}

/// Sets up [`Regression`].
pub(super) fn precision(covariance: &Matrix, node: usize, parents: &[usize]) -> Result<Regression, Error> {
    let (weights, residual) = regress(covariance, node, parents)?;
    let k = parents.len();
    let upper = cholesky(covariance, parents)?;
    let half = invert_upper(&upper);
    let inverse = Matrix::from_fn(k, k, |i, j| {
        half.row(i)[i.max(j)..].iter().zip(&half.row(j)[i.max(j)..]).map(|(x, y)| x * y).sum()
    });
    Ok(Regression { inverse, weights, places: (0..k).collect(), residual })
}

impl Regression {
    /// Of the parents whose weight is `eligible`, the place of the one whose removal raises the residual variance least,
    /// and by how much.
    pub(super) fn weakest(&self, eligible: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (at, &place) in
            self.places.iter().enumerate().filter(|(_, place)| eligible(self.weights[**place]))
        {
            let loss = self.weights[place].powi(2) / self.inverse[(place, place)];
            if best.is_none_or(|(_, least)| loss < least) {
                best = Some((at, loss));
            }
        }
        best
    }

    /// Takes out the parent at this place among those left.
    pub(super) fn remove(&mut self, at: usize) {
        let place = self.places.remove(at);
        let row = self.inverse.row(place).to_vec();
        let pivot = row[place];
        let share = self.weights[place] / pivot;
        self.residual += self.weights[place] * share;
        for &other in &self.places {
            self.weights[other] -= row[other] * share;
            let factor = row[other] / pivot;
            for (value, x) in self.inverse.row_mut(other).iter_mut().zip(&row) {
                *value -= factor * x;
            }
        }
    }
}

/// The upper triangular factor of the covariance of some columns.
fn cholesky(covariance: &Matrix, columns: &[usize]) -> Result<Matrix, Error> {
    let k = columns.len();
    let mut upper =
        Matrix::from_fn(k, k, |i, j| if i <= j { covariance[(columns[i], columns[j])] } else { 0.0 });
    for m in 0..k {
        let pivot = upper[(m, m)];
        if pivot.is_nan() || pivot <= 1e-15 * covariance[(columns[m], columns[m])] {
            return Err(Error::Collinear { column: columns[m], on: columns[..m].to_vec() });
        }
        let root = pivot.sqrt();
        for value in &mut upper.row_mut(m)[m..] {
            *value /= root;
        }
        let row = upper.row(m).to_vec();
        for i in m + 1..k {
            for (value, x) in upper.row_mut(i)[i..].iter_mut().zip(&row[i..]) {
                *value -= row[i] * x;
            }
        }
    }
    Ok(upper)
}

/// Weights and residual variance of `node` on `parents`, by Cholesky of their covariance.
pub(super) fn regress(covariance: &Matrix, node: usize, parents: &[usize]) -> Result<(Vec<f64>, f64), Error> {
    let k = parents.len();
    let upper = cholesky(covariance, parents)?;
    let mut shared: Vec<f64> = Vec::with_capacity(k);
    for m in 0..k {
        let rest: f64 = (0..m).map(|i| upper[(i, m)] * shared[i]).sum();
        shared.push((covariance[(parents[m], node)] - rest) / upper[(m, m)]);
    }
    let explained: f64 = shared.iter().map(|x| x * x).sum();
    let mut weights = vec![0.0; k];
    for m in (0..k).rev() {
        let rest: f64 = (m + 1..k).map(|j| upper[(m, j)] * weights[j]).sum();
        weights[m] = (shared[m] - rest) / upper[(m, m)];
    }
    Ok((weights, covariance[(node, node)] - explained))
}

/// `½ tr((I − W)' S (I − W))`: the least-squares score of any weights, cyclic or not.
///
/// # Errors
/// [`Error::Shape`] if the two matrices differ in shape.
pub fn score_of_weights(covariance: &Matrix, weights: &Matrix) -> Result<f64, Error> {
    let d = square("the covariance", covariance)?;
    same_shape("the weights", weights, d)?;
    let residual = |i: usize, j: usize| f64::from(u8::from(i == j)) - weights[(i, j)];
    let mut sum = 0.0;
    for j in 0..d {
        for i in 0..d {
            let inner: f64 = (0..d).map(|k| covariance[(i, k)] * residual(k, j)).sum();
            sum += residual(i, j) * inner;
        }
    }
    Ok(0.5 * sum)
}

pub(super) fn square(what: &'static str, matrix: &Matrix) -> Result<usize, Error> {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    if rows == columns {
        Ok(rows)
    } else {
        Err(Error::Shape { what, found: (rows, columns), expected: (columns, columns) })
    }
}

fn same_shape(what: &'static str, matrix: &Matrix, d: usize) -> Result<(), Error> {
    let found = (matrix.rows(), matrix.columns());
    if found == (d, d) { Ok(()) } else { Err(Error::Shape { what, found, expected: (d, d) }) }
}
