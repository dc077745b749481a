//! Networks as a list of layers: what they are made of, and their shapes.

use serde::{Deserialize, Serialize};

use crate::{Error, Rows};

/// Most numbers of one value, as patches of one row.
const MOST_NUMBERS: usize = 1 << 26;

/// The list of layers, in the form that `run lipschitz` reads too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Shape of one input, without a batch: `[784]` or `[1, 28, 28]`.
    pub input: Vec<usize>,
    /// First to last.
    pub layers: Vec<Kind>,
}

/// One layer of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// Weights outputs × inputs, as PyTorch's Linear has them.
    Dense {
        /// Name of its weights.
        weight: String,
        /// Name of its bias, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<String>,
    },
    /// Weights outputs × channels × height × width.
    Convolution {
        /// Name of its weights.
        weight: String,
        /// Name of its bias, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<String>,
        /// Down, right.
        #[serde(default = "ones")]
        stride: [usize; 2],
        /// Above and below, left and right.
        #[serde(default)]
        padding: [usize; 2],
        /// Down, right.
        #[serde(default = "ones")]
        dilation: [usize; 2],
        /// 1: others are refused.
        #[serde(default = "one")]
        groups: usize,
    },
    /// Folded into the dense or convolutional layer before it.
    BatchNormalisation {
        /// Name of what is multiplied.
        weight: String,
        /// Name of what is added.
        bias: String,
        /// Name of the running means.
        mean: String,
        /// Name of the running variances.
        variance: String,
        /// Added to variances.
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    /// Means of windows, without padding.
    AveragePooling {
        /// Height, width.
        kernel: [usize; 2],
        /// Down, right; the kernel's if it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<[usize; 2]>,
    },
    /// One axis of all.
    Flatten {},
    /// max(x, 0).
    Relu {},
    /// x where it is positive, a share of it elsewhere.
    LeakyRelu {
        /// From 0 to 1.
        share: f64,
    },
    /// The hyperbolic tangent.
    Tanh {},
    /// 1/(1 + e⁻ˣ).
    Sigmoid {},
    /// Keeps the value under a name, for a later sum.
    Keep {
        /// The name.
        name: String,
    },
    /// Adds a kept value.
    Add {
        /// Its name.
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

/// Where a convolution or a pooling looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
}

/// A dense or convolutional layer: rows of inputs to rows of outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Name of the weights.
    pub name: String,
    /// Name of the bias, if there is one.
    pub bias_name: Option<String>,
    /// Outputs × inputs; of a convolution, outputs × channels·height·width.
    pub weights: Rows,
    /// One per output; empty if there is none.
    pub bias: Vec<f32>,
    /// The shape of the weights in the file.
    pub shape: Vec<usize>,
    pub(super) window: Option<Window>,
}

impl Affine {
    /// Weights of one input channel, for a convolution.
    pub fn taps(&self) -> Option<usize> {
        self.window.map(|window| window.kernel[0] * window.kernel[1])
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    Affine(Affine),
    Relu,
    LeakyRelu(f32),
    Tanh,
    Sigmoid,
    Flatten,
    AveragePooling(Window),
    Keep(String),
    Add(String),
}

/// A feed-forward network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(super) layers: Vec<Layer>,
    /// Of the input of every layer, and of the output at the end.
    pub(super) shapes: Vec<Vec<usize>>,
}

impl Network {
    /// Numbers of one row of inputs.
    pub fn inputs(&self) -> usize {
        self.shapes[0].iter().product()
    }

    /// Numbers of one row of outputs.
    pub fn outputs(&self) -> usize {
        self.shapes[self.shapes.len() - 1].iter().product()
    }

