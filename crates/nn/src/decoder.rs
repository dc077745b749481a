//! One decoder for all language methods: the GPT-2 shape, the Llama and Qwen2 shape, and what lies between.

use backstitch_kernels::elementwise::Function;
use backstitch_kernels::operations::{self, Angles};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::attention::{Attention, AttentionShape, Cache, Visibility, angles};
use crate::batch::TokenBatch;
use crate::error::NnError;
use crate::layers::{Embedding, Initializer, Linear, Normalization};

/// Normalisation before attention and feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Norm {
    /// Layer norm with scale and shift.
    Layer,
    /// RMS norm with scale.
    Rms,
}

/// How a model knows where a token stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Positions {
    /// A learned vector per position.
    Learned,
    /// Queries and keys are rotated by `position · frequency`; pair `i` of a head's dimensions has the frequency
    /// `base^(−2i / head width)`, scaled.
    Rotary {
        /// Base, usually 10,000.
        base: f64,
        /// How the frequencies are stretched for a longer context.
        scaling: RotaryScaling,
    },
}

/// Stretching of rotary frequencies.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum RotaryScaling {
    /// As they are.
    None,
    /// All divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3: frequencies with few turns in the original context are divided by the factor, those with many are kept, and
    /// between the two it is a mixture.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Turns up to which a frequency is divided.
        low: f64,
        /// Turns from which it is kept.
        high: f64,
        /// The original context.
        context: f64,
    },
}

impl Positions {
    /// `head width / 2` frequencies; none for learned positions.
    pub(crate) fn frequencies(&self, head_width: usize) -> Vec<f64> {
        let Self::Rotary { base, scaling } = self else { return Vec::new() };
        let scale = |frequency: f64| match *scaling {
            RotaryScaling::None => frequency,
            RotaryScaling::Linear { factor } => frequency / factor,
            RotaryScaling::Llama3 { factor, low, high, context } => {
                let turns = context * frequency / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        };
        (0..head_width / 2).map(|i| scale(base.powf(-2.0 * i as f64 / head_width as f64))).collect()
    }
}

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

/// The feed-forward half of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Feed {
    /// `W₂ a(W₁ x)`.
    Plain,
    /// `W₂ (a(W₁ x) ∘ W₃ x)`, with SiLU the SwiGLU of Llama.
    Gated,
}

/// Size and shape of a decoder.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DecoderConfig {
    /// Number of tokens.
    pub vocabulary: usize,
    /// The longest sequence.
    pub context: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Width inside the feed-forward layers.
    pub hidden: usize,
    /// Normalisation.
    pub norm: Norm,
    /// Its ε.
    pub epsilon: f64,
    /// Positions.
    pub positions: Positions,
    /// Feed-forward shape.
    pub feed: Feed,
    /// Feed-forward activation.
    pub activation: Activation,
    /// Biases of queries, keys and values.
    pub qkv_bias: bool,
    /// Biases of attention output and feed-forward layers.
    pub bias: bool,
    /// Whether the output shares the weights of the token table.
    pub tied: bool,
}

impl DecoderConfig {
    /// The GPT-2 shape: layer norm, learned positions, GELU, biases, untied output, hidden width 4 × `width`.
    pub fn gpt2(vocabulary: usize, context: usize, width: usize, layers: usize, heads: usize) -> Self {
        Self {
            vocabulary,
            context,
            width,
            layers,
            heads,
            key_value_heads: heads,
            head_width: width / heads.max(1),
            hidden: 4 * width,
            norm: Norm::Layer,
            epsilon: 1e-5,
            positions: Positions::Learned,
            feed: Feed::Plain,
            activation: Activation::GeluTanh,
            qkv_bias: true,
            bias: true,
            tied: false,
        }
    }

    /// The Llama shape: RMS norm, rotary positions with base 10,000, SwiGLU, no biases, untied output, hidden width
    /// ⌈8/3 · `width`⌉ rounded up to a multiple of 8.
    pub fn llama(
        vocabulary: usize,
        context: usize,
        width: usize,
        layers: usize,
        heads: usize,
        key_value_heads: usize,
    ) -> Self {
        Self {
            key_value_heads,
            hidden: (8 * width).div_ceil(3).next_multiple_of(8),
            norm: Norm::Rms,
            epsilon: 1e-6,
            positions: Positions::Rotary { base: 10_000.0, scaling: RotaryScaling::None },
            feed: Feed::Gated,
            activation: Activation::Silu,
            qkv_bias: false,
            bias: false,
            ..Self::gpt2(vocabulary, context, width, layers, heads)
        }
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// Names the size that does not fit.
    pub fn validate(&self) -> Result<(), NnError> {
        let wrong = |name, value: usize, allowed| {
            Err(NnError::Parameter {
                name,
                value: value.to_string(),
                allowed,
                hint: "change the shape of the model",
            })
        };
        for (name, value) in [
            ("vocabulary", self.vocabulary),
            ("context", self.context),
            ("width", self.width),
            ("heads", self.heads),
            ("key_value_heads", self.key_value_heads),
            ("head_width", self.head_width),
            ("hidden", self.hidden),
        ] {
            if value == 0 {
                return wrong(name, value, "at least 1");
            }
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            return wrong("key_value_heads", self.key_value_heads, "a divisor of the number of heads");
        }
        if self.positions != Positions::Learned && !self.head_width.is_multiple_of(2) {
            return wrong("head_width", self.head_width, "even with rotary positions");
        }
        Ok(())
    }

    /// Fails for tokens outside the vocabulary and for sequences that are too long.
    ///
    /// # Errors
    /// Names the token or the length.
    pub fn check(&self, sequence: &[u32]) -> Result<(), NnError> {
        if sequence.len() > self.context {
            return Err(NnError::TooLong { length: sequence.len(), context: self.context });
        }
        match sequence.iter().find(|&&token| token as usize >= self.vocabulary) {
            Some(&token) => Err(NnError::UnknownToken { token, vocabulary: self.vocabulary }),
            None => Ok(()),
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
        let hidden = match &self.gate {
            None => self.activation.forward(self.up.forward(x)),
            Some(gate) => self.activation.gated(gate.forward(x.clone()), self.up.forward(x)),
        };
        self.down.forward(hidden)
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
        let mut x = self.tokens.forward(tokens);
        let mut rotation = None;
        match &self.positions {
            Some(table) => x = x + position_rows(&table.val(), positions),
            None => {
                let frequencies = self.config.positions.frequencies(self.config.head_width);
                rotation = Some(angles(positions, &frequencies));
            }
        }
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, |attention, x| attend(layer, attention, x, rotation.as_ref()));
        }
        self.norm.forward(x)
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
