//! One decoder for all language methods: the GPT-2 shape, the Llama and Qwen2 shape, and what lies between.

mod config;

use backstitch_kernels::elementwise::Function;
use backstitch_kernels::operations::{self, Angles};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::attention::{Attention, AttentionShape, Cache, Visibility, angles};
use crate::batch::TokenBatch;
use crate::error::NnError;
use crate::layers::{Embedding, Initializer, Linear, Normalization};

pub use config::{DecoderConfig, Feed, Norm, Positions, RotaryScaling};

/// Activation of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Activation {
    /// `x Φ(x)`.
    Gelu,
    /// GELU by the hyperbolic tangent, as GPT-2 has it.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + e^−x)`.
    Silu,
}

impl Activation {
    /// Applies it to every element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.fused() {
            Some(function) => operations::activation(function, x),
            None => activation::gelu(x),
        }
    }

    /// `a(gate) · up`.
    fn gated(self, gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
        match self.fused() {
            Some(function) => operations::gated(function, gate, up),
            None => activation::gelu(gate) * up,
        }
    }

    fn fused(self) -> Option<Function> {
        match self {
            Self::Gelu => None,
            Self::GeluTanh => Some(Function::GeluTanh),
            Self::Relu => Some(Function::Relu),
            Self::Silu => Some(Function::Silu),
        }
    }
}

/// The feed-forward layers of a block.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    /// `[width, hidden]`.
    pub(crate) up: Linear,
    /// `[width, hidden]`, of the gated shape only.
    pub(crate) gate: Option<Linear>,
    /// `[hidden, width]`.
    pub(crate) down: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down.forward(self.hidden(x))
    }

    /// The input of the layer `down`.
    fn hidden(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.gate {
            None => self.activation.forward(self.up.forward(x)),
            Some(gate) => self.activation.gated(gate.forward(x.clone()), self.up.forward(x)),
        }
    }
}

/// Attention and feed-forward layers, each after a norm and added to the residual stream.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) attention_norm: Normalization,
    pub(crate) attention: Attention,
    pub(crate) feed_norm: Normalization,
    pub(crate) feed: FeedForward,
}

impl Block {
    fn new(initial: &Initializer<'_>, name: &str, config: &DecoderConfig) -> Self {
        let deviation = 0.02;
        // Every block adds twice to the residual stream.
        let added = deviation / (2.0 * config.layers.max(1) as f64).sqrt();
        let norm = || Normalization::new(initial, config.width, config.norm == Norm::Layer, config.epsilon);
        let linear = |part: &str, shape, deviation| {
            Linear::normal(initial, &format!("{name}.feed.{part}"), shape, config.bias, deviation)
        };
        let shape = AttentionShape {
            width: config.width,
            heads: config.heads,
            key_value_heads: config.key_value_heads,
            head_width: config.head_width,
            qkv_bias: config.qkv_bias,
            output_bias: config.bias,
        };
        Self {
            attention_norm: norm(),
            attention: Attention::new(initial, &format!("{name}.attention"), shape, deviation, added),
            feed_norm: norm(),
            feed: FeedForward {
                up: linear("up", [config.width, config.hidden], deviation),
                gate: (config.feed == Feed::Gated)
                    .then(|| linear("gate", [config.width, config.hidden], deviation)),
                down: linear("down", [config.hidden, config.width], added),
                activation: config.activation,
            },
        }
    }

    fn forward(&self, x: Tensor<3>, attend: impl FnOnce(&Attention, Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let x = x.clone() + attend(&self.attention, self.attention_norm.forward(x));
        x.clone() + self.feed.forward(self.feed_norm.forward(x))
    }
}

/// Token table, positions, blocks and final norm: what [`Decoder`] and [`Encoder`](crate::Encoder) share.
#[derive(Module, Debug)]
pub(crate) struct Backbone {
    pub(crate) tokens: Embedding,
    pub(crate) positions: Option<Param<Tensor<2>>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: Normalization,
    #[module(skip)]
    pub(crate) config: DecoderConfig,
}

impl Backbone {
    pub(crate) fn new(config: &DecoderConfig, initial: &Initializer<'_>) -> Result<Self, NnError> {
        config.validate()?;
        let learned = config.positions == Positions::Learned;
        Ok(Self {
            tokens: Embedding::normal(initial, "tokens", [config.vocabulary, config.width], 0.02),
            positions: learned.then(|| initial.normal("positions", [config.context, config.width], 0.02)),
            blocks: (0..config.layers)
                .map(|layer| Block::new(initial, &format!("blocks.{layer}"), config))
                .collect(),
            norm: Normalization::new(initial, config.width, config.norm == Norm::Layer, config.epsilon),
            config: config.clone(),
        })
    }

