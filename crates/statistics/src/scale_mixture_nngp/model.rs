//! A fitted regression: what is saved, the posterior made from it, and predictions.

use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};

use super::evidence::Factored;
use super::inducing::{Inducing, choose, rows};
use super::kernel::Kernel;
use super::linear::{factor_with_jitter, inverse, solve_lower, transposed_product};
use super::mixing::Mixing;
use super::parameters::{Architecture, Hyperparameters, Parameters};
use super::prior::Prior;
use crate::Error;

/// Mean and deviation of a column of the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardisation {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; 1 for a column that is constant.
    pub deviation: f64,
}

/// A fitted regression: training rows and what was chosen. [`Model::posterior`] makes it ready to predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The network.
    pub architecture: Architecture,
    /// What the evidence chose.
    pub hyperparameters: Hyperparameters,
    /// The prior of the scale.
    pub prior: Prior,
    /// Per input column.
    pub inputs: Vec<Standardisation>,
    /// Of the target.
    pub target: Standardisation,
    /// Training inputs as given, one list per row.
    pub x: Vec<Vec<f64>>,
    /// Training targets as given.
    pub y: Vec<f64>,
    /// Rows that stand for the others; `None` for exact inference.
    pub inducing: Option<Vec<usize>>,
}

/// A model ready to predict.
pub struct Posterior {
    model: Model,
    kernel: Kernel,
    state: State,
}

enum State {
    Exact { x: Matrix, factored: Factored },
    Inducing(Inducing),
}

/// Predictions of new rows, in the target's units.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Predictive {
    /// Means; they do not depend on the prior of the scale.
    pub mean: Vec<f64>,
    /// Standard deviations at s² = 1: what [`Mixing`] stretches.
    pub spread: Vec<f64>,
    /// What is left of the prior of s².
    pub mixing: Mixing,
}

/// Every training row predicted from all others, in the target's units.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Means.
    pub mean: Vec<f64>,
    /// Logarithm of the density of each target.
    pub log_density: Vec<f64>,
    /// The level of the narrowest interval that holds each target; see [`Predictive::levels`].
    pub level: Vec<f64>,
}

impl Model {
    pub(crate) fn fitted(
        parameters: &Parameters,
        x: &Matrix,
        y: &[f64],
        standard: (Vec<Standardisation>, Standardisation),
        chosen: (Hyperparameters, Prior),
    ) -> Result<Self, Error> {
        let mut model = Self {
            architecture: parameters.architecture,
            hyperparameters: chosen.0,
            prior: chosen.1,
            inputs: standard.0,
            target: standard.1,
            x: (0..x.rows()).map(|row| x.row(row).to_vec()).collect(),
            y: y.to_vec(),
            inducing: None,
        };
        if let Some(points) = parameters.inducing {
            let kernel = Kernel::unchecked(model.architecture, &model.hyperparameters);
            model.inducing = Some(choose(&kernel, &model.standardised(x), points)?);
        }
        Ok(model)
    }

    /// Factors the kernel: O(n³), or O(n m²) with m inducing rows.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`]; [`Error::Model`] for a saved model that was changed.
    pub fn posterior(&self) -> Result<Posterior, Error> {
        self.validate()?;
        let columns = self.inputs.len();
        let values: Vec<f64> = self.x.iter().flatten().copied().collect();
        let x = Matrix::new(self.x.len(), columns, values)
            .map_err(|_| Error::Model { problem: "its rows differ in length" })?;
        let x = self.standardised(&x);
        let y: Vec<f64> =
            self.y.iter().map(|value| (value - self.target.mean) / self.target.deviation).collect();
        let kernel = Kernel::new(self.architecture, &self.hyperparameters)?;
        let noise = self.hyperparameters.noise;
        let state = match &self.inducing {
            None => {
                let factored = Factored::new(&kernel, noise, &self.prior, &x, &y)?;
                State::Exact { x, factored }
            }
            Some(which) => {
                State::Inducing(Inducing::new(&kernel, noise, &self.prior, (&x, &y), rows(&x, which))?)
            }
        };
        Ok(Posterior { model: self.clone(), kernel, state })
    }

    /// Checks what was read from a file.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        let problem = |problem| Err(Error::Model { problem });
        self.architecture.validate()?;
        self.hyperparameters.validate()?;
        self.prior.validate()?;
        if self.x.is_empty() || self.inputs.is_empty() {
            return problem("it has no training rows");
        }
        if self.x.len() != self.y.len() {
            return problem("it has not one target per training row");
        }
        if self.x.iter().any(|row| row.len() != self.inputs.len()) {
            return problem("its rows differ in length");
        }
        if self.x.iter().flatten().chain(&self.y).any(|value| !value.is_finite()) {
            return problem("a training value is not finite");
        }
        let fine = |standard: &Standardisation| {
            standard.mean.is_finite() && standard.deviation.is_finite() && standard.deviation > 0.0
        };
        if !self.inputs.iter().all(fine) || !fine(&self.target) {
            return problem("a mean or deviation is not finite and positive");
        }
        if let Some(which) = &self.inducing
            && (which.is_empty() || which.iter().any(|&row| row >= self.x.len()))
        {
            return problem("its inducing rows are not training rows");
        }
        self.architecture.fits(self.x.len(), self.inputs.len())
    }

    fn standardised(&self, x: &Matrix) -> Matrix {
        Matrix::from_fn(x.rows(), x.columns(), |row, column| {
            let Standardisation { mean, deviation } = self.inputs[column];
            (x[(row, column)] - mean) / deviation
        })
    }
}

