//! Activations, and the gated feed-forward product.

use burn::backend::Flex;
use burn::tensor::{Tensor, activation as plain};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, owned, record, register, tensor, untracked, values};
use crate::elementwise::{self, Function};

fn composed<const D: usize>(function: Function, x: Tensor<D>) -> Tensor<D> {
    match function {
        Function::GeluTanh => plain::gelu_approximate(x),
        Function::Silu => plain::silu(x),
        Function::Relu => plain::relu(x),
    }
}

/// `f(x)`, element by element.
pub fn activation<const D: usize>(function: Function, x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    let apply = |x: &FlexTensor| {
        let mut y = vec![0.0; values(x).len()];
        elementwise::forward(function, values(x), &mut y);
        tensor(y, &shape)
    };
    match operands([&x]) {
        Some(Operands::Plain([x])) => Tensor::from_primitive::<Flex>(apply(&contiguous(x))),
        Some(Operands::Tracked(operands)) => {
            let [x] = untracked(&operands);
            let y = apply(&x);
            record(Activation, operands, (function, x), y)
        }
        None => composed(function, x),
    }
}

/// `f(gate) · up`.
pub fn gated<const D: usize>(function: Function, gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let shape = gate.dims();
    let apply = |gate: &FlexTensor, up: &FlexTensor| {
        let mut y = vec![0.0; values(gate).len()];
        elementwise::gated_forward(function, values(gate), values(up), &mut y);
        tensor(y, &shape)
    };
    match operands([&gate, &up]) {
        Some(Operands::Plain(operands)) => {
            let [gate, up] = operands.map(contiguous);
            Tensor::from_primitive::<Flex>(apply(&gate, &up))
        }
        Some(Operands::Tracked(operands)) => {
            let [gate, up] = untracked(&operands);
            let y = apply(&gate, &up);
            record(Gated, operands, (function, gate, up), y)
        }
        None => composed(function, gate) * up,
    }
}

#[derive(Debug)]
struct Activation;

impl Backward<Flex, 1> for Activation {
    type State = (Function, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = owned(gradients.consume::<Flex>(&ops.node));
        let (function, x) = ops.state;
        if let [Some(parent)] = ops.parents {
            elementwise::backward(function, values(&x), &mut dy);
            register(gradients, parent.id, dy, x.layout().shape());
        }
    }
}

#[derive(Debug)]
struct Gated;

impl Backward<Flex, 2> for Gated {
    type State = (Function, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let (function, gate, up) = ops.state;
        let size = values(&gate).len();
        let (mut d_gate, mut d_up) = (vec![0.0; size], vec![0.0; size]);
        elementwise::gated_backward(
            function,
            values(&gate),
            values(&up),
            values(&dy),
            &mut d_gate,
            &mut d_up,
        );
        for (parent, values) in ops.parents.into_iter().zip([d_gate, d_up]) {
            if let Some(parent) = parent {
                register(gradients, parent.id, values, gate.layout().shape());
            }
        }
    }
}
