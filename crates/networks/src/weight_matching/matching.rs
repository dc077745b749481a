//! Coordinate descent: one permutation at a time, the others held, each found exactly as a linear assignment.

use backstitch_numerics::assignment::{AssignmentError, assign, assign_from};
use backstitch_numerics::{Matrix, Stream};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::specification::{Permutation, Specification};
use crate::Error;

/// Rows of a matrix of costs that one thread works on. Fixed, so that no result depends on the number of threads.
const CHUNK: usize = 128;

/// Where a descent stands: the second network as it is permuted so far.
#[derive(Clone, Debug)]
pub(super) struct Descent<'a> {
    specification: &'a Specification,
    pub(super) orders: Vec<Vec<usize>>,
    pub(super) current: Checkpoint,
    /// Prices of the last assignments, with which the next begin; of permutations without groups.
    prices: Vec<Option<Vec<f64>>>,
    stream: Stream,
}

/// What a descent did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Progress {
    pub(super) sweeps: usize,
    pub(super) converged: bool,
}

impl<'a> Descent<'a> {
    /// Begins with the identity.
    pub(super) fn new(specification: &'a Specification, other: &Checkpoint, seed: u64) -> Self {
        Self {
            specification,
            orders: specification.permutations().iter().map(|own| (0..own.units).collect()).collect(),
            current: other.clone(),
            prices: vec![None; specification.permutations().len()],
            stream: Stream::new(seed, "weight matching order"),
        }
    }

    /// Sweeps over all permutations in random order until none improves the inner product with the target by more than a share of
    /// it, or as often as allowed.
    pub(super) fn descend(
        &mut self,
        target: &Checkpoint,
        sweeps: usize,
        tolerance: f64,
    ) -> Result<Progress, Error> {
        let count = self.orders.len();
        let scale = norm(self.specification, target) * norm(self.specification, &self.current);
        // Permutations that share no tensor with one that changed have the same costs as before.
        let neighbours: Vec<Vec<usize>> = (0..count).map(|own| self.neighbours(own)).collect();
        let mut stale = vec![true; count];
        for sweep in 0..sweeps {
            for permutation in self.stream.permutation(count) {
                if !std::mem::replace(&mut stale[permutation], false) {
                    continue;
                }
                if self.improve(target, permutation, tolerance * scale)? {
                    neighbours[permutation].iter().for_each(|other| stale[*other] = true);
                }
            }
            if stale.iter().all(|stale| !stale) {
                return Ok(Progress { sweeps: sweep + 1, converged: true });
            }
        }
        Ok(Progress { sweeps, converged: false })
    }

    fn neighbours(&self, permutation: usize) -> Vec<usize> {
        let mut found: Vec<usize> = (self.specification.tensors.values())
            .filter(|axes| axes.iter().flatten().any(|used| used.permutation == permutation))
            .flat_map(|axes| axes.iter().flatten().map(|used| used.permutation))
            .filter(|other| *other != permutation)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether a better order of one permutation was found and taken.
    fn improve(&mut self, target: &Checkpoint, permutation: usize, least: f64) -> Result<bool, Error> {
        let own = &self.specification.permutations()[permutation];
        let gains = gains(self.specification, permutation, target, &self.current)?;
        let (step, gain) = best(own, &gains, &mut self.prices[permutation])?;
        if gain <= least {
            return Ok(false);
        }
        self.specification.rearrange(permutation, &step, &mut self.current);
        let before = &self.orders[permutation];
        let after = step.iter().map(|&unit| before[unit]).collect();
        self.orders[permutation] = after;
        if let Some(prices) = &mut self.prices[permutation] {
            *prices = step.iter().map(|&unit| prices[unit]).collect();
        }
        Ok(true)
    }
}

/// What is gained by units (of both networks) coming together; and by groups of them, where there are any.
pub(super) struct Gains {
    units: Matrix,
    groups: Option<Matrix>,
}

impl Gains {
    pub(super) fn zeros(own: &Permutation) -> Self {
        let groups = own.units / own.per_group;
        Self {
            units: Matrix::zeros(own.units, own.units),
            groups: (own.per_group > 1).then(|| Matrix::zeros(groups, groups)),
        }
    }

