//! Weights while their rounding is learned: the forward map to the grid, straight-through gradients, and Adam.

use rayon::prelude::*;

use super::grid::Grid;
use super::parameters::{Parameters, Rounding};
use super::scheme::{self, Bounds, CAP, Relaxation, Scratch};
use crate::Rows;
use crate::numbers::vectorized;
use crate::rows::times_into;

/// Rows that one thread works on at a time. Fixed: the order of sums rests on it.
const PIECE: usize = 16;
/// Fewer weights than this stay on one thread.
const PARALLEL: usize = 1 << 15;
/// Steps after which products that were updated weight by weight are computed anew.
const REFRESH: usize = 200;

/// Where the gradient with respect to the quantised weights comes from.
#[derive(Clone, Copy)]
pub(super) enum Gradient<'a> {
    /// `factor · (scale · products − target)`, with products = units · Σ x̂ x̂'.
    Moments { products: &'a Rows, target: &'a Rows, factor: f32 },
    /// As it is.
    Given(&'a Rows),
}

/// Rounded weights that learn.
pub(super) struct Learner<'a> {
    weights: &'a Rows,
    parameters: &'a Parameters,
    /// Weights of one input channel of a convolution.
    taps: Option<usize>,
    bits: u8,
    zeros: Vec<u8>,
    log_scales: Vec<f32>,
    /// Of every weight: the logarithm of its divisor (FlexRound), what is added to it in steps of the grid (AdaQuant), or what decides
    /// whether it is rounded up (AdaRound).
    elements: Vec<f32>,
    log_rows: Vec<f32>,
    log_channels: Vec<f32>,
    /// Quantised weights in steps of the grid; between whole numbers while AdaRound learns.
    pub(super) units: Rows,
    adam: Adam,
    of_scales: Moving,
    of_rows: Moving,
    of_channels: Moving,
    step: usize,
}

/// First and second moments of gradients.
#[derive(Default)]
struct Moving {
    first: Vec<f32>,
    second: Vec<f32>,
}

struct Adam {
    of_elements: Moving,
    rate: f32,
}

/// Factors of one step of Adam: `x ← x − rate · m / (√v + ε)` with m and v corrected.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) rate: f32,
    pub(super) root: f32,
}

pub(super) const BETA_1: f32 = 0.9;
pub(super) const BETA_2: f32 = 0.999;
pub(super) const EPSILON: f32 = 1e-15;

impl Moving {
    fn new(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }

    fn descend(&mut self, values: &mut [f32], gradients: &[f32], step: Step) {
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, gradient), (m, v)) in values.iter_mut().zip(gradients).zip(moments) {
            step.take(value, *gradient, m, v);
        }
    }
}

impl Step {
    fn new(rate: f32, number: usize) -> Self {
        let number = i32::try_from(number + 1).unwrap_or(i32::MAX);
        let first = 1.0 - f64::from(BETA_1).powi(number);
        let second = 1.0 - f64::from(BETA_2).powi(number);
        Self { rate: (f64::from(rate) / first) as f32, root: (1.0 / second.sqrt()) as f32 }
    }

    #[inline(always)]
    pub(super) fn take(self, value: &mut f32, gradient: f32, m: &mut f32, v: &mut f32) {
        *m = BETA_1 * *m + (1.0 - BETA_1) * gradient;
        *v = BETA_2 * *v + (1.0 - BETA_2) * gradient * gradient;
        *value -= self.rate * *m / (v.sqrt() * self.root + EPSILON);
    }
}

