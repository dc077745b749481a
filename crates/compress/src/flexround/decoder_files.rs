//! Quantised decoders as folders: the layout of Hugging Face, with whole numbers in the place of the weights of blocks.
//!
//! For every matrix `name` of the family: `name.integers`, `name.scales` and `name.zeros` as [`super::stored`] has them, always outputs × inputs,
//! whichever way the family keeps it. All other tensors are as they were, in single precision.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use backstitch_nn::{Checkpoint, NamedTensor, Tokenizer, cpu};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::decoder::{QuantisedDecoder, inner};
use super::layer::{LayerReport, Quantised};
use super::parameters::{Granularity, Parameters};
use super::sequential::Calibration;
use super::stored::{ENTRY, INTEGERS, SCALES, StoredMatrix, ZEROS, pack, unreadable};
use crate::Error;

const SCHEMA: &str = "backstitch/flexround-decoder/1";
const AGAIN: &str = "give a folder that `backstitch run flexround quantize` has written";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    parameters: Parameters,
    calibration: Calibration,
    matrices: Vec<Matrix>,
    layers: Vec<LayerReport>,
}

/// One matrix of the family.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    name: String,
    /// Which of our parameters it is, or a part of.
    parameter: String,
    outputs: usize,
    inputs: usize,
    bits: u8,
    /// Whether the family keeps it outputs × inputs.
    outputs_first: bool,
}

impl QuantisedDecoder {
    /// The files of the folder by name.
    ///
    /// # Errors
    /// [`Error::Model`] if the format cannot hold the model.
    pub fn files(&self) -> Result<BTreeMap<&'static str, Vec<u8>>, Error> {
        let broken = |error: backstitch_nn::NnError| inner(&error);
        let mut floats = self.checkpoint.tensors().map_err(broken)?;
        let places = self.checkpoint.places().map_err(broken)?;
        let mut parts: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
        let mut matrices = Vec::new();
        for (parameter, quantised) in &self.layers {
            let mut start = 0;
            for place in places.get(parameter).into_iter().flatten() {
                floats.remove(&place.name);
                let own = quantised.outputs(start..start + place.outputs);
                start += place.outputs;
                let bytes = pack(&own.integers, own.columns, own.grid.bits);
                let stride = bytes.len() / own.rows.max(1);
                let count = own.grid.scales.len();
                let scales = own.grid.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
                let name = &place.name;
                parts.insert(format!("{name}{INTEGERS}"), (Dtype::U8, vec![own.rows, stride], bytes));
                parts.insert(format!("{name}{SCALES}"), (Dtype::F32, vec![count], scales));
                parts.insert(format!("{name}{ZEROS}"), (Dtype::U8, vec![count], own.grid.zeros.clone()));
                matrices.push(Matrix {
                    name: name.clone(),
                    parameter: parameter.clone(),
                    outputs: own.rows,
                    inputs: own.columns,
                    bits: own.grid.bits,
                    outputs_first: place.transposed,
                });
            }
        }
        for (name, tensor) in floats {
            let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            parts.insert(name, (Dtype::F32, tensor.shape, bytes));
        }
        let header = Header {
            schema: SCHEMA.into(),
            parameters: self.parameters.clone(),
            calibration: self.calibration.clone(),
            matrices,
            layers: self.reports.clone(),
        };
        let unwritable = |problem: String| Error::Model {
            problem: format!("the model cannot be written: {problem}"),
            way_out: "report it with the config.json of the model",
        };
        let text = serde_json::to_string(&header).map_err(|error| unwritable(error.to_string()))?;
        let metadata = HashMap::from([(ENTRY.to_owned(), text)]);
        let mut views = Vec::with_capacity(parts.len());
        for (name, (dtype, shape, bytes)) in &parts {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .map_err(|error| unwritable(error.to_string()))?;
            views.push((name.as_str(), view));
        }
        let weights =
            safetensors::serialize(views, Some(metadata)).map_err(|error| unwritable(error.to_string()))?;
        let config = self.checkpoint.config_json().map_err(broken)?;
        let mut files = BTreeMap::from([("config.json", config), ("model.safetensors", weights)]);
        if let Some(tokenizer) = &self.checkpoint.tokenizer {
            files.insert("tokenizer.json", tokenizer.to_json().map_err(broken)?.into_bytes());
        }
        Ok(files)
    }

    /// The model of such a folder.
    ///
    /// # Errors
    /// [`Error::Model`] if it is none; [`Error::Tensor`] if its parts do not fit together.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let broken = |problem: String| Error::Model { problem, way_out: AGAIN };
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path)
                .map_err(|error| broken(format!("{} cannot be read: {error}", path.display())))
        };
        let (config, weights) = (file("config.json")?, file("model.safetensors")?);
        let path = folder.join("tokenizer.json");
        let tokenizer = match path.exists() {
            true => Some(Tokenizer::read(&path).map_err(|error| broken(error.to_string()))?),
            false => None,
        };
        Self::parse(&config, &weights, tokenizer)
    }

    /// The model of such files.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(config: &[u8], weights: &[u8], tokenizer: Option<Tokenizer>) -> Result<Self, Error> {
        let broken = |problem: String| Error::Model { problem, way_out: AGAIN };
        let (_, metadata) = SafeTensors::read_metadata(weights).map_err(|error| unreadable(&error))?;
        let text = metadata.metadata().as_ref().and_then(|pairs| pairs.get(ENTRY));
        let Some(text) = text else { return Err(broken("these weights are not quantised".into())) };
        let header: Header = serde_json::from_str(text)
            .map_err(|error| broken(format!("its list of layers cannot be read: {error}")))?;
        if header.schema != SCHEMA {
            return Err(broken(format!("its schema is {:?}, but must be {SCHEMA:?}", header.schema)));
        }
        header.parameters.validate()?;
        let file = SafeTensors::deserialize(weights).map_err(|error| unreadable(&error))?;
        let mut tensors = floats(&file);
        let mut layers: BTreeMap<String, Quantised> = BTreeMap::new();
        let shared = header.parameters.granularity == Granularity::Tensor;
        for matrix in &header.matrices {
            let Matrix { name, outputs, inputs, bits, .. } = matrix;
            let own = StoredMatrix { shape: &[*outputs, *inputs], bits: *bits }.read(&file, name)?;
            if own.grid.scales.len() != if shared { 1 } else { *outputs } {
                return Err(Error::Tensor {
                    name: format!("{name}{SCALES}"),
                    problem: format!("there are {} for {outputs} outputs", own.grid.scales.len()),
                    way_out: AGAIN,
                });
            }
            tensors.insert(name.clone(), own.as_kept(matrix.outputs_first));
            match layers.get_mut(&matrix.parameter) {
                None => drop(layers.insert(matrix.parameter.clone(), own)),
                Some(whole) => whole.append(name, own, shared)?,
            }
        }
        let model = Checkpoint::assemble(config, tensors, &cpu()).map_err(broken)?;
        let Header { parameters, calibration, layers: reports, .. } = header;
        let checkpoint = Checkpoint { model, tokenizer };
        let places = checkpoint.places().map_err(|error| inner(&error))?;
        let whole = |parameter: &str, own: &Quantised| {
            let outputs = places.get(parameter).map(|places| places.iter().map(|place| place.outputs).sum());
            outputs == Some(own.rows)
        };
        if let Some((parameter, own)) = layers.iter().find(|(parameter, own)| !whole(parameter, own)) {
            return Err(Error::Tensor {
                name: parameter.clone(),
                problem: format!("there are whole numbers for {} outputs", own.rows),
                way_out: AGAIN,
            });
        }
        Ok(Self { checkpoint, layers, reports, parameters, calibration })
    }
}

