//! The kernels as operations on burn tensors, with backward.
//!
//! Every function has the shape of burn's own operation and falls back to it where the tensor is not on the CPU backend in single
//! precision.

mod attention;
mod delta;
mod elementwise;
mod embedding;
mod linear;
mod loss;
mod memory;
mod norm;
mod recurrent;
mod rotary;
mod scan;
mod softmax;

pub use attention::attention;
pub use delta::delta_rule;
pub use elementwise::{activation, gated};
pub use embedding::embedding;
pub use linear::linear;
pub use loss::cross_entropy;
pub use memory::{Memory, extend};
pub use norm::norm;
pub use recurrent::{gru, lstm};
pub use rotary::{Angles, rotate};
pub use scan::scan;
pub use softmax::softmax;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor, TensorData};
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, OpsKind};
use burn_flex::FlexTensor;

/// A tensor on a tape.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// The operands of one operation, where a kernel can take them.
enum Operands<const N: usize> {
    /// On the CPU, some with a tape: all are given one.
    Tracked([Tracked; N]),
    /// On the CPU without a tape.
    Plain([FlexTensor; N]),
}

/// A float tensor of any rank on its way to a kernel.
trait Operand {
    /// Whether it is on the CPU in single precision.
    fn fits(&self) -> bool;
    fn has_tape(&self) -> bool;
    fn tracked(&self) -> Option<Tracked>;
    fn plain(&self) -> Option<FlexTensor>;
}

impl<const D: usize> Operand for Tensor<D> {
    fn fits(&self) -> bool {
        self.dtype() == DType::F32 && self.clone().inner().try_into_primitive::<Flex>().is_ok()
    }

    fn has_tape(&self) -> bool {
        self.is_autodiff()
    }

    fn tracked(&self) -> Option<Tracked> {
        self.clone().autodiff().try_into_primitive::<Autodiff<Flex>>().ok()
    }

    fn plain(&self) -> Option<FlexTensor> {
        self.clone().try_into_primitive::<Flex>().ok()
    }
}

/// Takes operands to the kernels, if all of them fit.
fn operands<const N: usize>(operands: [&dyn Operand; N]) -> Option<Operands<N>> {
    if !operands.iter().all(|operand| operand.fits()) {
        return None;
    }
    if operands.iter().any(|operand| operand.has_tape()) {
        let tracked: Option<Vec<Tracked>> = operands.iter().map(|operand| operand.tracked()).collect();
        tracked?.try_into().ok().map(Operands::Tracked)
    } else {
        let plain: Option<Vec<FlexTensor>> = operands.iter().map(|operand| operand.plain()).collect();
        plain?.try_into().ok().map(Operands::Plain)
    }
}

/// Puts the result of an operation on the tape of its operands.
fn record<Op: Backward<Flex, N>, const N: usize, const D: usize>(
    operation: Op,
    operands: [Tracked; N],
    state: Op::State,
    result: FlexTensor,
) -> Tensor<D> {
    let nodes = operands.map(|operand| operand.node());
    let tracked = match operation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, result),
        OpsKind::UnTracked(prepared) => prepared.finish(result),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(tracked)
}

/// A tensor of values that are contiguous.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values under a tape.
fn untracked<const N: usize>(operands: &[Tracked; N]) -> [FlexTensor; N] {
    operands.each_ref().map(|operand| contiguous(operand.primitive().clone()))
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    // Every tensor that comes here was checked to be in single precision and made contiguous.
    tensor.as_slice::<f32>().unwrap_or_default()
}

/// The values of a tensor to write over: its own memory where nothing else refers to it.
fn owned(tensor: FlexTensor) -> Vec<f32> {
    // In single precision, as above.
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn register(gradients: &mut Gradients, node: NodeId, values: Vec<f32>, shape: &[usize]) {
    gradients.register::<Flex>(node, tensor(values, shape));
}