    pub(crate) fn device(&self) -> Device {
        self.tokens.weight.val().device()
    }

    /// `[batch, length]` tokens at the given positions of each row (one row of positions serves all) → `[batch, length, width]`.
    /// `attend` runs the attention of a layer, by its number.
    fn forward(
        &self,
        tokens: Tensor<2, Int>,
        positions: &[Vec<usize>],
        mut attend: impl FnMut(usize, &Attention, Tensor<3>, Option<&Angles>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mut x = self.embedded(tokens, positions);
        let rotation = self.rotation(positions);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, |attention, x| attend(layer, attention, x, rotation.as_ref()));
        }
        self.norm.forward(x)
    }

    /// The residual stream before the first block.
    fn embedded(&self, tokens: Tensor<2, Int>, positions: &[Vec<usize>]) -> Tensor<3> {
        let x = self.tokens.forward(tokens);
        match &self.positions {
            Some(table) => x + position_rows(&table.val(), positions),
            None => x,
        }
    }

    /// The angles of rotary positions.
    fn rotation(&self, positions: &[Vec<usize>]) -> Option<Angles> {
        let rotary = self.positions.is_none();
        rotary.then(|| angles(positions, &self.config.positions.frequencies(self.config.head_width)))
    }

    /// The hidden states of whole sequences.
    pub(crate) fn states(&self, tokens: Tensor<2, Int>, visible: &Visibility) -> Tensor<3> {
        let length = tokens.dims()[1];
        self.forward(tokens, &[(0..length).collect()], |_, attention, x, rotation| {
            attention.forward(x, visible, rotation)
        })
    }

    /// The hidden states of what follows the positions in the cache, which then holds them too.
    fn extend(
        &self,
        tokens: Tensor<2, Int>,
        positions: &[Vec<usize>],
        padding: &[usize],
        cache: &mut Cache,
    ) -> Tensor<3> {
        cache.length += tokens.dims()[1];
        self.forward(tokens, positions, |layer, attention, x, rotation| {
            attention.extend(x, padding, rotation, &mut cache.layers[layer])
        })
    }
}

/// Rows of the position table: `[1 or batch, length, width]`.
fn position_rows(table: &Tensor<2>, positions: &[Vec<usize>]) -> Tensor<3> {
    let [_, width] = table.dims();
    let length = positions.first().map_or(0, Vec::len);
    let in_order = |row: &Vec<usize>| row.iter().enumerate().all(|(at, &position)| position == row[0] + at);
    if let [row] = positions
        && length > 0
        && in_order(row)
    {
        return table.clone().narrow(0, row[0], length).unsqueeze();
    }
    let flat: Vec<i32> = positions.iter().flatten().map(|&position| position as i32).collect();
    let index =
        Tensor::<1, Int>::from_data(TensorData::new(flat, [positions.len() * length]), &table.device());
    table.clone().select(0, index).reshape([positions.len(), length, width])
}

/// What a block makes of the residual stream, and the inputs of its linear layers: `[batch, length, …]` each.
#[derive(Clone, Debug)]
pub struct BlockPass {
    /// Of queries, keys and values.
    pub qkv: Tensor<3>,
    /// Of the output of attention.
    pub output: Tensor<3>,
    /// Of the layer `up`, and of `gate` if there is one.
    pub feed: Tensor<3>,
    /// Of the layer `down`.
    pub down: Tensor<3>,
    /// The residual stream after the block.
    pub stream: Tensor<3>,
}

/// A language model: the next token from the ones before it.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) backbone: Backbone,
    /// `[width, vocabulary]`; absent where the token table is shared.
    pub(crate) head: Option<Linear>,
}

