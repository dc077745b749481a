//! The softmax loss of sparse rows: its value, its gradient in the weights, and the loss of every row.

use backstitch_numerics::SparseMatrix;
use rayon::prelude::*;

use super::problem::{Samples, add};
use crate::Error;
use crate::objective::{exponential, largest_eigenvalue};

/// Most classes.
pub const MOST_CLASSES: usize = 64;

/// Rows that are summed on their own; chunks are added up in their order, on any number of threads.
const FEWEST_ROWS: usize = 256;
/// Most chunks, each of which has a gradient of its own.
const MOST_CHUNKS: usize = 16;
/// Below so many multiplications, threads cost more than they save.
const WORTH_THREADS: usize = 200_000;
/// Bounds of an eigenvalue need not be nearer than this share.
const TOLERANCE: f64 = 1e-3;
/// Steps after which the bounds are taken as they are.
const MOST_STEPS: usize = 1_000;

/// Rows of several classes.
#[derive(Clone, Debug)]
pub(super) struct SoftmaxRows<'a> {
    columns: usize,
    /// Where the entries of a row begin, then their columns and values: a copy that the inner loop reads without asking how wide an
    /// index is.
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
    labels: &'a [usize],
    classes: usize,
    /// The largest eigenvalue of the rows' mean second moment, from above.
    moment: f64,
}

/// What a pass over rows is asked for.
pub(super) struct Wanted<'a, W> {
    /// The weight of a row.
    pub(super) weight: W,
    /// The sum of weighted gradients, written over.
    pub(super) gradient: Option<&'a mut [f64]>,
    /// The loss of each row that is visited, in their order.
    pub(super) losses: Option<&'a mut [f64]>,
}

impl<'a> SoftmaxRows<'a> {
    pub(super) fn new(
        features: &'a SparseMatrix,
        labels: &'a [usize],
        classes: usize,
    ) -> Result<Self, Error> {
        if features.rows() == 0 {
            return Err(Error::NoRows);
        }
        if features.columns() == 0 {
            return Err(Error::NoFeatures);
        }
        if labels.len() != features.rows() {
            return Err(Error::Labels { labels: labels.len(), rows: features.rows() });
        }
        if !(2..=MOST_CLASSES).contains(&classes) {
            let way_out = "check that the labels are classes and not numbers";
            return Err(Error::parameter("classes", classes, format!("from 2 to {MOST_CLASSES}"), way_out));
        }
        if let Some(label) = labels.iter().find(|label| **label >= classes) {
            let way_out = "number the classes from 0";
            return Err(Error::parameter("label", label, format!("below {classes}"), way_out));
        }
        for row in 0..features.rows() {
            if let Some((_, value)) = features.row(row).iter().find(|(_, value)| !value.is_finite()) {
                return Err(Error::NotFinite { what: "a feature", row, value });
            }
            if !features.row(row).squared_norm().is_finite() {
                return Err(Error::TooLarge { row });
            }
        }
        let share = 1.0 / features.rows() as f64;
        let moment = largest_eigenvalue(features, 0..features.rows(), |_| share, TOLERANCE, MOST_STEPS).upper;
        let mut starts = vec![0];
        let mut entries = Vec::with_capacity(features.entries());
        for row in 0..features.rows() {
            // Columns of a sparse matrix are below 2^32.
            entries.extend(features.row(row).iter().map(|(column, value)| (column as u32, value)));
            starts.push(entries.len());
        }
        Ok(Self { columns: features.columns(), starts, entries, labels, classes, moment })
    }

    pub(super) fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Length of the weights: features times classes, the weights of a feature side by side.
    pub(super) fn dimension(&self) -> usize {
        self.columns * self.classes
    }

    /// A bound of the curvature of the mean loss: the covariance of a class is at most 1/2.
    pub(super) fn smoothness(&self) -> f64 {
        0.5 * self.moment
    }

