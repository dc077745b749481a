//! A stack of sequence layers that gives every position a label: linear recurrences, and what they are compared with.

use backstitch_kernels::elementwise::Function;
use backstitch_kernels::operations::{activation, cross_entropy};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::attention::{Attention, AttentionShape, Visibility, angles};
use crate::error::NnError;
use crate::layers::{Embedding, Initializer, Linear, Normalization};
use crate::linear_recurrent::{Delta, DeltaShape, Diagonal, DiagonalShape, Eigenvalues};
use crate::recurrent::Gru;

/// What mixes the positions of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixer {
    /// Products of Householder matrices ([`Delta`]).
    #[default]
    Delta,
    /// A diagonal linear recurrence ([`Diagonal`]).
    Diagonal,
    /// A gated recurrent unit: not linear.
    Gru,
    /// Causal attention with rotary positions: no state.
    Attention,
}

/// Size and shape of a [`Tracker`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerConfig {
    /// Tokens.
    pub vocabulary: usize,
    /// Labels.
    pub classes: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// What mixes the positions.
    pub mixer: Mixer,
    /// Where the eigenvalues of linear recurrences lie.
    pub eigenvalues: Eigenvalues,
    /// Heads of delta layers and of attention; must divide the width.
    pub heads: usize,
    /// Householder steps per token, delta layers only.
    pub householders: usize,
    /// States per channel, diagonal layers only.
    pub states: usize,
    /// Positions of the short convolutions of linear recurrences; 0 for none.
    pub convolution: usize,
    /// Inner width of the feed-forward part of a block; 0 for none.
    pub feed: usize,
}

impl Default for TrackerConfig {
    /// One delta layer of width 32 with 2 heads, signed eigenvalues, no convolution and no feed-forward part.
    fn default() -> Self {
        Self {
            vocabulary: 2,
            classes: 2,
            width: 32,
            layers: 1,
            mixer: Mixer::Delta,
            eigenvalues: Eigenvalues::Signed,
            heads: 2,
            householders: 1,
            states: 4,
            convolution: 0,
            feed: 0,
        }
    }
}

/// Added to mean squares.
pub(crate) const EPSILON: f64 = 1e-6;
const ROTARY_BASE: f64 = 10_000.0;

impl TrackerConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn validate(&self) -> Result<(), NnError> {
        let bounded = |name, value: usize, [lowest, highest]: [usize; 2], allowed, hint| {
            if (lowest..=highest).contains(&value) {
                return Ok(());
            }
            Err(NnError::Parameter { name, value: value.to_string(), allowed, hint })
        };
        bounded(
            "vocabulary",
            self.vocabulary,
            [1, 1 << 20],
            "from 1 to 1048576",
            "give sequences with tokens",
        )?;
        bounded(
            "classes",
            self.classes,
            [2, 1 << 20],
            "from 2 to 1048576",
            "with one label there is nothing to tell apart",
        )?;
        bounded("width", self.width, [1, 8192], "from 1 to 8192", "16 to 256 are usual")?;
        bounded("layers", self.layers, [1, 256], "from 1 to 256", "1 or 2 are usual")?;
        bounded(
            "householders",
            self.householders,
            [1, 64],
            "from 1 to 64",
            "a swap needs 1, a cycle of three 2",
        )?;
        bounded("states", self.states, [1, 256], "from 1 to 256", "4 to 16 are usual")?;
        bounded("convolution", self.convolution, [0, 64], "from 0 to 64", "0 for none, 4 is usual")?;
        bounded(
            "feed",
            self.feed,
            [0, 65_536],
            "from 0 to 65536",
            "0 for none, 2 to 4 times the width is usual",
        )?;
        let divides = self.heads > 0 && self.width.is_multiple_of(self.heads);
        if !divides {
            let hint = "give a width that is a multiple of heads";
            return Err(NnError::Parameter {
                name: "heads",
                value: self.heads.to_string(),
                allowed: "at least 1 and divide the width",
                hint,
            });
        }
        if self.mixer == Mixer::Attention && !(self.width / self.heads).is_multiple_of(2) {
            let hint = "rotary positions turn pairs; give a width that is twice a multiple of heads";
            return Err(NnError::Parameter {
                name: "width / heads",
                value: (self.width / self.heads).to_string(),
                allowed: "even for attention",
                hint,
            });
        }
        Ok(())
    }
}

