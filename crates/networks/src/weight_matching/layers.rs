//! Networks that can be run: a list of layers, as `lipschitz` reads it, with weights from a checkpoint.

use backstitch_numerics::Matrix;
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::sequential::{self, Kind};
use super::specification::{AxisUse, Draft, Specification, units};
use super::straight_through::Perceptron;
use crate::Error;
use crate::lipschitz::layers::{Description, Layer};
use crate::lipschitz::{Activation, Network};

/// A list of layers: what is done with the weights.
#[derive(Clone, Debug)]
pub struct Layers {
    pub(super) description: Description,
}

/// What is on its way from one layer to the next: each unit may be several numbers (the pixels of a channel).
#[derive(Clone, Copy, Debug)]
struct Units {
    permutation: usize,
    count: usize,
}

/// Where the values of units can be seen: after so many layers, which permutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) layers: usize,
    pub(super) permutation: usize,
}

impl Layers {
    /// A list of layers in JSON, in the form of `run lipschitz`.
    ///
    /// # Errors
    /// [`Error::Model`] if it cannot be read.
    pub fn read(text: &str) -> Result<Self, Error> {
        Ok(Self { description: Description::read(text)? })
    }

    /// The layers of a plain chain of dense layers, found from names and shapes, with the same activation between each two. None if
    /// there is anything else among the tensors.
    ///
    /// # Errors
    /// [`Error::Tensor`] or [`Error::Model`] if the tensors make no chain.
    pub fn found(weights: &Checkpoint, activation: Activation) -> Result<Option<Self>, Error> {
        let modules = sequential::modules(weights)?;
        let mut layers = Vec::new();
        for module in &modules {
            if module.kind != Kind::Dense {
                return Ok(None);
            }
            if !layers.is_empty() {
                layers.push(match activation {
                    Activation::Relu => Layer::Relu {},
                    Activation::LeakyRelu(share) => Layer::LeakyRelu { share },
                    Activation::Tanh => Layer::Tanh {},
                    Activation::Sigmoid => Layer::Sigmoid {},
                    Activation::Identity => continue,
                });
            }
            layers.push(Layer::Dense { weight: module.weight.clone(), bias: module.bias.clone() });
        }
        let Some(first) = modules.first() else { return Ok(None) };
        Ok(Some(Self { description: Description { input: vec![first.inputs], layers } }))
    }

    /// Whether there is batch normalisation, whose running statistics a merged network needs anew.
    pub fn has_running_statistics(&self) -> bool {
        self.description.layers.iter().any(|layer| matches!(layer, Layer::BatchNormalisation { .. }))
    }

    /// Which axes go together.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a tensor that does not fit its layer; [`Error::Operator`] for a sum of values of different numbers of
    /// units.
    pub fn specification(&self, weights: &Checkpoint) -> Result<Specification, Error> {
        Ok(self.walk(weights)?.0)
    }

    /// The network with these weights.
    ///
    /// # Errors
    /// [`Error::Operator`] for a layer that does not fit.
    pub fn network(&self, weights: &Checkpoint) -> Result<Network, Error> {
        Network::from_description(&self.description, &weights.write()?)
    }

    /// The outputs for rows of inputs.
    ///
    /// # Errors
    /// [`Error::Operator`] for a layer that does not fit; [`Error::Width`] for rows of another length.
    pub fn outputs(&self, weights: &Checkpoint, rows: &Matrix) -> Result<Matrix, Error> {
        // A perceptron takes all rows at once.
        if let Ok(perceptron) = Perceptron::of(self) {
            let network = perceptron.network(weights)?;
            let (found, expected) = (rows.columns(), network.inputs());
            if found != expected {
                return Err(Error::Width { what: "row of the data".into(), found, expected });
            }
            return Ok(network.forward(rows));
        }
        let network = self.network(weights)?;
        let found = (0..rows.rows())
            .into_par_iter()
            .map(|row| network.evaluate(rows.row(row)))
            .collect::<Result<Vec<Vec<f64>>, Error>>()?;
        Ok(Matrix::from_fn(rows.rows(), network.outputs(), |row, column| found[row][column]))
    }

