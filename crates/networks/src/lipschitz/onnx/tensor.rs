//! Tensors of an ONNX file, as double precision.

use half::{bf16, f16};

use super::super::graph::{Refusal, refuse, size};
use super::super::numbers::parsed;
use super::schema;

/// Most numbers of a tensor.
const MOST_NUMBERS: usize = 1 << 28;

/// Numbers in a shape, row-major.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Tensor {
    pub(super) fn read(tensor: &schema::Tensor) -> Result<Self, Refusal> {
        if tensor.data_location != 0 {
            return refuse(
                "its numbers are in another file",
                "save the model as one file: onnx.save_model(..., save_as_external_data=False)",
            );
        }
        let shape: Option<Vec<usize>> =
            tensor.dims.iter().map(|&length| usize::try_from(length).ok()).collect();
        let count = shape.as_deref().and_then(size).filter(|count| *count <= MOST_NUMBERS);
        let (Some(shape), Some(count)) = (shape, count) else {
            return refuse(format!("the shape {:?} is not one", tensor.dims), "export the model again");
        };
        let raw = &tensor.raw_data;
        let values: Vec<f64> = match tensor.data_type {
            1 if raw.is_empty() => tensor.float_data.iter().map(|&value| f64::from(value)).collect(),
            11 if raw.is_empty() => tensor.double_data.clone(),
            6 if raw.is_empty() => tensor.int32_data.iter().map(|&value| f64::from(value)).collect(),
            7 if raw.is_empty() => tensor.int64_data.iter().map(|&value| value as f64).collect(),
            // Half precision stands in the lower bits of other numbers.
            10 if raw.is_empty() => {
                tensor.int32_data.iter().map(|&bits| f16::from_bits(bits as u16).to_f64()).collect()
            }
            1 => parsed(raw, |bytes| f64::from(f32::from_le_bytes(bytes))),
            6 => parsed(raw, |bytes| f64::from(i32::from_le_bytes(bytes))),
            7 => parsed(raw, |bytes| i64::from_le_bytes(bytes) as f64),
            10 => parsed(raw, |bytes| f16::from_le_bytes(bytes).to_f64()),
            11 => parsed(raw, f64::from_le_bytes),
            16 => parsed(raw, |bytes| bf16::from_le_bytes(bytes).to_f64()),
            other => {
                return refuse(
                    format!("its numbers are of type {other}, not float, double, half or integer"),
                    "export the network in single precision, not quantised",
                );
            }
        };
        let whole = raw.is_empty() || raw.len().checked_rem(count) == Some(0);
        if values.len() != count || !whole {
            return refuse(
                format!("{} numbers do not fill the shape {shape:?}", values.len()),
                "the file is damaged; export the model again",
            );
        }
        Ok(Self { shape, values })
    }

    /// One number per number of a value of this shape, repeated along axes of length 1 as numpy does. The value's shape is without
    /// its batch of 1.
    pub(super) fn broadcast(&self, shape: &[usize]) -> Option<Vec<f64>> {
        let mut full = vec![1];
        full.extend(shape);
        let missing = full.len().checked_sub(self.shape.len())?;
        let fits = self.shape.iter().zip(&full[missing..]).all(|(own, length)| own == length || *own == 1);
        if !fits {
            return None;
        }
        let count = size(shape)?;
        let mut found = Vec::with_capacity(count);
        for number in 0..count {
            let (mut rest, mut place, mut stride) = (number, 0, 1);
            for (axis, length) in full.iter().enumerate().rev() {
                let at = rest % length;
                rest /= length;
                if axis >= missing {
                    let own = self.shape[axis - missing];
                    place += if own == 1 { 0 } else { at * stride };
                    stride *= own;
                }
            }
            found.push(self.values[place]);
        }
        Some(found)
    }
}
