//! The covariance of the outputs of an infinitely wide network: layer by layer from that of its inputs.

use backstitch_numerics::Matrix;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::linear::BLOCK;
use super::parameters::{Activation, Architecture, Hyperparameters};
use super::pixels::{around, products};
use super::recursion::{Run, activate, activate_with_tangents};
use crate::Error;

/// Entries that pass through all layers together, small enough for the nearest cache.
const SEGMENT: usize = 256;

/// The kernel of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    architecture: Architecture,
    weight: f64,
    bias: f64,
    last: f64,
}

/// Of every input and layer what pairs of inputs need of it: values per input are one, or one per pixel.
struct Diagonals {
    /// Per layer the scales before its activation.
    scales: Vec<Vec<f64>>,
    /// Per layer their relative changes by weight and by bias variance.
    changes: Vec<[Vec<f64>; 2]>,
    /// The kernel's own diagonal.
    last: Vec<f64>,
}

impl Kernel {
    /// The kernel of a network with these deviations; its noise plays no part.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(architecture: Architecture, hyperparameters: &Hyperparameters) -> Result<Self, Error> {
        architecture.validate()?;
        hyperparameters.validate()?;
        Ok(Self::unchecked(architecture, hyperparameters))
    }

    pub(crate) fn unchecked(architecture: Architecture, hyperparameters: &Hyperparameters) -> Self {
        let Hyperparameters { weight_std, bias_std, last_weight_std, .. } = *hyperparameters;
        Self {
            architecture,
            weight: weight_std * weight_std,
            bias: bias_std * bias_std,
            last: last_weight_std * last_weight_std,
        }
    }

    /// The kernel of all pairs of rows, n × n.
    ///
    /// # Errors
    /// [`Error::Shape`] if rows are no images of the architecture's shape.
    pub fn matrix(&self, x: &Matrix) -> Result<Matrix, Error> {
        self.architecture.fits(x.rows(), x.columns())?;
        let n = x.rows();
        let lower = self.lower(x);
        Ok(Matrix::from_fn(n, n, |row, column| lower[row.min(column) * n + row.max(column)]))
    }

    /// The kernel between the rows of two tables.
    ///
    /// # Errors
    /// [`Error::Shape`] if they differ in columns or are no images.
    pub fn between(&self, left: &Matrix, right: &Matrix) -> Result<Matrix, Error> {
        self.architecture.fits(left.rows(), left.columns())?;
        if left.columns() != right.columns() {
            return Err(Error::Shape {
                what: "the second table",
                found: (right.rows(), right.columns()),
                expected: (right.rows(), left.columns()),
            });
        }
        let values = self.columns(right, left);
        Matrix::new(left.rows(), right.rows(), values)
            .map_err(|_| Error::Model { problem: "the kernel is too large" })
    }

    /// The kernel of every row with itself.
    ///
    /// # Errors
    /// [`Error::Shape`] if rows are no images.
    pub fn diagonal(&self, x: &Matrix) -> Result<Vec<f64>, Error> {
        self.architecture.fits(x.rows(), x.columns())?;
        Ok(self.diagonals(x).last)
    }

    /// The kernel of two rows by the plain formulas, without anything shared: the oracle of the tests.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn plain(&self, left: &[f64], right: &[f64]) -> Result<f64, Error> {
        self.architecture.fits(1, left.len())?;
        if left.len() != right.len() {
            return Err(Error::Shape {
                what: "the second row",
                found: (1, right.len()),
                expected: (1, left.len()),
            });
        }
        let mixed = |terms: Vec<f64>| -> Vec<f64> {
            let terms = self.spread(terms);
            terms.into_iter().map(|term| self.weight * term + self.bias).collect()
        };
        let mut both = mixed(self.base(left, right));
        let mut one = mixed(self.base(left, left));
        let mut other = mixed(self.base(right, right));
        for layer in 1..=self.architecture.depth {
            let after = |k: f64, d: f64, e: f64| match self.architecture.activation {
                Activation::Relu => {
                    let scale = (d * e).sqrt();
                    let angle = if scale > 0.0 { (k / scale).clamp(-1.0, 1.0) } else { 0.0 }.acos();
                    scale / std::f64::consts::TAU
                        * (angle.sin() + (std::f64::consts::PI - angle) * angle.cos())
                }
                Activation::Erf => {
                    let inside = 2.0 * k / ((1.0 + 2.0 * d) * (1.0 + 2.0 * e)).sqrt();
                    std::f64::consts::FRAC_2_PI * inside.clamp(-1.0, 1.0).asin()
                }
            };
            let each = |of: &[f64], first: &[f64], second: &[f64]| {
                of.iter().zip(first.iter().zip(second)).map(|(&k, (&d, &e))| after(k, d, e)).collect()
            };
            let next: [Vec<f64>; 3] =
                [each(&both, &one, &other), each(&one, &one, &one), each(&other, &other, &other)];
            [both, one, other] = if layer < self.architecture.depth { next.map(mixed) } else { next };
        }
        Ok(self.last * both.iter().sum::<f64>() / both.len() as f64)
    }

    /// Covariances of two inputs before the first weights: one, or one per pixel.
    fn base(&self, left: &[f64], right: &[f64]) -> Vec<f64> {
        match self.architecture.image {
            Some(image) => products(image, left, right),
            None => {
                let sum: f64 = left.iter().zip(right).map(|(x, y)| x * y).sum();
                vec![sum / left.len().max(1) as f64]
            }
        }
    }

    /// What weights sum over: the entry itself, or the nine pixels around it.
    fn spread(&self, mut entries: Vec<f64>) -> Vec<f64> {
        if let Some(image) = self.architecture.image {
            let mut scratch = vec![0.0; entries.len()];
            around(image, &mut entries, &mut scratch);
        }
        entries
    }

    /// The lower triangle of the kernel of all pairs, column-major.
    pub(crate) fn lower(&self, x: &Matrix) -> Vec<f64> {
        let n = x.rows();
        let diagonals = self.diagonals(x);
        let mut values = vec![0.0; n * n];
        values.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, columns)| {
            let first = block * BLOCK;
            self.fill(columns, n, (x, &diagonals, first), (x, &diagonals, first));
            // Rounding may not make a row differ from itself.
            for column in 0..columns.len() / n {
                columns[column * n + first + column] = diagonals.last[first + column];
            }
        });
        values
    }

    /// The kernel of rows of `down` (rows of the result) and of `across` (its columns), column-major.
    pub(crate) fn columns(&self, down: &Matrix, across: &Matrix) -> Vec<f64> {
        let n = down.rows();
        let (of_down, of_across) = (self.diagonals(down), self.diagonals(across));
        let mut values = vec![0.0; n * across.rows()];
        values.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, columns)| {
            self.fill(columns, n, (down, &of_down, 0), (across, &of_across, block * BLOCK));
        });
        values
    }

    /// Sums over the lower triangle of `weights` times the derivatives of the kernel by weight, bias and last variance; entries
    /// off the diagonal count twice.
    pub(crate) fn weighted_derivatives(&self, x: &Matrix, weights: &[f64]) -> [f64; 3] {
        let n = x.rows();
        let diagonals = self.diagonals(x);
        let sums: Vec<[f64; 3]> = weights
            .par_chunks(BLOCK * n.max(1))
            .enumerate()
            .map(|(block, weights)| self.differentiate(weights, x, &diagonals, block * BLOCK))
            .collect();
        sums.iter().fold([0.0; 3], |total, sum| std::array::from_fn(|which| total[which] + sum[which]))
    }

    /// Fills columns with the kernel of rows from `down.2` on and of `across.2` on.
    fn fill(
        &self,
        columns: &mut [f64],
        n: usize,
        down: (&Matrix, &Diagonals, usize),
        across: (&Matrix, &Diagonals, usize),
    ) {
        let wide = columns.len() / n;
        if self.architecture.image.is_some() {
            for (column, values) in columns.chunks_exact_mut(n).enumerate() {
                self.images(values, down, (across.0, across.1, across.2 + column));
            }
            return;
        }
        gram(columns, n, (down.0, down.2), (across.0, across.2));
        let mut scales = [0.0; SEGMENT];
        for column in 0..wide {
            for start in (down.2..n).step_by(SEGMENT) {
                let end = n.min(start + SEGMENT);
                let entries = &mut columns[column * n + start..column * n + end];
                self.mix(entries);
                for layer in 0..self.architecture.depth {
                    let own = across.1.scales[layer][across.2 + column];
                    for (scale, other) in scales.iter_mut().zip(&down.1.scales[layer][start..end]) {
                        *scale = own * other;
                    }
                    activate(self.architecture.activation, entries, &scales);
                    if layer + 1 < self.architecture.depth {
                        self.mix(entries);
                    }
                }
                entries.iter_mut().for_each(|entry| *entry *= self.last);
            }
        }
    }

    /// One column of a kernel of images.
    fn images(
        &self,
        values: &mut [f64],
        down: (&Matrix, &Diagonals, usize),
        across: (&Matrix, &Diagonals, usize),
    ) {
        let pixels = self.architecture.image.map_or(1, |image| image.pixels());
        let mut scales = vec![0.0; pixels];
        for row in down.2..values.len() {
            let mut entries = self.spread(self.base(down.0.row(row), across.0.row(across.2)));
            self.mix(&mut entries);
            for layer in 0..self.architecture.depth {
                let (one, other) = (&down.1.scales[layer][row * pixels..], &across.1.scales[layer]);
                let other = &other[across.2 * pixels..];
                for ((scale, one), other) in scales.iter_mut().zip(one).zip(other) {
                    *scale = one * other;
                }
                activate(self.architecture.activation, &mut entries, &scales);
                if layer + 1 < self.architecture.depth {
                    entries = self.spread(entries);
                    self.mix(&mut entries);
                }
            }
            values[row] = self.last * entries.iter().sum::<f64>() / pixels as f64;
        }
    }

    fn mix(&self, entries: &mut [f64]) {
        entries.iter_mut().for_each(|entry| *entry = self.weight * *entry + self.bias);
    }

    /// A block's share of [`Self::weighted_derivatives`].
    fn differentiate(&self, weights: &[f64], x: &Matrix, diagonals: &Diagonals, first: usize) -> [f64; 3] {
        let n = x.rows();
        let wide = weights.len() / n;
        let pixels = self.architecture.image.map_or(1, |image| image.pixels());
        let mut totals = [0.0; 3];
        // Runs of entries that go through the layers together: rows of a column, or the pixels of one pair.
        let (mut entries, mut by_weight, mut by_bias): (Vec<f64>, Vec<f64>, Vec<f64>);
        let mut product = vec![0.0; if pixels == 1 { n * wide } else { 0 }];
        if self.architecture.image.is_none() {
            gram(&mut product, n, (x, first), (x, first));
        }
        let step = if self.architecture.image.is_some() { 1 } else { SEGMENT };
        for column in 0..wide {
            let own = first + column;
            for start in (own..n).step_by(step) {
                let end = n.min(start + step);
                entries = match self.architecture.image {
                    Some(_) => self.spread(self.base(x.row(start), x.row(own))),
                    None => product[column * n + start..column * n + end].to_vec(),
                };
                by_weight = entries.clone();
                by_bias = vec![1.0; entries.len()];
                self.mix(&mut entries);
                for layer in 0..self.architecture.depth {
                    self.layer_with_tangents(
                        layer,
                        (&mut entries, &mut by_weight, &mut by_bias),
                        diagonals,
                        (start, own),
                    );
                }
                for (place, _) in (start..end).enumerate() {
                    let row = start + place;
                    let twice = if row == own { 1.0 } else { 2.0 };
                    let weight = twice * weights[column * n + row] / pixels as f64;
                    let range = place * pixels..(place + 1) * pixels;
                    totals[0] += weight * self.last * by_weight[range.clone()].iter().sum::<f64>();
                    totals[1] += weight * self.last * by_bias[range.clone()].iter().sum::<f64>();
                    totals[2] += weight * entries[range].iter().sum::<f64>();
                }
            }
        }
        totals
    }

    /// Takes a run of entries and their derivatives through a layer and the weights after it.
    fn layer_with_tangents(
        &self,
        layer: usize,
        run: (&mut Vec<f64>, &mut Vec<f64>, &mut Vec<f64>),
        diagonals: &Diagonals,
        (start, own): (usize, usize),
    ) {
        let (entries, by_weight, by_bias) = run;
        let pixels = self.architecture.image.map_or(1, |image| image.pixels());
        let length = entries.len();
        // The partner of entry i is the own row's single value, or its pixel i.
        let pair = |values: &[f64], join: fn(f64, f64) -> f64| -> Vec<f64> {
            let partner = &values[own * pixels..(own + 1) * pixels];
            let of_rows = &values[start * pixels..start * pixels + length];
            of_rows.iter().enumerate().map(|(i, &value)| join(value, partner[i % pixels])).collect()
        };
        let scales = pair(&diagonals.scales[layer], |one, other| one * other);
        let changes = [0, 1].map(|which| pair(&diagonals.changes[layer][which], |one, other| one + other));
        activate_with_tangents(
            self.architecture.activation,
            entries,
            [by_weight, by_bias],
            &Run { scales: &scales, changes: [&changes[0], &changes[1]] },
        );
        if layer + 1 < self.architecture.depth {
            self.mix_with_tangents(entries, by_weight, by_bias);
        }
    }

    fn mix_with_tangents(&self, entries: &mut Vec<f64>, by_weight: &mut Vec<f64>, by_bias: &mut Vec<f64>) {
        for values in [&mut *entries, &mut *by_weight, &mut *by_bias] {
            *values = self.spread(std::mem::take(values));
        }
        for ((entry, weight), bias) in entries.iter_mut().zip(by_weight).zip(by_bias) {
            *weight = *entry + self.weight * *weight;
            *bias = 1.0 + self.weight * *bias;
            *entry = self.weight * *entry + self.bias;
        }
    }

    fn diagonals(&self, x: &Matrix) -> Diagonals {
        let pixels = self.architecture.image.map_or(1, |image| image.pixels());
        let depth = self.architecture.depth;
        let mut diagonals = Diagonals {
            scales: vec![Vec::with_capacity(x.rows() * pixels); depth],
            changes: vec![[const { Vec::new() }; 2]; depth],
            last: Vec::with_capacity(x.rows()),
        };
        for row in 0..x.rows() {
            let mut entries = self.spread(self.base(x.row(row), x.row(row)));
            let mut by_weight = entries.clone();
            let mut by_bias = vec![1.0; pixels];
            self.mix(&mut entries);
            for layer in 0..depth {
                for ((entry, weight), bias) in entries.iter_mut().zip(&mut by_weight).zip(&mut by_bias) {
                    let k = *entry;
                    // The scale, what derivatives are divided by, F and its whole derivative along the diagonal.
                    let (scale, divisor, value, slope) = match self.architecture.activation {
                        Activation::Relu => (k.sqrt(), k, 0.5 * k, 0.5),
                        Activation::Erf => {
                            let wide = 1.0 + 2.0 * k;
                            let steep = 4.0 / (std::f64::consts::PI * wide * (1.0 + 4.0 * k).sqrt());
                            (wide.sqrt(), wide, std::f64::consts::FRAC_2_PI * (2.0 * k / wide).asin(), steep)
                        }
                    };
                    diagonals.scales[layer].push(scale);
                    let share = |tangent: f64| if divisor > 0.0 { tangent / divisor } else { 0.0 };
                    diagonals.changes[layer][0].push(share(*weight));
                    diagonals.changes[layer][1].push(share(*bias));
                    (*entry, *weight, *bias) = (value, slope * *weight, slope * *bias);
                }
                if layer + 1 < depth {
                    self.mix_with_tangents(&mut entries, &mut by_weight, &mut by_bias);
                }
            }
            diagonals.last.push(self.last * entries.iter().sum::<f64>() / pixels as f64);
        }
        diagonals
    }
}

/// Inner products over the number of columns, of rows from `down.1` and from `across.1` on, into columns of n values.
fn gram(columns: &mut [f64], n: usize, down: (&Matrix, usize), across: (&Matrix, usize)) {
    let wide = columns.len() / n;
    let features = down.0.columns();
    if features == 0 {
        return;
    }
    let rows = MatRef::from_row_major_slice(&down.0.values()[down.1 * features..], n - down.1, features);
    let partners = &across.0.values()[across.1 * features..(across.1 + wide) * features];
    let partners = MatRef::from_row_major_slice(partners, wide, features).transpose();
    let target = MatMut::from_column_major_slice_mut(columns, n, wide);
    let target = target.submatrix_mut(down.1, 0, n - down.1, wide);
    matmul(target, Accum::Replace, rows, partners, 1.0 / features as f64, Par::Seq);
}