/// One block: `x + mix(norm(x))`, then `x + feed(norm(x))`.
#[derive(Module, Debug)]
pub struct TrackerBlock {
    /// RMS norm before the mixer.
    pub norm: Normalization,
    /// The mixer, if it is a delta layer.
    pub delta: Option<Delta>,
    /// The mixer, if it is diagonal.
    pub diagonal: Option<Diagonal>,
    /// The mixer, if it is a gated recurrent unit.
    pub gru: Option<Gru>,
    /// The mixer, if it is attention.
    pub attention: Option<Attention>,
    /// RMS norm before the feed-forward part.
    pub feed_norm: Option<Normalization>,
    /// `[width, feed]`, followed by GELU.
    pub up: Option<Linear>,
    /// `[feed, width]`.
    pub down: Option<Linear>,
}

impl TrackerBlock {
    fn new(initial: &Initializer<'_>, name: &str, config: &TrackerConfig) -> Self {
        let TrackerConfig { width, heads, convolution, eigenvalues, feed, .. } = *config;
        let mixer = format!("{name}.mixer");
        let head_width = width / heads;
        let of = |kind: Mixer| config.mixer == kind;
        Self {
            norm: Normalization::new(initial, width, false, EPSILON),
            delta: of(Mixer::Delta).then(|| {
                let steps = config.householders;
                let shape = DeltaShape {
                    width,
                    heads,
                    head_width,
                    steps,
                    convolution,
                    eigenvalues,
                    epsilon: EPSILON,
                };
                Delta::new(initial, &mixer, shape)
            }),
            diagonal: of(Mixer::Diagonal).then(|| {
                let shape = DiagonalShape { width, states: config.states, convolution, eigenvalues };
                Diagonal::new(initial, &mixer, shape)
            }),
            gru: of(Mixer::Gru).then(|| Gru {
                input: Linear::uniform(initial, &format!("{mixer}.input"), [width, 3 * width], true),
                recurrent: Linear::uniform(initial, &format!("{mixer}.recurrent"), [width, 3 * width], true),
            }),
            attention: of(Mixer::Attention).then(|| {
                let shape = AttentionShape {
                    width,
                    heads,
                    key_value_heads: heads,
                    head_width,
                    qkv_bias: false,
                    output_bias: false,
                };
                let deviation = 1.0 / (3.0 * width as f64).sqrt();
                Attention::new(initial, &mixer, shape, deviation, deviation)
            }),
            feed_norm: (feed > 0).then(|| Normalization::new(initial, width, false, EPSILON)),
            up: (feed > 0).then(|| Linear::uniform(initial, &format!("{name}.up"), [width, feed], true)),
            down: (feed > 0).then(|| Linear::uniform(initial, &format!("{name}.down"), [feed, width], true)),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.norm.forward(x.clone());
        let mixed = if let Some(delta) = &self.delta {
            delta.forward(normed)
        } else if let Some(diagonal) = &self.diagonal {
            diagonal.forward(normed)
        } else if let Some(gru) = &self.gru {
            gru.forward(normed)
        } else if let Some(attention) = &self.attention {
            let half = attention.head_width / 2;
            let frequency = |at: usize| ROTARY_BASE.powf(-(at as f64) / half as f64);
            let frequencies: Vec<f64> = (0..half).map(frequency).collect();
            let rotation = angles(&[(0..normed.dims()[1]).collect()], &frequencies);
            attention.forward(normed, &Visibility::Causal, Some(&rotation))
        } else {
            normed
        };
        let x = x + mixed;
        match (&self.feed_norm, &self.up, &self.down) {
            (Some(norm), Some(up), Some(down)) => {
                let inner = activation(Function::GeluTanh, up.forward(norm.forward(x.clone())));
                x + down.forward(inner)
            }
            _ => x,
        }
    }
}

/// Token → blocks → norm → a label for every position. A token of its own stands before every sequence, so that states begin with
/// something learned.
#[derive(Module, Debug)]
pub struct Tracker {
    /// `[vocabulary + 1, width]`; the last row is what stands before every sequence.
    pub tokens: Embedding,
    /// The blocks.
    pub blocks: Vec<TrackerBlock>,
    /// RMS norm before the head.
    pub norm: Normalization,
    /// `[width, classes]`.
    pub head: Linear,
    #[module(skip)]
    config: TrackerConfig,
}

impl Tracker {
    /// A model with initial weights drawn from `seed`: tokens with deviation 1, layers as PyTorch draws them. Give `device.autodiff()` to
    /// train it.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(config: &TrackerConfig, seed: u64, device: &Device) -> Result<Self, NnError> {
        config.validate()?;
        let initial = Initializer { seed, device };
        let blocks =
            (0..config.layers).map(|at| TrackerBlock::new(&initial, &format!("blocks.{at}"), config));
        Ok(Self {
            tokens: Embedding::normal(&initial, "tokens", [config.vocabulary + 1, config.width], 1.0),
            blocks: blocks.collect(),
            norm: Normalization::new(&initial, config.width, false, EPSILON),
            head: Linear::uniform(&initial, "head", [config.width, config.classes], true),
            config: *config,
        })
    }

