//! What a release can be told, and the noise that follows from it.

use serde::{Deserialize, Serialize};

use super::factor::{Exponentials, levels};
use super::noise::MAX_SCALE;
use super::privacy::{gaussian_delta, gaussian_epsilon, gaussian_multiplier, zcdp_epsilon};
use crate::Error;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// The running sum of one column with values from 0 to `bound`.
    Count,
    /// The running sums of several columns, each from 0 to `bound`; a row may change in all of them.
    Sum,
    /// The running counts of categories: a row has at most one 1, the rest is 0.
    Histogram,
}

/// How the running sum is factorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// A binary tree of noisy partial sums.
    Tree,
    /// The tree with every node's estimate improved from the nodes below it.
    Honaker,
    /// The square root of the prefix-sum matrix.
    SquareRoot,
    /// The square root with columns scaled to norm 1: the smallest error here, for a known horizon.
    NormalisedSquareRoot,
}

/// The demand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// ρ-zCDP, Gaussian noise.
    Concentrated {
        /// ρ.
        rho: f64,
    },
    /// (ε, δ), Gaussian noise calibrated by its exact curve.
    Approximate {
        /// ε.
        epsilon: f64,
        /// δ, which should be far below one over the number of people.
        delta: f64,
    },
    /// ε alone, Laplace noise on a tree.
    Pure {
        /// ε.
        epsilon: f64,
    },
}

/// Which two streams must look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neighbours {
    /// They differ in one row, which is replaced by any allowed one.
    Event,
    /// They differ in all rows of one user, who has at most so many.
    User(u32),
}

/// What [`ContinualDp`](super::ContinualDp) can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// What is counted.
    pub query: Query,
    /// Columns of a row; 1 for [`Query::Count`].
    pub columns: usize,
    /// Largest value of an entry; 1 for [`Query::Histogram`].
    pub bound: f64,
    /// The factorisation.
    pub mechanism: Mechanism,
    /// The demand.
    pub privacy: Privacy,
    /// Rows at most, T. A row more is refused.
    pub horizon: usize,
    /// Which two streams must look alike.
    pub neighbours: Neighbours,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            query: Query::Count,
            columns: 1,
            bound: 1.0,
            mechanism: Mechanism::NormalisedSquareRoot,
            privacy: Privacy::Approximate { epsilon: 1.0, delta: 1e-6 },
            horizon: 65_536,
            neighbours: Neighbours::Event,
        }
    }
}

/// The noise that a demand needs, on a grid of spacing `2^−grid`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Whether the noise is Laplace; otherwise Gaussian.
    pub laplace: bool,
    /// Minus the binary logarithm of the grid's spacing.
    pub grid: u32,
    /// Scale of the discrete noise in grid steps: σ of the Gaussian, or the mean size of the Laplace.
    pub scale: u64,
    /// Sensitivity of what the noise is added to, with every rounding: ℓ2 for Gaussian, ℓ1 for Laplace noise.
    pub sensitivity: f64,
    /// Standard deviation of one noise draw.
    pub deviation: f64,
    /// ρ of zCDP that the release spends.
    pub rho: f64,
}

impl Plan {
    /// The ε at `delta`. For Gaussian noise the smaller of the exact curve of one Gaussian query and the conversion from zCDP;
    /// `draws` is the number of noise draws, which the exact curve is charged for.
    pub fn epsilon(&self, delta: f64, draws: f64) -> f64 {
        let converted = zcdp_epsilon(self.rho, delta);
        if self.laplace {
            return (2.0 * self.rho).sqrt().min(converted);
        }
        let (ratio, cost) = ((2.0 * self.rho).sqrt(), draws * distance(self.scale));
        // The charge depends on ε: a rising iteration towards the smallest ε that meets δ with its charge.
        let mut epsilon = gaussian_epsilon(ratio, delta);
        for _ in 0..100 {
            let charged = delta - (1.0 + epsilon.exp()) * cost;
            if !(charged > 0.0 && epsilon < converted) {
                return converted;
            }
            let next = gaussian_epsilon(ratio, charged);
            if next <= epsilon * (1.0 + 1e-12) {
                break;
            }
            epsilon = next;
        }
        let epsilon = epsilon * (1.0 + 1e-9);
        let met = gaussian_delta(ratio, epsilon) + (1.0 + epsilon.exp()) * cost <= delta;
        if met { epsilon.min(converted) } else { converted }
    }
}

