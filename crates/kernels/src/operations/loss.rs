//! Cross-entropy.

use burn::backend::Flex;
use burn::tensor::{Int, Tensor, activation::log_softmax};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops};

use super::embedding::host;
use super::{Operands, contiguous, operands, record, register, tensor, untracked, values};
use crate::loss;

/// `−Σ wᵢ ln softmax(logitsᵢ)[targetᵢ] / Σ wᵢ`: `logits` `[n, classes]`, `targets` and `weights` `[n]` → `[1]`. Zero if all weights are 0.
/// The weights receive no gradient.
///
/// # Panics
/// If a target with a weight is not a class.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    let Some(operands) = operands([&logits]) else {
        let picked = log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1)).squeeze_dim::<1>(1);
        let total = weights.clone().sum().clamp_min(1e-12);
        return (picked * weights).sum().neg() / total;
    };
    let targets = host(targets);
    let weights: Vec<f32> = weights.into_data().iter::<f32>().collect();
    let mut gradient = vec![0.0; rows * classes];
    match operands {
        Operands::Plain([logits]) => {
            let logits = contiguous(logits);
            let loss = loss::cross_entropy(values(&logits), &targets, &weights, classes, &mut gradient);
            Tensor::from_primitive::<Flex>(tensor(vec![loss], &[1]))
        }
        Operands::Tracked(operands) => {
            let [logits] = untracked(&operands);
            let loss = loss::cross_entropy(values(&logits), &targets, &weights, classes, &mut gradient);
            record(CrossEntropy, operands, (gradient, [rows, classes]), tensor(vec![loss], &[1]))
        }
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl Backward<Flex, 1> for CrossEntropy {
    type State = (Vec<f32>, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let scale = contiguous(gradients.consume::<Flex>(&ops.node));
        let (mut gradient, shape) = ops.state;
        if let ([Some(parent)], &[scale]) = (ops.parents, values(&scale)) {
            if scale != 1.0 {
                gradient.iter_mut().for_each(|value| *value *= scale);
            }
            register(gradients, parent.id, gradient, &shape);
        }
    }
}
