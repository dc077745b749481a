//! What the method can be told.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Fewest bits: with one bit the only input is the training point.
pub const SHORTEST: usize = 2;
/// Most bits; sums over the number of ones stay quick up to here.
pub const LONGEST: usize = 100_000;

/// How the weights of the network are scaled, which decides the kernel that gradient descent sees at large width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parametrisation {
    /// Weights of variance 1 with the scale outside, `f = W₂ relu(W₁x/√k)/√n`: both layers learn, the kernel is the neural
    /// tangent kernel. The paper's theory.
    Ntk,
    /// The scale in the initial weights (variances 1/k and 1/n), one learning rate of order 1/n: at large width only the
    /// readout learns and the kernel is that of the hidden features. The released experiments.
    Standard,
}

/// Where the averaged output becomes a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// 1 above zero (the paper's).
    Zero,
    /// 1 above the midpoint of the two means, which the number of ones in the input gives in closed form (ours).
    Midpoint,
}

/// What [`ExactPermutations`](super::ExactPermutations) can be told. The default is the paper's theory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Number of bits k.
    pub length: usize,
    /// How weights are scaled (paper: NTK).
    pub parametrisation: Parametrisation,
    /// Where outputs become bits (paper: zero).
    pub rounding: Rounding,
    /// Variance of the first layer's initial weights in units of the paper's 1/k (default 1). Means do not depend on it; the
    /// variance of outputs, and with it the number of models, is proportional to it.
    pub weight_variance: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            length: 20,
            parametrisation: Parametrisation::Ntk,
            rounding: Rounding::Zero,
            weight_variance: 1.0,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        if !(SHORTEST..=LONGEST).contains(&self.length) {
            return Err(Error::Parameter {
                name: "length",
                value: self.length.to_string(),
                allowed: format!("from {SHORTEST} to {LONGEST}"),
                way_out: "with one bit there is only the training input, so nothing is left to learn",
            });
        }
        positive("weight_variance", self.weight_variance, "use 1, the paper's value")
    }
}

/// How networks of finite width are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkParameters {
    /// Hidden units n (released: 50,000; ours 4,096).
    pub width: usize,
    /// Learning rate as a share of `2/(λ_max + λ_min)`, the best for the infinite-width kernel of the training inputs.
    pub rate: f64,
    /// Most full-batch steps.
    pub steps: usize,
    /// Training ends when no output on a training input is further from its target.
    pub tolerance: f64,
}

impl Default for NetworkParameters {
    fn default() -> Self {
        Self { width: 4_096, rate: 0.8, steps: 10_000, tolerance: 1e-9 }
    }
}

impl NetworkParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let count = |name, value: usize, limit: usize, way_out| {
            let allowed = format!("from 1 to {limit}");
            let fail = Error::Parameter { name, value: value.to_string(), allowed, way_out };
            if (1..=limit).contains(&value) { Ok(()) } else { Err(fail) }
        };
        count("width", self.width, 10_000_000, "use 4096; the theory is for large widths")?;
        count("steps", self.steps, 1_000_000_000, "use 10000; training ends by itself at the tolerance")?;
        positive("tolerance", self.tolerance, "use 1e-9")?;
        positive("rate", self.rate, "use 0.8")?;
        if self.rate >= 2.0 {
            return Err(Error::Parameter {
                name: "rate",
                value: self.rate.to_string(),
                allowed: "below 2, above which gradient descent diverges".into(),
                way_out: "use 0.8",
            });
        }
        Ok(())
    }
}

pub(super) fn positive(name: &'static str, value: f64, way_out: &'static str) -> Result<(), Error> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::Parameter { name, value: value.to_string(), allowed: "positive and finite".into(), way_out })
}

/// A probability strictly between 0 and 1.
pub(super) fn probability(name: &'static str, value: f64, way_out: &'static str) -> Result<(), Error> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Parameter { name, value: value.to_string(), allowed: "above 0 and below 1".into(), way_out })
}
