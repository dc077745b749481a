//! All layers learn at each step, and hear what the layers above said: in their loss, or as part of their input.

use std::sync::Arc;

use super::data::{Graph, Labels, Split};
use super::layer::{Adam, Block, Input, Layer, Pass, Scratch, clip};
use super::model::{Model, Ready, Task, bottom_up};
use super::parameters::{Learner, Parameters};
use super::scores::{Scores, Watch, finite};
use super::single_forward::{accuracy, classes_of, virtual_features, weights_stream};
use super::{Epoch, Learned};
use crate::Error;
use crate::dense::{Dense, Ledger};

/// Sweeps of a prediction of top-to-input, and the first that counts.
const SWEEPS: usize = 10;
const FIRST_SWEEP: usize = 2;
/// Largest norm of a gradient of a layer.
const MOST_NORM: f64 = 1.0;

/// The mean of an output and of the states of the layers above.
fn mean_with(output: &Dense, above: &[Dense], ledger: &Arc<Ledger>) -> Dense {
    let factor = 1.0 / (1 + above.len()) as f32;
    let mut mean = Dense::counted(output.rows(), output.columns(), ledger);
    mean.values_mut().copy_from_slice(output.values());
    for state in above {
        mean.values_mut().iter_mut().zip(state.values()).for_each(|(sum, value)| *sum += value);
    }
    mean.values_mut().iter_mut().for_each(|value| *value *= factor);
    mean
}

/// Shares of every layer of a model that learned by its loss, after one pass from below.
pub(crate) fn loss_shares(model: &Model, ready: &Ready, ledger: &Arc<Ledger>) -> Vec<Dense> {
    let outputs = bottom_up(&model.layers, ready, ledger);
    let states: Vec<Dense> = outputs.iter().map(normalised).collect();
    let shares = |(place, output): (usize, &Dense)| {
        let mean = mean_with(output, &states[place + 1..], ledger);
        model.shares(&mean, model.parameters.temperature, ledger)
    };
    outputs.iter().enumerate().map(shares).collect()
}

fn normalised(output: &Dense) -> Dense {
    let mut state = output.clone();
    state.normalise_rows();
    state
}

/// The labels above the last layer: one-hot where they are known and for virtual nodes, else equal shares; normalised.
fn top(known: &[(usize, usize)], nodes: usize, classes: usize) -> Dense {
    let mut top = Dense::from_fn(nodes + classes, classes, |_, _| 1.0 / classes as f32);
    let virtual_nodes = (0..classes).map(|class| (nodes + class, class));
    for (node, class) in known.iter().copied().chain(virtual_nodes) {
        let row = top.row_mut(node);
        row.fill(0.0);
        row[class] = 1.0;
    }
    top.normalise_rows();
    top
}

/// What a layer of top-to-input reads: the state below it and the one above.
fn between<'a>(ready: &'a Ready, states: &'a [Dense], top: &'a Dense, place: usize) -> Input<'a> {
    let below = match place {
        0 => ready.features.block(),
        _ => Block::Dense(&states[place - 1]),
    };
    let above = states.get(place + 1).unwrap_or(top);
    Input { own: vec![below, Block::Dense(above)], around: None }
}

/// States of all layers after one pass from below with nothing from above.
fn first_states(layers: &[Layer], ready: &Ready, scratch: &mut Scratch) -> Vec<Dense> {
    let mut states: Vec<Dense> = Vec::new();
    for layer in layers {
        let below = match states.last() {
            None => ready.features.block(),
            Some(state) => Block::Dense(state),
        };
        let columns = layer.inputs() - states.last().map_or(ready.features.columns(), Dense::columns);
        let nothing = Dense::zeros(ready.structure.nodes(), columns);
        let input = Input { own: vec![below, Block::Dense(&nothing)], around: None };
        let mut pass = Pass::default();
        layer.forward(&input, &ready.structure, true, &mut pass, scratch);
        pass.output.normalise_rows();
        states.push(pass.output);
    }
    states
}

/// Layers of even number first, counted from 1, then the others.
fn alternating(layers: usize) -> impl Iterator<Item = usize> {
    (1..layers).step_by(2).chain((0..layers).step_by(2))
}

/// Shares of every layer of a model that learned by its input, the mean over the sweeps that count.
pub(crate) fn input_shares(model: &Model, ready: &Ready, nodes: usize, ledger: &Arc<Ledger>) -> Vec<Dense> {
    let top = top(&model.known, nodes, model.classes);
    let mut scratch = Scratch::new(ledger);
    let mut states = first_states(&model.layers, ready, &mut scratch);
    let mut sums: Vec<Dense> =
        states.iter().map(|state| Dense::counted(state.rows(), model.classes, ledger)).collect();
    let each = 1.0 / (SWEEPS - FIRST_SWEEP) as f32;
    for sweep in 0..SWEEPS {
        for place in alternating(model.layers.len()) {
            let mut pass = Pass::default();
            let input = between(ready, &states, &top, place);
            model.layers[place].forward(&input, &ready.structure, true, &mut pass, &mut scratch);
            if sweep >= FIRST_SWEEP {
                let shares = model.shares(&pass.output, model.parameters.temperature, ledger);
                let sums = sums[place].values_mut().iter_mut();
                sums.zip(shares.values()).for_each(|(sum, value)| *sum += each * value);
            }
            pass.output.normalise_rows();
            states[place] = pass.output;
        }
    }
    sums
}