/// Bound on the total variation between a discrete Gaussian of integer scale m ≥ 1024 and a rounded continuous one.
///
/// The pmf and the integral over a cell differ by at most `max |f″|/24`, f the density; summed over the cells that is at most
/// `∫|f″|/24 = 4φ(1)/(24 m²) < 0.041/m²`, half of it the distance, and 0.05 leaves room for the maximum within a cell.
fn distance(scale: u64) -> f64 {
    0.05 / (scale as f64).powi(2)
}

/// Scales of the noise in grid steps lie from here to twice as much, unless the noise is that large by itself.
const FINE: f64 = (1_u64 << 30) as f64;

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        self.plan().map(|_| ())
    }

    /// The noise that the demand needs.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn plan(&self) -> Result<Plan, Error> {
        let factor = self.checked()?;
        let group = match self.neighbours {
            Neighbours::Event => 1.0,
            Neighbours::User(rows) => f64::from(rows),
        };
        let columns = self.columns as f64;
        let laplace = matches!(self.privacy, Privacy::Pure { .. });
        // How far a row can move, per unit of an entry: ℓ1 for Laplace, ℓ2 for Gaussian noise.
        let row = match (self.query, laplace) {
            (Query::Count, _) => 1.0,
            (Query::Sum, true) => columns,
            (Query::Sum, false) => columns.sqrt(),
            (Query::Histogram, true) => columns.min(2.0),
            (Query::Histogram, false) => columns.min(2.0).sqrt(),
        };
        // How far it then moves what the noise is added to.
        let column = match (&factor, laplace) {
            (None, true) => levels(self.horizon) as f64,
            (None, false) => (levels(self.horizon) as f64).sqrt(),
            (Some(factor), _) => match self.mechanism {
                Mechanism::SquareRoot => factor.square(self.horizon).sqrt(),
                _ => 1.0,
            },
        };
        let multiplier = self.multiplier(FINE as u64)?;
        let ideal = group * row * column * self.bound;
        let grid = (FINE / (ideal * multiplier)).log2().ceil();
        if grid.is_nan() || grid > 1000.0 {
            return Err(self.too_precise());
        }
        let grid = grid.max(0.0);
        let spacing = (-grid).exp2();
        let sensitivity = match &factor {
            // A leaf is rounded to the grid, which moves the difference of two leaves by at most one step.
            None => group * row * column * (self.bound + spacing),
            // Every released number is rounded to the grid after floating-point errors, on both streams.
            Some(factor) => {
                let rounding = spacing + 2.0 * encoding_error(factor, self.horizon, self.bound);
                ideal + (self.horizon as f64 * columns).sqrt() * rounding
            }
        };
        let sensitivity = sensitivity * (1.0 + 1e-9);
        let scale = (sensitivity / spacing * multiplier * (1.0 + 1e-12)).ceil();
        if scale.is_nan() || scale > MAX_SCALE as f64 {
            return Err(Error::Parameter {
                name: "the noise",
                value: format!("{:e} per draw", scale * spacing),
                allowed: "at most 2^38",
                way_out: "ask for less privacy or give a smaller bound (rescale the column)",
            });
        }
        // Sums on the grid must fit 62 bits.
        let largest = self.bound * self.horizon as f64 / spacing * 4.0;
        if largest.is_nan() || largest >= 2f64.powi(62) {
            return Err(self.too_precise());
        }
        let ratio = sensitivity / spacing / scale;
        let rho = 0.5 * ratio * ratio;
        let deviation = spacing * scale * if laplace { std::f64::consts::SQRT_2 } else { 1.0 };
        Ok(Plan { laplace, grid: grid as u32, scale: scale as u64, sensitivity, deviation, rho })
    }

    /// Noise draws of the whole horizon at most.
    pub fn draws(&self) -> f64 {
        let per_row = if self.factor().is_some() { 1.0 } else { 2.0 };
        per_row * self.horizon as f64 * self.columns as f64
    }

    /// The exponentials of the square root; nothing for trees.
    pub(crate) fn factor(&self) -> Option<Exponentials> {
        match self.mechanism {
            Mechanism::Tree | Mechanism::Honaker => None,
            _ => Some(Exponentials::square_root(self.horizon, SPACING)),
        }
    }

    /// Scale of the noise per unit of sensitivity, for a grid of at least 2^20 steps to it.
    pub(crate) fn noise_per_sensitivity(&self) -> Result<f64, Error> {
        self.multiplier(1 << 20)
    }

    /// Scale of the noise per unit of sensitivity; `scale` is a lower bound of it in grid steps.
    fn multiplier(&self, scale: u64) -> Result<f64, Error> {
        match self.privacy {
            Privacy::Concentrated { rho } => Ok((0.5 / rho).sqrt()),
            Privacy::Pure { epsilon } => Ok(1.0 / epsilon),
            Privacy::Approximate { epsilon, delta } => {
                // The curve is that of a rounded continuous Gaussian; the discrete one is this far from it.
                let charged = delta - (1.0 + epsilon.min(700.0).exp()) * self.draws() * distance(scale);
                if charged < 0.5 * delta {
                    return Err(Error::Parameter {
                        name: "delta",
                        value: format!("{delta:e}"),
                        allowed: "above the distance between discrete and continuous noise over the horizon",
                        way_out: "give a larger delta, a smaller epsilon or the demand as rho",
                    });
                }
                Ok(gaussian_multiplier(epsilon, charged))
            }
        }
    }

    fn too_precise(&self) -> Error {
        Error::Parameter {
            name: "bound × horizon",
            value: format!("{} × {}", self.bound, self.horizon),
            allowed: "such that sums in steps of the noise's grid fit 62 bits",
            way_out: "ask for more privacy (a smaller epsilon or rho) or give a smaller horizon",
        }
    }

    fn checked(&self) -> Result<Option<Exponentials>, Error> {
        let fail =
            |name, value: String, allowed, way_out| Err(Error::Parameter { name, value, allowed, way_out });
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !(1..=MAX_HORIZON).contains(&self.horizon) {
            let value = self.horizon.to_string();
            return fail("horizon", value, "from 1 to 2^40", "give the most rows that will ever come");
        }
        if !(1..=1 << 24).contains(&self.columns) {
            let value = self.columns.to_string();
            return fail("columns", value, "from 1 to 2^24", "give a row at least one column");
        }
        if self.query == Query::Count && self.columns != 1 {
            let value = self.columns.to_string();
            return fail("columns", value, "1 for a count", "use sum or histogram for more columns");
        }
        if !positive(self.bound) {
            let value = self.bound.to_string();
            return fail("bound", value, "positive and finite", "give the largest value an entry may have");
        }
        if self.query == Query::Histogram && self.bound != 1.0 {
            let value = self.bound.to_string();
            return fail("bound", value, "1 for a histogram", "use sum for values above 1");
        }
        if self.neighbours == Neighbours::User(0) {
            let value = "user:0".into();
            return fail("neighbours", value, "user:1 or more", "give the most rows one user may have");
        }
        let limits = 1e-9..=1e4;
        match self.privacy {
            Privacy::Concentrated { rho } if !limits.contains(&rho) => {
                return fail("rho", rho.to_string(), "from 1e-9 to 1e4", "0.5 is a usual value");
            }
            Privacy::Approximate { epsilon, .. } | Privacy::Pure { epsilon }
                if !limits.contains(&epsilon) =>
            {
                return fail("epsilon", epsilon.to_string(), "from 1e-9 to 1e4", "1 is a usual value");
            }
            Privacy::Approximate { delta, .. } if !(positive(delta) && delta < 1.0) => {
                return fail(
                    "delta",
                    delta.to_string(),
                    "between 0 and 1",
                    "give less than one over the people",
                );
            }
            _ => {}
        }
        let factor = self.factor();
        if factor.is_some() && matches!(self.privacy, Privacy::Pure { .. }) {
            let value = "pure".into();
            return fail(
                "privacy",
                value,
                "with a delta or rho for square roots",
                "use honaker, or give a delta",
            );
        }
        Ok(factor)
    }
}

/// Spacing of the trapezoidal rule behind the square root's exponentials.
pub(crate) const SPACING: f64 = 2.0;

const MAX_HORIZON: usize = 1 << 40;

/// Bound on the floating-point error of one encoded number: that of the buffers, which a buffer forgets after `1/(1 − decay)`
/// steps, and that of the sum over them.
fn encoding_error(factor: &Exponentials, horizon: usize, bound: f64) -> f64 {
    let unit = f64::EPSILON / 2.0;
    let (mut error, mut largest) = (0.0, bound);
    for (decay, weight) in factor.decay.iter().zip(&factor.weight) {
        let memory = (1.0 / (1.0 - decay)).min(horizon as f64);
        error += weight * 4.0 * unit * bound * memory * memory;
        largest += weight * bound * memory;
    }
    1.01 * (error + (factor.order() as f64 + 4.0) * unit * largest)
}
