//! Weights as files have them: named tensors, each in its own type of numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::specification::{AxisUse, View};
use crate::Error;

/// Tensors by name. Numbers keep the type they have in the file, so that a permuted file has the very numbers of the one it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
    metadata: Option<BTreeMap<String, String>>,
}

/// One tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    numbers: Numbers,
}

#[derive(Clone, Debug, PartialEq)]
enum Numbers {
    F64(Vec<f64>),
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    /// Counts, masks and the like, which are neither permuted nor averaged.
    Other(Dtype, Vec<u8>),
}

/// Does the same with the numbers of a tensor, of whatever type they are; bytes of other types have an arm of their own.
macro_rules! of_numbers {
    ($numbers:expr, $values:ident => $work:expr, $other:pat => $rest:expr) => {
        match $numbers {
            Numbers::F64($values) => $work,
            Numbers::F32($values) => $work,
            Numbers::F16($values) => $work,
            Numbers::Bf16($values) => $work,
            $other => $rest,
        }
    };
}

impl Checkpoint {
    /// The tensors of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Model`] if it is not one; [`Error::Tensor`] for a tensor that has numbers that are not finite.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |error: safetensors::SafeTensorError| Error::Model {
            problem: format!("this is no whole safetensors file: {error}"),
            way_out: "save the weights with safetensors.torch.save_file; a download may have been cut off",
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let metadata = header.metadata().as_ref();
        let metadata =
            metadata.map(|pairs| pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;
        let mut found = Self { tensors: BTreeMap::new(), metadata };
        for (name, view) in file.iter() {
            let data = view.data();
            let numbers = match view.dtype() {
                Dtype::F64 => {
                    Numbers::F64(data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
                }
                Dtype::F32 => {
                    Numbers::F32(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
                }
                Dtype::F16 => {
                    Numbers::F16(data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect())
                }
                Dtype::BF16 => Numbers::Bf16(
                    data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes)).collect(),
                ),
                other => Numbers::Other(other, data.to_vec()),
            };
            found.add(name, Tensor { shape: view.shape().to_vec(), numbers })?;
        }
        Ok(found)
    }

