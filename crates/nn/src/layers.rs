//! The layers that all models share. Every initial weight is drawn from a seeded stream and named by its place.

use backstitch_kernels::operations::{embedding, linear, norm};
use backstitch_numerics::Stream;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Draws the initial weights of one model: the parameter called `name` has a stream of its own, so that adding a layer never
/// moves the weights of another.
pub(crate) struct Initializer<'a> {
    pub(crate) seed: u64,
    pub(crate) device: &'a Device,
}

impl Initializer<'_> {
    /// Independent normal draws with mean 0.
    pub(crate) fn normal<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        deviation: f64,
    ) -> Param<Tensor<D>> {
        let mut stream = self.stream(name);
        self.fill(shape, || stream.normal() * deviation)
    }

    /// Independent uniform draws from `-bound..bound`.
    pub(crate) fn uniform<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        bound: f64,
    ) -> Param<Tensor<D>> {
        let mut stream = self.stream(name);
        self.fill(shape, || (2.0 * stream.uniform() - 1.0) * bound)
    }

    pub(crate) fn constant<const D: usize>(&self, shape: [usize; D], value: f64) -> Param<Tensor<D>> {
        self.fill(shape, || value)
    }

    fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, &format!("initial {name}"))
    }

    fn fill<const D: usize>(&self, shape: [usize; D], mut draw: impl FnMut() -> f64) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw() as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// `y = x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Normal initial weights with the given standard deviation, zero bias.
    pub(crate) fn normal(
        initial: &Initializer<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
        deviation: f64,
    ) -> Self {
        Self {
            weight: initial.normal(&format!("{name}.weight"), [inputs, outputs], deviation),
            bias: bias.then(|| initial.constant([outputs], 0.0)),
        }
    }

    /// Uniform initial weights and biases within `1/√inputs`, as PyTorch draws them.
    pub(crate) fn uniform(
        initial: &Initializer<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> Self {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        Self {
            weight: initial.uniform(&format!("{name}.weight"), [inputs, outputs], bound),
            bias: bias.then(|| initial.uniform(&format!("{name}.bias"), [outputs], bound)),
        }
    }

    /// `[…, inputs]` → `[…, outputs]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

/// A table with one row per token.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[tokens, width]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    pub(crate) fn normal(initial: &Initializer<'_>, name: &str, shape: [usize; 2], deviation: f64) -> Self {
        Self { weight: initial.normal(&format!("{name}.weight"), shape, deviation) }
    }

    /// `[batch, length]` tokens → `[batch, length, width]`.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        embedding(self.weight.val(), tokens)
    }
}

/// Layer norm `(x − mean)/√(variance + ε) · γ + β`, or RMS norm `x/√(mean square + ε) · γ`, over the last dimension.
#[derive(Module, Debug)]
pub struct Normalization {
    /// `γ`, `[width]`.
    pub weight: Param<Tensor<1>>,
    /// `β`, `[width]`; absent for RMS norm.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    epsilon: f64,
}

impl Normalization {
    pub(crate) fn new(initial: &Initializer<'_>, width: usize, centred: bool, epsilon: f64) -> Self {
        Self {
            weight: initial.constant([width], 1.0),
            bias: centred.then(|| initial.constant([width], 0.0)),
            epsilon,
        }
    }

    /// Same shape in and out.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        norm(x, self.weight.val(), self.bias.as_ref().map(Param::val), self.epsilon)
    }
}
