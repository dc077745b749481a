//! Softmax over the last dimension.

use burn::backend::Flex;
use burn::tensor::{Tensor, activation as plain};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::softmax;

/// `eˣ / Σ eˣ` over the last dimension.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    let apply = |x: &FlexTensor| {
        let mut y = vec![0.0; values(x).len()];
        softmax::forward(values(x), shape[D - 1], &mut y);
        tensor(y, &shape)
    };
    match operands([&x]) {
        Some(Operands::Plain([x])) => Tensor::from_primitive::<Flex>(apply(&contiguous(x))),
        Some(Operands::Tracked(operands)) => {
            let [x] = untracked(&operands);
            let y = apply(&x);
            record(Softmax, operands, y.clone(), y)
        }
        None => plain::softmax(x, D - 1),
    }
}

#[derive(Debug)]
struct Softmax;

impl Backward<Flex, 1> for Softmax {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let y = ops.state;
        let [Some(parent)] = ops.parents else { return };
        let shape = y.layout().shape().to_vec();
        let mut dx = vec![0.0; values(&y).len()];
        softmax::backward(values(&y), values(&dy), shape.last().copied().unwrap_or(0), &mut dx);
        register(gradients, parent.id, dx, &shape);
    }
}
