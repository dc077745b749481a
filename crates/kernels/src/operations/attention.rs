//! Attention over packed queries, keys and values.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn::tensor::module::attention as plain;
use burn::tensor::ops::AttentionModuleOptions;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::attention::{self, Heads};

/// `softmax(q kᵀ/√width) v` for every head, causal or over everything: `qkv` `[batch, length, packed]` → `[batch, length, queries ·
/// width]`.
///
/// # Panics
/// If `qkv` is not as wide as its heads.
pub fn attention(qkv: Tensor<3>, heads: Heads, causal: bool) -> Tensor<3> {
    let [batch, length, packed] = qkv.dims();
    assert_eq!(packed, heads.packed(), "width of packed queries, keys and values");
    let apply = |qkv: &FlexTensor| {
        let mut out = vec![0.0; batch * length * heads.queries * heads.width];
        let mut probabilities = vec![0.0; batch * heads.queries * length * length];
        attention::forward(values(qkv), length, heads, causal, &mut out, &mut probabilities);
        (tensor(out, &[batch, length, heads.queries * heads.width]), probabilities)
    };
    match operands([&qkv]) {
        Some(Operands::Plain([qkv])) => Tensor::from_primitive::<Flex>(apply(&contiguous(qkv)).0),
        Some(Operands::Tracked(operands)) => {
            let [qkv] = untracked(&operands);
            let (out, probabilities) = apply(&qkv);
            let state = State { qkv, probabilities, length, heads, causal };
            record(Attention, operands, state, out)
        }
        None => composed(qkv, heads, causal),
    }
}

/// The same by burn's own operations.
fn composed(qkv: Tensor<3>, heads: Heads, causal: bool) -> Tensor<3> {
    let [batch, length, _] = qkv.dims();
    let Heads { queries, shared, width } = heads;
    let packed = qkv.reshape([batch, length, queries + 2 * shared, width]).swap_dims(1, 2);
    let repeat = |start: usize| {
        let part = packed.clone().narrow(1, start, shared).unsqueeze_dim::<5>(2);
        part.expand([batch, shared, queries / shared, length, width]).reshape([batch, queries, length, width])
    };
    let (query, key, value) =
        (packed.clone().narrow(1, 0, queries), repeat(queries), repeat(queries + shared));
    let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
    plain(query, key, value, None, None, options).swap_dims(1, 2).reshape([batch, length, queries * width])
}

#[derive(Clone, Debug)]
struct State {
    qkv: FlexTensor,
    probabilities: Vec<f32>,
    length: usize,
    heads: Heads,
    causal: bool,
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 1> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_out = contiguous(gradients.consume::<Flex>(&ops.node));
        let State { qkv, probabilities, length, heads, causal } = ops.state;
        if let [Some(parent)] = ops.parents {
            let mut d_qkv = vec![0.0; values(&qkv).len()];
            attention::backward(
                values(&qkv),
                &probabilities,
                values(&d_out),
                length,
                heads,
                causal,
                &mut d_qkv,
            );
            register(gradients, parent.id, d_qkv, qkv.layout().shape());
        }
    }
}
