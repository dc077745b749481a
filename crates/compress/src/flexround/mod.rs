//! FlexRound: weights rounded to whole numbers after dividing each by a learned number, so that outputs change least.
//!
//! # What it computes
//!
//! For the weights W of a layer (outputs × inputs; a convolution's are outputs × channels·height·width), with inputs x of the full model and x̂
//! of the model that is quantised so far, over n calibration rows:
//!
//! ```text
//! Ŵ = s₁ · (clip(⌊W / (s₁ ⊙ S₂ ⊙ s₃ ⊙ s₄)⌉ + z, 0, 2ᵇ − 1) − z)         minimise  1/n Σ |W x − Ŵ x̂|²
//! ```
//!
//! b is the number of bits, z the whole number that stands for 0, s₁ the distance of points of the grid (one, or one for every output), S₂ a divisor
//! for every weight, s₃ one for every output, s₄ one for every input channel of a convolution. All are learned by Adam on their
//! logarithms, starting from the grid with the least |W − Ŵ|^2.4 and divisors of 1, which is rounding to nearest. Rounding passes gradients
//! straight through: with u the quotient, ∂Ŵ/∂log S₂ = −s₁ u, so that large weights move further than small ones.
//!
//! # Paper
//!
//! *FlexRound: Learnable Rounding based on Element-wise Division for Post-Training Quantization*, ICML 2023, arXiv 2306.00317. Beside it:
//! rounding to nearest, AdaRound (arXiv 2004.10568), AdaQuant (2006.10518), reconstruction of blocks (BRECQ, 2102.05426, with plain squared
//! error) and random dropping of activation quantisation (QDrop, 2203.05740).
//!
//! # When it helps, and when it does not
//!
//! - At 2 to 4 bits, and where a layer shares one grid.
//! - Where inputs are correlated: an error of one weight is made good by others. Where they are white it is not, and all schemes tie with
//!   rounding to nearest.
//! - Calibration rows fewer than a layer has inputs leave directions open that test rows then see.
//!
//! # Parameters
//!
//! See [`Parameters`].
//!
//! # Deviations from the paper
//!
//! 1. A single layer is trained on second moments ([`Moments`]): the loss is quadratic in Ŵ, so that the exact gradient of all rows costs no
//!    more than one of a batch, and since few weights change their whole number in a step, products are brought up to date instead of
//!    computed anew. Blocks of several layers take batches. Test: `moments_and_rows_learn_the_same`.
//! 2. Where learning ends with a larger error on the calibration rows than rounding to nearest, the latter is kept. Test:
//!    `a_rate_that_is_too_high_is_not_worse_than_nearest`.
//! 3. Decoders are quantised layer by layer, not block by block: each for the inputs that the layers before it give once they are quantised. Test:
//!    `more_bits_are_nearer_and_learning_helps`.
//! 4. AdaQuant's added number is in steps of the grid. Test: `gradients_are_those_of_differences`.
//!
//! # Errors
//!
//! [`Error`] names the layer, the tensor or the parameter.
//!
//! # Cost
//!
//! For a layer of m outputs and n inputs: n² numbers for its moments, six times m·n for learning; a step costs some dozens of operations for every
//! weight and 2n for every weight that changes its whole number, whatever the number of rows.
//!
//! # Example
//!
//! ```
//! use backstitch_compress::Rows;
//! use backstitch_compress::flexround::{FlexRound, Moments, Parameters};
//! use backstitch_numerics::Stream;
//!
//! let mut stream = Stream::new(0, "doc");
//! let weights = Rows::from_fn(8, 16, |_, _| stream.normal() as f32);
//! // Correlated inputs: four causes, and a little noise.
//! let causes = Rows::from_fn(4, 16, |_, _| stream.normal() as f32);
//! let inputs = Rows::from_fn(200, 16, |_, _| 0.1 * stream.normal() as f32);
//! let inputs = Rows::from_fn(200, 16, |row, column| {
//!     (0..4).map(|cause| causes.row(cause)[(column + row) % 16]).sum::<f32>() + inputs.row(row)[column]
//! });
//! let mut moments = Moments::new(16);
//! moments.add(&inputs)?;
//! let parameters = Parameters { bits: 3, steps: 500, ..Parameters::default() };
//! let (quantised, report) = FlexRound::new(parameters)?.quantise("layer", &weights, None, &moments)?;
//! assert!(report.after < report.before);
//! assert!(quantised.integers.iter().all(|&q| q < 8));
//! # Ok::<(), backstitch_compress::Error>(())
//! ```

mod activations;
mod block;
mod card;
mod decoder;
mod decoder_files;
mod grid;
mod layer;
mod learner;
mod moments;
mod network;
#[cfg(test)]
mod oracle;
mod packed;
mod parameters;
mod passes;
mod scheme;
mod sequential;
mod stored;

pub use activations::ActivationGrid;
pub use card::CARD;
pub use decoder::{QuantisedDecoder, nats_per_token};
pub use grid::{Grid, LEAST_SCALE};
pub use layer::{LayerReport, Quantised};
pub use moments::Moments;
pub use network::{Affine, Description, Kind, Network};
pub use packed::Packed;
pub use parameters::{Granularity, Parameters, Rounding, Start};
pub use passes::Gradient;
pub use sequential::{Calibration, LEAST_ROWS, QuantisedNetwork};
pub use stored::{is_quantised, read_tensors, tensors_of};

use crate::{Error, Rows};

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct FlexRound {
    parameters: Parameters,
}

impl FlexRound {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// What was set.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Quantises one matrix of weights, outputs × inputs, for the calibration rows in `moments`. `taps` is the number of weights of one input
    /// channel of a convolution (kernel height × width), whose inputs are channels × height × width; none for a dense layer.
    ///
    /// # Errors
    /// [`Error::Tensor`] for weights that are not finite; [`Error::Layer`] if shapes do not fit or there are no rows.
    pub fn quantise(
        &self,
        name: &str,
        weights: &Rows,
        taps: Option<usize>,
        moments: &Moments,
    ) -> Result<(Quantised, LayerReport), Error> {
        // On a thread of the pool, so that the many small pieces of work need not wait to get there.
        rayon::scope(|_| layer::quantise(name, weights, taps, moments, &self.parameters))
    }

    /// Quantises all dense and convolutional layers of a network, first to last, each for the inputs that those before it give once they are
    /// quantised: layer by layer, or [`Parameters::block`] layers at a time.
    ///
    /// # Errors
    /// [`Error::Calibration`] for rows that are too few, of another length or not finite; [`Error::Tensor`] for weights that are not finite.
    pub fn quantise_network(&self, network: &Network, calibration: &Rows) -> Result<QuantisedNetwork, Error> {
        rayon::scope(|_| sequential::quantise(network, calibration, &self.parameters))
    }
}
