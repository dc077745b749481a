//! Weights of a checkpoint folder: one safetensors file, or several with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::error::NnError;
use crate::tensors::NamedTensor;

/// All tensors as f32, with the file that errors about them should name.
pub(crate) fn read(folder: &Path) -> Result<(PathBuf, BTreeMap<String, NamedTensor>), NnError> {
    let single = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if single.exists() || !index.exists() {
        let tensors = read_file(&single)?;
        return Ok((single, tensors));
    }
    let mut tensors = BTreeMap::new();
    for part in parts(&index)? {
        tensors.extend(read_file(&folder.join(part))?);
    }
    Ok((index, tensors))
}

fn parts(index: &Path) -> Result<BTreeSet<String>, NnError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read(index).map_err(|error| NnError::file(index, error))?;
    let found: Index = serde_json::from_slice(&text).map_err(|error| NnError::content(index, error))?;
    let parts: BTreeSet<String> = found.weight_map.into_values().collect();
    match parts.iter().find(|part| part.contains(['/', '\\'])) {
        Some(part) => Err(NnError::content(index, format!("the part {part:?} is not a file of this folder"))),
        None => Ok(parts),
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, NamedTensor>, NnError> {
    let bytes = std::fs::read(path).map_err(|error| NnError::file(path, error))?;
    parse(&bytes).map_err(|reason| NnError::content(path, reason))
}

/// The tensors of one safetensors file.
pub(crate) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, NamedTensor>, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a whole safetensors file: {error}\nhint: was the download cut off?"))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Dtype::BF16 => {
                data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()
            }
            // Masks and the like, which older files carry along; a weight of such a kind is missed later, by name.
            Dtype::BOOL | Dtype::U8 => continue,
            other => {
                return Err(format!(
                    "the tensor `{name}` is {other:?}\nhint: F32, F16 and BF16 are supported"
                ));
            }
        };
        tensors.insert(name.to_owned(), NamedTensor { shape: view.shape().to_vec(), values });
    }
    Ok(tensors)
}
