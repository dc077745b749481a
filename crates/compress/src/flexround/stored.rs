//! Quantised networks as files: safetensors, with whole numbers in as few bits as they need.
//!
//! For the weights `name`, outputs × inputs: `name.integers` are bytes, one row of them for every output, in which q of input i takes the bits
//! i·b to (i+1)·b − 1, lowest bit of the lowest byte first; `name.scales` and `name.zeros` have one number, or one for every output. The
//! weight is scale · (q − zero). Biases stand as they were.

use std::collections::{BTreeMap, HashMap};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::activations::ActivationGrid;
use super::grid::Grid;
use super::layer::{LayerReport, Quantised};
use super::network::{Description, Network};
use super::parameters::Parameters;
use super::sequential::{Calibration, QuantisedNetwork};
use crate::Error;

const SCHEMA: &str = "backstitch/flexround-model/1";
/// The entry of the metadata.
pub(super) const ENTRY: &str = "backstitch-flexround";
pub(super) const INTEGERS: &str = ".integers";
pub(super) const SCALES: &str = ".scales";
pub(super) const ZEROS: &str = ".zeros";

/// What a file says beside its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    description: Description,
    parameters: Parameters,
    calibration: Calibration,
    error: f64,
    layers: Vec<LayerHeader>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerHeader {
    /// The shape of the weights before they were quantised.
    shape: Vec<usize>,
    bits: u8,
    activation: Option<ActivationGrid>,
    report: LayerReport,
}

/// A tensor of floating-point numbers: its shape, and its numbers in single precision.
type Tensor = (Vec<usize>, Vec<f32>);

impl QuantisedNetwork {
    /// The bytes of a safetensors file with everything that inference needs.
    ///
    /// # Errors
    /// [`Error::Model`] if the format cannot hold it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut parts: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
        let floats =
            |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut layers = Vec::new();
        let of_network = self.network().affine().zip(self.layers());
        for ((affine, own), (activation, report)) in
            of_network.zip(self.activations().iter().zip(self.reports()))
        {
            let name = &affine.name;
            let bytes = pack(&own.integers, own.columns, own.grid.bits);
            let stride = bytes.len() / own.rows.max(1);
            parts.insert(format!("{name}{INTEGERS}"), (Dtype::U8, vec![own.rows, stride], bytes));
            let count = own.grid.scales.len();
            parts.insert(format!("{name}{SCALES}"), (Dtype::F32, vec![count], floats(&own.grid.scales)));
            parts.insert(format!("{name}{ZEROS}"), (Dtype::U8, vec![count], own.grid.zeros.clone()));
            if let Some(bias) = &affine.bias_name {
                parts.insert(bias.clone(), (Dtype::F32, vec![affine.bias.len()], floats(&affine.bias)));
            }
            layers.push(LayerHeader {
                shape: affine.shape.clone(),
                bits: own.grid.bits,
                activation: *activation,
                report: report.clone(),
            });
        }
        let header = Header {
            schema: SCHEMA.into(),
            description: self.network().description(),
            parameters: self.parameters().clone(),
            calibration: self.calibration().clone(),
            error: self.error(),
            layers,
        };
        let unwritable = |problem: String| Error::Model {
            problem: format!("the network cannot be written: {problem}"),
            way_out: "rename its tensors",
        };
        let text = serde_json::to_string(&header).map_err(|error| unwritable(error.to_string()))?;
        // One entry: with more, their order would change from run to run.
        let metadata = HashMap::from([(ENTRY.to_owned(), text)]);
        let mut views = Vec::with_capacity(parts.len());
        for (name, (dtype, shape, bytes)) in &parts {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .map_err(|error| unwritable(error.to_string()))?;
            views.push((name.as_str(), view));
        }
        safetensors::serialize(views, Some(metadata)).map_err(|error| unwritable(error.to_string()))
    }

    /// The network of such a file.
    ///
    /// # Errors
    /// [`Error::Model`] if it is none; [`Error::Tensor`] or [`Error::Layer`] if its parts do not fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const AGAIN: &str = "give a network that `backstitch run flexround quantize` has written";
        let broken = |problem: String| Error::Model { problem, way_out: AGAIN };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| unreadable(&error))?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        let Some(text) = metadata.get(ENTRY) else {
            return Err(broken("these are weights, but no quantised network".into()));
        };
        let header: Header = serde_json::from_str(text)
            .map_err(|error| broken(format!("its list of layers cannot be read: {error}")))?;
        if header.schema != SCHEMA {
            return Err(broken(format!("its schema is {:?}, but must be {SCHEMA:?}", header.schema)));
        }
        header.parameters.validate()?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(&error))?;
        let mut next = header.layers.iter();
        let mut layers = Vec::new();
        let network = Network::from_parts(&header.description, |name| {
            if file.tensor(&format!("{name}{INTEGERS}")).is_err() {
                return floating(&file, name);
            }
            let own = next.next().ok_or_else(|| broken(format!("it says nothing about {name:?}")))?;
            let quantised = own.read(&file, name)?;
            let values = quantised.weights().values().to_vec();
            layers.push(quantised);
            Ok((own.shape.clone(), values))
        })?;
        if layers.len() != network.affine().count() || next.next().is_some() {
            return Err(broken(format!(
                "it has whole numbers of {} layers of {}",
                layers.len(),
                network.affine().count()
            )));
        }
        let (activations, reports) =
            header.layers.into_iter().map(|own| (own.activation, own.report)).unzip();
        let Header { parameters, calibration, error, .. } = Header { layers: Vec::new(), ..header };
        Ok(Self::from_parts(network, layers, activations, reports, error, parameters, calibration))
    }
}

