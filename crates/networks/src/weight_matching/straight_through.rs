//! Perceptrons with their gradient: the straight-through estimator, and the second-order estimate of a barrier.

use backstitch_numerics::mlp::{Activation as Between, Adam, Layer as Dense, Mlp, Tape};
use backstitch_numerics::{Matrix, Stream};

use super::checkpoint::Checkpoint;
use super::evaluate::{Data, Score};
use super::layers::Layers;
use super::matching::Descent;
use super::parameters::Parameters;
use super::specification::Specification;
use crate::Error;
use crate::lipschitz::layers::Layer;

/// Share of the distance between two networks by which gradients are taken apart for second derivatives.
const STEP: f64 = 1e-4;

/// Names of the weights and the bias of each layer of a perceptron.
#[derive(Clone, Debug)]
pub(super) struct Perceptron {
    names: Vec<(String, Option<String>)>,
    activation: Between,
}

impl Perceptron {
    /// The perceptron that a list of layers is, if it is one: dense layers with ReLU or tanh between them.
    pub(super) fn of(layers: &Layers) -> Result<Self, Error> {
        let mut names = Vec::new();
        let mut between = Vec::new();
        let refused = |layer: &Layer, place: usize| Error::Operator {
            operator: layer.name().into(),
            node: place,
            name: layer.weight().unwrap_or_default().into(),
            problem: "gradients are of dense layers with one kind of ReLU or tanh between them".into(),
            way_out: "use weight or activation matching, which need no gradient",
        };
        for (place, layer) in layers.description.layers.iter().enumerate() {
            match layer {
                Layer::Dense { weight, bias } if between.len() == names.len() => {
                    names.push((weight.clone(), bias.clone()))
                }
                Layer::Relu {} if between.len() + 1 == names.len() => between.push(Between::Relu),
                Layer::Tanh {} if between.len() + 1 == names.len() => between.push(Between::Tanh),
                Layer::Flatten {} => {}
                other => return Err(refused(other, place)),
            }
        }
        let activation = between.first().copied().unwrap_or(Between::Relu);
        if between.len() + 1 != names.len() || between.iter().any(|kind| *kind != activation) {
            return match layers.description.layers.iter().enumerate().next_back() {
                Some((place, layer)) => Err(refused(layer, place)),
                None => {
                    Err(Error::Model { problem: "there is no layer".into(), way_out: "give at least one" })
                }
            };
        }
        Ok(Self { names, activation })
    }

    pub(super) fn network(&self, weights: &Checkpoint) -> Result<Mlp, Error> {
        let mut layers = Vec::new();
        for (weight, bias) in &self.names {
            let tensor = weights.tensor(weight)?;
            let [outputs, inputs] = *tensor.shape() else { return Err(unfit(weight)) };
            let values = tensor.values().ok_or_else(|| unfit(weight))?;
            let biases = match bias {
                None => vec![0.0; outputs],
                Some(bias) => weights.tensor(bias)?.values().ok_or_else(|| unfit(bias))?,
            };
            let values = Matrix::new(outputs, inputs, values).map_err(|_| unfit(weight))?;
            layers.push(Dense { weights: values, biases });
        }
        Mlp::from_layers(layers, self.activation).map_err(|error| Error::Model {
            problem: error.to_string(),
            way_out: "repair the list of layers",
        })
    }

    /// Puts weights back under their names, in double precision. Without a bias in the file there is none to learn.
    fn store(&self, network: &Mlp, into: &mut Checkpoint) -> Result<(), Error> {
        for ((weight, bias), layer) in self.names.iter().zip(&network.layers) {
            let shape = [layer.weights.rows(), layer.weights.columns()];
            into.insert(weight, &shape, layer.weights.values().to_vec())?;
            if let Some(bias) = bias {
                into.insert(bias, &[layer.biases.len()], layer.biases.clone())?;
            }
        }
        Ok(())
    }
}

fn unfit(name: &str) -> Error {
    Error::Tensor {
        name: name.into(),
        problem: "it is no tensor of a dense layer".into(),
        way_out: "compare the list of layers with the shapes in the file",
    }
}

