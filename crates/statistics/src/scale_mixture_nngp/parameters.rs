//! What can be set, with its ranges.

use serde::{Deserialize, Serialize};

use super::prior::Prior;
use crate::Error;

/// What follows a hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// The error function, a sigmoid.
    Erf,
}

/// The shape of the images that rows hold, pixel by pixel from the top left, channels innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers per pixel.
    pub channels: usize,
}

impl ImageShape {
    /// Numbers per image.
    pub fn values(&self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// The network whose infinitely wide limit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Hidden layers; 0 is a linear model.
    pub depth: usize,
    /// What follows each of them.
    pub activation: Activation,
    /// Convolutions of 3 × 3 pixels with zeros around the image, then a flattened read-out; dense layers if absent.
    pub image: Option<ImageShape>,
}

/// What the evidence chooses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// Standard deviation of weights, times the root of what they sum over.
    pub weight_std: f64,
    /// Standard deviation of biases.
    pub bias_std: f64,
    /// Standard deviation of the weights of the last layer, which has no bias, at a scale s² of 1.
    pub last_weight_std: f64,
    /// Variance of the noise ε at a scale of 1, in variances of the target.
    pub noise: f64,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self { weight_std: 1.4, bias_std: 0.3, last_weight_std: 1.0, noise: 0.1 }
    }
}

/// The parameters of a regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The network.
    pub architecture: Architecture,
    /// The prior of the scale s².
    pub prior: Prior,
    /// Where the search for hyper-parameters begins; what is used where `iterations` is 0.
    pub initial: Hyperparameters,
    /// Steps of L-BFGS on the evidence.
    pub iterations: usize,
    /// Also fits shape and scale of an inverse-gamma prior, as the released code does; see deviation 2 of the module.
    pub fit_prior: bool,
    /// Most rows for which whole kernel matrices are made.
    pub exact_rows: usize,
    /// Points through which more rows than that are seen; `None` refuses them.
    pub inducing: Option<usize>,
    /// Seed of the rows that stand for all in the search, where there are more than `exact_rows` or inducing points are used.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            architecture: Architecture { depth: 4, activation: Activation::Relu, image: None },
            prior: Prior::InverseGamma { shape: 2.0, scale: 2.0 },
            initial: Hyperparameters::default(),
            iterations: 100,
            fit_prior: false,
            exact_rows: 5000,
            inducing: None,
            seed: 0,
        }
    }
}

/// Most hidden layers.
const MOST_LAYERS: usize = 100;

impl Architecture {
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.depth > MOST_LAYERS {
            return Err(Error::Parameter {
                name: "depth",
                value: self.depth.to_string(),
                allowed: "from 0 to 100",
                way_out: "use a shallower network; kernels of deep ones hardly differ",
            });
        }
        if let Some(image) = self.image {
            let values = image.values();
            if values == 0 || values > 1 << 20 {
                return Err(Error::Parameter {
                    name: "image",
                    value: format!("{}x{}x{}", image.height, image.width, image.channels),
                    allowed: "at least one pixel and channel, and at most 2^20 numbers",
                    way_out: "give height, width and channels of the images in the rows",
                });
            }
        }
        Ok(())
    }

    /// Refuses rows of another width than images have.
    pub(crate) fn fits(&self, rows: usize, columns: usize) -> Result<(), Error> {
        match self.image {
            Some(image) if image.values() != columns => Err(Error::Shape {
                what: "the table of images",
                found: (rows, columns),
                expected: (rows, image.values()),
            }),
            _ => Ok(()),
        }
    }
}

impl Hyperparameters {
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        let range = |name, value: f64, zero: bool| {
            let inside = value.is_finite() && value <= 1e6 && (value > 0.0 || zero && value == 0.0);
            if inside {
                return Ok(());
            }
            Err(Error::Parameter {
                name,
                value: value.to_string(),
                allowed: if zero { "from 0 to 1e6" } else { "above 0 and at most 1e6" },
                way_out: "use its default",
            })
        };
        range("weight_std", self.weight_std, false)?;
        range("bias_std", self.bias_std, true)?;
        range("last_weight_std", self.last_weight_std, false)?;
        range("noise", self.noise, true)
    }
}

impl Parameters {
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        self.architecture.validate()?;
        self.initial.validate()?;
        self.prior.validate()?;
        if self.fit_prior && !matches!(self.prior, Prior::InverseGamma { .. }) {
            return Err(Error::Parameter {
                name: "fit_prior",
                value: "true".into(),
                allowed: "true with an inverse-gamma prior only",
                way_out: "use that prior, or keep the prior as it is; its scale is fitted through last_weight_std and noise",
            });
        }
        if self.exact_rows < 2 {
            return Err(Error::Parameter {
                name: "exact_rows",
                value: self.exact_rows.to_string(),
                allowed: "2 or more",
                way_out: "use its default, 5000",
            });
        }
        if let Some(points) = self.inducing.filter(|points| *points < 1 || *points > self.exact_rows) {
            return Err(Error::Parameter {
                name: "inducing",
                value: points.to_string(),
                allowed: "from 1 to exact_rows",
                way_out: "some hundreds are usual",
            });
        }
        Ok(())
    }
}
