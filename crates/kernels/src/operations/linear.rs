//! `y = x W + b`.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::linear;

/// `x` `[…, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]` → `[…, outputs]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let (input_shape, [inputs, outputs]) = (x.dims(), weight.dims());
    let mut shape = input_shape;
    shape[D - 1] = outputs;
    let rows = input_shape[..D - 1].iter().product();
    let sizes = [rows, inputs, outputs];
    let apply = |x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>| {
        tensor(linear::forward(values(x), values(weight), bias.map(values), sizes), &shape)
    };
    match bias {
        None => match operands([&x, &weight]) {
            Some(Operands::Plain(operands)) => {
                let [x, weight] = operands.map(contiguous);
                Tensor::from_primitive::<Flex>(apply(&x, &weight, None))
            }
            Some(Operands::Tracked(operands)) => {
                let [x, weight] = untracked(&operands);
                let y = apply(&x, &weight, None);
                record(Linear, operands, (x, weight, sizes), y)
            }
            None => burn::tensor::module::linear(x, weight, None),
        },
        Some(bias) => match operands([&x, &weight, &bias]) {
            Some(Operands::Plain(operands)) => {
                let [x, weight, bias] = operands.map(contiguous);
                Tensor::from_primitive::<Flex>(apply(&x, &weight, Some(&bias)))
            }
            Some(Operands::Tracked(operands)) => {
                let [x, weight, bias] = untracked(&operands);
                let y = apply(&x, &weight, Some(&bias));
                record(Linear, operands, (x, weight, sizes), y)
            }
            None => burn::tensor::module::linear(x, weight, Some(bias)),
        },
    }
}

/// Backward with two operands (no bias) or three.
#[derive(Debug)]
struct Linear;

type State = (FlexTensor, FlexTensor, [usize; 3]);

fn backward<const N: usize>(ops: Ops<State, N>, gradients: &mut Gradients) {
    let dy = contiguous(gradients.consume::<Flex>(&ops.node));
    let (x, weight, sizes) = ops.state;
    let [_, inputs, outputs] = sizes;
    for (operand, parent) in ops.parents.into_iter().enumerate() {
        let Some(parent) = parent else { continue };
        match operand {
            0 => {
                let dx = linear::input_gradient(values(&dy), values(&weight), sizes);
                register(gradients, parent.id, dx, x.layout().shape());
            }
            1 => {
                let dw = linear::weight_gradient(values(&x), values(&dy), sizes);
                register(gradients, parent.id, dw, &[inputs, outputs]);
            }
            _ => {
                let mut db = vec![0.0; outputs];
                linear::bias_gradient(values(&dy), outputs, &mut db);
                register(gradients, parent.id, db, &[outputs]);
            }
        }
    }
}

impl Backward<Flex, 2> for Linear {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        backward(ops, gradients);
    }
}

impl Backward<Flex, 3> for Linear {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        backward(ops, gradients);
    }
}