pub(crate) fn fit(
    parameters: &Parameters,
    graph: &Graph,
    labels: &Labels,
    split: &Split,
) -> Result<Learned, Error> {
    let Parameters { learner, convolution, layers, hidden, epochs, temperature, seed, .. } = *parameters;
    let classes = labels.classes();
    let by_input = learner == Learner::TopToInput;
    let (training, validation) = (classes_of(&split.training, labels), classes_of(&split.validation, labels));
    let virtual_features = virtual_features(classes, graph.columns(), seed);
    let ready = Ready::with_virtual_nodes(graph, &training, &virtual_features, convolution);
    let ledger = Arc::new(Ledger::default());
    let own = (0..layers).map(|place| {
        let below = if place == 0 { graph.columns() } else { hidden };
        let above = match (by_input, place + 1 == layers) {
            (false, _) => 0,
            (true, false) => hidden,
            (true, true) => classes,
        };
        Layer::new(convolution, below + above, hidden, &mut weights_stream(seed, place))
    });
    let mut model = Model {
        task: Task::Nodes,
        parameters: parameters.clone(),
        classes,
        features: graph.columns(),
        layers: own.collect(),
        virtual_features: Some(virtual_features),
        known: training.clone(),
    };
    let adam = |layer: &Layer| Adam::new(layer, parameters.learning_rate, parameters.weight_decay);
    let mut adams: Vec<Adam> = model.layers.iter().map(adam).collect();
    let mut watch = Watch::new(parameters);
    let mut scratch = Scratch::new(&ledger);
    let label_states = top(&training, graph.nodes, classes);
    let mut states = if by_input {
        first_states(&model.layers, &ready, &mut scratch)
    } else {
        bottom_up(&model.layers, &ready, &ledger).iter().map(normalised).collect()
    };
    let nothing = Dense::zeros(graph.nodes + classes, classes);
    let (mut history, mut passes) = (Vec::new(), 0);
    let mut pass = Pass::default();
    let mut gradient = Dense::counted(graph.nodes + classes, hidden, &ledger);
    for epoch in 0..epochs {
        let mut valid = None;
        if watch.is_due(epoch) {
            let shares = match by_input {
                true => input_shares(&model, &ready, graph.nodes, &ledger),
                false => loss_shares(&model, &ready, &ledger),
            };
            let mut sum = nothing.clone();
            for shares in &shares {
                sum.values_mut().iter_mut().zip(shares.values()).for_each(|(sum, value)| *sum += value);
            }
            let value = accuracy(&nothing, &sum, &validation);
            valid = Some(value);
            if !watch.goes_on(epoch, value, || model.layers.clone()) {
                history.push(Epoch { layer: 0, epoch, loss: f64::NAN, validation: valid });
                break;
            }
        }
        let mut total = 0.0;
        let mut next = Vec::new();
        let order: Vec<usize> = if by_input { alternating(layers).collect() } else { (0..layers).collect() };
        for place in order {
            let layer = &mut model.layers[place];
            let input = match (by_input, place) {
                (true, _) => between(&ready, &states, &label_states, place),
                (false, 0) => ready.input(),
                (false, _) => Input::dense(&states[place - 1]),
            };
            layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
            passes += 1;
            let above = if by_input { &[] } else { &states[place + 1..] };
            let mean = mean_with(&pass.output, above, &ledger);
            let scores = Scores::new(classes, &mean, temperature, &ledger);
            total += finite(scores.loss(&mean, &training, temperature, &mut gradient), place + 1, epoch)?;
            let factor = 1.0 / (1 + above.len()) as f32;
            gradient.values_mut().iter_mut().for_each(|value| *value *= factor);
            let mut gradients =
                layer.backward(&input, &ready.structure, true, &mut pass, &mut gradient, &mut scratch, None);
            if !by_input {
                clip(&mut gradients, MOST_NORM);
            }
            adams[place].step(layer, &gradients);
            let state = normalised(&pass.output);
            if by_input {
                states[place] = state;
            } else {
                next.push(state);
            }
        }
        if !by_input {
            // All layers of a step read the states of the step before.
            states = next;
        }
        history.push(Epoch { layer: 0, epoch, loss: total, validation: valid });
    }
    let (validation, epoch) = match watch.best() {
        Some((value, epoch, best)) => {
            model.layers = best;
            (value, epoch)
        }
        None => (f64::NAN, 0),
    };
    Ok(Learned { model, history, best_epochs: vec![epoch], validation, passes, peak_bytes: ledger.peak() })
}
