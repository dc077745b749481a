//! Diagonal linear recurrences.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::scan as kernel;

/// `h_t = a_t h_{t−1} + b_t` from zero: `a` and `b` `[batch, length, width]` → all states, of the same shape. The factors may be negative.
pub fn scan(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let [batch, length, width] = b.dims();
    let run = |a: &FlexTensor, b: &FlexTensor| {
        let mut h = vec![0.0; batch * length * width];
        kernel::forward(values(a), values(b), [length, width], &mut h);
        tensor(h, &[batch, length, width])
    };
    match operands([&a, &b]) {
        Some(Operands::Plain(operands)) => {
            let [a, b] = operands.map(contiguous);
            Tensor::from_primitive::<Flex>(run(&a, &b))
        }
        Some(Operands::Tracked(operands)) => {
            let [a, b] = untracked(&operands);
            let h = run(&a, &b);
            record(Scan, operands, (a, h.clone(), [batch, length, width]), h)
        }
        None => composed(&a, b),
    }
}

#[derive(Debug)]
struct Scan;

impl Backward<Flex, 2> for Scan {
    type State = (FlexTensor, FlexTensor, [usize; 3]);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dh = contiguous(gradients.consume::<Flex>(&ops.node));
        let (a, h, shape) = ops.state;
        let size = shape.iter().product();
        let (mut da, mut db) = (vec![0.0; size], vec![0.0; size]);
        kernel::backward(values(&a), values(&h), values(&dh), [shape[1], shape[2]], &mut da, &mut db);
        for (parent, values) in ops.parents.into_iter().zip([da, db]) {
            if let Some(parent) = parent {
                register(gradients, parent.id, values, &shape);
            }
        }
    }
}

fn composed(a: &Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let length = b.dims()[1];
    let mut states: Vec<Tensor<3>> = Vec::with_capacity(length);
    for step in 0..length {
        let input = b.clone().narrow(1, step, 1);
        states.push(match states.last() {
            Some(before) => a.clone().narrow(1, step, 1) * before.clone() + input,
            None => input,
        });
    }
    if states.is_empty() { b } else { Tensor::cat(states, 1) }
}
