//! Attention over a memory of keys and values. It has no backward pass: it serves generation and scoring.

use burn::backend::Flex;
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::{Operands, contiguous, operands, tensor, values};
use crate::attention::Heads;
use crate::memory::{self, KeyValues};

/// Keys and values of the positions that each row of a batch has read, where the model is.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    place: Place,
}

#[derive(Clone, Debug, Default)]
enum Place {
    #[default]
    Empty,
    /// On the CPU.
    Host(KeyValues<f32>),
    /// Elsewhere: keys and values, `[batch, key heads, length, width]`.
    Device(Box<[Tensor<4>; 2]>),
}

impl Memory {
    /// The given rows, in that order; a row may be named more than once.
    pub fn select(&self, rows: &[usize]) -> Self {
        let place = match &self.place {
            Place::Empty => Place::Empty,
            Place::Host(read) => Place::Host(read.select(rows)),
            Place::Device(read) => {
                let [keys, values] = &**read;
                let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
                let index = Tensor::<1, Int>::from_data(TensorData::new(index, [rows.len()]), &keys.device());
                Place::Device(Box::new([keys, values].map(|read| read.clone().select(0, index.clone()))))
            }
        };
        Self { place }
    }
}

/// The keys and values in `qkv` `[batch, length, packed]` go to the memory, its queries are answered from it: → `[batch, length, queries ·
/// width]`. The first `padding[row]` positions of a row are hidden; a hidden query sees itself only.
pub fn extend(qkv: Tensor<3>, heads: Heads, padding: &[usize], memory: &mut Memory) -> Tensor<3> {
    let [batch, length, _] = qkv.dims();
    match (operands([&qkv]), std::mem::take(&mut memory.place)) {
        (Some(Operands::Plain([qkv])), place @ (Place::Empty | Place::Host(_))) => {
            let mut read = if let Place::Host(read) = place { read } else { KeyValues::default() };
            let mut out = vec![0.0; batch * length * heads.queries * heads.width];
            memory::extend(values(&contiguous(qkv)), length, heads, padding, &mut read, &mut out);
            memory.place = Place::Host(read);
            Tensor::from_primitive::<Flex>(tensor(out, &[batch, length, heads.queries * heads.width]))
        }
        (_, place) => composed(qkv, heads, padding, place, &mut memory.place),
    }
}

fn composed(qkv: Tensor<3>, heads: Heads, padding: &[usize], before: Place, after: &mut Place) -> Tensor<3> {
    let Heads { queries, shared, width } = heads;
    let [batch, length, _] = qkv.dims();
    let split = qkv.reshape([batch, length, queries + 2 * shared, width]).swap_dims(1, 2);
    let query = split.clone().narrow(1, 0, queries);
    let (mut key, mut value) =
        (split.clone().narrow(1, queries, shared), split.narrow(1, queries + shared, shared));
    if let Place::Device(read) = before {
        let [old_key, old_value] = *read;
        key = Tensor::cat(vec![old_key, key], 2);
        value = Tensor::cat(vec![old_value, value], 2);
    }
    *after = Place::Device(Box::new([key.clone(), value.clone()]));
    let keys = key.dims()[2];
    let hidden: Vec<bool> = padding
        .iter()
        .flat_map(|&start| {
            (keys - length..keys)
                .flat_map(move |now| (0..keys).map(move |key| key > now || (key < start && key != now)))
        })
        .collect();
    let hidden = TensorData::new(hidden, [batch, 1, length, keys]);
    let mask = Tensor::<4, Bool>::from_data(hidden, &query.device()).expand([batch, queries, length, keys]);
    let repeat = |x: Tensor<4>| {
        let x = x.unsqueeze_dim::<5>(2).expand([batch, shared, queries / shared, keys, width]);
        x.reshape([batch, queries, keys, width])
    };
    let options = AttentionModuleOptions::default();
    let mixed = module::attention(query, repeat(key), repeat(value), Some(mask), None, options);
    mixed.swap_dims(1, 2).reshape([batch, length, queries * width])
}
