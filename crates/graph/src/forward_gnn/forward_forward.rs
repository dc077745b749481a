//! Layer after layer by goodness: high on graphs with true labels, low on graphs with wrong ones.

use std::borrow::Cow;
use std::sync::Arc;

use backstitch_numerics::Stream;

use super::data::{Features, Graph, Labels, Split};
use super::layer::{Adam, Layer, Pass, Scratch};
use super::model::{Model, Ready, Task};
use super::parameters::{Learner, Parameters};
use super::scores::{Watch, finite, largest, sigmoid, softmax_rows, softplus};
use super::single_forward::{Below, classes_of, virtual_features, weights_stream};
use super::{Epoch, Learned};
use crate::Error;
use crate::dense::{Dense, Ledger};
use crate::structure::Structure;

/// Makes graphs that carry labels, in the features or as edges to virtual nodes.
struct Carrier<'a> {
    graph: &'a Graph,
    parameters: &'a Parameters,
    classes: usize,
    virtual_features: Option<Cow<'a, Dense>>,
}

impl Carrier<'_> {
    /// The graph with these labels.
    fn with(&self, labels: &[Option<usize>]) -> Ready {
        let convolution = self.parameters.convolution;
        match &self.virtual_features {
            Some(virtual_features) => {
                let known: Vec<_> =
                    labels.iter().enumerate().filter_map(|(node, label)| Some((node, (*label)?))).collect();
                Ready::with_virtual_nodes(self.graph, &known, virtual_features, convolution)
            }
            None => {
                let structure = Structure::new(self.graph.nodes, &self.graph.pairs, convolution.weighing());
                let features: Features = self.graph.features.with_labels(labels, self.classes).normalised();
                Ready::new(structure, features, convolution)
            }
        }
    }

    /// For every class the graph in which all nodes that are not known have it.
    fn questions(&self, known: &[(usize, usize)]) -> Vec<Ready> {
        let question = |class: usize| {
            let mut labels = vec![Some(class); self.graph.nodes];
            known.iter().for_each(|&(node, own)| labels[node] = Some(own));
            self.with(&labels)
        };
        (0..self.classes).map(question).collect()
    }
}

/// Adds the mean of squares of every node, less the threshold, to the column of a class.
fn add_goodness(sums: &mut Dense, class: usize, output: &Dense, threshold: f64) {
    for node in 0..sums.rows() {
        let square: f32 = output.row(node).iter().map(|value| value * value).sum();
        sums.row_mut(node)[class] += square / output.columns() as f32 - threshold as f32;
    }
}

/// The share of nodes whose class has the most goodness.
fn accuracy(sums: &Dense, nodes: &[(usize, usize)]) -> f64 {
    let right = nodes.iter().filter(|&&(node, class)| largest(sums.row(node)) == class).count();
    right as f64 / nodes.len().max(1) as f64
}

/// Shares of the layers alone, and behind them those of the sum of their goodness. Known nodes have their class.
pub(crate) fn shares(model: &Model, graph: &Graph, ledger: &Arc<Ledger>) -> Vec<Dense> {
    let carrier = Carrier {
        graph,
        parameters: &model.parameters,
        classes: model.classes,
        virtual_features: model.virtual_features.as_ref().map(Cow::Borrowed),
    };
    let mut found: Vec<Dense> =
        (0..=model.layers.len()).map(|_| Dense::zeros(graph.nodes, model.classes)).collect();
    for (class, ready) in carrier.questions(&model.known).iter().enumerate() {
        let outputs = super::model::bottom_up(&model.layers, ready, ledger);
        for (place, output) in outputs.iter().enumerate() {
            add_goodness(&mut found[place], class, output, model.parameters.threshold);
            add_goodness(&mut found[model.layers.len()], class, output, model.parameters.threshold);
        }
    }
    for shares in &mut found {
        softmax_rows(shares);
        for &(node, class) in &model.known {
            let row = shares.row_mut(node);
            row.fill(0.0);
            row[class] = 1.0;
        }
    }
    found
}

/// The loss of one graph and its gradient with respect to the output: `softplus(±(goodness − θ))`, the mean over nodes.
fn loss(
    output: &Dense,
    nodes: &[(usize, usize)],
    positive: bool,
    threshold: f64,
    gradient: &mut Dense,
) -> f64 {
    gradient.values_mut().fill(0.0);
    let each = 1.0 / nodes.len() as f64;
    let mut total = 0.0;
    for &(node, _) in nodes {
        let row = output.row(node);
        let goodness: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
        let sign = if positive { -1.0 } else { 1.0 };
        total += each * softplus(sign * (goodness - threshold));
        let factor = (2.0 * each * sign * sigmoid(sign * (goodness - threshold))) as f32;
        gradient.row_mut(node).iter_mut().zip(row).for_each(|(to, value)| *to = factor * value);
    }
    total
}

