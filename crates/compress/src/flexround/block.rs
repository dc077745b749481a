//! Several layers reconstructed together, from batches of rows.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use backstitch_numerics::Stream;

use super::activations::ActivationGrid;
use super::grid::Grid;
use super::layer::{LayerReport, Quantised, check_weights, finished, moves, nearest, unit, warnings};
use super::learner::{Gradient, Learner};
use super::moments::plain_errors;
use super::network::{Layer, Network};
use super::parameters::Parameters;
use super::passes::Value;
use crate::{Error, Rows};

/// Step size of the logarithm of activation grids.
const ACTIVATION_RATE: f64 = 4e-4;

/// What a block became: the whole numbers, the grid of inputs and the report of each affine layer.
pub(super) type Found = Vec<(usize, Quantised, Option<ActivationGrid>, LayerReport)>;

/// A block that is reconstructed: values of the full model and of the quantised one before it, for all calibration rows.
pub(super) struct Block<'a> {
    pub(super) network: &'a Network,
    pub(super) layers: Range<usize>,
    pub(super) full: &'a Value,
    pub(super) quantised: &'a Value,
    pub(super) parameters: &'a Parameters,
}

impl Block<'_> {
    pub(super) fn reconstruct(&self) -> Result<Found, Error> {
        let begin = Instant::now();
        let parameters = self.parameters;
        let affine: Vec<usize> = self
            .layers
            .clone()
            .filter(|&layer| matches!(self.network.layers[layer], Layer::Affine(_)))
            .collect();
        let weights = |layer: usize| self.weights(layer);
        for &layer in &affine {
            check_weights(&self.name(layer), weights(layer))?;
        }
        let mut wanted = self.full.clone();
        for layer in self.layers.clone() {
            self.network.advance(layer, &mut wanted, None);
        }
        let grids: Vec<Grid> = affine.iter().map(|&layer| Grid::of(weights(layer), parameters)).collect();
        let plain: Vec<Quantised> = affine
            .iter()
            .zip(&grids)
            .map(|(&layer, grid)| nearest(weights(layer), grid, parameters))
            .collect();
        let mut rounded = self.network.clone();
        put(&mut rounded, &affine, plain.iter().map(Quantised::weights));
        let activations = self.activation_grids(&rounded);
        let (before, signal) = self.errors(&rounded, &activations, &wanted.rows);
        let (mut found, mut found_activations) = (plain.clone(), activations.clone());
        let (mut after, mut kept_nearest) = (before, false);
        if parameters.trains() {
            let learners = affine
                .iter()
                .zip(&grids)
                .map(|(&layer, grid)| {
                    let taps = match &self.network.layers[layer] {
                        Layer::Affine(own) => own.taps(),
                        _ => None,
                    };
                    Learner::new(weights(layer), grid, parameters, taps)
                })
                .collect();
            let (learned, grids) =
                self.learn(&mut rounded, &affine, learners, &activations, &wanted.rows, signal);
            put(&mut rounded, &affine, learned.iter().map(Quantised::weights));
            let (error, _) = self.errors(&rounded, &grids, &wanted.rows);
            if error <= before {
                (found, found_activations, after) = (learned, grids, error);
            } else {
                kept_nearest = true;
            }
        }
        let share = |error: f64| if signal > 0.0 { error / signal } else { 0.0 };
        let seconds = begin.elapsed().as_secs_f64() / affine.len() as f64;
        let parts = affine.iter().zip(plain).zip(found).zip(grids);
        let all = parts.map(|(((&layer, plain), found), grid)| {
            let own = weights(layer);
            let report = LayerReport {
                name: self.name(layer),
                outputs: own.rows(),
                inputs: own.columns(),
                before: share(before),
                after: share(after),
                kept_nearest,
                moves: moves(own, &plain, &found),
                warnings: warnings(own, &grid, signal),
                seconds,
            };
            (layer, found, found_activations.get(&layer).copied(), report)
        });
        Ok(all.collect())
    }

    fn name(&self, layer: usize) -> String {
        match &self.network.layers[layer] {
            Layer::Affine(own) => own.name.clone(),
            _ => String::new(),
        }
    }

    fn weights(&self, layer: usize) -> &Rows {
        match &self.network.layers[layer] {
            Layer::Affine(own) => &own.weights,
            _ => unreachable!("only affine layers are asked for"),
        }
    }

    /// Grids for the inputs of all affine layers, each found behind those before it.
    fn activation_grids(&self, rounded: &Network) -> HashMap<usize, ActivationGrid> {
        let mut found = HashMap::new();
        let Some(bits) = self.parameters.activation_bits else { return found };
        let mut value = self.quantised.clone();
        for layer in self.layers.clone() {
            if matches!(self.network.layers[layer], Layer::Affine(_)) {
                found.insert(layer, ActivationGrid::of(value.rows.values(), bits));
            }
            rounded.advance(layer, &mut value, found.get(&layer));
        }
        found
    }

    /// Mean squared error of the block's outputs over all rows, and their mean square.
    fn errors(&self, rounded: &Network, grids: &HashMap<usize, ActivationGrid>, wanted: &Rows) -> (f64, f64) {
        let mut value = self.quantised.clone();
        for layer in self.layers.clone() {
            rounded.advance(layer, &mut value, grids.get(&layer));
        }
        plain_errors(&value.rows, wanted)
    }

    fn learn(
        &self,
        rounded: &mut Network,
        affine: &[usize],
        mut learners: Vec<Learner<'_>>,
        grids: &HashMap<usize, ActivationGrid>,
        wanted: &Rows,
        signal: f64,
    ) -> (Vec<Quantised>, HashMap<usize, ActivationGrid>) {
        let Parameters { steps, batch, drop, seed, .. } = *self.parameters;
        let rows = wanted.rows();
        let batch = batch.min(rows);
        let name = format!("flexround block {}", self.layers.start);
        let mut stream = Stream::new(seed, &name);
        let mut drops = Stream::new(seed, &format!("{name} drops"));
        let mut order: Vec<usize> = (0..rows).collect();
        let mut next = rows;
        let factor = (2.0 * unit(signal, wanted.columns()) / batch as f64) as f32;
        let mut grids = grids.clone();
        let mut moments: HashMap<usize, (f64, f64)> = HashMap::new();
        for step in 0..steps {
            if next + batch > rows {
                stream.shuffle(&mut order);
                next = 0;
            }
            let picked = &order[next..next + batch];
            next += batch;
            for learner in &mut learners {
                learner.round();
            }
            put(rounded, affine, learners.iter().map(Learner::quantised));
            let mut value = self.batch(picked, drop, &mut drops);
            let mut of_scales: HashMap<usize, Vec<f32>> = HashMap::new();
            let tape = rounded.pass(self.layers.clone(), &mut value, &mut |layer, rows| {
                let grid = grids.get(&layer)?;
                let stays = || drop > 0.0 && drops.uniform() < drop;
                let (passes, of_scale) = grid.round_watched(rows.values_mut(), stays);
                of_scales.insert(layer, of_scale);
                Some(passes)
            });
            let mut errors = value.rows;
            for (row, &place) in picked.iter().enumerate() {
                let pairs = errors.row_mut(row).iter_mut().zip(wanted.row(place));
                pairs.for_each(|(own, wanted)| *own = factor * (*own - wanted));
            }
            let mut of_grids: Vec<(usize, f64)> = Vec::new();
            let mut watch = |layer: usize, errors: &Rows| {
                if let Some(of_scale) = of_scales.get(&layer) {
                    let pairs = errors.values().iter().zip(of_scale);
                    of_grids.push((layer, pairs.map(|(error, of)| f64::from(error * of)).sum()));
                }
            };
            let gradients =
                rounded.back(tape, errors, if grids.is_empty() { None } else { Some(&mut watch) });
            for (learner, (_, gradient)) in learners.iter_mut().zip(&gradients) {
                learner.descend(Gradient::Given(&gradient.weights));
            }
            let left = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            for (layer, gradient) in of_grids {
                let (m, v) = moments.entry(layer).or_default();
                *m += 0.1 * (gradient - *m);
                *v += 0.001 * (gradient * gradient - *v);
                let number = i32::try_from(step + 1).unwrap_or(i32::MAX);
                let (m, v) = (*m / (1.0 - 0.9_f64.powi(number)), *v / (1.0 - 0.999_f64.powi(number)));
                if let Some(grid) = grids.get_mut(&layer) {
                    let change = -ACTIVATION_RATE * left * m / (v.sqrt() + 1e-15);
                    grid.scale = (grid.scale * change.exp() as f32).max(super::grid::LEAST_SCALE);
                }
            }
        }
        let found = affine.iter().zip(learners);
        (found.map(|(&layer, learner)| finished(self.weights(layer), learner)).collect(), grids)
    }

    /// Inputs of the block for some rows; each number is that of the full model with the probability `drop`.
    fn batch(&self, picked: &[usize], drop: f64, drops: &mut Stream) -> Value {
        let mut value = Value {
            rows: self.quantised.rows.picked(picked),
            kept: self
                .quantised
                .kept
                .iter()
                .map(|(name, rows)| (name.clone(), rows.picked(picked)))
                .collect(),
        };
        if drop > 0.0 {
            for (row, &place) in picked.iter().enumerate() {
                let pairs = value.rows.row_mut(row).iter_mut().zip(self.full.rows.row(place));
                pairs.for_each(|(own, full)| {
                    if drops.uniform() < drop {
                        *own = *full;
                    }
                });
            }
        }
        value
    }
}

/// Puts weights in the places of those of affine layers.
pub(super) fn put(network: &mut Network, affine: &[usize], weights: impl Iterator<Item = Rows>) {
    for (&layer, fresh) in affine.iter().zip(weights) {
        if let Layer::Affine(own) = &mut network.layers[layer] {
            own.weights = fresh;
        }
    }
}