    /// Dense and convolutional layers, first to last.
    pub fn affine(&self) -> impl Iterator<Item = &Affine> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Affine(affine) => Some(affine),
            _ => None,
        })
    }

    /// The same, to change weights and biases in place.
    pub fn affine_mut(&mut self) -> impl Iterator<Item = &mut Affine> {
        self.layers.iter_mut().filter_map(|layer| match layer {
            Layer::Affine(affine) => Some(affine),
            _ => None,
        })
    }

    /// Bytes of weights and biases in single precision.
    pub fn bytes(&self) -> usize {
        self.affine().map(|own| 4 * (own.weights.values().len() + own.bias.len())).sum()
    }

    /// The list of layers.
    pub fn description(&self) -> Description {
        let layers = self.layers.iter().map(|layer| match layer {
            Layer::Affine(Affine { name, bias_name, window, .. }) => {
                let (weight, bias) = (name.clone(), bias_name.clone());
                match window {
                    None => Kind::Dense { weight, bias },
                    Some(Window { stride, padding, dilation, .. }) => Kind::Convolution {
                        weight,
                        bias,
                        stride: *stride,
                        padding: *padding,
                        dilation: *dilation,
                        groups: 1,
                    },
                }
            }
            Layer::Relu => Kind::Relu {},
            Layer::LeakyRelu(share) => Kind::LeakyRelu { share: f64::from(*share) },
            Layer::Tanh => Kind::Tanh {},
            Layer::Sigmoid => Kind::Sigmoid {},
            Layer::Flatten => Kind::Flatten {},
            Layer::AveragePooling(window) => {
                Kind::AveragePooling { kernel: window.kernel, stride: Some(window.stride) }
            }
            Layer::Keep(name) => Kind::Keep { name: name.clone() },
            Layer::Add(name) => Kind::Add { name: name.clone() },
        });
        Description { input: self.shapes[0].clone(), layers: layers.collect() }
    }

    /// A network from its list of layers and the tensors they name: the shape and the numbers of each.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that does not fit; whatever `tensor` says of one that is not there.
    pub fn from_parts(
        description: &Description,
        mut tensor: impl FnMut(&str) -> Result<(Vec<usize>, Vec<f32>), Error>,
    ) -> Result<Self, Error> {
        if description.input.is_empty() || description.input.contains(&0) {
            return Err(Error::Model {
                problem: format!("the shape of inputs is {:?}", description.input),
                way_out: "write it without a batch, as [784] or [1, 28, 28]",
            });
        }
        let mut found = Self { layers: Vec::new(), shapes: vec![description.input.clone()] };
        let mut kept: Vec<(String, Vec<usize>)> = Vec::new();
        let mut used: Vec<&String> = Vec::new();
        for (place, kind) in description.layers.iter().enumerate() {
            let place = Place { number: place + 1, kind };
            let shape = found.shapes[found.shapes.len() - 1].clone();
            if let Kind::Dense { weight, bias } | Kind::Convolution { weight, bias, .. } = kind {
                for name in std::iter::once(weight).chain(bias) {
                    if used.contains(&name) {
                        return place.refuse(
                            format!("tensor {name:?} belongs to an earlier layer too"),
                            "give each layer tensors of its own: every layer is rounded for its own inputs",
                        );
                    }
                    used.push(name);
                }
            }
            if let Kind::BatchNormalisation { weight, bias, mean, variance, epsilon } = kind {
                let mut part = |name: &String| -> Result<Vec<f32>, Error> { Ok(tensor(name)?.1) };
                let parts = [part(weight)?, part(bias)?, part(mean)?, part(variance)?];
                let Some(Layer::Affine(affine)) = found.layers.last_mut() else {
                    return place.refuse(
                        "no dense or convolutional layer comes right before it".into(),
                        "fold it into one yourself, or quantise the parts of the network one by one",
                    );
                };
                fold(affine, &parts, *epsilon, &place)?;
                continue;
            }
            let (layer, shape) = place.read(&shape, &mut kept, &mut tensor)?;
            if shape
                .iter()
                .try_fold(1_usize, |all, own| all.checked_mul(*own))
                .is_none_or(|all| all > MOST_NUMBERS)
            {
                return place.refuse(
                    format!("its value has the shape {shape:?}"),
                    "values of up to 2^26 numbers are taken",
                );
            }
            found.layers.push(layer);
            found.shapes.push(shape);
        }
        if found.affine().next().is_none() {
            return Err(Error::Model {
                problem: "there is no dense or convolutional layer".into(),
                way_out: "give a network with weights",
            });
        }
        Ok(found)
    }
}