impl Decoder {
    /// A model with initial weights drawn from `seed`: normal with deviation 0.02, those that add to the residual stream divided
    /// by √(2 layers). Give `device.autodiff()` to train it.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(config: &DecoderConfig, seed: u64, device: &Device) -> Result<Self, NnError> {
        let initial = Initializer { seed, device };
        let backbone = Backbone::new(config, &initial)?;
        let head = (!config.tied)
            .then(|| Linear::normal(&initial, "head", [config.width, config.vocabulary], false, 0.02));
        Ok(Self { backbone, head })
    }

    /// Size and shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.backbone.config
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.backbone.device()
    }

    /// `[batch, length]` tokens → the logits of the token after each, `[batch, length, vocabulary]`.
    pub fn forward(&self, tokens: Tensor<2, Int>, visible: &Visibility) -> Tensor<3> {
        self.logits(self.backbone.states(tokens, visible))
    }

    /// The residual stream of whole sequences before the first block: `[batch, length]` tokens → `[batch, length, width]`.
    pub fn stream(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let length = tokens.dims()[1];
        self.backbone.embedded(tokens, &[(0..length).collect()])
    }

    /// One block of whole sequences, every position of which sees what is before it; what [`forward`](Self::forward) does block after
    /// block.
    ///
    /// # Errors
    /// If there is no such block.
    pub fn block(&self, block: usize, stream: Tensor<3>) -> Result<BlockPass, NnError> {
        let own = self.backbone.blocks.get(block).ok_or_else(|| NnError::Parameter {
            name: "block",
            value: block.to_string(),
            allowed: "below the number of layers",
            hint: "count blocks from 0",
        })?;
        let rotation = self.backbone.rotation(&[(0..stream.dims()[1]).collect()]);
        let qkv = own.attention_norm.forward(stream.clone());
        let output = own.attention.mixed(qkv.clone(), &Visibility::Causal, rotation.as_ref());
        let stream = stream + own.attention.output.forward(output.clone());
        let feed = own.feed_norm.forward(stream.clone());
        let down = own.feed.hidden(feed.clone());
        let stream = stream + own.feed.down.forward(down.clone());
        Ok(BlockPass { qkv, output, feed, down, stream })
    }

    /// The logits after the last block: `[batch, length, width]` → `[batch, length, vocabulary]`.
    pub fn read_out(&self, stream: Tensor<3>) -> Tensor<3> {
        self.logits(self.backbone.norm.forward(stream))
    }

    /// The mean cross-entropy of the batch's targets, weighted by its weights.
    pub fn loss(&self, batch: &TokenBatch) -> Tensor<1> {
        let device = self.device().without_autodiff();
        let logits = self.forward(batch.inputs(&device), &batch.visible(&device));
        operations::cross_entropy(logits.flatten(0, 1), batch.targets(&device), batch.weights(&device))
    }

    /// Sequences of one length → the logits after each of their tokens `[batch, length, vocabulary]`, with the cache filled.
    ///
    /// `padding[row]` leading tokens of a row are hidden and do not count as positions. The cache is empty or holds the
    /// positions before these, of the same rows.
    pub(crate) fn extend(&self, tokens: &[Vec<u32>], padding: &[usize], cache: &mut Cache) -> Tensor<3> {
        let (length, before) = (tokens.first().map_or(0, Vec::len), cache.length);
        let positions: Vec<Vec<usize>> = if padding.iter().all(|&hidden| hidden == 0) {
            vec![(before..before + length).collect()]
        } else {
            padding
                .iter()
                .map(|&hidden| (before..before + length).map(|at| at.saturating_sub(hidden)).collect())
                .collect()
        };
        let tokens = token_tensor(tokens, &self.device());
        self.logits(self.backbone.extend(tokens, &positions, padding, cache))
    }

    fn logits(&self, states: Tensor<3>) -> Tensor<3> {
        match &self.head {
            Some(head) => head.forward(states),
            None => states.matmul(self.backbone.tokens.weight.val().transpose().unsqueeze()),
        }
    }
}

/// Rows of equal length as a tensor.
pub(crate) fn token_tensor(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let length = rows.first().map_or(0, Vec::len);
    let flat: Vec<i32> = rows.iter().flatten().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), length]), &device.clone().without_autodiff())
}