impl LayerHeader {
    fn read(&self, file: &SafeTensors<'_>, name: &str) -> Result<Quantised, Error> {
        let found = StoredMatrix { shape: &self.shape, bits: self.bits }.read(file, name)?;
        match self.activation {
            Some(ActivationGrid { bits, scale, .. })
                if !((2..=8).contains(&bits) && scale.is_finite() && scale > 0.0) =>
            {
                Err(Error::Tensor {
                    name: name.into(),
                    problem: "the grid of its inputs is none".into(),
                    way_out: AGAIN,
                })
            }
            _ => Ok(found),
        }
    }
}

/// The way out of damage.
const AGAIN: &str = "the file is damaged; quantise again";

/// Whole numbers of a tensor, as files have them.
pub(super) struct StoredMatrix<'a> {
    /// Outputs first.
    pub(super) shape: &'a [usize],
    pub(super) bits: u8,
}

impl StoredMatrix<'_> {
    pub(super) fn read(&self, file: &SafeTensors<'_>, name: &str) -> Result<Quantised, Error> {
        let broken = |name: String, problem: String| Error::Tensor { name, problem, way_out: AGAIN };
        let refuse = |name: String, problem: String| Err(broken(name, problem));
        let part = |suffix: &str, dtype: Dtype| {
            let name = format!("{name}{suffix}");
            match file.tensor(&name) {
                Ok(view) if view.dtype() == dtype => Ok(view),
                Ok(view) => Err(broken(name, format!("it is of type {:?}, not {dtype:?}", view.dtype()))),
                Err(_) => Err(broken(name, "it is not in the file".into())),
            }
        };
        let all = self.shape.iter().try_fold(1_usize, |all, own| all.checked_mul(*own)).unwrap_or(0);
        let rows = self.shape.first().copied().unwrap_or(0);
        if all == 0 || !(2..=8).contains(&self.bits) {
            return refuse(name.into(), format!("its shape is {:?}, its bits are {}", self.shape, self.bits));
        }
        let columns = all / rows;
        let integers = part(INTEGERS, Dtype::U8)?;
        let stride = (columns * usize::from(self.bits)).div_ceil(8);
        if integers.shape() != [rows, stride] {
            return refuse(
                format!("{name}{INTEGERS}"),
                format!("its shape is {:?}, but must be [{rows}, {stride}]", integers.shape()),
            );
        }
        let zeros = part(ZEROS, Dtype::U8)?.data().to_vec();
        let scales: Vec<f32> = part(SCALES, Dtype::F32)?
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        if zeros.len() != scales.len() || ![1, rows].contains(&scales.len()) {
            return refuse(
                format!("{name}{SCALES}"),
                format!("there are {} scales and {} zeros for {rows} outputs", scales.len(), zeros.len()),
            );
        }
        if scales.iter().any(|scale| !(scale.is_finite() && *scale > 0.0)) {
            return refuse(format!("{name}{SCALES}"), "a scale is not positive and finite".into());
        }
        let grid = Grid { bits: self.bits, scales, zeros };
        if let Some(zero) = grid.zeros.iter().find(|zero| **zero > grid.top()) {
            return refuse(format!("{name}{ZEROS}"), format!("{zero} is above {}", grid.top()));
        }
        let integers = unpack(integers.data(), rows, columns, self.bits);
        Ok(Quantised { rows, columns, grid, integers })
    }
}