    /// The values after the first layers, rows × numbers.
    pub(super) fn values_after(
        &self,
        layers: usize,
        weights: &Checkpoint,
        rows: &Matrix,
    ) -> Result<Matrix, Error> {
        let Description { input, layers: all } = &self.description;
        let part = Self { description: Description { input: input.clone(), layers: all[..layers].to_vec() } };
        part.outputs(weights, rows)
    }

    /// Running means and variances of every batch normalisation, computed anew over all rows, first layer first.
    ///
    /// # Errors
    /// [`Error::Operator`] for a layer that does not fit; [`Error::Width`] for rows of another length; [`Error::Model`] with fewer
    /// than two rows.
    pub fn with_statistics(&self, weights: &Checkpoint, rows: &Matrix) -> Result<Checkpoint, Error> {
        let mut found = weights.clone();
        for (place, layer) in self.description.layers.iter().enumerate() {
            let Layer::BatchNormalisation { mean, variance, .. } = layer else { continue };
            if rows.rows() < 2 {
                return Err(Error::Model {
                    problem: format!("running statistics cannot be computed from {} rows", rows.rows()),
                    way_out: "give more rows",
                });
            }
            let values = self.values_after(place, &found, rows)?;
            let channels = found.tensor(mean)?.shape().first().copied().unwrap_or(0);
            let area = values.columns() / channels.max(1);
            let count = (values.rows() * area) as f64;
            let (mut means, mut variances) = (vec![0.0; channels], vec![0.0; channels]);
            for channel in 0..channels {
                let numbers = || {
                    (0..values.rows())
                        .flat_map(|row| values.row(row)[channel * area..(channel + 1) * area].iter())
                };
                let center = numbers().sum::<f64>() / count;
                means[channel] = center;
                variances[channel] =
                    numbers().map(|value| (value - center).powi(2)).sum::<f64>() / (count - 1.0);
            }
            found.set(mean, &means);
            found.set(variance, &variances);
        }
        Ok(found)
    }

    /// The specification, and after which activations the units of a permutation can be seen.
    pub(super) fn walk(&self, weights: &Checkpoint) -> Result<(Specification, Vec<Tap>), Error> {
        let mut draft = Draft::default();
        let inputs = self.description.input.first().copied().unwrap_or(0);
        let mut value = Units { permutation: draft.permutation("inputs", inputs, 1), count: inputs };
        draft.fix(value.permutation);
        let mut kept: Vec<(&str, Units)> = Vec::new();
        let mut taps = Vec::new();
        for (place, layer) in self.description.layers.iter().enumerate() {
            match layer {
                Layer::Dense { weight, bias } => {
                    value = dense(&mut draft, weights, value, weight, bias.as_deref())?;
                }
                Layer::Convolution { weight, bias, groups, .. } => {
                    value = convolution(&mut draft, weights, value, weight, bias.as_deref(), *groups)?;
                }
                Layer::BatchNormalisation { weight, bias, mean, variance, .. } => {
                    for name in [weight, bias, mean, variance] {
                        let used = value.on_axis(weights, name, 0, 1)?;
                        draft.tensor(name, &[used]);
                    }
                    draft.statistics.extend([mean.clone(), variance.clone()]);
                }
                Layer::Keep { name } => {
                    kept.retain(|(own, _)| own != name);
                    kept.push((name, value));
                }
                Layer::Add { name } => {
                    let other = kept.iter().find(|(own, _)| own == name);
                    let Some((_, other)) = other.filter(|(_, other)| other.count == value.count) else {
                        return Err(Error::Operator {
                            operator: layer.name().into(),
                            node: place,
                            name: name.clone(),
                            problem: "nothing of as many units is kept under that name".into(),
                            way_out: "put a keep before, where the value has as many channels",
                        });
                    };
                    draft.join(value.permutation, other.permutation);
                }
                Layer::Relu {} | Layer::LeakyRelu { .. } | Layer::Tanh {} | Layer::Sigmoid {} => {
                    taps.push((place + 1, value.permutation));
                }
                Layer::AveragePooling { .. } | Layer::Flatten {} => {}
            }
        }
        draft.fix(value.permutation);
        let (specification, places) = draft.finish_with_places(weights)?;
        let taps =
            taps.into_iter().filter_map(|(layers, node)| Some(Tap { layers, permutation: places[node]? }));
        Ok((specification, taps.collect()))
    }
}

