//! What can be set.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How weights are rounded to the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the nearest point.
    Nearest,
    /// Up or down, learned by a relaxation (AdaRound).
    AdaRound,
    /// To the nearest point after adding a learned number (AdaQuant; the paper's ablation by addition).
    AdaQuant,
    /// To the nearest point after dividing by learned numbers: the paper's.
    FlexRound,
}

impl Rounding {
    /// The step size of Adam that [`Parameters::rate`] takes where none is given: the paper's for its own, those of the study's tuning for others.
    pub fn default_rate(self) -> f64 {
        match self {
            Self::Nearest | Self::FlexRound => 3e-3,
            Self::AdaRound | Self::AdaQuant => 1e-2,
        }
    }
}

/// What shares one grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// All weights of a layer.
    Tensor,
    /// The weights of one output.
    Channel,
}

/// How the size of the grid is found before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The least mean |W − Ŵ|^2.4 over clipped ranges and, for asymmetric grids, zero points.
    Search,
    /// From the smallest to the largest weight.
    MinMax,
}

/// What can be set. `Default` is the paper's setting for weights of 4 bits per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How weights are rounded.
    pub rounding: Rounding,
    /// Of a weight: 2 to 8.
    pub bits: u8,
    /// Whether zero lies in the middle of the grid.
    pub symmetric: bool,
    /// What shares one grid.
    pub granularity: Granularity,
    /// How the size of the grid is found before training.
    pub start: Start,
    /// Steps of Adam.
    pub steps: usize,
    /// Step size of Adam at the beginning; it falls to 0 along half a cosine. None: [`Rounding::default_rate`].
    pub rate: Option<f64>,
    /// Rows of a step in blocks of several layers. A single layer is trained on the second moments of all rows, which costs no more.
    pub batch: usize,
    /// Affine layers that are reconstructed together.
    pub block: usize,
    /// Whether the size of the grid is learned (FlexRound and AdaQuant).
    pub learn_grid: bool,
    /// Whether every output, and every input channel of a convolution, has a divisor too (FlexRound).
    pub factors: bool,
    /// Of inputs of layers: 2 to 8, or none for inputs as they are.
    pub activation_bits: Option<u8>,
    /// Share of inputs that stay as they are while a block is trained (QDrop); 0: none.
    pub drop: f64,
    /// Weight of AdaRound's penalty.
    pub penalty: f64,
    /// Of batches and of what is dropped.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            rounding: Rounding::FlexRound,
            bits: 4,
            symmetric: false,
            granularity: Granularity::Channel,
            start: Start::Search,
            steps: 5_000,
            rate: None,
            batch: 32,
            block: 1,
            learn_grid: true,
            factors: true,
            activation_bits: None,
            drop: 0.0,
            penalty: 0.01,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first number outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, value, allowed, way_out| Err(Error::Parameter { name, value, allowed, way_out });
        let bits = |name, bits: u8| {
            if (2..=8).contains(&bits) {
                return Ok(());
            }
            refuse(name, f64::from(bits), "from 2 to 8", "4 is a good beginning")
        };
        bits("bits", self.bits)?;
        if let Some(activation_bits) = self.activation_bits {
            bits("activation bits", activation_bits)?;
        }
        if self.batch == 0 {
            return refuse("batch", 0.0, "at least 1", "leave it out for the default");
        }
        if self.block == 0 {
            return refuse("block", 0.0, "at least 1", "1 reconstructs layer by layer");
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0 && rate <= 1.0)
        {
            return refuse("rate", rate, "above 0 and at most 1", "leave it out for the default");
        }
        if !(0.0..1.0).contains(&self.drop) {
            return refuse("drop", self.drop, "from 0 to below 1", "0.5 is QDrop's");
        }
        if !(self.penalty.is_finite() && self.penalty >= 0.0) {
            return refuse("penalty", self.penalty, "finite and at least 0", "0.01 is AdaRound's");
        }
        Ok(())
    }

    /// The step size of Adam at the beginning.
    pub fn rate(&self) -> f64 {
        self.rate.unwrap_or(self.rounding.default_rate())
    }

    /// Whether anything is trained.
    pub(super) fn trains(&self) -> bool {
        self.rounding != Rounding::Nearest && self.steps > 0
    }
}
