//! Rows of a table.

use burn::backend::Flex;
use burn::tensor::{Int, Tensor};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::embedding;

/// `table` `[tokens, width]` and `[batch, length]` tokens → `[batch, length, width]`.
///
/// # Panics
/// If a token is not a row of the table.
pub fn embedding(table: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<3> {
    let ([rows, width], [batch, length]) = (table.dims(), tokens.dims());
    let apply = |table: &FlexTensor, tokens: &[i32]| {
        let mut y = vec![0.0; batch * length * width];
        embedding::gather(values(table), tokens, width, &mut y);
        tensor(y, &[batch, length, width])
    };
    match operands([&table]) {
        Some(Operands::Plain([table])) => {
            Tensor::from_primitive::<Flex>(apply(&contiguous(table), &host(tokens)))
        }
        Some(Operands::Tracked(operands)) => {
            let ([table], tokens) = (untracked(&operands), host(tokens));
            let y = apply(&table, &tokens);
            record(Embedding, operands, (tokens, [rows, width]), y)
        }
        None => burn::tensor::module::embedding(table, tokens),
    }
}

/// Token numbers on the host.
pub(super) fn host<const D: usize>(tokens: Tensor<D, Int>) -> Vec<i32> {
    tokens.into_data().iter::<i32>().collect()
}

#[derive(Debug)]
struct Embedding;

impl Backward<Flex, 1> for Embedding {
    type State = (Vec<i32>, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(gradients.consume::<Flex>(&ops.node));
        let (tokens, shape) = ops.state;
        if let [Some(parent)] = ops.parents {
            let mut d_table = vec![0.0; shape[0] * shape[1]];
            embedding::scatter_add(&tokens, values(&dy), shape[1], &mut d_table);
            register(gradients, parent.id, d_table, &shape);
        }
    }
}