impl Units {
    /// How the units stand on an axis of a tensor of so many axes.
    fn on_axis(
        &self,
        weights: &Checkpoint,
        name: &str,
        axis: usize,
        axes: usize,
    ) -> Result<Option<AxisUse>, Error> {
        let shape = shape(weights, name, axes)?;
        if self.count == 0 || shape[axis] == 0 || shape[axis] % self.count != 0 {
            return Err(Error::Tensor {
                name: name.into(),
                problem: format!(
                    "axis {axis} of its shape {shape:?} does not fit the {} units before it",
                    self.count
                ),
                way_out: "compare the list of layers with the shapes in the file",
            });
        }
        let after = shape[axis] / self.count;
        Ok(Some(AxisUse { permutation: self.permutation, groups: false, before: 1, after }))
    }
}

fn shape<'a>(weights: &'a Checkpoint, name: &str, axes: usize) -> Result<&'a [usize], Error> {
    let shape = weights.tensor(name)?.shape();
    if shape.len() == axes {
        return Ok(shape);
    }
    Err(Error::Tensor {
        name: name.into(),
        problem: format!("its shape {shape:?} has {} axes, but its layer needs {axes}", shape.len()),
        way_out: "compare the list of layers with the shapes in the file",
    })
}

/// A dense layer: what comes in, and new units.
fn dense(
    draft: &mut Draft,
    weights: &Checkpoint,
    value: Units,
    weight: &str,
    bias: Option<&str>,
) -> Result<Units, Error> {
    let before = value.on_axis(weights, weight, 1, 2)?;
    let count = shape(weights, weight, 2)?[0];
    let found = Units { permutation: draft.permutation(weight, count, 1), count };
    draft.tensor(weight, &[units(found.permutation), before]);
    if let Some(bias) = bias {
        draft.tensor(bias, &[found.on_axis(weights, bias, 0, 1)?]);
    }
    Ok(found)
}

fn convolution(
    draft: &mut Draft,
    weights: &Checkpoint,
    value: Units,
    weight: &str,
    bias: Option<&str>,
    groups: usize,
) -> Result<Units, Error> {
    let kernel = shape(weights, weight, 4)?;
    let (count, deep) = (kernel[0], kernel[1]);
    // One filter per channel: the channels stay what they are.
    let depthwise = groups > 1 && groups == value.count && deep == 1 && count == groups;
    let found =
        if depthwise { value } else { Units { permutation: draft.permutation(weight, count, 1), count } };
    let before = if groups > 1 {
        None
    } else {
        if deep != value.count {
            return Err(Error::Tensor {
                name: weight.into(),
                problem: format!(
                    "its shape {kernel:?} is for {deep} channels, but there are {}",
                    value.count
                ),
                way_out: "compare the list of layers with the shapes in the file",
            });
        }
        units(value.permutation)
    };
    if groups > 1 && !depthwise {
        // Channels belong to their group.
        draft.fix(value.permutation);
        draft.fix(found.permutation);
    }
    draft.tensor(weight, &[units(found.permutation), before, None, None]);
    if let Some(bias) = bias {
        draft.tensor(bias, &[found.on_axis(weights, bias, 0, 1)?]);
    }
    Ok(found)
}
