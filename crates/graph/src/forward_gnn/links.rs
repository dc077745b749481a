//! Learning which nodes are joined: each layer by its own inner products, or all of them by backpropagation.

use std::collections::HashSet;
use std::sync::Arc;

use backstitch_numerics::Stream;

use super::backpropagation::Stack;
use super::data::{Graph, LinkSplit, area_under_curve};
use super::layer::{Adam, Layer, Pass, Scratch};
use super::model::{Model, Ready, Task, dot};
use super::parameters::{Learner, Parameters};
use super::scores::{Watch, finite, sigmoid, softplus};
use super::single_forward::{Below, weights_stream};
use super::{Epoch, Learned};
use crate::Error;
use crate::dense::{Dense, Ledger};
use crate::structure::Structure;

/// Draws pairs that are no edges, as many as there are training edges, anew for every epoch.
struct Absent<'a> {
    graph: &'a Graph,
    taken: HashSet<(u32, u32)>,
    stream: Stream,
}

impl<'a> Absent<'a> {
    fn new(graph: &'a Graph, split: &LinkSplit, seed: u64) -> Self {
        // No edge of any part may be drawn; pairs held back for validation and testing may.
        let edges = [&split.training, &split.validation[0], &split.test[0], &graph.pairs];
        let taken = edges.into_iter().flatten().copied().collect();
        Self { graph, taken, stream: Stream::new(seed, "forward-gnn absent pairs") }
    }

    fn draw(&mut self, count: usize) -> Vec<(u32, u32)> {
        let mut found = Vec::with_capacity(count);
        while found.len() < count {
            let (from, to) =
                (self.stream.below(self.graph.nodes) as u32, self.stream.below(self.graph.nodes) as u32);
            let pair = (from.min(to), from.max(to));
            if from != to && !self.taken.contains(&pair) {
                found.push(pair);
            }
        }
        found
    }
}

/// The binary cross entropy of pairs, and its gradient with respect to the output.
fn loss(output: &Dense, edges: &[(u32, u32)], absent: &[(u32, u32)], gradient: &mut Dense) -> f64 {
    gradient.values_mut().fill(0.0);
    let each = 1.0 / (edges.len() + absent.len()) as f64;
    let mut total = 0.0;
    let signed = edges.iter().map(|pair| (pair, -1.0)).chain(absent.iter().map(|pair| (pair, 1.0)));
    for (&(from, to), sign) in signed {
        let score = dot(output, from, to);
        total += each * softplus(sign * score);
        let factor = (each * sign * sigmoid(sign * score)) as f32;
        for (at, other) in [(from, to), (to, from)] {
            let row = output.row(other as usize);
            let to = gradient.row_mut(at as usize).iter_mut();
            to.zip(row).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    total
}

/// The area under the curve of pairs held back, with the scores of layers before.
fn area(output: &Dense, pairs: &[Vec<(u32, u32)>; 2], before: &[Vec<f64>; 2]) -> f64 {
    let [edges, absent] = [0, 1].map(|side| scores(output, &pairs[side], &before[side]));
    area_under_curve(&edges, &absent)
}

fn scores(output: &Dense, pairs: &[(u32, u32)], before: &[f64]) -> Vec<f64> {
    pairs.iter().zip(before).map(|(&(from, to), before)| before + sigmoid(dot(output, from, to))).collect()
}

pub(crate) fn fit(parameters: &Parameters, graph: &Graph, split: &LinkSplit) -> Result<Learned, Error> {
    let Parameters { learner, convolution, layers, hidden, epochs, seed, .. } = *parameters;
    let training = graph.with_pairs(&split.training)?;
    let structure = Structure::new(graph.nodes, &training.pairs, convolution.weighing());
    let ledger = Arc::new(Ledger::default());
    let mut absent = Absent::new(graph, split, seed);
    let mut before = [vec![0.0; split.validation[0].len()], vec![0.0; split.validation[1].len()]];
    let (mut history, mut passes, mut ends) = (Vec::new(), 0, Vec::new());
    let mut found = f64::NAN;
    let mut learned = Vec::new();
    if learner == Learner::Backpropagation {
        let ready = Ready::new(structure, graph.features.summing_to_one(), convolution);
        let mut stack = Stack::new(parameters, graph.columns(), hidden, &ledger);
        let mut watch = Watch::new(parameters);
        let mut gradient = Dense::counted(graph.nodes, hidden, &ledger);
        for epoch in 0..epochs {
            let output = stack.forward(&ready);
            passes += layers as u64;
            let valid = watch.is_due(epoch).then(|| area(output, &split.validation, &before));
            let other = absent.draw(split.training.len());
            let value = finite(loss(output, &split.training, &other, &mut gradient), layers, epoch)?;
            history.push(Epoch { layer: 0, epoch, loss: value, validation: valid });
            if valid.is_some_and(|valid| !watch.goes_on(epoch, valid, || stack.layers.clone())) {
                break;
            }
            stack.backward(&ready, &mut gradient);
        }
        if let Some((value, epoch, best)) = watch.best() {
            (learned, found) = (best, value);
            ends.push(epoch);
        }
    } else {
        let ready = Ready::new(structure, graph.features.normalised(), convolution);
        let mut below: Option<Below> = None;
        for place in 0..layers {
            let inputs = if place == 0 { graph.columns() } else { hidden };
            let mut layer = Layer::new(convolution, inputs, hidden, &mut weights_stream(seed, place));
            let input = below.as_ref().map_or_else(|| ready.input(), Below::input);
            let mut adam = Adam::new(&layer, parameters.learning_rate, parameters.weight_decay);
            let mut watch = Watch::new(parameters);
            let (mut pass, mut scratch) = (Pass::default(), Scratch::new(&ledger));
            let mut gradient = Dense::counted(graph.nodes, hidden, &ledger);
            for epoch in 0..epochs {
                layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
                passes += 1;
                let valid = watch.is_due(epoch).then(|| area(&pass.output, &split.validation, &before));
                let other = absent.draw(split.training.len());
                let value = loss(&pass.output, &split.training, &other, &mut gradient);
                let value = finite(value, place + 1, epoch)?;
                history.push(Epoch { layer: place, epoch, loss: value, validation: valid });
                if valid.is_some_and(|valid| !watch.goes_on(epoch, valid, || layer.clone())) {
                    break;
                }
                let gradients = layer.backward(
                    &input,
                    &ready.structure,
                    true,
                    &mut pass,
                    &mut gradient,
                    &mut scratch,
                    None,
                );
                adam.step(&mut layer, &gradients);
            }
            if let Some((value, epoch, best)) = watch.best() {
                (layer, found) = (best, value);
                ends.push(epoch);
            }
            drop(gradient);
            layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
            drop(input);
            drop(scratch);
            for side in 0..2 {
                before[side] = scores(&pass.output, &split.validation[side], &before[side]);
            }
            drop(below.take());
            if place + 1 < layers {
                below = Some(Below::new(std::mem::take(&mut pass.output), &layer, &ready, &ledger));
            }
            learned.push(layer);
        }
    }
    let model = Model {
        task: Task::Links,
        parameters: parameters.clone(),
        classes: 0,
        features: graph.columns(),
        layers: learned,
        virtual_features: None,
        known: Vec::new(),
    };
    Ok(Learned { model, history, best_epochs: ends, validation: found, passes, peak_bytes: ledger.peak() })
}