impl<'a> Learner<'a> {
    pub(super) fn new(
        weights: &'a Rows,
        grid: &Grid,
        parameters: &'a Parameters,
        taps: Option<usize>,
    ) -> Self {
        let count = weights.values().len();
        let flex = parameters.rounding == Rounding::FlexRound;
        let factors = parameters.factors && flex;
        let log_scales: Vec<f32> = grid.scales.iter().map(|scale| scale.ln()).collect();
        let log_rows = if factors { vec![0.0; weights.rows()] } else { Vec::new() };
        let channels = taps.filter(|_| factors).map_or(0, |taps| weights.columns() / taps.max(1));
        let mut elements = vec![0.0; count];
        if parameters.rounding == Rounding::AdaRound {
            for row in 0..weights.rows() {
                let inverse = 1.0 / grid.scale(row);
                let own = &mut elements[row * weights.columns()..][..weights.columns()];
                own.iter_mut().zip(weights.row(row)).for_each(|(v, w)| *v = scheme::relaxed(w * inverse));
            }
        }
        Self {
            adam: Adam { of_elements: Moving::new(count), rate: parameters.rate() as f32 },
            of_scales: Moving::new(log_scales.len()),
            of_rows: Moving::new(log_rows.len()),
            of_channels: Moving::new(channels),
            bits: grid.bits,
            zeros: grid.zeros.clone(),
            log_channels: vec![0.0; channels],
            units: Rows::zeros(weights.rows(), weights.columns()),
            step: 0,
            weights,
            parameters,
            taps,
            log_scales,
            elements,
            log_rows,
        }
    }

    fn scale(&self, row: usize) -> f32 {
        self.log_scales[if self.log_scales.len() == 1 { 0 } else { row }].exp()
    }

    fn bounds(&self, row: usize) -> Bounds {
        let zero = f32::from(self.zeros[if self.zeros.len() == 1 { 0 } else { row }]);
        let log_row = self.log_rows.get(row).copied().unwrap_or(0.0);
        let scale = self.scale(row);
        Bounds {
            inverse: 1.0 / scale,
            log_row,
            scale,
            low: -zero,
            high: f32::from(super::grid::top(self.bits)) - zero,
        }
    }

    /// Whether quantised weights are whole steps of the grid while learning.
    fn is_hard(&self) -> bool {
        self.parameters.rounding != Rounding::AdaRound
    }

    /// The logarithm of every column's channel divisor; zeros where there is none.
    fn of_columns(&self) -> Vec<f32> {
        match self.taps {
            Some(taps) if !self.log_channels.is_empty() => {
                self.log_channels.iter().flat_map(|log| std::iter::repeat_n(*log, taps)).collect()
            }
            _ => vec![0.0; self.weights.columns()],
        }
    }

    /// Rounds with what has been learned so far.
    pub(super) fn round(&mut self) {
        // Nothing is written to these.
        let mut nothing = vec![0.0; self.weights.rows()];
        self.round_pieces(None, &mut nothing, PIECE);
    }

    /// Rounds, and brings `products = units · gram` up to date.
    pub(super) fn round_with(&mut self, gram: &Rows, products: &mut Rows) {
        // Soft weights all change, so that their products are computed anew; of hard ones few do.
        if self.step.is_multiple_of(REFRESH) || !self.is_hard() {
            self.round();
            times_into(products, &self.units, gram);
        } else {
            let piece = PIECE * self.weights.columns();
            self.round_pieces(Some(gram), products.values_mut(), piece);
        }
    }

    /// Rounds; where there is a Gram matrix, `products`, in pieces of so many numbers, follow the weights that move.
    fn round_pieces(&mut self, gram: Option<&Rows>, products: &mut [f32], piece_of_products: usize) {
        let columns = self.weights.columns();
        let bounds: Vec<Bounds> = (0..self.weights.rows()).map(|row| self.bounds(row)).collect();
        let of_columns = self.of_columns();
        let rounding = self.parameters.rounding;
        let least_pieces = self.least_pieces();
        let (weights, elements) = (self.weights, &self.elements);
        let piece = PIECE * columns;
        let units = self.units.values_mut().par_chunks_mut(piece);
        let pieces = units.zip(products.par_chunks_mut(piece_of_products)).enumerate();
        pieces.with_min_len(least_pieces).for_each(|(number, (units, products))| {
            let mut fresh = vec![0.0; columns];
            for (place, units) in units.chunks_mut(columns).enumerate() {
                let row = number * PIECE + place;
                let elements = &elements[row * columns..(row + 1) * columns];
                vectorized(
                    #[inline(always)]
                    || {
                        scheme::round(
                            rounding,
                            weights.row(row),
                            elements,
                            &of_columns,
                            bounds[row],
                            &mut fresh,
                        );
                        if let Some(gram) = gram {
                            let products = &mut products[place * columns..(place + 1) * columns];
                            follow_changes(units, &fresh, gram, products);
                        }
                    },
                );
                units.copy_from_slice(&fresh);
            }
        });
    }