/// Whole numbers as bits, every row on bytes of its own.
pub(super) fn pack(integers: &[u8], columns: usize, bits: u8) -> Vec<u8> {
    let bits = usize::from(bits);
    let stride = (columns * bits).div_ceil(8);
    let mut bytes = vec![0; integers.len() / columns.max(1) * stride];
    for (row, integers) in integers.chunks(columns.max(1)).enumerate() {
        let own = &mut bytes[row * stride..(row + 1) * stride];
        for (column, q) in integers.iter().enumerate() {
            let (byte, shift) = (column * bits / 8, column * bits % 8);
            let both = u16::from(*q) << shift;
            own[byte] |= (both & 0xff) as u8;
            if shift + bits > 8 {
                own[byte + 1] |= (both >> 8) as u8;
            }
        }
    }
    bytes
}

pub(super) fn unpack(bytes: &[u8], rows: usize, columns: usize, bits: u8) -> Vec<u8> {
    let count = usize::from(bits);
    let stride = (columns * count).div_ceil(8);
    let mut integers = Vec::with_capacity(rows * columns);
    for row in bytes.chunks(stride.max(1)) {
        for column in 0..columns {
            let (byte, shift) = (column * count / 8, column * count % 8);
            let both = u16::from(row[byte]) | u16::from(row.get(byte + 1).copied().unwrap_or(0)) << 8;
            integers.push((both >> shift) as u8 & super::grid::top(bits));
        }
    }
    integers
}

pub(super) fn unreadable(error: &safetensors::SafeTensorError) -> Error {
    Error::Model {
        problem: format!("this is no whole safetensors file: {error}"),
        way_out: "save the weights with safetensors.torch.save_file; a download may have been cut off",
    }
}

fn floating(file: &SafeTensors<'_>, name: &str) -> Result<Tensor, Error> {
    let refuse = |problem: String, way_out| Err(Error::Tensor { name: name.into(), problem, way_out });
    let Ok(view) = file.tensor(name) else {
        let mut names = file.names();
        names.sort_unstable();
        let more = if names.len() > 12 { ", …" } else { "" };
        names.truncate(12);
        return refuse(
            format!("it is not in the file, which has {}{more}", names.join(", ")),
            "compare the list of layers with the names in the safetensors file",
        );
    };
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        other => {
            return refuse(
                format!("it is of type {other:?}, as quantised weights are"),
                "give the weights in floating point, as they were trained",
            );
        }
    };
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return refuse(
            format!("number {} is {}", place + 1, values[place]),
            "train again, or repair the file: what is not finite cannot be quantised",
        );
    }
    Ok((view.shape().to_vec(), values))
}

/// A network in floating point from its list of layers and the bytes of a safetensors file.
///
/// # Errors
/// [`Error::Model`] if the file is none or was quantised by us already; [`Error::Tensor`] and [`Error::Layer`] for what does not fit.
pub fn read_tensors(description: &Description, bytes: &[u8]) -> Result<Network, Error> {
    if is_quantised(bytes) {
        return Err(Error::Model {
            problem: "this network is quantised already".into(),
            way_out: "give the one in floating point that it was made from",
        });
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(&error))?;
    Network::from_parts(description, |name| floating(&file, name))
}

/// Whether a file is one that [`QuantisedNetwork::to_bytes`] gave.
pub fn is_quantised(bytes: &[u8]) -> bool {
    let Ok((_, metadata)) = SafeTensors::read_metadata(bytes) else { return false };
    metadata.metadata().as_ref().is_some_and(|pairs| pairs.contains_key(ENTRY))
}

/// The bytes of a safetensors file with the weights and biases of a network in single precision.
///
/// # Errors
/// [`Error::Model`] if the format cannot hold them.
pub fn tensors_of(network: &Network) -> Result<Vec<u8>, Error> {
    let unwritable = |error: safetensors::SafeTensorError| Error::Model {
        problem: format!("the network cannot be written: {error}"),
        way_out: "rename its tensors",
    };
    let mut parts: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for affine in network.affine() {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        parts.insert(&affine.name, (affine.shape.clone(), bytes(affine.weights.values())));
        if let Some(name) = &affine.bias_name {
            parts.insert(name, (vec![affine.bias.len()], bytes(&affine.bias)));
        }
    }
    let mut views = Vec::with_capacity(parts.len());
    for (name, (shape, bytes)) in &parts {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(unwritable)?));
    }
    safetensors::serialize(views, None).map_err(unwritable)
}
