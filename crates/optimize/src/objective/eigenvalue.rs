//! The largest eigenvalue of `AᵀDA` by power iteration, from below and from above.
//!
//! Power iteration alone approaches the eigenvalue from below, and a step size made from a value below it is not certified. The upper
//! bound is the least of three that hold, where columns are too many to decompose the matrix:
//!
//! - the trace, exact for a single row;
//! - where no entry is negative, that of Collatz and Wielandt: for a vector v of positive entries, λ is at most
//!   `max_j (AᵀDAv)_j / v_j`. It meets the lower bound as the iteration converges;
//! - otherwise one that holds with probability `1 − 10⁻⁹` over the random start. With Rayleigh quotient ρ after k steps and c the
//!   component of the unit start along the eigenvector, moments of the spectrum give `λ ≤ ρ·c^(−2/(2k+1))`, and in d dimensions
//!   `P(|c| ≤ t) ≤ t·√(2d/π)`.

use std::ops::Range;

use backstitch_numerics::{SparseMatrix, Stream};
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatRef, Par, Spec};

/// Chance that the bound for entries of both signs does not hold.
const FAILURE: f64 = 1e-9;
/// Rounding of one step, relative.
const ROUNDING: f64 = 1e-12;
/// Entries of the positive vector stay above this, or the ones of weakly coupled features would vanish.
const FLOOR: f64 = 1e-120;

/// Up to so many columns with entries of both signs the matrix is formed and decomposed: its power iteration would end slowly.
const DECOMPOSED: usize = 200;
/// What rounding may do to the eigenvalue of a matrix that was formed of many rows, relative.
const ROUNDING_OF_SUMS: f64 = 1e-9;

/// What is known of an eigenvalue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EigenvalueBounds {
    /// It is at least this: the Rayleigh quotient of the last vector.
    pub lower: f64,
    /// It is at most this.
    pub upper: f64,
    /// Steps of power iteration taken; none where the matrix was decomposed.
    pub steps: usize,
}

/// Bounds of the largest eigenvalue of `Σ_r weight(r)·a_r a_rᵀ` over rows a_r of a matrix; weights must not be negative.
///
/// Ends when the bounds are within `tolerance` of each other, as a share, or after `most` steps; both bounds hold in either case.
/// Cost of a step: two multiplications per entry of the rows.
pub fn largest_eigenvalue(
    features: &SparseMatrix,
    rows: Range<usize>,
    weight: impl Fn(usize) -> f64,
    tolerance: f64,
    most: usize,
) -> EigenvalueBounds {
    let trace: f64 = rows.clone().map(|row| weight(row) * features.row(row).squared_norm()).sum();
    let used = used_columns(features, rows.clone());
    let mut bounds = EigenvalueBounds { lower: 0.0, upper: trace * (1.0 + ROUNDING), steps: 0 };
    if used.is_empty() || trace == 0.0 {
        return EigenvalueBounds { upper: 0.0, ..bounds };
    }
    let nonnegative = rows.clone().all(|row| features.row(row).iter().all(|(_, value)| value >= 0.0));
    if !nonnegative
        && used.len() <= DECOMPOSED
        && let Some(largest) = decomposed(features, rows.clone(), &weight, &used)
    {
        let (lower, upper) = (largest * (1.0 - ROUNDING_OF_SUMS), largest * (1.0 + ROUNDING_OF_SUMS));
        return EigenvalueBounds { lower, upper: bounds.upper.min(upper).max(lower), steps: 0 };
    }
    let length = features.padded_columns();
    let mut vector = vec![0.0; length];
    let mut stream = Stream::new(0, "largest eigenvalue");
    for &column in &used {
        vector[column] = if nonnegative { 1.0 } else { stream.normal() };
    }
    // Columns that are not used stay zero, and are not looked at: there may be many.
    normalise(&mut vector, &used);
    let mut image = vec![0.0; length];
    let mut products = vec![0.0; rows.len()];
    // (2d/π)/δ², the inverse square of what the component along the eigenvector exceeds.
    let odds = 2.0 * used.len() as f64 / std::f64::consts::PI / (FAILURE * FAILURE);
    while bounds.steps < most {
        used.iter().for_each(|&column| image[column] = 0.0);
        features.multiply(rows.clone(), &vector, &mut products);
        for (product, row) in products.iter_mut().zip(rows.clone()) {
            *product *= weight(row);
        }
        features.add_multiples(rows.clone(), &products, &mut image);
        let quotient: f64 = used.iter().map(|&column| vector[column] * image[column]).sum();
        bounds.lower = bounds.lower.max(quotient * (1.0 - ROUNDING));
        let above = if nonnegative {
            used.iter().map(|&column| image[column] / vector[column]).fold(0.0, f64::max)
        } else {
            quotient * odds.powf(1.0 / (2 * bounds.steps + 1) as f64)
        };
        bounds.upper = bounds.upper.min(above * (1.0 + ROUNDING));
        bounds.steps += 1;
        if bounds.upper <= bounds.lower * (1.0 + tolerance) {
            break;
        }
        std::mem::swap(&mut vector, &mut image);
        if normalise(&mut vector, &used) == 0.0 {
            break;
        }
        if nonnegative {
            for &column in &used {
                vector[column] = vector[column].max(FLOOR);
            }
        }
    }
    bounds.upper = bounds.upper.max(bounds.lower);
    bounds
}

