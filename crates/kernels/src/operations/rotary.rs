//! Rotary positions on packed queries and keys.

use std::sync::Arc;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::attention::Heads;
use crate::rotary;

/// The angles of positions: cosines and sines, `[rows, length, width/2]`, with one row for all sequences or one for each.
#[derive(Clone, Debug)]
pub struct Angles {
    /// Cosines.
    pub cosines: Arc<[f32]>,
    /// Sines.
    pub sines: Arc<[f32]>,
    /// 1, or the number of sequences.
    pub rows: usize,
}

/// Turns every query and key head of `qkv` `[batch, length, packed]` by the angles of its position; values stay.
pub fn rotate(qkv: Tensor<3>, heads: Heads, angles: &Angles) -> Tensor<3> {
    let shape = qkv.dims();
    let apply = |qkv: FlexTensor| {
        let mut turned = values(&contiguous(qkv)).to_vec();
        rotary::rotate(&mut turned, &angles.cosines, &angles.sines, heads, false);
        tensor(turned, &shape)
    };
    match operands([&qkv]) {
        Some(Operands::Plain([qkv])) => Tensor::from_primitive::<Flex>(apply(qkv)),
        Some(Operands::Tracked(operands)) => {
            let [qkv] = untracked(&operands);
            let turned = apply(qkv);
            record(Rotate, operands, (angles.clone(), heads), turned)
        }
        None => composed(qkv, heads, angles),
    }
}

/// The same by burn's own operations.
fn composed(qkv: Tensor<3>, heads: Heads, angles: &Angles) -> Tensor<3> {
    let [batch, length, packed] = qkv.dims();
    let Heads { queries, shared, width } = heads;
    let (half, device) = (width / 2, qkv.device().without_autodiff());
    let table = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [angles.rows, length, 1, half]);
        Tensor::<4>::from_data(data, &device)
    };
    let (cosines, sines) = (table(&angles.cosines), table(&angles.sines));
    let split = qkv.reshape([batch, length, queries + 2 * shared, width]);
    let (turned, kept) =
        (split.clone().narrow(2, 0, queries + shared), split.narrow(2, queries + shared, shared));
    let (a, b) = (turned.clone().narrow(3, 0, half), turned.narrow(3, half, half));
    let first = a.clone() * cosines.clone() - b.clone() * sines.clone();
    let turned = Tensor::cat(vec![first, b * cosines + a * sines], 3);
    Tensor::cat(vec![turned, kept], 2).reshape([batch, length, packed])
}

#[derive(Debug)]
struct Rotate;

impl Backward<Flex, 1> for Rotate {
    type State = (Angles, Heads);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let (angles, heads) = ops.state;
        if let [Some(parent)] = ops.parents {
            let mut dx = values(&dy).to_vec();
            rotary::rotate(&mut dx, &angles.cosines, &angles.sines, heads, true);
            register(gradients, parent.id, dx, dy.layout().shape());
        }
    }
}
