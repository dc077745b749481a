//! The state of a training run as one safetensors file: weights, moments of the optimiser, step and parameters.

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::Precision;
use crate::error::NnError;
use crate::optimizer::Optimizer;
use crate::tensors::{NamedTensor, named_parameters, with_parameters};
use crate::train::TrainingParameters;

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    version: u32,
    step: u64,
    optimizer_steps: u64,
    parameters: TrainingParameters,
}

/// The one entry of the metadata. A single key keeps the bytes of the file in one order.
const HEADER: &str = "backstitch training state";

pub(crate) fn write<M: Module>(
    model: &M,
    optimizer: &Optimizer,
    step: u64,
    parameters: &TrainingParameters,
) -> Result<Vec<u8>, NnError> {
    let mut tensors: BTreeMap<String, NamedTensor> =
        named_parameters(model).into_iter().map(|(name, tensor)| (format!("model.{name}"), tensor)).collect();
    for (kind, moments) in [("first", &optimizer.first), ("second", &optimizer.second)] {
        for (name, values) in moments {
            let tensor = NamedTensor { shape: vec![values.len()], values: values.clone() };
            tensors.insert(format!("{kind}.{name}"), tensor);
        }
    }
    let header = Header { version: 1, step, optimizer_steps: optimizer.steps, parameters: *parameters };
    let header = serde_json::to_string(&header).map_err(|error| state_error(&error))?;
    safetensors_bytes(&tensors, Precision::Single, Some(HashMap::from([(HEADER.to_owned(), header)])))
}

pub(crate) fn read<M: Module>(
    model: M,
    mut optimizer: Optimizer,
    parameters: &TrainingParameters,
    bytes: &[u8],
) -> Result<(M, Optimizer, u64), NnError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| state_error(&error))?;
    let header = metadata.metadata().as_ref().and_then(|entries| entries.get(HEADER));
    let header = header.ok_or_else(|| state_error(&"it is not a training state"))?;
    let header: Header = serde_json::from_str(header).map_err(|error| state_error(&error))?;
    if header.parameters != *parameters {
        return Err(state_error(&"it was saved with other training parameters"));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| state_error(&error))?;
    let mut weights = BTreeMap::new();
    optimizer.steps = header.optimizer_steps;
    for (name, view) in tensors.iter() {
        let values =
            f32_values(&view).ok_or_else(|| state_error(&format!("the tensor `{name}` is not f32")))?;
        match name.split_once('.') {
            Some(("model", name)) => {
                drop(weights.insert(name.to_owned(), NamedTensor { shape: view.shape().to_vec(), values }));
            }
            Some(("first", name)) => drop(optimizer.first.insert(name.to_owned(), values)),
            Some(("second", name)) => drop(optimizer.second.insert(name.to_owned(), values)),
            _ => return Err(state_error(&format!("there is no place for the tensor `{name}`"))),
        }
    }
    for moments in [&optimizer.first, &optimizer.second] {
        for (name, values) in moments {
            let size = weights.get(name).map(|weight| weight.values.len());
            if size != Some(values.len()) {
                return Err(state_error(&format!("the moments of `{name}` do not have its size")));
            }
        }
    }
    Ok((with_parameters(model, weights)?, optimizer, header.step))
}

/// The bytes of a safetensors file.
pub(crate) fn safetensors_bytes(
    tensors: &BTreeMap<String, NamedTensor>,
    precision: Precision,
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>, NnError> {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let values = tensor.values.iter();
            let bytes = match precision {
                Precision::Single => values.flat_map(|value| value.to_le_bytes()).collect(),
                Precision::Half => values.flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
            };
            (name.as_str(), tensor.shape.as_slice(), bytes)
        })
        .collect();
    let kind = match precision {
        Precision::Single => Dtype::F32,
        Precision::Half => Dtype::F16,
    };
    let mut views = Vec::with_capacity(bytes.len());
    for (name, shape, bytes) in &bytes {
        let view = TensorView::new(kind, shape.to_vec(), bytes).map_err(|error| state_error(&error))?;
        views.push((*name, view));
    }
    safetensors::serialize(views, metadata).map_err(|error| state_error(&error))
}

fn f32_values(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let values =
        |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (view.dtype() == Dtype::F32).then(|| values(view.data()))
}

fn state_error(reason: &dyn std::fmt::Display) -> NnError {
    NnError::State { reason: reason.to_string() }
}