/// The eigenvalue from the matrix itself, on one thread: it does not depend on their number. Nothing where it is not finite.
fn decomposed(
    features: &SparseMatrix,
    rows: Range<usize>,
    weight: impl Fn(usize) -> f64,
    used: &[usize],
) -> Option<f64> {
    let size = used.len();
    let mut places = vec![0; features.columns()];
    used.iter().enumerate().for_each(|(place, &column)| places[column] = place);
    let (mut matrix, mut full) = (vec![0.0; size * size], vec![0.0; size]);
    for row in rows {
        let entries = features.row(row);
        let entries = || entries.iter().filter(|(_, value)| *value != 0.0);
        entries().for_each(|(column, value)| full[places[column]] = value);
        for (column, value) in entries() {
            // Half of a symmetric matrix.
            let (place, share) = (places[column], weight(row) * value);
            let sums = &mut matrix[place * size + place..(place + 1) * size];
            sums.iter_mut().zip(&full[place..]).for_each(|(sum, value)| *sum += share * value);
        }
        entries().for_each(|(column, _)| full[places[column]] = 0.0);
    }
    if matrix.iter().any(|entry| !entry.is_finite()) {
        return None;
    }
    let (parallel, parameters, vectors) = (Par::Seq, Spec::default(), ComputeEigenvectors::No);
    let room = self_adjoint_evd_scratch::<f64>(size, vectors, parallel, parameters);
    let mut room = MemBuffer::try_new(room).ok()?;
    let mut values = Diag::<f64>::zeros(size);
    // The upper half in rows is the lower half in columns.
    let matrix = MatRef::from_column_major_slice(&matrix, size, size);
    self_adjoint_evd(matrix, values.as_mut(), None, parallel, MemStack::new(&mut room), parameters).ok()?;
    let largest = values.column_vector().iter().copied().fold(0.0, f64::max);
    largest.is_finite().then_some(largest)
}

/// Columns in which some row has an entry other than zero, ascending.
fn used_columns(features: &SparseMatrix, rows: Range<usize>) -> Vec<usize> {
    let mut used = vec![false; features.columns()];
    for row in rows {
        for (column, value) in features.row(row).iter() {
            used[column] |= value != 0.0;
        }
    }
    used.iter().enumerate().filter(|(_, used)| **used).map(|(column, _)| column).collect()
}

/// Divides the used entries of a vector, all that are not zero, by their length, which is given back.
fn normalise(vector: &mut [f64], used: &[usize]) -> f64 {
    let length = used.iter().map(|&column| vector[column] * vector[column]).sum::<f64>().sqrt();
    if length > 0.0 {
        used.iter().for_each(|&column| vector[column] /= length);
    }
    length
}
