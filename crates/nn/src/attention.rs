//! Multi-head attention with grouped queries, rotary positions and a key–value cache.

use backstitch_kernels::attention::Heads;
use backstitch_kernels::operations::{self, Angles};
use burn::module::Module;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Int, Tensor};

use crate::layers::{Initializer, Linear};

/// Which positions a position may look at.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per forward pass")]
pub enum Visibility {
    /// Itself and everything before it.
    Causal,
    /// Everything.
    Full,
    /// Everything but the masked keys: `[batch, 1, 1 or queries, keys]`, true where a key is hidden.
    Hidden(Tensor<4, Bool>),
}

/// Keys and values of the positions already seen, one pair per layer: `[batch, key-value heads, length, head width]`.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub(crate) layers: Vec<Option<(Tensor<4>, Tensor<4>)>>,
    pub(crate) length: usize,
}

impl Cache {
    /// An empty cache for a model of so many layers.
    pub(crate) fn new(layers: usize) -> Self {
        Self { layers: vec![None; layers], length: 0 }
    }

    /// How many positions it holds.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Keeps the given rows of the batch, in that order; a row may be named more than once.
    pub(crate) fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let pick = |tensor: &Tensor<4>| tensor.clone().select(0, rows.clone());
        Self {
            layers: self.layers.iter().map(|layer| layer.as_ref().map(|(k, v)| (pick(k), pick(v)))).collect(),
            length: self.length,
        }
    }
}

/// The angles `position · frequency` of each row's positions, shared by all layers of one forward pass.
pub(crate) fn angles(positions: &[Vec<usize>], frequencies: &[f64]) -> Angles {
    let table = |f: fn(f64) -> f64| {
        let angles =
            positions.iter().flatten().flat_map(|&at| frequencies.iter().map(move |by| at as f64 * by));
        angles.map(|angle| f(angle) as f32).collect()
    };
    Angles { cosines: table(f64::cos), sines: table(f64::sin), rows: positions.len() }
}

/// Attention of one block: `softmax(q kᵀ/√width + mask) v`, several heads side by side.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values in one product: `[width, (heads + 2 key-value heads) · head width]`.
    pub qkv: Linear,
    /// `[heads · head width, width]`.
    pub output: Linear,
    #[module(skip)]
    pub(crate) heads: usize,
    #[module(skip)]
    pub(crate) key_value_heads: usize,
    #[module(skip)]
    pub(crate) head_width: usize,
}

/// The sizes of one attention layer.
#[derive(Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) key_value_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) qkv_bias: bool,
    pub(crate) output_bias: bool,
}

impl Attention {
    pub(crate) fn new(
        initial: &Initializer<'_>,
        name: &str,
        shape: AttentionShape,
        deviation: f64,
        output_deviation: f64,
    ) -> Self {
        let AttentionShape { width, heads, key_value_heads, head_width, .. } = shape;
        let packed = (heads + 2 * key_value_heads) * head_width;
        Self {
            qkv: Linear::normal(initial, &format!("{name}.qkv"), [width, packed], shape.qkv_bias, deviation),
            output: Linear::normal(
                initial,
                &format!("{name}.output"),
                [heads * head_width, width],
                shape.output_bias,
                output_deviation,
            ),
            heads,
            key_value_heads,
            head_width,
        }
    }

    /// `[batch, length, width]` → the same. With a cache, the new keys and values are appended to it.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        visible: &Visibility,
        rotation: Option<&Angles>,
        cache: Option<&mut Option<(Tensor<4>, Tensor<4>)>>,
    ) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let (heads, shared, width) = (self.heads, self.key_value_heads, self.head_width);
        let packed = self.qkv.forward(x);
        let layout = Heads { queries: heads, shared, width };
        let packed = match rotation {
            Some(angles) => operations::rotate(packed, layout, angles),
            None => packed,
        };
        if cache.is_none() && !matches!(visible, Visibility::Hidden(_)) {
            let causal = matches!(visible, Visibility::Causal);
            return self.output.forward(operations::attention(packed, layout, causal));
        }
        let packed = packed.reshape([batch, length, heads + 2 * shared, width]).swap_dims(1, 2);
        let query = packed.clone().narrow(1, 0, heads);
        let mut key = packed.clone().narrow(1, heads, shared);
        let mut value = packed.narrow(1, heads + shared, shared);
        if let Some(cache) = cache {
            if let Some((old_key, old_value)) = cache.take() {
                key = Tensor::cat(vec![old_key, key], 2);
                value = Tensor::cat(vec![old_value, value], 2);
            }
            *cache = Some((key.clone(), value.clone()));
        }
        let repeated = heads / shared;
        let (key, value) = (repeat_heads(key, repeated), repeat_heads(value, repeated));
        let causal = matches!(visible, Visibility::Causal);
        let mask = match visible {
            Visibility::Hidden(mask) => Some(mask.clone().expand([batch, heads, length, key.dims()[2]])),
            Visibility::Causal | Visibility::Full => None,
        };
        let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
        let mixed = attention(query, key, value, mask, None, options);
        self.output.forward(mixed.swap_dims(1, 2).reshape([batch, length, heads * width]))
    }
}

/// Each key-value head serves `times` query heads that follow one another.
fn repeat_heads(x: Tensor<4>, times: usize) -> Tensor<4> {
    if times == 1 {
        return x;
    }
    let [batch, heads, length, width] = x.dims();
    x.unsqueeze_dim::<5>(2).expand([batch, heads, times, length, width]).reshape([
        batch,
        heads * times,
        length,
        width,
    ])
}