impl Quantised {
    /// Some of the outputs.
    fn outputs(&self, which: std::ops::Range<usize>) -> Self {
        let mut grid = self.grid.clone();
        if grid.scales.len() > 1 {
            grid.scales = grid.scales[which.clone()].to_vec();
            grid.zeros = grid.zeros[which.clone()].to_vec();
        }
        let integers = self.integers[which.start * self.columns..which.end * self.columns].to_vec();
        Self { rows: which.len(), columns: self.columns, grid, integers }
    }

    /// More outputs of the same inputs.
    fn append(&mut self, name: &str, more: Self, shared: bool) -> Result<(), Error> {
        if more.columns != self.columns || more.grid.bits != self.grid.bits {
            return Err(Error::Tensor {
                name: name.into(),
                problem: "it has other inputs or bits than the part before it".into(),
                way_out: AGAIN,
            });
        }
        if !shared {
            self.grid.scales.extend(&more.grid.scales);
            self.grid.zeros.extend(&more.grid.zeros);
        }
        self.rows += more.rows;
        self.integers.extend(more.integers);
        Ok(())
    }

    /// The weights that whole numbers stand for, as a family keeps them.
    fn as_kept(&self, outputs_first: bool) -> NamedTensor {
        if !outputs_first {
            return super::decoder::weights_of(self);
        }
        NamedTensor { shape: vec![self.rows, self.columns], values: self.weights().values().to_vec() }
    }
}

/// All tensors in single precision that are no part of a quantised one.
fn floats(file: &SafeTensors<'_>) -> BTreeMap<String, NamedTensor> {
    let plain = |name: &str| ![INTEGERS, SCALES, ZEROS].iter().any(|end| name.ends_with(end));
    file.iter()
        .filter(|(name, view)| view.dtype() == Dtype::F32 && plain(name))
        .map(|(name, view)| {
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), NamedTensor { shape: view.shape().to_vec(), values })
        })
        .collect()
}
