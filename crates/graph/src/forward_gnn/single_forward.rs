//! Layer after layer with one forward pass per epoch: classes are virtual nodes.

use std::sync::Arc;

use backstitch_numerics::Stream;

use super::data::{Graph, Labels, Split};
use super::layer::{Adam, Block, Input, Layer, Pass, Scratch};
use super::model::{Model, Ready, Task};
use super::parameters::Parameters;
use super::scores::{Scores, Watch, finite, softmax_rows};
use super::{Epoch, Learned};
use crate::Error;
use crate::dense::{Dense, Ledger};

/// Nodes with their classes.
pub(crate) fn classes_of(nodes: &[usize], labels: &Labels) -> Vec<(usize, usize)> {
    nodes.iter().filter_map(|&node| Some((node, labels.of()[node]?))).collect()
}

/// Features of virtual nodes: standard normal.
pub(crate) fn virtual_features(classes: usize, columns: usize, seed: u64) -> Dense {
    let mut stream = Stream::new(seed, "forward-gnn virtual nodes");
    Dense::from_fn(classes, columns, |_, _| stream.normal() as f32)
}

/// The stream of initial weights of a layer.
pub(crate) fn weights_stream(seed: u64, layer: usize) -> Stream {
    Stream::new(seed, &format!("forward-gnn weights {layer}"))
}

/// The share of nodes whose largest score is that of their class, after adding those of layers before.
pub(crate) fn accuracy(before: &Dense, own: &Dense, nodes: &[(usize, usize)]) -> f64 {
    let right = nodes.iter().filter(|&&(node, class)| {
        let sums: Vec<f32> =
            before.row(node).iter().zip(own.row(node)).map(|(left, right)| left + right).collect();
        super::scores::largest(&sums) == class
    });
    right.count() as f64 / nodes.len().max(1) as f64
}

/// The input of the layer above: rows normalised, and propagated once where all epochs can share that.
pub(crate) struct Below {
    own: Option<Dense>,
    around: Option<Dense>,
}

impl Below {
    pub(crate) fn new(mut output: Dense, layer: &Layer, ready: &Ready, ledger: &Arc<Ledger>) -> Self {
        use super::parameters::Convolution;
        output.normalise_rows();
        let linear = layer.convolution.is_linear();
        let around = linear.then(|| {
            let mut around = Dense::counted(output.rows(), output.columns(), ledger);
            ready.structure.propagate(&output, &mut around, None, false);
            around
        });
        Self { own: (layer.convolution != Convolution::Gcn).then_some(output), around }
    }

    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            own: self.own.iter().map(Block::Dense).collect(),
            around: self.around.as_ref().map(|around| vec![Block::Dense(around)]),
        }
    }
}

pub(crate) fn fit(
    parameters: &Parameters,
    graph: &Graph,
    labels: &Labels,
    split: &Split,
) -> Result<Learned, Error> {
    let Parameters { convolution, layers, hidden, epochs, temperature, seed, .. } = *parameters;
    let classes = labels.classes();
    let (training, validation) = (classes_of(&split.training, labels), classes_of(&split.validation, labels));
    let virtual_features = virtual_features(classes, graph.columns(), seed);
    let ready = Ready::with_virtual_nodes(graph, &training, &virtual_features, convolution);
    let ledger = Arc::new(Ledger::default());
    let rows = graph.nodes + classes;
    let mut before = Dense::counted(rows, classes, &ledger);
    let mut below: Option<Below> = None;
    let mut learned = Vec::new();
    let (mut history, mut passes, mut ends, mut found) = (Vec::new(), 0, Vec::new(), 0.0);
    for place in 0..layers {
        let inputs = if place == 0 { graph.columns() } else { hidden };
        let mut layer = Layer::new(convolution, inputs, hidden, &mut weights_stream(seed, place));
        let input = below.as_ref().map_or_else(|| ready.input(), Below::input);
        let mut adam = Adam::new(&layer, parameters.learning_rate, parameters.weight_decay);
        let mut watch = Watch::new(parameters);
        let (mut pass, mut scratch) = (Pass::default(), Scratch::new(&ledger));
        let mut gradient = Dense::counted(rows, hidden, &ledger);
        for epoch in 0..epochs {
            layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
            passes += 1;
            let scores = Scores::new(classes, &pass.output, temperature, &ledger);
            let mut valid = None;
            if watch.is_due(epoch) {
                let mut shares = scores.scores.clone();
                softmax_rows(&mut shares);
                let value = accuracy(&before, &shares, &validation);
                valid = Some(value);
                if !watch.goes_on(epoch, value, || layer.clone()) {
                    history.push(Epoch { layer: place, epoch, loss: f64::NAN, validation: valid });
                    break;
                }
            }
            let loss = scores.loss(&pass.output, &training, temperature, &mut gradient);
            let loss = finite(loss, place + 1, epoch)?;
            history.push(Epoch { layer: place, epoch, loss, validation: valid });
            let gradients =
                layer.backward(&input, &ready.structure, true, &mut pass, &mut gradient, &mut scratch, None);
            adam.step(&mut layer, &gradients);
        }
        if let Some((value, epoch, best)) = watch.best() {
            (layer, found) = (best, value);
            ends.push(epoch);
        }
        drop(gradient);
        // Once more with the best weights: what the next layer reads, and what this one says.
        layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
        drop(input);
        drop(scratch);
        let mut shares = Scores::new(classes, &pass.output, temperature, &ledger).scores;
        softmax_rows(&mut shares);
        before.values_mut().iter_mut().zip(shares.values()).for_each(|(sum, value)| *sum += value);
        drop(shares);
        below = None.or_else(|| {
            drop(below.take());
            (place + 1 < layers)
                .then(|| Below::new(std::mem::take(&mut pass.output), &layer, &ready, &ledger))
        });
        learned.push(layer);
    }
    let model = Model {
        task: Task::Nodes,
        parameters: parameters.clone(),
        classes,
        features: graph.columns(),
        layers: learned,
        virtual_features: Some(virtual_features),
        known: training,
    };
    Ok(Learned { model, history, best_epochs: ends, validation: found, passes, peak_bytes: ledger.peak() })
}
