//! Attention over packed queries, keys and values, with rotary positions.

use std::sync::Arc;

use burn::backend::Flex;
use burn::tensor::module::attention as plain;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::attention::{self, Heads};
use crate::rotary::rotate;

/// Angles of rotary positions: cosines and sines, `[length, width/2]`.
#[derive(Clone, Debug)]
pub struct Angles {
    /// Cosines.
    pub cosines: Arc<[f32]>,
    /// Sines.
    pub sines: Arc<[f32]>,
}

/// `softmax(q kᵀ/√width) v` for every head, causal or over everything: `qkv` `[batch, length, packed]` → `[batch, length, queries ·
/// width]`. With `angles`, queries and keys are rotated first.
pub fn attention(qkv: Tensor<3>, heads: Heads, causal: bool, angles: Option<&Angles>) -> Tensor<3> {
    let [batch, length, packed] = qkv.dims();
    assert_eq!(packed, heads.packed(), "width of packed queries, keys and values");
    let apply = |qkv: &FlexTensor| {
        let mut out = vec![0.0; batch * length * heads.queries * heads.width];
        let mut probabilities = vec![0.0; batch * heads.queries * length * length];
        attention::forward(values(qkv), length, heads, causal, &mut out, &mut probabilities);
        (tensor(out, &[batch, length, heads.queries * heads.width]), probabilities)
    };
    let turned = |qkv: FlexTensor| match angles {
        None => contiguous(qkv),
        Some(angles) => {
            let mut turned = values(&contiguous(qkv)).to_vec();
            rotate(&mut turned, &angles.cosines, &angles.sines, heads, false);
            tensor(turned, &[batch, length, packed])
        }
    };
    match operands([&qkv]) {
        Some(Operands::Plain([qkv])) => Tensor::from_primitive::<Flex>(apply(&turned(qkv)).0),
        Some(Operands::Tracked(operands)) => {
            let [qkv] = untracked(&operands);
            let qkv = turned(qkv);
            let (out, probabilities) = apply(&qkv);
            let state = State { qkv, probabilities, length, heads, causal, angles: angles.cloned() };
            record(Attention, operands, state, out)
        }
        None => composed(qkv, heads, causal, angles),
    }
}

/// The same by burn's own operations.
fn composed(qkv: Tensor<3>, heads: Heads, causal: bool, angles: Option<&Angles>) -> Tensor<3> {
    let [batch, length, _] = qkv.dims();
    let Heads { queries, shared, width } = heads;
    let device = qkv.device();
    let packed = qkv.reshape([batch, length, queries + 2 * shared, width]).swap_dims(1, 2);
    let turn = |x: Tensor<4>| {
        let Some(angles) = angles else { return x };
        let table = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, 1, length, width / 2]);
            Tensor::<4>::from_data(data, &device.clone().without_autodiff())
        };
        let (cosines, sines, half) = (table(&angles.cosines), table(&angles.sines), width / 2);
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let first = a.clone() * cosines.clone() - b.clone() * sines.clone();
        Tensor::cat(vec![first, b * cosines + a * sines], 3)
    };
    let repeat = |x: Tensor<4>| {
        let times = queries / shared;
        let x = x.unsqueeze_dim::<5>(2).expand([batch, shared, times, length, width]);
        x.reshape([batch, queries, length, width])
    };
    let query = turn(packed.clone().narrow(1, 0, queries));
    let key = repeat(turn(packed.clone().narrow(1, queries, shared)));
    let value = repeat(packed.narrow(1, queries + shared, shared));
    let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
    plain(query, key, value, None, None, options).swap_dims(1, 2).reshape([batch, length, queries * width])
}

#[derive(Clone, Debug)]
struct State {
    /// Rotated, if there are angles.
    qkv: FlexTensor,
    probabilities: Vec<f32>,
    length: usize,
    heads: Heads,
    causal: bool,
    angles: Option<Angles>,
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 1> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_out = contiguous(gradients.consume::<Flex>(&ops.node));
        let State { qkv, probabilities, length, heads, causal, angles } = ops.state;
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
            if let Some(angles) = angles {
                rotate(&mut d_qkv, &angles.cosines, &angles.sines, heads, true);
            }
            register(gradients, parent.id, d_qkv, qkv.layout().shape());
        }
    }
}
