//! Whole sequences through a gated recurrent unit or a long short-term memory.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, tanh};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::recurrent::{self, Cell, Derivatives, Gru, Lstm, Sizes};

/// Gated recurrent unit: `from_input` `[batch, length, 3 width]`, gates in the order reset, update, new; `weight` `[width, 3 width]`,
/// `bias` `[3 width]` → the hidden states `[batch, length, width]` from a zero initial state.
pub fn gru(from_input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    apply::<Gru>(&from_input, &weight, &bias).unwrap_or_else(|| composed_gru(from_input, weight, bias))
}

/// Long short-term memory: `from_input` `[batch, length, 4 width]`, gates in the order input, forget, cell, output; `weight` `[width,
/// 4 width]`, `bias` `[4 width]` → the hidden state and the cell of every step, `[batch, length, 2 width]`, from zero.
pub fn lstm(from_input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    apply::<Lstm>(&from_input, &weight, &bias).unwrap_or_else(|| composed_lstm(from_input, weight, bias))
}

/// The states, if the kernel can take the operands.
fn apply<C: Cell + Send + Sync + Debug + 'static>(
    from_input: &Tensor<3>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
) -> Option<Tensor<3>> {
    let ([batch, length, _], [width, _]) = (from_input.dims(), weight.dims());
    let sizes = Sizes { batch, length, width };
    let run = |[from_input, weight, bias]: &[FlexTensor; 3]| {
        let mut states = vec![0.0; sizes.values(C::STATES)];
        let mut saved = vec![0.0; sizes.values(4)];
        let (from_input, weight, bias) = (values(from_input), values(weight), values(bias));
        recurrent::forward::<C, f32>(from_input, weight, bias, sizes, &mut states, &mut saved);
        (tensor(states, &[batch, length, C::STATES * width]), saved)
    };
    Some(match operands([from_input, weight, bias])? {
        Operands::Plain(operands) => Tensor::from_primitive::<Flex>(run(&operands.map(contiguous)).0),
        Operands::Tracked(operands) => {
            let plain = untracked(&operands);
            let (states, saved) = run(&plain);
            let [_, weight, _] = plain;
            record(
                Recurrent::<C>(PhantomData),
                operands,
                State { sizes, weight, states: states.clone(), saved },
                states,
            )
        }
    })
}

#[derive(Clone, Debug)]
struct State {
    sizes: Sizes,
    weight: FlexTensor,
    states: FlexTensor,
    saved: Vec<f32>,
}

#[derive(Debug)]
struct Recurrent<C>(PhantomData<C>);

impl<C: Cell + Send + Sync + Debug + 'static> Backward<Flex, 3> for Recurrent<C> {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let State { sizes, weight, states, saved } = ops.state;
        let (width, outputs) = (sizes.width, C::GATES * sizes.width);
        let mut d_input = vec![0.0; sizes.values(C::GATES)];
        let (mut d_weight, mut d_bias) = (vec![0.0; width * outputs], vec![0.0; outputs]);
        let derivatives = Derivatives { input: &mut d_input, weight: &mut d_weight, bias: &mut d_bias };
        let (weight, states) = (values(&weight), values(&states));
        recurrent::backward::<C, f32>(weight, states, &saved, values(&dy), sizes, derivatives);
        let [input, weight, bias] = ops.parents;
        for (parent, values, shape) in [
            (input, d_input, &[sizes.batch, sizes.length, outputs][..]),
            (weight, d_weight, &[width, outputs]),
            (bias, d_bias, &[outputs]),
        ] {
            if let Some(parent) = parent {
                register(gradients, parent.id, values, shape);
            }
        }
    }
}

fn composed_gru(from_input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let ([batch, length, _], [width, _]) = (from_input.dims(), weight.dims());
    let mut hidden = Tensor::<2>::zeros([batch, width], &from_input.device()).cast(from_input.dtype());
    let mut states = Vec::with_capacity(length);
    for step in 0..length {
        let input = from_input.clone().narrow(1, step, 1).squeeze_dim::<2>(1);
        let recurrent = hidden.clone().matmul(weight.clone()) + bias.clone().unsqueeze();
        let part = |x: &Tensor<2>, at: usize| x.clone().narrow(1, at * width, width);
        let reset = sigmoid(part(&input, 0) + part(&recurrent, 0));
        let update = sigmoid(part(&input, 1) + part(&recurrent, 1));
        let new = tanh(part(&input, 2) + reset * part(&recurrent, 2));
        hidden = new.clone() + update * (hidden - new);
        states.push(hidden.clone());
    }
    stack_steps(states, [batch, width], &from_input)
}

fn composed_lstm(from_input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let ([batch, length, _], [width, _]) = (from_input.dims(), weight.dims());
    let mut hidden = Tensor::<2>::zeros([batch, width], &from_input.device()).cast(from_input.dtype());
    let mut cell = hidden.clone();
    let mut states = Vec::with_capacity(length);
    for step in 0..length {
        let recurrent = hidden.matmul(weight.clone()) + bias.clone().unsqueeze();
        let gates = from_input.clone().narrow(1, step, 1).squeeze_dim::<2>(1) + recurrent;
        let gate = |at: usize| gates.clone().narrow(1, at * width, width);
        cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * tanh(gate(2));
        hidden = sigmoid(gate(3)) * tanh(cell.clone());
        states.push(Tensor::cat(vec![hidden.clone(), cell.clone()], 1));
    }
    stack_steps(states, [batch, 2 * width], &from_input)
}

/// `[batch, width]` per step → `[batch, steps, width]`.
fn stack_steps(states: Vec<Tensor<2>>, [batch, width]: [usize; 2], like: &Tensor<3>) -> Tensor<3> {
    if states.is_empty() {
        Tensor::zeros([batch, 0, width], &like.device())
    } else {
        Tensor::stack(states, 1)
    }
}