    /// Pieces that one thread takes at least.
    fn least_pieces(&self) -> usize {
        if self.weights.values().len() < PARALLEL { usize::MAX } else { 1 }
    }

    /// One step of Adam against the gradient with respect to the quantised weights.
    pub(super) fn descend(&mut self, gradient: Gradient<'_>) {
        let progress = self.step as f64 / self.parameters.steps.max(1) as f64;
        let rate = if self.is_hard() {
            // Half a cosine down to 0.
            self.adam.rate * (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())) as f32
        } else {
            self.adam.rate
        };
        let step = Step::new(rate, self.step);
        let columns = self.weights.columns();
        let rows = self.weights.rows();
        let bounds: Vec<Bounds> = (0..rows).map(|row| self.bounds(row)).collect();
        let of_columns = self.of_columns();
        let relaxation = Relaxation::at(progress, self.parameters.penalty as f32);
        let rounding = self.parameters.rounding;
        let sums_of_columns = !self.log_channels.is_empty();
        let mut of_scales = vec![0.0; rows];
        let mut of_rows = vec![0.0; rows];
        type Part<'p> = ((&'p mut [f32], &'p mut [f32]), (&'p mut [f32], (&'p mut [f32], &'p mut [f32])));
        let (weights, units) = (self.weights, &self.units);
        let work = |(number, ((elements, first), (second, (of_scales, of_rows)))): (usize, Part<'_>)| {
            let mut scratch = Scratch::new(columns, sums_of_columns);
            for place in 0..of_scales.len() {
                let row = number * PIECE + place;
                let own = place * columns..(place + 1) * columns;
                let bounds = bounds[row];
                vectorized(
                    #[inline(always)]
                    || {
                        let given = scratch.given.as_mut_slice();
                        match gradient {
                            Gradient::Given(all) => given.copy_from_slice(all.row(row)),
                            Gradient::Moments { products, target, factor } => {
                                let pairs = products.row(row).iter().zip(target.row(row));
                                for (given, (product, target)) in given.iter_mut().zip(pairs) {
                                    *given = factor * bounds.scale.mul_add(*product, -target);
                                }
                            }
                        }
                        let moving = (&mut first[own.clone()], &mut second[own.clone()]);
                        let (of_scale, of_row) = scheme::descend(
                            rounding,
                            (weights.row(row), units.row(row)),
                            (&mut elements[own.clone()], moving),
                            &of_columns,
                            bounds,
                            &mut scratch,
                            relaxation,
                            step,
                        );
                        of_scales[place] = of_scale;
                        of_rows[place] = of_row;
                    },
                );
            }
            scratch.column_sums
        };
        let piece = PIECE * columns;
        let least_pieces = self.least_pieces();
        let Moving { first, second } = &mut self.adam.of_elements;
        let left = self.elements.par_chunks_mut(piece).zip(first.par_chunks_mut(piece));
        let sums = of_scales.par_chunks_mut(PIECE).zip(of_rows.par_chunks_mut(PIECE));
        let pieces = left.zip(second.par_chunks_mut(piece).zip(sums)).enumerate();
        let column_sums: Vec<Vec<f32>> = pieces.with_min_len(least_pieces).map(work).collect();
        if self.parameters.learn_grid && self.is_hard() {
            if self.log_scales.len() == 1 {
                of_scales = vec![of_scales.iter().map(|value| f64::from(*value)).sum::<f64>() as f32];
            }
            self.of_scales.descend(&mut self.log_scales, &of_scales, step);
            let least = super::grid::LEAST_SCALE.ln();
            self.log_scales.iter_mut().for_each(|log| *log = log.max(least));
        }
        if !self.log_rows.is_empty() {
            self.of_rows.descend(&mut self.log_rows, &of_rows, step);
            self.log_rows.iter_mut().for_each(|log| *log = log.clamp(-CAP, CAP));
        }
        if let (true, Some(taps)) = (sums_of_columns, self.taps) {
            let mut sums = vec![0.0; self.log_channels.len()];
            for part in &column_sums {
                sums.iter_mut()
                    .zip(part.chunks(taps))
                    .for_each(|(sum, part)| *sum += part.iter().sum::<f32>());
            }
            self.of_channels.descend(&mut self.log_channels, &sums, step);
            self.log_channels.iter_mut().for_each(|log| *log = log.clamp(-CAP, CAP));
        }
        self.step += 1;
    }

    /// The quantised weights as they stand.
    pub(super) fn quantised(&self) -> Rows {
        let mut found = self.units.clone();
        for row in 0..found.rows() {
            let scale = self.scale(row);
            found.row_mut(row).iter_mut().for_each(|value| *value *= scale);
        }
        found
    }

    /// The grid, and the whole numbers q of all weights.
    pub(super) fn finish(mut self) -> (Grid, Vec<u8>) {
        if self.parameters.rounding == Rounding::AdaRound {
            for row in 0..self.weights.rows() {
                let bounds = self.bounds(row);
                let own = row * self.weights.columns()..(row + 1) * self.weights.columns();
                let pairs = self.weights.row(row).iter().zip(&self.elements[own]);
                for (unit, (weight, element)) in self.units.row_mut(row).iter_mut().zip(pairs) {
                    let up = f32::from(u8::from(*element >= 0.0));
                    *unit = ((weight * bounds.inverse).floor() + up).clamp(bounds.low, bounds.high);
                }
            }
        } else {
            self.round();
        }
        let grid = Grid {
            bits: self.bits,
            scales: self.log_scales.iter().map(|log| log.exp()).collect(),
            zeros: self.zeros.clone(),
        };
        let mut integers = Vec::with_capacity(self.units.values().len());
        for row in 0..self.units.rows() {
            let zero = f32::from(grid.zero(row));
            integers.extend(self.units.row(row).iter().map(|unit| (unit + zero) as u8));
        }
        (grid, integers)
    }
}