fn fold(affine: &mut Affine, parts: &[Vec<f32>; 4], epsilon: f64, place: &Place<'_>) -> Result<(), Error> {
    let outputs = affine.weights.rows();
    if parts.iter().any(|part| part.len() != outputs) {
        let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
        return place.refuse(format!("it has {counts:?} numbers for {outputs} outputs"), AGAIN);
    }
    let [weight, bias, mean, variance] = parts;
    affine.bias.resize(outputs, 0.0);
    if affine.bias_name.is_none() {
        affine.bias_name = Some(format!("{}.folded_bias", affine.name));
    }
    for row in 0..outputs {
        let spread = f64::from(variance[row]) + epsilon;
        if !(spread > 0.0 && spread.is_finite()) {
            return place.refuse(
                format!("variance {} is {}", row + 1, variance[row]),
                "train again, or repair the file",
            );
        }
        let factor = f64::from(weight[row]) / spread.sqrt();
        affine.weights.row_mut(row).iter_mut().for_each(|own| *own = (f64::from(*own) * factor) as f32);
        let own = f64::from(affine.bias[row]) - f64::from(mean[row]);
        affine.bias[row] = own.mul_add(factor, f64::from(bias[row])) as f32;
    }
    Ok(())
}

const AGAIN: &str = "compare the list of layers with the names and shapes in the safetensors file";

/// A layer while it is read.
struct Place<'a> {
    number: usize,
    kind: &'a Kind,
}

type Tensor<'t> = &'t mut dyn FnMut(&str) -> Result<(Vec<usize>, Vec<f32>), Error>;