    /// Adds inner products of rows: of units, or of groups.
    pub(super) fn add(&mut self, groups: bool, ours: &[f64], theirs: &[f64], columns: usize) {
        let sum = match &mut self.groups {
            Some(sum) if groups => sum,
            _ => &mut self.units,
        };
        add_products(sum, ours, theirs, columns);
    }
}

/// `sum += ours · theirs'`, both row-major with so many columns.
fn add_products(sum: &mut Matrix, ours: &[f64], theirs: &[f64], columns: usize) {
    let size = sum.rows();
    if columns == 0 {
        return;
    }
    let theirs = MatRef::from_row_major_slice(theirs, size, columns);
    sum.values_mut().par_chunks_mut(CHUNK * size).zip(ours.par_chunks(CHUNK * columns)).for_each(
        |(sum, ours)| {
            let rows = ours.len() / columns;
            let ours = MatRef::from_row_major_slice(ours, rows, columns);
            let sum = MatMut::from_row_major_slice_mut(sum, rows, size);
            matmul(sum, Accum::Add, ours, theirs.transpose(), 1.0, Par::Seq);
        },
    );
}

/// Inner products of the units of two networks over all tensors that a permutation acts on, running statistics left out.
fn gains(
    specification: &Specification,
    permutation: usize,
    target: &Checkpoint,
    current: &Checkpoint,
) -> Result<Gains, Error> {
    let mut found = Gains::zeros(&specification.permutations()[permutation]);
    for (name, axis, used) in specification.uses(permutation) {
        if specification.is_statistic(name) {
            continue;
        }
        let (ours, theirs) = (target.tensor(name)?, current.tensor(name)?);
        let view = ours.view(axis, &used);
        let (ours, columns) = ours.unfolded(view);
        found.add(used.groups, &ours, &theirs.unfolded(view).0, columns);
    }
    Ok(found)
}

/// The order that gains most, and how much more than leaving everything where it is. Without groups, prices are used and left.
pub(super) fn best(
    own: &Permutation,
    gains: &Gains,
    prices: &mut Option<Vec<f64>>,
) -> Result<(Vec<usize>, f64), Error> {
    let Some(groups) = &gains.groups else {
        let costs = negated(&gains.units);
        let found = match prices.as_deref() {
            Some(prices) => assign_from(&costs, prices),
            None => assign(&costs),
        };
        let found = found.map_err(refused)?;
        let gain = difference(&gains.units, &found.columns);
        *prices = Some(found.column_prices);
        return Ok((found.columns, gain));
    };
    // Units within every pair of groups, then groups, each pair worth what its best inner order is.
    let size = own.per_group;
    let count = groups.rows();
    let inner = |one: usize, other: usize| {
        let block = Matrix::from_fn(size, size, |row, column| {
            -gains.units[(one * size + row, other * size + column)]
        });
        let found = assign(&block).map_err(refused)?;
        Ok((-found.cost(&block), found.columns))
    };
    let pairs: Vec<(f64, Vec<usize>)> = (0..count * count)
        .into_par_iter()
        .map(|pair| inner(pair / count, pair % count))
        .collect::<Result<_, Error>>()?;
    let costs =
        Matrix::from_fn(count, count, |one, other| -(groups[(one, other)] + pairs[one * count + other].0));
    let outer = assign(&costs).map_err(refused)?.columns;
    let order: Vec<usize> = outer
        .iter()
        .enumerate()
        .flat_map(|(one, &other)| pairs[one * count + other].1.iter().map(move |unit| other * size + unit))
        .collect();
    let gain = difference(&gains.units, &order) + difference(groups, &outer);
    Ok((order, gain))
}

fn negated(gains: &Matrix) -> Matrix {
    let mut costs = gains.clone();
    costs.values_mut().iter_mut().for_each(|gain| *gain = -*gain);
    costs
}

/// Summed pair by pair, so that units that stay count exactly nothing.
fn difference(gains: &Matrix, order: &[usize]) -> f64 {
    order.iter().enumerate().map(|(row, &column)| gains[(row, column)] - gains[(row, row)]).sum()
}

fn refused(error: AssignmentError) -> Error {
    Error::Model {
        problem: format!("inner products of weights overflow: {error}"),
        way_out: "scale the networks' weights down",
    }
}

/// Weights that are compared: floating-point, and no running statistics.
pub(super) fn compared<'a>(
    specification: &'a Specification,
    weights: &'a Checkpoint,
) -> impl Iterator<Item = (&'a str, Vec<f64>)> {
    weights
        .tensors()
        .filter(|(name, _)| specification.tensors.contains_key(*name) && !specification.is_statistic(name))
        .filter_map(|(name, tensor)| Some((name, tensor.values()?)))
}

fn norm(specification: &Specification, weights: &Checkpoint) -> f64 {
    compared(specification, weights)
        .map(|(_, values)| values.iter().map(|value| value * value).sum::<f64>())
        .sum::<f64>()
        .sqrt()
}

/// The root of the sum of squared differences of all weights, running statistics left out.
pub(super) fn distance(specification: &Specification, one: &Checkpoint, other: &Checkpoint) -> f64 {
    let squares = compared(specification, one).map(|(name, values)| {
        let theirs = other.find(name).and_then(super::checkpoint::Tensor::values).unwrap_or_default();
        values.iter().zip(&theirs).map(|(value, theirs)| (value - theirs).powi(2)).sum::<f64>()
    });
    squares.sum::<f64>().sqrt()
}