    /// Size and shape.
    pub fn config(&self) -> &TrackerConfig {
        &self.config
    }

    /// `[batch, length]` tokens → logits `[batch, length, classes]`; those of a position depend on it and what is before it.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [rows, length] = tokens.dims();
        let start = Tensor::full([rows, 1], self.config.vocabulary as i32, &tokens.device());
        let x = self.tokens.forward(Tensor::cat(vec![start, tokens], 1));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x.narrow(1, 1, length)))
    }

    /// The mean cross-entropy of the labels of a batch.
    pub fn loss(&self, batch: &LabelBatch) -> Tensor<1> {
        let device = self.tokens.weight.val().device().without_autodiff();
        let logits = self.forward(batch.inputs(&device));
        let size = batch.targets.len();
        let targets = Tensor::from_data(TensorData::new(batch.targets.clone(), [size]), &device);
        let weights = Tensor::from_data(TensorData::new(batch.weights.clone(), [size]), &device);
        cross_entropy(logits.flatten(0, 1), targets, weights)
    }

    /// The logits of a batch on the host, row-major `[rows, length, classes]`.
    pub fn logits(&self, batch: &LabelBatch) -> Vec<f32> {
        let device = self.tokens.weight.val().device();
        crate::tensors::host_values(self.forward(batch.inputs(&device)))
    }
}

/// Sequences with labels at some or all positions, padded on the right. Row-major `[rows, length]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelBatch {
    rows: usize,
    length: usize,
    inputs: Vec<i32>,
    targets: Vec<i32>,
    weights: Vec<f32>,
}

impl LabelBatch {
    /// Sequences of tokens, and for each position its label or nothing.
    ///
    /// # Errors
    /// If there is no sequence, one is empty, its labels are not as many as its tokens, or a token or a label is not one of the model's.
    pub fn new<'a>(
        sequences: impl IntoIterator<Item = (&'a [u32], &'a [Option<u32>])>,
        config: &TrackerConfig,
    ) -> Result<Self, NnError> {
        let sequences: Vec<_> = sequences.into_iter().collect();
        let length = sequences.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(0);
        if length == 0 {
            return Err(NnError::Empty { what: "the batch of sequences".into() });
        }
        let size = sequences.len() * length;
        let (mut inputs, mut targets, mut weights) = (vec![0; size], vec![0; size], vec![0.0; size]);
        for (row, (tokens, labels)) in sequences.iter().enumerate() {
            if tokens.is_empty() {
                return Err(NnError::Empty { what: format!("sequence {}", row + 1) });
            }
            if tokens.len() != labels.len() {
                let what = format!("the labels of sequence {}", row + 1);
                return Err(NnError::Shape { what, found: vec![labels.len()], wanted: vec![tokens.len()] });
            }
            for (at, (&token, label)) in tokens.iter().zip(*labels).enumerate() {
                if token as usize >= config.vocabulary {
                    return Err(NnError::UnknownToken { token, vocabulary: config.vocabulary });
                }
                inputs[row * length + at] = token as i32;
                if let Some(label) = *label {
                    if label as usize >= config.classes {
                        return Err(NnError::Parameter {
                            name: "a label",
                            value: label.to_string(),
                            allowed: "below the number of classes",
                            hint: "the labels do not belong to this model",
                        });
                    }
                    targets[row * length + at] = label as i32;
                    weights[row * length + at] = 1.0;
                }
            }
        }
        Ok(Self { rows: sequences.len(), length, inputs, targets, weights })
    }

    /// Sequences.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Positions of the longest.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Positions with a label.
    pub fn targets_count(&self) -> usize {
        self.weights.iter().filter(|weight| **weight > 0.0).count()
    }

    fn inputs(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(self.inputs.clone(), [self.rows, self.length]), device)
    }
}
