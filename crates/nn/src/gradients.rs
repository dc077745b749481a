//! Gradients of a model's parameters on the host, by name.

use std::collections::BTreeMap;

use backstitch_kernels::step::squared_norm;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::error::NnError;
use crate::tensors::{Path, host_values};

/// The gradient of `loss` for every trainable parameter. Consumes the tape of the loss.
///
/// # Errors
/// Names the trainable parameters that the loss does not depend on.
pub(crate) fn gradients<M: Module>(
    model: &M,
    loss: &Tensor<1>,
) -> Result<BTreeMap<String, Vec<f32>>, NnError> {
    struct Collect {
        path: Path,
        gradients: burn::tensor::Gradients,
        found: BTreeMap<String, Vec<f32>>,
        missing: Vec<String>,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            if !value.is_require_grad() {
                return;
            }
            match value.grad_remove(&mut self.gradients) {
                Some(gradient) => drop(self.found.insert(self.path.name(), host_values(gradient))),
                None => self.missing.push(self.path.name()),
            }
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.0.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.0.pop();
        }
    }
    let gradients = loss.backward();
    let mut collect =
        Collect { path: Path::default(), gradients, found: BTreeMap::new(), missing: Vec::new() };
    model.visit(&mut collect);
    if collect.missing.is_empty() {
        Ok(collect.found)
    } else {
        Err(NnError::NoGradient { names: collect.missing })
    }
}

/// The Euclidean norm over all gradients, in double precision, in the order of the names.
pub(crate) fn norm(gradients: &BTreeMap<String, Vec<f32>>) -> f64 {
    gradients.values().map(|gradient| squared_norm(gradient)).sum::<f64>().sqrt()
}
