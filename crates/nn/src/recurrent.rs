//! Recurrent networks over whole sequences, in PyTorch's equations and gate order.

use backstitch_kernels::operations;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{Initializer, Linear};

/// Long short-term memory: with `i, f, g, o` from `W x_t + b + U h + c`,
/// `c ← σ(f) c + σ(i) tanh(g)` and `h ← σ(o) tanh(c)`.
#[derive(Module, Debug)]
pub struct Lstm {
    /// `[inputs, 4 · hidden]`, gates in the order input, forget, cell, output.
    pub input: Linear,
    /// `[hidden, 4 · hidden]`.
    pub recurrent: Linear,
}

impl Lstm {
    /// Weights and biases uniform within `1/√fan-in`.
    pub fn new(inputs: usize, hidden: usize, seed: u64, device: &Device) -> Self {
        let initial = Initializer { seed, device };
        Self {
            input: Linear::uniform(&initial, "input", [inputs, 4 * hidden], true),
            recurrent: Linear::uniform(&initial, "recurrent", [hidden, 4 * hidden], true),
        }
    }

    /// `[batch, length, inputs]` → the hidden states `[batch, length, hidden]` from zero initial states, and the last cell
    /// state `[batch, hidden]`.
    pub fn forward(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<2>) {
        let ([batch, length, _], width) = (x.dims(), self.recurrent.weight.dims()[0]);
        if length == 0 {
            let device = x.device();
            return (Tensor::zeros([batch, 0, width], &device), Tensor::zeros([batch, width], &device));
        }
        let (weight, bias) = weight_and_bias(&self.recurrent);
        let states = operations::lstm(self.input.forward(x), weight, bias);
        let last = states.clone().narrow(1, length - 1, 1).narrow(2, width, width).squeeze_dim::<2>(1);
        (states.narrow(2, 0, width), last)
    }
}

/// Gated recurrent unit: `r = σ(W_r x + U_r h)`, `z = σ(W_z x + U_z h)`, `n = tanh(W_n x + r ∘ (U_n h))`,
/// `h ← (1 − z) n + z h`, with biases on both sides.
#[derive(Module, Debug)]
pub struct Gru {
    /// `[inputs, 3 · hidden]`, gates in the order reset, update, new.
    pub input: Linear,
    /// `[hidden, 3 · hidden]`.
    pub recurrent: Linear,
}

impl Gru {
    /// Weights and biases uniform within `1/√fan-in`.
    pub fn new(inputs: usize, hidden: usize, seed: u64, device: &Device) -> Self {
        let initial = Initializer { seed, device };
        Self {
            input: Linear::uniform(&initial, "input", [inputs, 3 * hidden], true),
            recurrent: Linear::uniform(&initial, "recurrent", [hidden, 3 * hidden], true),
        }
    }

    /// `[batch, length, inputs]` → the hidden states `[batch, length, hidden]` from a zero initial state.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (weight, bias) = weight_and_bias(&self.recurrent);
        operations::gru(self.input.forward(x), weight, bias)
    }
}

fn weight_and_bias(layer: &Linear) -> (Tensor<2>, Tensor<1>) {
    let weight = layer.weight.val();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[1]], &weight.device()),
    };
    (weight, bias)
}
