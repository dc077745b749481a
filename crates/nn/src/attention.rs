//! Multi-head attention with grouped queries, rotary positions and a key–value cache.

use backstitch_kernels::attention::Heads;
use backstitch_kernels::operations::{self, Angles, Memory};
use burn::module::Module;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor};

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

/// Keys and values of the positions already read, layer by layer.
#[derive(Clone, Debug)]
pub struct Cache {
    pub(crate) layers: Vec<Memory>,
    pub(crate) length: usize,
}

impl Cache {
    /// An empty cache for a model of so many layers.
    pub(crate) fn new(layers: usize) -> Self {
        Self { layers: vec![Memory::default(); layers], length: 0 }
    }

    /// How many positions it holds.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Keeps the given rows of the batch, in that order; a row may be named more than once.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self { layers: self.layers.iter().map(|layer| layer.select(rows)).collect(), length: self.length }
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

    /// `[batch, length, width]` → the same.
    pub(crate) fn forward(&self, x: Tensor<3>, visible: &Visibility, rotation: Option<&Angles>) -> Tensor<3> {
        self.output.forward(self.mixed(x, visible, rotation))
    }

    /// The input of the output layer: `[batch, length, width]` → `[batch, length, heads · head width]`.
    pub(crate) fn mixed(&self, x: Tensor<3>, visible: &Visibility, rotation: Option<&Angles>) -> Tensor<3> {
        let packed = self.packed(x, rotation);
        match visible {
            Visibility::Causal => operations::attention(packed, self.layout(), true),
            Visibility::Full => operations::attention(packed, self.layout(), false),
            Visibility::Hidden(mask) => masked(packed, self.layout(), mask),
        }
    }

    /// The same for positions that follow those of `memory`, which then holds them too.
    pub(crate) fn extend(
        &self,
        x: Tensor<3>,
        padding: &[usize],
        rotation: Option<&Angles>,
        memory: &mut Memory,
    ) -> Tensor<3> {
        let packed = self.packed(x, rotation);
        self.output.forward(operations::extend(packed, self.layout(), padding, memory))
    }

    fn layout(&self) -> Heads {
        Heads { queries: self.heads, shared: self.key_value_heads, width: self.head_width }
    }

    /// Queries, keys and values, at their positions.
    fn packed(&self, x: Tensor<3>, rotation: Option<&Angles>) -> Tensor<3> {
        let packed = self.qkv.forward(x);
        match rotation {
            Some(angles) => operations::rotate(packed, self.layout(), angles),
            None => packed,
        }
    }
}

/// Attention with a mask, by burn's own operation.
fn masked(packed: Tensor<3>, heads: Heads, mask: &Tensor<4, Bool>) -> Tensor<3> {
    let Heads { queries, shared, width } = heads;
    let [batch, length, _] = packed.dims();
    let split = packed.reshape([batch, length, queries + 2 * shared, width]).swap_dims(1, 2);
    let part = |start, count| split.clone().narrow(1, start, count);
    let repeated = queries / shared;
    let key = repeat_heads(part(queries, shared), repeated);
    let value = repeat_heads(part(queries + shared, shared), repeated);
    let mask = mask.clone().expand([batch, queries, length, length]);
    let options = AttentionModuleOptions::default();
    let mixed = attention(part(0, queries), key, value, Some(mask), None, options);
    mixed.swap_dims(1, 2).reshape([batch, length, queries * width])
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