    /// The files that an index (`model.safetensors.index.json`) spreads the tensors over, beside it.
    ///
    /// # Errors
    /// [`Error::Model`] if the text is no index, or names files elsewhere.
    pub fn parts(index: &[u8]) -> Result<BTreeSet<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let found: Index = serde_json::from_slice(index).map_err(|error| Error::Model {
            problem: format!("this is no index of weights: {error}"),
            way_out: "give it a `weight_map` from tensors to files",
        })?;
        let parts: BTreeSet<String> = found.weight_map.into_values().collect();
        match parts.iter().find(|part| part.contains(['/', '\\'])) {
            Some(part) => Err(Error::Model {
                problem: format!("the part {part:?} is not a file of the same folder"),
                way_out: "put the parts beside their index",
            }),
            None => Ok(parts),
        }
    }

    /// Takes over the tensors of another part of the same network.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a tensor that both parts have.
    pub fn join(&mut self, part: Self) -> Result<(), Error> {
        if let Some(name) = part.tensors.keys().find(|name| self.tensors.contains_key(*name)) {
            return Err(Error::Tensor {
                name: name.clone(),
                problem: "it stands in two parts".into(),
                way_out: "save the weights again",
            });
        }
        self.tensors.extend(part.tensors);
        self.metadata = self.metadata.take().or(part.metadata);
        Ok(())
    }

    /// Adds a tensor in double precision, or puts it in the place of another.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the values do not fill the shape or are not finite.
    pub fn insert(&mut self, name: &str, shape: &[usize], values: Vec<f64>) -> Result<(), Error> {
        if shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length))
            != Some(values.len())
        {
            return Err(Error::Tensor {
                name: name.into(),
                problem: format!("{} values do not fill the shape {shape:?}", values.len()),
                way_out: "give one value per place",
            });
        }
        self.add(name, Tensor { shape: shape.to_vec(), numbers: Numbers::F64(values) })
    }

    #[expect(clippy::useless_conversion, reason = "one of the types is double precision already")]
    fn add(&mut self, name: &str, tensor: Tensor) -> Result<(), Error> {
        let bad = of_numbers!(&tensor.numbers,
            values => values.iter().map(|value| f64::from(*value)).enumerate().find(|(_, value)| !value.is_finite()),
            Numbers::Other(..) => None);
        if let Some((place, value)) = bad.filter(|_| !super::specification::is_mask(name)) {
            return Err(Error::Tensor {
                name: name.into(),
                problem: format!("number {place} is {value}, but must be finite"),
                way_out: "train again, or repair the file",
            });
        }
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// The bytes of a safetensors file with these tensors and the metadata they were read with.
    ///
    /// # Errors
    /// [`Error::Model`] if the format cannot hold them.
    pub fn write(&self) -> Result<Vec<u8>, Error> {
        let unwritable = |error: safetensors::SafeTensorError| Error::Model {
            problem: format!("the weights cannot be written as safetensors: {error}"),
            way_out: "rename the tensor",
        };
        let parts: Vec<(&str, &Tensor, Vec<u8>)> =
            self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor, tensor.bytes())).collect();
        let mut views = Vec::with_capacity(parts.len());
        for (name, tensor, bytes) in &parts {
            let view = TensorView::new(tensor.dtype(), tensor.shape.clone(), bytes).map_err(unwritable)?;
            views.push((*name, view));
        }
        let metadata = self.metadata.as_ref();
        let metadata: Option<HashMap<String, String>> =
            metadata.map(|pairs| pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
        safetensors::serialize(views, metadata).map_err(unwritable)
    }

    /// The tensors, in the order of their names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of a name.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, Error> {
        self.tensors.get(name).ok_or_else(|| Error::Tensor {
            name: name.into(),
            problem: "it is not in the file".into(),
            way_out: "compare the names with those in the file",
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Puts other values in the place of a tensor's, rounded to its type.
    pub(super) fn set(&mut self, name: &str, values: &[f64]) {
        if let Some(tensor) = self.tensors.get_mut(name) {
            tensor.set(values);
        }
    }

    /// Rearranges one tensor along one axis.
    pub(super) fn rearrange(&mut self, name: &str, axis: usize, used: &AxisUse, order: &[usize]) {
        if let Some(tensor) = self.tensors.get_mut(name) {
            let view = tensor.view(axis, used);
            let shape = std::mem::take(&mut tensor.shape);
            of_numbers!(&mut tensor.numbers, values => *values = rearranged(values, view, order), Numbers::Other(..) => {});
            tensor.shape = shape;
        }
    }

    /// The weighted sum with other checkpoints of the same tensors, in the types of this one. Tensors that are not of floating-point
    /// numbers are this one's.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a tensor that one of them lacks or has in another shape.
    pub fn combined(&self, own: f64, others: &[(f64, &Self)]) -> Result<Self, Error> {
        let mut found = self.clone();
        for (_, other) in others {
            self.check_like(other)?;
        }
        for (name, tensor) in &mut found.tensors {
            let Some(mut values) = tensor.values() else { continue };
            values.iter_mut().for_each(|value| *value *= own);
            for (weight, other) in others {
                let Some(theirs) = other.tensors.get(name).and_then(Tensor::values) else { continue };
                values.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += weight * value);
            }
            tensor.set(&values);
        }
        Ok(found)
    }

    /// Checks that another checkpoint has the same tensors in the same shapes.
    ///
    /// # Errors
    /// [`Error::Tensor`] for the first that differs.
    pub fn check_like(&self, other: &Self) -> Result<(), Error> {
        let differs = |name: &str, problem: String| {
            Err(Error::Tensor {
                name: name.into(),
                problem,
                way_out: "only networks of one architecture can be matched",
            })
        };
        for (name, tensor) in &self.tensors {
            match other.tensors.get(name) {
                None => return differs(name, "it is in the first file and not in the other".into()),
                Some(theirs) if theirs.shape != tensor.shape => {
                    let shapes = format!(
                        "its shape is {:?} in the first file and {:?} in the other",
                        tensor.shape, theirs.shape
                    );
                    return differs(name, shapes);
                }
                Some(theirs) if theirs.is_floating() != tensor.is_floating() => {
                    return differs(
                        name,
                        format!(
                            "its type is {:?} in the first file and {:?} in the other",
                            tensor.dtype(),
                            theirs.dtype()
                        ),
                    );
                }
                Some(_) => {}
            }
        }
        match other.tensors.keys().find(|name| !self.tensors.contains_key(*name)) {
            Some(name) => differs(name, "it is in the other file and not in the first".into()),
            None => Ok(()),
        }
    }
}