impl Posterior {
    /// log p(y) of the training targets in their own units.
    pub fn log_evidence(&self) -> f64 {
        let standardised = match &self.state {
            State::Exact { factored, .. } => factored.evidence,
            State::Inducing(inducing) => inducing.evidence,
        };
        standardised - self.model.y.len() as f64 * self.model.target.deviation.ln()
    }

    /// What was added to the diagonal of the kernel to factor it, in variances of the target; 0 is usual.
    pub fn jitter(&self) -> f64 {
        match &self.state {
            State::Exact { factored, .. } => factored.jitter,
            State::Inducing(inducing) => inducing.jitter,
        }
    }

    /// What the training targets leave of the prior of s².
    pub fn mixing(&self) -> &Mixing {
        match &self.state {
            State::Exact { factored, .. } => &factored.scale.mixing,
            State::Inducing(inducing) => &inducing.scale.mixing,
        }
    }

    /// Predicts the targets of new rows, with their noise; of the function under them if `latent`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`].
    pub fn predict(&self, x: &Matrix, latent: bool) -> Result<Predictive, Error> {
        let columns = self.model.inputs.len();
        if x.columns() != columns {
            return Err(Error::Shape {
                what: "the table",
                found: (x.rows(), x.columns()),
                expected: (x.rows(), columns),
            });
        }
        finite(x)?;
        let target = self.model.target;
        let noise = if latent { 0.0 } else { self.model.hyperparameters.noise };
        let (mut mean, mut spread) = (Vec::new(), Vec::new());
        for start in (0..x.rows()).step_by(PIECE) {
            let piece: Vec<usize> = (start..x.rows().min(start + PIECE)).collect();
            let piece = self.model.standardised(&rows(x, &piece));
            let diagonal = self.kernel.diagonal(&piece)?;
            let (means, variances) = match &self.state {
                State::Exact { x, factored } => {
                    let n = x.rows();
                    let mut cross = self.kernel.columns(x, &piece);
                    let means = transposed_product(&factored.weights, &cross, 1, n);
                    solve_lower(&factored.factor, n, &mut cross);
                    let left = cross.chunks_exact(n).zip(&diagonal).map(|(column, all)| {
                        // Rounding may take what is left a little below zero.
                        (all - column.iter().map(|value| value * value).sum::<f64>()).max(0.0)
                    });
                    (means, left.collect::<Vec<f64>>())
                }
                State::Inducing(inducing) => inducing.moments(&self.kernel, &piece, &diagonal),
            };
            mean.extend(means.iter().map(|value| target.mean + target.deviation * value));
            spread.extend(variances.iter().map(|value| target.deviation * (value + noise).sqrt()));
        }
        Ok(Predictive { mean, spread, mixing: self.mixing().clone() })
    }

    /// Predicts every training row from all others, without fitting anew: O(n³) once.
    ///
    /// # Errors
    /// [`Error::OneRow`]; [`Error::Parameter`] with inducing rows.
    pub fn leave_one_out(&self) -> Result<LeftOut, Error> {
        let State::Exact { x, factored } = &self.state else {
            return Err(Error::Parameter {
                name: "inducing",
                value: "some".into(),
                allowed: "none to leave rows out one by one",
                way_out: "predict a table of test rows",
            });
        };
        let n = x.rows();
        if n < 2 {
            return Err(Error::OneRow { rows: n });
        }
        let Standardisation { mean, deviation } = self.model.target;
        let inverse = inverse(&factored.factor, n);
        let standardised = |row: usize| (self.model.y[row] - mean) / deviation;
        let q: f64 = (0..n).map(|row| standardised(row) * factored.weights[row]).sum();
        let mut left = LeftOut { mean: Vec::new(), log_density: Vec::new(), level: Vec::new() };
        for row in 0..n {
            // What is left of the row's variance given all others, and how far it is from their prediction.
            let spread = inverse[row * n + row].recip().sqrt();
            let z = factored.weights[row] * spread;
            let mixing = self.model.prior.posterior(n - 1, (q - z * z).max(0.0)).mixing;
            left.mean.push(mean + deviation * (standardised(row) - z * spread));
            left.log_density.push(mixing.log_density(z) - (spread * deviation).ln());
            left.level.push(mixing.within(z));
        }
        Ok(left)
    }

