//! Size and shape of decoders.

use serde::{Deserialize, Serialize};

use super::Activation;
use crate::error::NnError;

/// Normalisation before attention and feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Norm {
    /// Layer norm with scale and shift.
    Layer,
    /// RMS norm with scale.
    Rms,
}

/// How a model knows where a token stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

/// The feed-forward half of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feed {
    /// `W₂ a(W₁ x)`.
    Plain,
    /// `W₂ (a(W₁ x) ∘ W₃ x)`, with SiLU the SwiGLU of Llama.
    Gated,
}

/// Size and shape of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
