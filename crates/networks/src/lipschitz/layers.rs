//! Reading networks written as a list of layers (JSON) and their weights (safetensors).

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::graph::{Builder, Refusal, Value, Window, refuse};
use super::network::{Activation, Network};
use super::numbers::parsed;
use crate::Error;

/// The list of layers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Shape of one input, without a batch: `[784]` or `[1, 28, 28]`.
    pub(crate) input: Vec<usize>,
    pub(crate) layers: Vec<Layer>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Layer {
    /// Weights outputs × inputs, as PyTorch's Linear has them.
    Dense {
        weight: String,
        bias: Option<String>,
    },
    /// Weights outputs × channels × height × width.
    Convolution {
        weight: String,
        bias: Option<String>,
        #[serde(default = "ones")]
        stride: [usize; 2],
        /// Above and below, left and right.
        #[serde(default)]
        padding: [usize; 2],
        #[serde(default = "ones")]
        dilation: [usize; 2],
        #[serde(default = "one")]
        groups: usize,
    },
    BatchNormalisation {
        weight: String,
        bias: String,
        mean: String,
        variance: String,
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    AveragePooling {
        kernel: [usize; 2],
        stride: Option<[usize; 2]>,
    },
    Flatten {},
    Relu {},
    LeakyRelu {
        share: f64,
    },
    Tanh {},
    Sigmoid {},
    /// Keeps the value under a name, for a later sum.
    Keep {
        name: String,
    },
    /// Adds a kept value.
    Add {
        name: String,
    },
}

fn ones() -> [usize; 2] {
    [1, 1]
}

fn one() -> usize {
    1
}

fn epsilon() -> f64 {
    1e-5
}

const AGAIN: &str = "compare the list of layers with the names and shapes in the safetensors file";

impl Network {
    /// A network from a list of layers in JSON and the bytes of a safetensors file.
    ///
    /// ```json
    /// {"input": [1, 28, 28],
    ///  "layers": [{"kind": "convolution", "weight": "0.weight", "bias": "0.bias", "stride": [2, 2], "padding": [1, 1]},
    ///             {"kind": "relu"}, {"kind": "flatten"},
    ///             {"kind": "dense", "weight": "3.weight", "bias": "3.bias"}]}
    /// ```
    ///
    /// Kinds: `dense`, `convolution` (also `dilation`, `groups`), `batch-normalisation` (`weight`, `bias`, `mean`, `variance`,
    /// `epsilon`), `average-pooling` (`kernel`, `stride`), `flatten`, `relu`, `leaky-relu` (`share`), `tanh`, `sigmoid`, and for skip
    /// connections `keep` and `add` with a `name`.
    ///
    /// # Errors
    /// [`Error::Model`] if either file is not one; [`Error::Operator`] for a layer that does not fit.
    pub fn from_layers(description: &str, weights: &[u8]) -> Result<Self, Error> {
        Self::from_description(&Description::read(description)?, weights)
    }

    pub(crate) fn from_description(description: &Description, weights: &[u8]) -> Result<Self, Error> {
        let tensors = SafeTensors::deserialize(weights).map_err(|error| Error::Model {
            problem: format!("the weights are no safetensors file: {error}"),
            way_out: "save them with safetensors.torch.save_file",
        })?;
        let begun = Builder::new(description.input.clone());
        let (mut builder, mut value) =
            begun.map_err(|Refusal { problem, way_out }| Error::Model { problem, way_out })?;
        let mut kept: Vec<(String, Value)> = Vec::new();
        for (place, layer) in description.layers.iter().enumerate() {
            value = layer.apply(&mut builder, value, &mut kept, &tensors).map_err(
                |Refusal { problem, way_out }| Error::Operator {
                    operator: layer.name().into(),
                    node: place,
                    name: layer.weight().unwrap_or_default().into(),
                    problem,
                    way_out,
                },
            )?;
        }
        builder.finish(value.flat())
    }
}

impl Description {
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::Model {
            problem: format!("the list of layers cannot be read: {error}"),
            way_out: "write {\"input\": [...], \"layers\": [{\"kind\": ...}, ...]}",
        })
    }
}

