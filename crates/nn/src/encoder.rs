//! A bidirectional encoder: every position sees every other that is not padding.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::attention::Visibility;
use crate::decoder::{Backbone, DecoderConfig};
use crate::error::NnError;
use crate::layers::Initializer;

/// Blocks of a [`DecoderConfig`] without the causal mask and without an output head.
#[derive(Module, Debug)]
pub struct Encoder {
    backbone: Backbone,
}

impl Encoder {
    /// An encoder with initial weights drawn from `seed`.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(config: &DecoderConfig, seed: u64, device: &Device) -> Result<Self, NnError> {
        Ok(Self { backbone: Backbone::new(config, &Initializer { seed, device })? })
    }

    /// Size and shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.backbone.config
    }

    /// `[batch, length]` tokens → states `[batch, length, width]`. `padding` is true where a position is to be ignored;
    /// the states of such positions mean nothing.
    pub fn forward(&self, tokens: Tensor<2, Int>, padding: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let visible = match padding {
            None => Visibility::Full,
            Some(padding) => Visibility::Hidden(padding.unsqueeze_dims(&[1, 1])),
        };
        self.backbone.states(tokens, &visible)
    }

    /// The mean of the states that are not padding: `[batch, width]`.
    pub fn mean(&self, tokens: Tensor<2, Int>, padding: Tensor<2, Bool>) -> Tensor<2> {
        let seen = padding.clone().bool_not().float().unsqueeze_dim::<3>(2);
        let count = seen.clone().sum_dim(1).clamp_min(1.0);
        let states = self.forward(tokens, Some(padding));
        ((states * seen).sum_dim(1) / count).squeeze_dim(1)
    }
}