impl Tensor {
    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers in double precision; none if they are not of a floating-point type.
    #[expect(clippy::useless_conversion, reason = "one of the types is double precision already")]
    pub fn values(&self) -> Option<Vec<f64>> {
        of_numbers!(&self.numbers, values => Some(values.iter().map(|value| f64::from(*value)).collect()), Numbers::Other(..) => None)
    }

    /// Whether it has floating-point numbers.
    pub fn is_floating(&self) -> bool {
        !matches!(self.numbers, Numbers::Other(..))
    }

    /// The numbers as a matrix with a row for each unit of an axis, and the number of its columns.
    #[expect(clippy::useless_conversion, reason = "one of the types is double precision already")]
    pub(super) fn unfolded(&self, view: View) -> (Vec<f64>, usize) {
        let View { before, units, after } = view;
        let columns = before * after;
        let mut found = vec![0.0; units * columns];
        of_numbers!(&self.numbers, values => {
            for outer in 0..before {
                for unit in 0..units {
                    let from = &values[(outer * units + unit) * after..][..after];
                    let to = &mut found[unit * columns + outer * after..][..after];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
                }
            }
        }, Numbers::Other(..) => {});
        (found, columns)
    }

    /// How a permutation sees the tensor along an axis.
    pub(super) fn view(&self, axis: usize, used: &AxisUse) -> View {
        let around = |axes: &[usize]| axes.iter().product::<usize>();
        let units = self.shape[axis] / (used.before * used.after);
        View {
            before: around(&self.shape[..axis]) * used.before,
            units,
            after: used.after * around(&self.shape[axis + 1..]),
        }
    }

    fn dtype(&self) -> Dtype {
        match &self.numbers {
            Numbers::F64(_) => Dtype::F64,
            Numbers::F32(_) => Dtype::F32,
            Numbers::F16(_) => Dtype::F16,
            Numbers::Bf16(_) => Dtype::BF16,
            Numbers::Other(dtype, _) => *dtype,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        of_numbers!(&self.numbers, values => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Numbers::Other(_, bytes) => bytes.clone())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the type of the file is what is asked for"
    )]
    fn set(&mut self, values: &[f64]) {
        let from = values.iter().copied();
        match &mut self.numbers {
            Numbers::F64(own) => own.iter_mut().zip(from).for_each(|(own, value)| *own = value),
            Numbers::F32(own) => own.iter_mut().zip(from).for_each(|(own, value)| *own = value as f32),
            Numbers::F16(own) => {
                own.iter_mut().zip(from).for_each(|(own, value)| *own = f16::from_f64(value))
            }
            Numbers::Bf16(own) => {
                own.iter_mut().zip(from).for_each(|(own, value)| *own = bf16::from_f64(value))
            }
            Numbers::Other(..) => {}
        }
    }
}

fn rearranged<T: Copy>(values: &[T], view: View, order: &[usize]) -> Vec<T> {
    let View { before, units, after } = view;
    let mut found = Vec::with_capacity(values.len());
    for outer in 0..before {
        for &unit in order {
            found.extend_from_slice(&values[(outer * units + unit) * after..][..after]);
        }
    }
    found
}
