//! The delta rule.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::delta::{self as kernel, CHUNK, Inputs, Saved, Sizes};

/// From states `M` of zeros, step by step `M ← M + k β (v − Mᵀk)ᵀ` and the output `Mᵀq / √key`: `query` and `key`
/// `[batch, length, heads, key]`, `value` `[batch, length, heads, value]`, `beta` `[batch, length, heads]` → `[batch, length, heads, value]`.
/// With keys of length 1, `β` in [0, 2] gives the state's factor the eigenvalue `1 − β` in [−1, 1].
pub fn delta_rule(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, beta: Tensor<3>) -> Tensor<4> {
    let ([batch, length, heads, keys], values_wide) = (key.dims(), value.dims()[3]);
    let sizes = Sizes { batch, length, heads, key: keys, value: values_wide, chunk: CHUNK };
    let run = |operands: &[FlexTensor; 4]| {
        let mut output = vec![0.0; batch * length * heads * values_wide];
        let saved = kernel::forward(inputs(operands), sizes, &mut output);
        (tensor(output, &[batch, length, heads, values_wide]), saved)
    };
    match operands([&query, &key, &value, &beta]) {
        Some(Operands::Plain(operands)) => Tensor::from_primitive::<Flex>(run(&operands.map(contiguous)).0),
        Some(Operands::Tracked(operands)) => {
            let plain = untracked(&operands);
            let (output, saved) = run(&plain);
            record(DeltaRule, operands, State { plain, saved, sizes }, output)
        }
        None => composed(query, key, value, beta),
    }
}

fn inputs(operands: &[FlexTensor; 4]) -> Inputs<'_, f32> {
    let [query, key, value, beta] = operands.each_ref().map(values);
    Inputs { query, key, value, beta }
}

#[derive(Clone, Debug)]
struct State {
    plain: [FlexTensor; 4],
    saved: Saved<f32>,
    sizes: Sizes,
}

#[derive(Debug)]
struct DeltaRule;

impl Backward<Flex, 4> for DeltaRule {
    type State = State;

    fn backward(self, ops: Ops<State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let State { plain, saved, sizes } = ops.state;
        let derivatives = kernel::backward(inputs(&plain), &saved, values(&dy), sizes);
        let Sizes { batch, length, heads, key, value, .. } = sizes;
        let shapes = [
            &[batch, length, heads, key][..],
            &[batch, length, heads, key],
            &[batch, length, heads, value],
            &[batch, length, heads],
        ];
        let all = [derivatives.query, derivatives.key, derivatives.value, derivatives.beta];
        for ((parent, values), shape) in ops.parents.into_iter().zip(all).zip(shapes) {
            if let Some(parent) = parent {
                register(gradients, parent.id, values, shape);
            }
        }
    }
}

fn composed(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, beta: Tensor<3>) -> Tensor<4> {
    let ([batch, length, heads, keys], width) = (key.dims(), value.dims()[3]);
    let mut state = Tensor::<4>::zeros([batch, heads, keys, width], &key.device()).cast(key.dtype());
    let scale = 1.0 / (keys.max(1) as f64).sqrt();
    let mut outputs: Vec<Tensor<4>> = Vec::with_capacity(length);
    for step in 0..length {
        // A row `[batch, heads, 1, width]` of one step.
        let row = |x: &Tensor<4>| x.clone().narrow(1, step, 1).swap_dims(1, 2);
        let (q, k, v) = (row(&query), row(&key), row(&value));
        let rate = beta.clone().narrow(1, step, 1).swap_dims(1, 2).unsqueeze_dim::<4>(3);
        let update = (v - k.clone().matmul(state.clone())) * rate;
        state = state + k.transpose().matmul(update);
        outputs.push(q.matmul(state.clone()).mul_scalar(scale).swap_dims(1, 2));
    }
    if outputs.is_empty() { value } else { Tensor::cat(outputs, 1) }
}
