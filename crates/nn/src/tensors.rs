//! The parameters of a model by name.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::error::NnError;

/// A parameter on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// All float parameters of a model by their path, such as `backbone.blocks.0.feed.up.weight`.
pub fn named_parameters<M: Module>(model: &M) -> BTreeMap<String, NamedTensor> {
    struct Collect {
        path: Path,
        found: BTreeMap<String, NamedTensor>,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            let named = NamedTensor { shape: value.dims().to_vec(), values: host_values(value) };
            self.found.insert(self.path.name(), named);
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.0.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.0.pop();
        }
    }
    let mut collect = Collect { path: Path::default(), found: BTreeMap::new() };
    model.visit(&mut collect);
    collect.found
}

/// The model with its parameters replaced. Every parameter must be there, with its shape, and nothing else.
///
/// # Errors
/// Names what is missing, left over, or of another shape.
pub fn with_parameters<M: Module>(model: M, values: BTreeMap<String, NamedTensor>) -> Result<M, NnError> {
    replaced(model, values, true)
}

/// The model with some of its parameters replaced.
///
/// # Errors
/// Names what the model does not have, or has in another shape.
pub fn with_some_parameters<M: Module>(
    model: M,
    values: BTreeMap<String, NamedTensor>,
) -> Result<M, NnError> {
    replaced(model, values, false)
}

fn replaced<M: Module>(model: M, mut values: BTreeMap<String, NamedTensor>, all: bool) -> Result<M, NnError> {
    struct Replace<'a> {
        path: Path,
        values: &'a mut BTreeMap<String, NamedTensor>,
        all: bool,
        error: Option<NnError>,
    }
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.name();
            let wanted = param.lazy_shape().to_vec();
            let found = match self.values.remove(&name) {
                Some(found) if found.shape == wanted => found,
                Some(found) => {
                    let found = found.shape;
                    self.error.get_or_insert(NnError::Shape {
                        what: format!("the tensor `{name}`"),
                        found,
                        wanted,
                    });
                    return param;
                }
                None => {
                    if self.all {
                        self.error.get_or_insert(NnError::State {
                            reason: format!("the tensor `{name}` is missing"),
                        });
                    }
                    return param;
                }
            };
            replace_value(param, found.values)
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.0.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.0.pop();
        }
    }
    let mut replace = Replace { path: Path::default(), values: &mut values, all, error: None };
    let model = model.map(&mut replace);
    match (replace.error, values.keys().next()) {
        (Some(error), _) => Err(error),
        (None, Some(name)) => Err(NnError::State { reason: format!("the model has no tensor `{name}`") }),
        (None, None) => Ok(model),
    }
}

/// A parameter with other values: same identity, device, trainability and shape.
pub(crate) fn replace_value<const D: usize>(param: Param<Tensor<D>>, values: Vec<f32>) -> Param<Tensor<D>> {
    let (id, old, mapper) = param.consume();
    let trainable = old.is_require_grad();
    let (device, shape) = (old.device(), old.dims());
    let mut new = Tensor::<D>::from_data(TensorData::new(values, shape), &device.clone().without_autodiff());
    if device.is_autodiff() {
        new = new.autodiff().set_require_grad(trainable);
    }
    Param::from_mapped_value(id, new, mapper)
}

/// The values of a tensor on the host, row-major.
pub(crate) fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec().unwrap_or_default()
}

/// Where a visitor or a mapper stands in a model.
#[derive(Default)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }
}
