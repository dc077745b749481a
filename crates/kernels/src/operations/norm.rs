//! Layer norm and RMS norm.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, owned, record, register, tensor, untracked, values};
use crate::norm::{self, Moments};

/// Layer norm over the last dimension, or RMS norm without `bias`. `x` `[…, width]`, `weight` and `bias` `[width]`.
pub fn norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    let shape = x.dims();
    let apply = |x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>| {
        let mut y = vec![0.0; values(x).len()];
        let moments = norm::forward(values(x), values(weight), bias.map(values), epsilon, &mut y);
        (tensor(y, &shape), moments)
    };
    match bias {
        None => match operands([&x, &weight]) {
            Some(Operands::Plain(operands)) => {
                let [x, weight] = operands.map(contiguous);
                Tensor::from_primitive::<Flex>(apply(&x, &weight, None).0)
            }
            Some(Operands::Tracked(operands)) => {
                let [x, weight] = untracked(&operands);
                let (y, moments) = apply(&x, &weight, None);
                record(Norm, operands, (x, weight, moments), y)
            }
            None => {
                let scale = x.clone().square().mean_dim(D - 1).add_scalar(epsilon).sqrt().recip();
                x * scale * weight.unsqueeze()
            }
        },
        Some(bias) => match operands([&x, &weight, &bias]) {
            Some(Operands::Plain(operands)) => {
                let [x, weight, bias] = operands.map(contiguous);
                Tensor::from_primitive::<Flex>(apply(&x, &weight, Some(&bias)).0)
            }
            Some(Operands::Tracked(operands)) => {
                let [x, weight, bias] = untracked(&operands);
                let (y, moments) = apply(&x, &weight, Some(&bias));
                record(Norm, operands, (x, weight, moments), y)
            }
            None => burn::tensor::module::layer_norm(x, weight, Some(bias), epsilon),
        },
    }
}

/// Backward of RMS norm (two operands) and layer norm (three).
#[derive(Debug)]
struct Norm;

type State = (FlexTensor, FlexTensor, Moments<f32>);

fn backward<const N: usize>(ops: Ops<State, N>, gradients: &mut Gradients) {
    let mut dy = owned(gradients.consume::<Flex>(&ops.node));
    let (x, weight, moments) = ops.state;
    let width = values(&weight).len();
    let (mut d_weight, mut d_bias) = (vec![0.0; width], vec![0.0; width]);
    let bias = (N == 3).then_some(&mut d_bias[..]);
    norm::backward(values(&x), values(&weight), &moments, &mut dy, &mut d_weight, bias);
    let shapes = [x.layout().shape().to_vec(), vec![width], vec![width]];
    for ((parent, values), shape) in ops.parents.into_iter().zip([dy, d_weight, d_bias]).zip(shapes) {
        if let Some(parent) = parent {
            register(gradients, parent.id, values, &shape);
        }
    }
}

impl Backward<Flex, 2> for Norm {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        backward(ops, gradients);
    }
}

impl Backward<Flex, 3> for Norm {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        backward(ops, gradients);
    }
}