#[cfg(test)]
impl Learner<'_> {
    /// Logarithms of grid sizes, elements, logarithms of divisors of rows and of channels.
    pub(super) fn learned(&self) -> [&[f32]; 4] {
        [&self.log_scales, &self.elements, &self.log_rows, &self.log_channels]
    }

    /// Adam's first moments in the same order.
    pub(super) fn first_moments(&self) -> Vec<f64> {
        let parts = [&self.of_scales, &self.adam.of_elements, &self.of_rows, &self.of_channels];
        parts.iter().flat_map(|part| part.first.iter().map(|value| f64::from(*value))).collect()
    }
}

/// Adds `change · gram[column]` to products for every weight of a row that moved.
#[inline(always)]
fn follow_changes(old: &[f32], new: &[f32], gram: &Rows, products: &mut [f32]) {
    const LANES: usize = 32;
    for (number, (before, after)) in old.chunks(LANES).zip(new.chunks(LANES)).enumerate() {
        let moved = before.iter().zip(after).fold(false, |any, (before, after)| any | (before != after));
        if !moved {
            continue;
        }
        for (place, (before, after)) in before.iter().zip(after).enumerate() {
            let change = after - before;
            if change != 0.0 {
                let row = gram.row(number * LANES + place);
                products.iter_mut().zip(row).for_each(|(sum, value)| *sum = change.mul_add(*value, *sum));
            }
        }
    }
}