impl Layer {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "dense",
            Self::Convolution { .. } => "convolution",
            Self::BatchNormalisation { .. } => "batch-normalisation",
            Self::AveragePooling { .. } => "average-pooling",
            Self::Flatten {} => "flatten",
            Self::Relu {} => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Tanh {} => "tanh",
            Self::Sigmoid {} => "sigmoid",
            Self::Keep { .. } => "keep",
            Self::Add { .. } => "add",
        }
    }

    pub(crate) fn weight(&self) -> Option<&str> {
        match self {
            Self::Dense { weight, .. }
            | Self::Convolution { weight, .. }
            | Self::BatchNormalisation { weight, .. } => Some(weight),
            _ => None,
        }
    }

    fn apply(
        &self,
        builder: &mut Builder,
        value: Value,
        kept: &mut Vec<(String, Value)>,
        tensors: &SafeTensors<'_>,
    ) -> Result<Value, Refusal> {
        let mut activate = |kind: Activation| {
            let mut carried: Vec<&mut Value> = kept.iter_mut().map(|(_, value)| value).collect();
            builder.activation(&value, kind, &mut carried)
        };
        match self {
            Self::Relu {} => activate(Activation::Relu),
            Self::LeakyRelu { share } => activate(Activation::LeakyRelu(*share)),
            Self::Tanh {} => activate(Activation::Tanh),
            Self::Sigmoid {} => activate(Activation::Sigmoid),
            Self::Flatten {} => Ok(value.flat()),
            Self::Dense { weight, bias } => {
                let (shape, weights) = tensor(tensors, weight)?;
                let [outputs, inputs] = shape[..] else {
                    return refuse(
                        format!("its weights have the shape {shape:?}, not outputs × inputs"),
                        AGAIN,
                    );
                };
                if value.shape != [inputs] {
                    return refuse(
                        format!("weights for {inputs} inputs meet a value of shape {:?}", value.shape),
                        "put a flatten before, or other weights",
                    );
                }
                let bias = numbers(tensors, bias.as_deref(), outputs)?;
                value.dense(outputs, |output, input| weights[output * inputs + input], bias)
            }
            Self::Convolution { weight, bias, stride, padding, dilation, groups } => {
                let (shape, weights) = tensor(tensors, weight)?;
                let [outputs, _, height, width] = shape[..] else {
                    return refuse(format!("its weights have the shape {shape:?}, not four axes"), AGAIN);
                };
                let bias = numbers(tensors, bias.as_deref(), outputs)?;
                let [rows, columns] = *padding;
                let (kernel, padding) = ([height, width], [rows, columns, rows, columns]);
                let window = Window { kernel, stride: *stride, dilation: *dilation, padding };
                value.convolution(&window, *groups, outputs, &weights, &bias)
            }
            Self::BatchNormalisation { weight, bias, mean, variance, epsilon } => {
                let channels = value.shape.first().copied().unwrap_or(0);
                let part = |name: &String| numbers(tensors, Some(name), channels);
                value.normalised([&part(weight)?, &part(bias)?, &part(mean)?, &part(variance)?], *epsilon)
            }
            Self::AveragePooling { kernel, stride } => {
                let stride = stride.unwrap_or(*kernel);
                value.average(&Window { kernel: *kernel, stride, dilation: [1; 2], padding: [0; 4] }, false)
            }
            Self::Keep { name } => {
                kept.retain(|(own, _)| own != name);
                kept.push((name.clone(), value.clone()));
                Ok(value)
            }
            Self::Add { name } => match kept.iter().find(|(own, _)| own == name) {
                Some((_, other)) => value.plus(other, 1.0),
                None => refuse(format!("nothing is kept under the name {name:?}"), "put a keep before"),
            },
        }
    }
}

/// The numbers of a tensor of one axis; zeros if it is left out.
fn numbers(tensors: &SafeTensors<'_>, name: Option<&str>, count: usize) -> Result<Vec<f64>, Refusal> {
    let Some(name) = name else { return Ok(vec![0.0; count]) };
    let (shape, values) = tensor(tensors, name)?;
    if shape == [count] {
        return Ok(values);
    }
    refuse(format!("tensor {name:?} has the shape {shape:?}, but must have [{count}]"), AGAIN)
}

fn tensor(tensors: &SafeTensors<'_>, name: &str) -> Result<(Vec<usize>, Vec<f64>), Refusal> {
    let Ok(view) = tensors.tensor(name) else {
        let mut names = tensors.names();
        names.sort_unstable();
        names.truncate(12);
        return refuse(format!("there is no tensor {name:?}; there is {}", names.join(", ")), AGAIN);
    };
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F64 => parsed(bytes, f64::from_le_bytes),
        Dtype::F32 => parsed(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::F16 => parsed(bytes, |bytes| f16::from_le_bytes(bytes).to_f64()),
        Dtype::BF16 => parsed(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        other => {
            return refuse(format!("tensor {name:?} is of type {other:?}"), "save it in single precision");
        }
    };
    if values.is_empty() {
        return refuse(format!("tensor {name:?} has no numbers"), AGAIN);
    }
    // The file is checked when it is opened: shapes and lengths agree.
    Ok((view.shape().to_vec(), values))
}
