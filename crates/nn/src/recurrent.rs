//! Recurrent networks over whole sequences, in PyTorch's equations and gate order.

use burn::module::Module;
use burn::tensor::activation::{sigmoid, tanh};
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
        let device = x.device();
        let from_input = self.input.forward(x);
        let mut hidden = Tensor::<2>::zeros([batch, width], &device);
        let mut cell = hidden.clone();
        let mut states = Vec::with_capacity(length);
        for step in 0..length {
            let gates =
                from_input.clone().narrow(1, step, 1).squeeze_dim::<2>(1) + self.recurrent.forward(hidden);
            let gate = |at: usize| gates.clone().narrow(1, at * width, width);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * tanh(gate(2));
            hidden = sigmoid(gate(3)) * tanh(cell.clone());
            states.push(hidden.clone());
        }
        (stack_steps(states, [batch, width], &device), cell)
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
        let ([batch, length, _], width) = (x.dims(), self.recurrent.weight.dims()[0]);
        let device = x.device();
        let from_input = self.input.forward(x);
        let mut hidden = Tensor::<2>::zeros([batch, width], &device);
        let mut states = Vec::with_capacity(length);
        for step in 0..length {
            let input = from_input.clone().narrow(1, step, 1).squeeze_dim::<2>(1);
            let recurrent = self.recurrent.forward(hidden.clone());
            let part = |x: &Tensor<2>, at: usize| x.clone().narrow(1, at * width, width);
            let reset = sigmoid(part(&input, 0) + part(&recurrent, 0));
            let update = sigmoid(part(&input, 1) + part(&recurrent, 1));
            let new = tanh(part(&input, 2) + reset * part(&recurrent, 2));
            hidden = new.clone() + update * (hidden - new);
            states.push(hidden.clone());
        }
        stack_steps(states, [batch, width], &device)
    }
}

/// `[batch, width]` per step → `[batch, steps, width]`.
fn stack_steps(states: Vec<Tensor<2>>, [batch, width]: [usize; 2], device: &Device) -> Tensor<3> {
    if states.is_empty() { Tensor::zeros([batch, 0, width], device) } else { Tensor::stack(states, 1) }
}
