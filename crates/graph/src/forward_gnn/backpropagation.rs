//! The baseline: the same layers, learned end to end.

use std::sync::Arc;

use super::data::{Graph, Labels, Split};
use super::layer::{Adam, Input, Layer, Pass, Scratch};
use super::model::{Model, Ready, Task};
use super::parameters::{Learner, Parameters};
use super::scores::{Watch, cross_entropy, finite, largest};
use super::single_forward::{classes_of, weights_stream};
use super::{Epoch, Learned};
use crate::Error;
use crate::dense::{Dense, Ledger};
use crate::structure::Structure;

/// Layers, what they leave at a forward pass, and their optimizers.
pub(crate) struct Stack {
    pub(crate) layers: Vec<Layer>,
    passes: Vec<Pass>,
    adams: Vec<Adam>,
    scratch: Scratch,
    own: Dense,
    other: Dense,
}

impl Stack {
    pub(crate) fn new(parameters: &Parameters, inputs: usize, outputs: usize, ledger: &Arc<Ledger>) -> Self {
        let Parameters { layers, hidden, convolution, seed, learning_rate, weight_decay, .. } = *parameters;
        let layer = |place: usize| {
            let inputs = if place == 0 { inputs } else { hidden };
            let outputs = if place + 1 == layers { outputs } else { hidden };
            Layer::new(convolution, inputs, outputs, &mut weights_stream(seed, place))
        };
        let layers: Vec<Layer> = (0..layers).map(layer).collect();
        Self {
            passes: layers.iter().map(|_| Pass::default()).collect(),
            adams: layers.iter().map(|layer| Adam::new(layer, learning_rate, weight_decay)).collect(),
            scratch: Scratch::new(ledger),
            own: Dense::default(),
            other: Dense::default(),
            layers,
        }
    }

    /// The output of the last layer.
    pub(crate) fn forward(&mut self, ready: &Ready) -> &Dense {
        let count = self.layers.len();
        for (place, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.passes.split_at_mut(place);
            let input = before.last().map_or_else(|| ready.input(), |pass| Input::dense(&pass.output));
            layer.forward(&input, &ready.structure, place + 1 < count, &mut after[0], &mut self.scratch);
        }
        &self.passes[count - 1].output
    }

    /// One step of every layer, from the gradient with respect to the last output.
    pub(crate) fn backward(&mut self, ready: &Ready, top: &mut Dense) {
        let count = self.layers.len();
        let ledger = Arc::clone(&self.scratch.ledger);
        let (own, other) = (&mut self.own, &mut self.other);
        for place in (0..count).rev() {
            let (before, after) = self.passes.split_at_mut(place);
            let input = before.last().map_or_else(|| ready.input(), |pass| Input::dense(&pass.output));
            let layer = &mut self.layers[place];
            let gradient = if place + 1 == count { &mut *top } else { &mut *own };
            let to_input = (place > 0).then(|| {
                other.reshape(ready.structure.nodes(), layer.inputs(), &ledger);
                &mut *other
            });
            let gradients = layer.backward(
                &input,
                &ready.structure,
                place + 1 < count,
                &mut after[0],
                gradient,
                &mut self.scratch,
                to_input,
            );
            self.adams[place].step(layer, &gradients);
            std::mem::swap(own, other);
        }
    }
}

/// Training end to end, epoch by epoch: classes of nodes by backpropagation.
pub struct Backpropagation {
    stack: Stack,
    ready: Ready,
    training: Vec<(usize, usize)>,
    gradient: Dense,
    ledger: Arc<Ledger>,
    parameters: Parameters,
}

impl std::fmt::Debug for Backpropagation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Backpropagation")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl Backpropagation {
    /// Initial weights and the features propagated, where they can be.
    ///
    /// # Errors
    /// As [`ForwardGnn::fit`](super::ForwardGnn::fit).
    pub fn new(
        parameters: &Parameters,
        graph: &Graph,
        labels: &Labels,
        split: &Split,
    ) -> Result<Self, Error> {
        parameters.validate()?;
        super::check(graph, labels, split)?;
        let ledger = Arc::new(Ledger::default());
        let convolution = parameters.convolution;
        let structure = Structure::new(graph.nodes, &graph.pairs, convolution.weighing());
        let ready = Ready::new(structure, graph.features.summing_to_one(), convolution);
        let stack = Stack::new(parameters, graph.columns(), labels.classes(), &ledger);
        let training = classes_of(&split.training, labels);
        let parameters = parameters.clone();
        Ok(Self { stack, ready, training, gradient: Dense::default(), ledger, parameters })
    }

    /// Weights and biases, layer after layer.
    pub fn weights(&self) -> impl Iterator<Item = &Dense> {
        self.stack.layers.iter().flat_map(|layer| &layer.parameters)
    }

    /// One epoch: the loss before its step.
    pub fn epoch(&mut self) -> f64 {
        self.epoch_with(|_, _| true).unwrap_or(f64::NAN)
    }

    /// One epoch, unless `look` at the scores and the layers says to stop.
    fn epoch_with(&mut self, look: impl FnOnce(&Dense, &[Layer]) -> bool) -> Option<f64> {
        self.stack.forward(&self.ready);
        let count = self.stack.passes.len();
        let scores = &self.stack.passes[count - 1].output;
        if !look(scores, &self.stack.layers) {
            return None;
        }
        self.gradient.reshape(scores.rows(), scores.columns(), &self.ledger);
        self.gradient.values_mut().copy_from_slice(scores.values());
        let loss = cross_entropy(&mut self.gradient, &self.training, 1.0);
        self.stack.backward(&self.ready, &mut self.gradient);
        Some(loss)
    }
}

pub(crate) fn fit(
    parameters: &Parameters,
    graph: &Graph,
    labels: &Labels,
    split: &Split,
) -> Result<Learned, Error> {
    let mut trainer = Backpropagation::new(parameters, graph, labels, split)?;
    let validation = classes_of(&split.validation, labels);
    let mut watch = Watch::new(parameters);
    let (mut history, mut passes) = (Vec::new(), 0);
    for epoch in 0..parameters.epochs {
        let mut valid = None;
        passes += parameters.layers as u64;
        let loss = trainer.epoch_with(|scores, layers| {
            if !watch.is_due(epoch) {
                return true;
            }
            let right = validation.iter().filter(|&&(node, class)| largest(scores.row(node)) == class);
            let value = right.count() as f64 / validation.len() as f64;
            valid = Some(value);
            watch.goes_on(epoch, value, || layers.to_vec())
        });
        history.push(Epoch { layer: 0, epoch, loss: loss.unwrap_or(f64::NAN), validation: valid });
        match loss {
            Some(loss) => finite(loss, parameters.layers, epoch)?,
            None => break,
        };
    }
    let (found, epoch, layers) = watch.best().unwrap_or((f64::NAN, 0, trainer.stack.layers));
    let model = Model {
        task: Task::Nodes,
        parameters: Parameters { learner: Learner::Backpropagation, ..parameters.clone() },
        classes: labels.classes(),
        features: graph.columns(),
        layers,
        virtual_features: None,
        known: classes_of(&split.training, labels),
    };
    let peak_bytes = trainer.ledger.peak();
    Ok(Learned { model, history, best_epochs: vec![epoch], validation: found, passes, peak_bytes })
}