    /// Visits rows for what is [`Wanted`] of them.
    pub(super) fn pass(
        &self,
        point: &[f64],
        samples: Samples<'_>,
        wanted: Wanted<'_, impl Fn(usize) -> f64 + Sync>,
    ) {
        match self.classes {
            0..=2 => self.padded::<2>(point, samples, wanted),
            3..=4 => self.padded::<4>(point, samples, wanted),
            5..=8 => self.padded::<8>(point, samples, wanted),
            9..=12 => self.padded::<12>(point, samples, wanted),
            13..=16 => self.padded::<16>(point, samples, wanted),
            17..=32 => self.padded::<32>(point, samples, wanted),
            _ => self.padded::<MOST_CLASSES>(point, samples, wanted),
        }
    }

    /// With the classes padded to P, so that the scores of a row stay in registers.
    fn padded<const P: usize>(
        &self,
        point: &[f64],
        samples: Samples<'_>,
        wanted: Wanted<'_, impl Fn(usize) -> f64 + Sync>,
    ) {
        let (features, classes) = (self.columns, self.classes);
        let mut weights = vec![[0.0; P]; features];
        for (padded, own) in weights.iter_mut().zip(point.chunks_exact(classes)) {
            padded[..classes].copy_from_slice(own);
        }
        let count = match samples {
            Samples::All => self.rows(),
            Samples::Chosen(chosen) => chosen.len(),
        };
        let chunk = FEWEST_ROWS.max(count.div_ceil(MOST_CHUNKS));
        let with_gradient = wanted.gradient.is_some();
        let mut unwanted = Vec::new();
        let losses = match wanted.losses {
            Some(losses) => losses,
            None => {
                unwanted.resize(count, 0.0);
                &mut unwanted
            }
        };
        let one = |(number, losses): (usize, &mut [f64])| -> Vec<[f64; P]> {
            let mut sum = vec![[0.0; P]; if with_gradient { features } else { 0 }];
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (place, loss) in losses.iter_mut().enumerate() {
                        let place = number * chunk + place;
                        let row = match samples {
                            Samples::All => place,
                            Samples::Chosen(chosen) => chosen[place],
                        };
                        *loss = self.row::<P>(row, &weights, &wanted.weight, &mut sum);
                    }
                },
            );
            sum
        };
        let work = count * self.entries.len() / self.rows() * P;
        let sums: Vec<Vec<[f64; P]>> = if work >= WORTH_THREADS {
            losses.par_chunks_mut(chunk).enumerate().map(one).collect()
        } else {
            losses.chunks_mut(chunk).enumerate().map(one).collect()
        };
        if let Some(gradient) = wanted.gradient {
            gradient.fill(0.0);
            for sum in &sums {
                for (own, padded) in gradient.chunks_exact_mut(classes).zip(sum) {
                    add(own, 1.0, &padded[..classes]);
                }
            }
        }
    }

    /// The loss of a row; its weighted gradient is added to a sum that is not empty.
    #[inline(always)]
    fn row<const P: usize>(
        &self,
        row: usize,
        weights: &[[f64; P]],
        weight: &impl Fn(usize) -> f64,
        sum: &mut [[f64; P]],
    ) -> f64 {
        let entries = &self.entries[self.starts[row]..self.starts[row + 1]];
        let mut scores = [0.0; P];
        for (column, value) in entries {
            for (score, weight) in scores.iter_mut().zip(&weights[*column as usize]) {
                *score += value * weight;
            }
        }
        let largest = scores[..self.classes].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let label = self.labels[row];
        let own = scores[label];
        for score in &mut scores {
            *score = exponential(*score - largest);
        }
        let total: f64 = scores[..self.classes].iter().sum();
        if !sum.is_empty() {
            let share = weight(row);
            for score in &mut scores {
                *score *= share / total;
            }
            scores[label] -= share;
            for (column, value) in entries {
                for (sum, slope) in sum[*column as usize].iter_mut().zip(&scores) {
                    *sum += value * slope;
                }
            }
        }
        largest - own + total.ln()
    }
}