/// The permutations whose midpoint with the first network has the lowest loss over all rows, among those at the end of each pass.
pub(super) fn straight_through(
    parameters: &Parameters,
    specification: &Specification,
    one: &Checkpoint,
    other: &Checkpoint,
    layers: &Layers,
    data: &Data,
) -> Result<(Vec<Vec<usize>>, usize), Error> {
    let perceptron = Perceptron::of(layers)?;
    let first = perceptron.network(one)?;
    data.check_classes(first.outputs())?;
    check_width(&first, data)?;
    let mut learned = first.clone();
    let mut target = one.clone();
    let mut descent = Descent::new(specification, other, parameters.seed);
    let mut optimizer = Adam::new(&first, parameters.rate);
    let mut stream = Stream::new(parameters.seed, "straight-through batches");
    let mut tape = Tape::default();
    let mut gradient = first.zero_gradient();
    let mut best: Option<(f64, Vec<Vec<usize>>)> = None;
    let mut sweeps = 0;
    for _ in 0..parameters.epochs {
        for rows in stream.permutation(data.inputs().rows()).chunks(parameters.batch) {
            perceptron.store(&learned, &mut target)?;
            sweeps += descent.descend(&target, parameters.sweeps, parameters.tolerance)?.sweeps;
            let middle = between(&first, &perceptron.network(&descent.current)?, 0.5);
            let inputs = Matrix::from_fn(rows.len(), middle.inputs(), |row, column| {
                data.inputs()[(rows[row], column)]
            });
            let mut outputs = Matrix::zeros(rows.len(), middle.outputs());
            middle.forward_with(&inputs, &mut outputs, &mut tape);
            let errors = data.loss_of(rows, &outputs).1;
            middle.backward(&inputs, &errors, &mut tape, &mut gradient, None);
            // The permuted network is half of the midpoint. Adam does not see the factor, another optimizer would.
            for layer in &mut gradient {
                layer
                    .weights
                    .values_mut()
                    .iter_mut()
                    .chain(&mut layer.biases)
                    .for_each(|value| *value *= 0.5);
            }
            optimizer.step(&mut learned, &gradient);
        }
        perceptron.store(&learned, &mut target)?;
        sweeps += descent.descend(&target, parameters.sweeps, parameters.tolerance)?.sweeps;
        let middle = between(&first, &perceptron.network(&descent.current)?, 0.5);
        let Score { loss, .. } = data.score(&middle.forward(data.inputs()))?;
        if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
            best = Some((loss, descent.orders.clone()));
        }
    }
    Ok((best.map_or(descent.orders, |(_, orders)| orders), sweeps))
}

fn check_width(network: &Mlp, data: &Data) -> Result<(), Error> {
    let (found, expected) = (data.inputs().columns(), network.inputs());
    if found == expected {
        Ok(())
    } else {
        Err(Error::Width { what: "row of the data".into(), found, expected })
    }
}

/// What a second-order expansion of the loss around both networks says of the height of the barrier in the middle:
/// `(g_one − g_other)·D/4 + D'(H_one + H_other)D/16`, D the difference of the networks. Second derivatives along D are differences
/// of gradients.
pub(super) fn taylor_estimate(
    one: &Checkpoint,
    other: &Checkpoint,
    layers: &Layers,
    data: &Data,
) -> Result<f64, Error> {
    let perceptron = Perceptron::of(layers)?;
    let (one, other) = (perceptron.network(one)?, perceptron.network(other)?);
    check_width(&one, data)?;
    data.check_classes(one.outputs())?;
    let along = |share: f64| -> f64 {
        let network = between(&one, &other, share);
        let mut outputs = Matrix::zeros(data.inputs().rows(), network.outputs());
        let (mut tape, mut gradient) = (Tape::default(), network.zero_gradient());
        network.forward_with(data.inputs(), &mut outputs, &mut tape);
        let rows: Vec<usize> = (0..data.inputs().rows()).collect();
        let errors = data.loss_of(&rows, &outputs).1;
        network.backward(data.inputs(), &errors, &mut tape, &mut gradient, None);
        let mut sum = 0.0;
        for ((gradient, from), to) in gradient.iter().zip(&one.layers).zip(&other.layers) {
            let pairs =
                gradient.weights.values().iter().zip(from.weights.values().iter().zip(to.weights.values()));
            let pairs = pairs.chain(gradient.biases.iter().zip(from.biases.iter().zip(&to.biases)));
            sum += pairs.map(|(gradient, (from, to))| gradient * (to - from)).sum::<f64>();
        }
        sum
    };
    let slope = along(0.0) - along(1.0);
    let curvature = |share: f64| (along(share + STEP) - along(share - STEP)) / (2.0 * STEP);
    Ok(slope / 4.0 + (curvature(0.0) + curvature(1.0)) / 16.0)
}

/// `(1 − share) · one + share · other`.
fn between(one: &Mlp, other: &Mlp, share: f64) -> Mlp {
    let mut found = one.clone();
    for (own, their) in found.layers.iter_mut().zip(&other.layers) {
        let mix = |own: &mut f64, their: &f64| *own = (1.0 - share) * *own + share * their;
        own.weights
            .values_mut()
            .iter_mut()
            .zip(their.weights.values())
            .for_each(|(own, their)| mix(own, their));
        own.biases.iter_mut().zip(&their.biases).for_each(|(own, their)| mix(own, their));
    }
    found
}