impl Place<'_> {
    fn refuse<T>(&self, problem: String, way_out: &'static str) -> Result<T, Error> {
        let (kind, weight) = match self.kind {
            Kind::Dense { weight, .. } => ("dense", Some(weight)),
            Kind::Convolution { weight, .. } => ("convolution", Some(weight)),
            Kind::BatchNormalisation { weight, .. } => ("batch-normalisation", Some(weight)),
            Kind::AveragePooling { .. } => ("average-pooling", None),
            Kind::Flatten {} => ("flatten", None),
            Kind::Relu {} => ("relu", None),
            Kind::LeakyRelu { .. } => ("leaky-relu", None),
            Kind::Tanh {} => ("tanh", None),
            Kind::Sigmoid {} => ("sigmoid", None),
            Kind::Keep { .. } => ("keep", None),
            Kind::Add { .. } => ("add", None),
        };
        let named = weight.map_or(String::new(), |weight| format!(", {weight:?}"));
        Err(Error::Layer { layer: format!("{} ({kind}{named})", self.number), problem, way_out })
    }

    fn read(
        &self,
        shape: &[usize],
        kept: &mut Vec<(String, Vec<usize>)>,
        tensor: Tensor<'_>,
    ) -> Result<(Layer, Vec<usize>), Error> {
        let same = shape.to_vec();
        match self.kind {
            Kind::Dense { weight, bias } => self.dense(shape, weight, bias.as_ref(), tensor),
            Kind::Convolution { weight, bias, stride, padding, dilation, groups } => {
                if *groups != 1 {
                    return self.refuse(
                        format!("it has {groups} groups"),
                        "only convolutions of one group are quantised",
                    );
                }
                self.convolution(shape, (weight, bias.as_ref()), (*stride, *padding, *dilation), tensor)
            }
            Kind::BatchNormalisation { .. } => self.refuse("it was not folded".into(), AGAIN),
            Kind::AveragePooling { kernel, stride } => {
                let stride = stride.unwrap_or(*kernel);
                let window = Window { kernel: *kernel, stride, padding: [0; 2], dilation: [1; 2] };
                let [channels, rest @ ..] = shape else {
                    return self.refuse("its input has no axis".into(), AGAIN);
                };
                let sides = self.sides(rest, window)?;
                Ok((Layer::AveragePooling(window), vec![*channels, sides[0], sides[1]]))
            }
            Kind::Flatten {} => Ok((Layer::Flatten, vec![shape.iter().product()])),
            Kind::Relu {} => Ok((Layer::Relu, same)),
            Kind::LeakyRelu { share } if (0.0..=1.0).contains(share) => {
                Ok((Layer::LeakyRelu(*share as f32), same))
            }
            Kind::LeakyRelu { share } => self.refuse(format!("its share is {share}"), "give one from 0 to 1"),
            Kind::Tanh {} => Ok((Layer::Tanh, same)),
            Kind::Sigmoid {} => Ok((Layer::Sigmoid, same)),
            Kind::Keep { name } => {
                kept.retain(|(own, _)| own != name);
                kept.push((name.clone(), same.clone()));
                Ok((Layer::Keep(name.clone()), same))
            }
            Kind::Add { name } => match kept.iter().find(|(own, _)| own == name) {
                Some((_, other)) if *other == same => Ok((Layer::Add(name.clone()), same)),
                Some((_, other)) => self.refuse(
                    format!("{name:?} was kept with the shape {other:?}, but the value has {same:?}"),
                    AGAIN,
                ),
                None => self.refuse(format!("nothing is kept under the name {name:?}"), "put a keep before"),
            },
        }
    }

    fn bias(&self, name: Option<&String>, outputs: usize, tensor: Tensor<'_>) -> Result<Vec<f32>, Error> {
        let Some(name) = name else { return Ok(Vec::new()) };
        let (shape, values) = tensor(name)?;
        if shape == [outputs] {
            return Ok(values);
        }
        self.refuse(format!("tensor {name:?} has the shape {shape:?}, but must have [{outputs}]"), AGAIN)
    }

    fn dense(
        &self,
        shape: &[usize],
        weight: &str,
        bias: Option<&String>,
        tensor: Tensor<'_>,
    ) -> Result<(Layer, Vec<usize>), Error> {
        let (found, values) = tensor(weight)?;
        let [outputs, inputs] = found[..] else {
            return self.refuse(format!("its weights have the shape {found:?}, not outputs × inputs"), AGAIN);
        };
        if shape != [inputs] {
            return self.refuse(
                format!("weights for {inputs} inputs meet a value of shape {shape:?}"),
                "put a flatten before, or other weights",
            );
        }
        let weights = self.matrix(outputs, inputs, values)?;
        let affine = Affine {
            name: weight.into(),
            bias_name: bias.cloned(),
            weights,
            bias: self.bias(bias, outputs, tensor)?,
            shape: found,
            window: None,
        };
        Ok((Layer::Affine(affine), vec![outputs]))
    }

    fn matrix(&self, rows: usize, columns: usize, values: Vec<f32>) -> Result<Rows, Error> {
        match Rows::new(rows, columns, values) {
            Some(weights) if rows > 0 && columns > 0 => Ok(weights),
            _ => self.refuse(format!("its weights are no matrix of {rows} × {columns}"), AGAIN),
        }
    }

    fn convolution(
        &self,
        shape: &[usize],
        (weight, bias): (&String, Option<&String>),
        (stride, padding, dilation): ([usize; 2], [usize; 2], [usize; 2]),
        tensor: Tensor<'_>,
    ) -> Result<(Layer, Vec<usize>), Error> {
        let (found, values) = tensor(weight)?;
        let [outputs, channels, height, width] = found[..] else {
            return self.refuse(format!("its weights have the shape {found:?}, not four axes"), AGAIN);
        };
        let [own, rest @ ..] = shape else { return self.refuse("its input has no axis".into(), AGAIN) };
        if *own != channels {
            return self
                .refuse(format!("weights for {channels} channels meet a value of shape {shape:?}"), AGAIN);
        }
        let window = Window { kernel: [height, width], stride, padding, dilation };
        let sides = self.sides(rest, window)?;
        let affine = Affine {
            name: weight.clone(),
            bias_name: bias.cloned(),
            weights: self.matrix(outputs, channels * height * width, values)?,
            bias: self.bias(bias, outputs, tensor)?,
            shape: found,
            window: Some(window),
        };
        Ok((Layer::Affine(affine), vec![outputs, sides[0], sides[1]]))
    }

    /// Height and width of what comes out of a window.
    fn sides(&self, sides: &[usize], window: Window) -> Result<[usize; 2], Error> {
        let &[height, width] = sides else {
            return self.refuse(
                format!("its input has {} axes, not channels × height × width", sides.len() + 1),
                AGAIN,
            );
        };
        let Window { kernel, stride, padding, dilation } = window;
        let mut found = [0; 2];
        for (axis, side) in [height, width].into_iter().enumerate() {
            if kernel[axis] == 0 || stride[axis] == 0 || dilation[axis] == 0 || padding[axis] > MOST_NUMBERS {
                return self.refuse(
                    "kernel, stride and dilation must be at least 1, padding at most 2^26".into(),
                    AGAIN,
                );
            }
            let reach = dilation[axis].saturating_mul(kernel[axis] - 1).saturating_add(1);
            let Some(room) = (side + 2 * padding[axis]).checked_sub(reach) else {
                return self.refuse(format!("a window of {reach} does not fit into {side}"), AGAIN);
            };
            found[axis] = room / stride[axis] + 1;
        }
        Ok(found)
    }
}