pub(crate) fn fit(
    parameters: &Parameters,
    graph: &Graph,
    labels: &Labels,
    split: &Split,
) -> Result<Learned, Error> {
    let Parameters { learner, convolution, layers, hidden, epochs, threshold, seed, .. } = *parameters;
    let classes = labels.classes();
    let (training, validation) = (classes_of(&split.training, labels), classes_of(&split.validation, labels));
    let virtual_features =
        (learner == Learner::VirtualNodes).then(|| virtual_features(classes, graph.columns(), seed));
    let carrier = Carrier {
        graph,
        parameters,
        classes,
        virtual_features: virtual_features.as_ref().map(Cow::Borrowed),
    };
    // The true graph first, then one for each wrong class, in an order drawn for every node.
    let mut stream = Stream::new(seed, "forward-gnn wrong labels");
    let mut carried = vec![vec![None; graph.nodes]; classes];
    for &(node, class) in &training {
        carried[0][node] = Some(class);
        let mut wrong: Vec<usize> = (0..classes).filter(|other| *other != class).collect();
        stream.shuffle(&mut wrong);
        wrong.into_iter().enumerate().for_each(|(place, other)| carried[place + 1][node] = Some(other));
    }
    let graphs: Vec<Ready> = carried.iter().map(|labels| carrier.with(labels)).collect();
    let questions = carrier.questions(&training);
    let ledger = Arc::new(Ledger::default());
    let mut before = Dense::counted(graph.nodes, classes, &ledger);
    let mut below: Vec<Below> = Vec::new();
    let mut learned: Vec<Layer> = Vec::new();
    let (mut history, mut passes, mut ends, mut found) = (Vec::new(), 0, Vec::new(), 0.0);
    for place in 0..layers {
        let inputs = match (place, learner) {
            (0, Learner::LabelAppending) => graph.columns() + classes,
            (0, _) => graph.columns(),
            _ => hidden,
        };
        let mut layer = Layer::new(convolution, inputs, hidden, &mut weights_stream(seed, place));
        let mut adam = Adam::new(&layer, parameters.learning_rate, parameters.weight_decay);
        let mut watch = Watch::new(parameters);
        let (mut pass, mut scratch) = (Pass::default(), Scratch::new(&ledger));
        let mut gradient = Dense::counted(graphs[0].structure.nodes(), hidden, &ledger);
        // Training graphs, then questions.
        let all: Vec<&Ready> = graphs.iter().chain(&questions).collect();
        let input = |view: usize| below.get(view).map_or_else(|| all[view].input(), Below::input);
        let ask = |layer: &Layer, pass: &mut Pass, scratch: &mut Scratch| {
            let mut sums = before.clone();
            for class in 0..classes {
                let view = classes + class;
                layer.forward(&input(view), &all[view].structure, true, pass, scratch);
                add_goodness(&mut sums, class, &pass.output, threshold);
            }
            sums
        };
        for epoch in 0..epochs {
            let mut valid = None;
            if watch.is_due(epoch) {
                let value = accuracy(&ask(&layer, &mut pass, &mut scratch), &validation);
                valid = Some(value);
                if !watch.goes_on(epoch, value, || layer.clone()) {
                    history.push(Epoch { layer: place, epoch, loss: f64::NAN, validation: valid });
                    break;
                }
            }
            let mut total = 0.0;
            let mut sum: Vec<Dense> = Vec::new();
            for view in 0..classes {
                let (input, structure) = (input(view), &all[view].structure);
                layer.forward(&input, structure, true, &mut pass, &mut scratch);
                passes += 1;
                let own = loss(&pass.output, &training, view == 0, threshold, &mut gradient);
                let weight = if view == 0 { 1.0 } else { 1.0 / (classes - 1) as f32 };
                total += f64::from(weight) * own;
                let mut gradients =
                    layer.backward(&input, structure, true, &mut pass, &mut gradient, &mut scratch, None);
                gradients.iter_mut().flat_map(|part| part.values_mut()).for_each(|value| *value *= weight);
                if sum.is_empty() {
                    sum = gradients;
                } else {
                    let pairs = sum.iter_mut().zip(&gradients);
                    pairs.for_each(|(sum, part)| {
                        sum.values_mut().iter_mut().zip(part.values()).for_each(|(sum, value)| *sum += value);
                    });
                }
            }
            history.push(Epoch {
                layer: place,
                epoch,
                loss: finite(total, place + 1, epoch)?,
                validation: valid,
            });
            adam.step(&mut layer, &sum);
        }
        if let Some((value, epoch, best)) = watch.best() {
            (layer, found) = (best, value);
            ends.push(epoch);
        }
        drop(gradient);
        let sums = ask(&layer, &mut pass, &mut scratch);
        let mut above = Vec::new();
        if place + 1 < layers {
            for (view, ready) in all.iter().enumerate() {
                let mut pass = Pass::default();
                layer.forward(&input(view), &ready.structure, true, &mut pass, &mut scratch);
                above.push(Below::new(pass.output, &layer, ready, &ledger));
            }
        }
        before = sums;
        below = above;
        learned.push(layer);
    }
    let mut known = training;
    known.extend(validation);
    known.sort_unstable();
    let model = Model {
        task: Task::Nodes,
        parameters: parameters.clone(),
        classes,
        features: graph.columns(),
        layers: learned,
        virtual_features,
        known,
    };
    Ok(Learned { model, history, best_epochs: ends, validation: found, passes, peak_bytes: ledger.peak() })
}
