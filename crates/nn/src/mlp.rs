//! A multi-layer perceptron.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::decoder::Activation;
use crate::error::NnError;
use crate::layers::{Initializer, Linear};

/// Linear layers with an activation between them.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// Layers of the given widths, input first and output last; weights and biases uniform within `1/√inputs`.
    ///
    /// # Errors
    /// If there are fewer than two widths or one is 0.
    pub fn new(
        widths: &[usize],
        activation: Activation,
        seed: u64,
        device: &Device,
    ) -> Result<Self, NnError> {
        if widths.len() < 2 || widths.contains(&0) {
            return Err(NnError::Parameter {
                name: "widths",
                value: format!("{widths:?}"),
                allowed: "two or more widths of at least 1",
                hint: "give the input width, hidden widths and the output width",
            });
        }
        let initial = Initializer { seed, device };
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(layer, pair)| {
                Linear::uniform(&initial, &format!("layers.{layer}"), [pair[0], pair[1]], true)
            })
            .collect();
        Ok(Self { layers, activation })
    }

    /// `[batch, inputs]` → `[batch, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (layer, linear)| {
            let y = linear.forward(x);
            if layer < last { self.activation.forward(y) } else { y }
        })
    }
}