    /// Draws functions (with noise unless `latent`) at new rows, jointly: one list per draw. One s² serves all rows of a draw.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::NotPositiveDefinite`]; [`Error::Parameter`] with inducing rows, whose joint
    /// covariance is not kept.
    pub fn sample(
        &self,
        x: &Matrix,
        draws: usize,
        latent: bool,
        stream: &mut Stream,
    ) -> Result<Vec<Vec<f64>>, Error> {
        let State::Exact { x: train, factored } = &self.state else {
            return Err(Error::Parameter {
                name: "inducing",
                value: "some".into(),
                allowed: "none for joint draws",
                way_out: "predict each row, or fit exactly",
            });
        };
        let marginal = self.predict(x, latent)?;
        let (n, rows) = (train.rows(), x.rows());
        let piece = self.model.standardised(x);
        let mut cross = self.kernel.columns(train, &piece);
        solve_lower(&factored.factor, n, &mut cross);
        let explained = transposed_product(&cross, &cross, rows, n);
        let mut covariance = self.kernel.lower(&piece);
        covariance.iter_mut().zip(&explained).for_each(|(value, explained)| *value -= explained);
        let noise = if latent { 0.0 } else { self.model.hyperparameters.noise };
        for row in 0..rows {
            covariance[row * rows + row] += noise;
        }
        let (factor, _) = factor_with_jitter(&covariance, rows)
            .map_err(|row| Error::NotPositiveDefinite { row, jitter: 1e-4 })?;
        Ok((0..draws)
            .map(|_| {
                let scale = marginal.mixing.sample(stream).sqrt() * self.model.target.deviation;
                let normals: Vec<f64> = (0..rows).map(|_| stream.normal()).collect();
                (0..rows)
                    .map(|row| {
                        let sum: f64 = (0..=row).map(|by| factor[by * rows + row] * normals[by]).sum();
                        marginal.mean[row] + scale * sum
                    })
                    .collect()
            })
            .collect())
    }
}

/// New rows whose kernel with the training rows is held at once.
const PIECE: usize = 1024;

impl Predictive {
    /// Scale parameters: of Student's t under an inverse-gamma prior, the standard deviation of a Gaussian process.
    pub fn scale(&self) -> Vec<f64> {
        let factor = self.mixing.squared_scale().sqrt();
        self.spread.iter().map(|spread| factor * spread).collect()
    }

    /// Half of the width of the interval that holds a share `level` of targets, per row. NaN unless 0 < level < 1.
    pub fn half_width(&self, level: f64) -> Vec<f64> {
        let width = self.mixing.half_width(level);
        self.spread.iter().map(|spread| width * spread).collect()
    }

    /// Logarithm of the density of each target, in units of the target.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one target per row.
    pub fn log_density(&self, y: &[f64]) -> Result<Vec<f64>, Error> {
        if y.len() != self.mean.len() {
            return Err(Error::Shape {
                what: "the target",
                found: (y.len(), 1),
                expected: (self.mean.len(), 1),
            });
        }
        let each = y
            .iter()
            .zip(&self.mean)
            .zip(&self.spread)
            .map(|((y, mean), spread)| self.mixing.log_density((y - mean) / spread) - spread.ln());
        Ok(each.collect())
    }

    /// For each target the level of the narrowest interval that holds it: uniform on (0, 1) where the predictions are calibrated.
    ///
    /// # Errors
    /// As [`Self::log_density`].
    pub fn levels(&self, y: &[f64]) -> Result<Vec<f64>, Error> {
        self.log_density(y)?;
        let each = y.iter().zip(&self.mean).zip(&self.spread);
        Ok(each.map(|((y, mean), spread)| self.mixing.within((y - mean) / spread)).collect())
    }
}

pub(crate) fn finite(x: &Matrix) -> Result<(), Error> {
    let columns = x.columns().max(1);
    match x.values().iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::NotFinite { row: at / columns, column: at % columns, value: x.values()[at] }),
        None => Ok(()),
    }
}

/// Means and deviations of columns.
pub(crate) fn standardise(x: &Matrix) -> Result<Vec<Standardisation>, Error> {
    (0..x.columns())
        .map(|column| {
            let standard = of(&x.column(column).collect::<Vec<_>>());
            if standard.mean.is_finite() && standard.deviation.is_finite() {
                return Ok(standard);
            }
            let value = x.column(column).fold(0.0, |most: f64, value| most.max(value.abs()));
            Err(Error::TooLarge { column, value })
        })
        .collect()
}

/// Mean and deviation of some values; a deviation that is only rounding counts as none, which is 1.
pub(crate) fn of(values: &[f64]) -> Standardisation {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| value / n).sum::<f64>();
    let variance = values.iter().map(|value| (value - mean) * ((value - mean) / n)).sum::<f64>();
    let deviation = variance.sqrt();
    let constant = deviation <= 1e-14 * mean.abs() || deviation == 0.0;
    Standardisation { mean, deviation: if constant { 1.0 } else { deviation } }
}
