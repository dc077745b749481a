//! A network as a chain: affine map, activations, affine map, activations, …, affine map.

use backstitch_numerics::Matrix;
use faer::Mat;

use super::linear::{Map, Sparse};
use crate::Error;

/// Most weights of one affine map, convolutions and what they are composed with written out.
pub const MOST_WEIGHTS: usize = 1 << 26;

/// What is applied to one number between two affine maps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// max(z, 0).
    Relu,
    /// z where it is positive, a share of it from 0 to 1 elsewhere.
    LeakyRelu(f64),
    /// The hyperbolic tangent.
    Tanh,
    /// 1/(1 + exp(−z)).
    Sigmoid,
    /// z: a value carried past the activation, as a skip connection does.
    Identity,
}

impl Activation {
    pub(super) fn value(self, z: f64) -> f64 {
        match self {
            Self::Relu => z.max(0.0),
            Self::LeakyRelu(share) => {
                if z > 0.0 {
                    z
                } else {
                    share * z
                }
            }
            Self::Tanh => z.tanh(),
            Self::Sigmoid => sigmoid(z),
            Self::Identity => z,
        }
    }

    /// The derivative; at the kink, that from the left.
    pub(super) fn slope(self, z: f64) -> f64 {
        match self {
            Self::Relu => f64::from(u8::from(z > 0.0)),
            Self::LeakyRelu(share) => {
                if z > 0.0 {
                    1.0
                } else {
                    share
                }
            }
            Self::Tanh => {
                let value = z.tanh();
                (1.0 - value) * (1.0 + value)
            }
            Self::Sigmoid => sigmoid(z) * sigmoid(-z),
            Self::Identity => 1.0,
        }
    }

    /// Whether the derivative takes two values only, so that branch and bound can decide it.
    pub(super) fn has_kink(self) -> bool {
        matches!(self, Self::Relu | Self::LeakyRelu(_))
    }
}

pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// One affine map and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) map: Map,
    pub(super) bias: Vec<f64>,
    /// One per row of the map.
    pub(super) activations: Vec<Activation>,
}

/// A feed-forward network whose activations are known one by one.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) stages: Vec<Stage>,
    pub(super) last: Map,
    pub(super) last_bias: Vec<f64>,
}

/// The weights and the bias of a dense layer: outputs × inputs, and one number per output.
pub type DenseLayer = (Matrix, Vec<f64>);

impl Network {
    /// A chain of dense layers with the same activation between each two.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no layer or a weight is not finite; [`Error::Width`] if two layers do not fit;
    /// [`Error::Parameter`] if the share of a leaky ReLU is outside 0 to 1.
    pub fn dense(layers: &[DenseLayer], activation: Activation) -> Result<Self, Error> {
        check_activation(activation)?;
        let mut parts = Vec::new();
        for (place, (weights, bias)) in layers.iter().enumerate() {
            if bias.len() != weights.rows() {
                let what = format!("bias of layer {place}");
                return Err(Error::Width { what, found: bias.len(), expected: weights.rows() });
            }
            let mut sparse = Sparse::new(weights.columns());
            for row in 0..weights.rows() {
                sparse.push_row((0..).zip(weights.row(row).iter().copied()));
            }
            parts.push((Map::new(sparse), bias.clone()));
        }
        let Some((last, last_bias)) = parts.pop() else {
            return Err(Error::Model { problem: "there is no layer".into(), way_out: "give at least one" });
        };
        let stages = parts
            .into_iter()
            .map(|(map, bias)| Stage { activations: vec![activation; map.rows()], map, bias })
            .collect();
        Self::checked(stages, last, last_bias)
    }

    /// Checks that maps fit and numbers are finite.
    pub(super) fn checked(stages: Vec<Stage>, last: Map, last_bias: Vec<f64>) -> Result<Self, Error> {
        let maps = || stages.iter().map(|stage| &stage.map).chain([&last]);
        let mut width = maps().next().map_or(0, Map::columns);
        for (place, map) in maps().enumerate() {
            if map.columns() != width {
                let what = format!("input of layer {place}");
                return Err(Error::Width { what, found: map.columns(), expected: width });
            }
            width = map.rows();
            let mut finite = true;
            map.for_each(|_, _, weight| finite &= weight.is_finite());
            let bias = stages.get(place).map_or(&last_bias, |stage| &stage.bias);
            if !finite || bias.iter().any(|value| !value.is_finite()) {
                return Err(Error::Model {
                    problem: format!("a weight or bias of layer {place} is not finite"),
                    way_out: "train again, or repair the file",
                });
            }
            if map.rows() == 0 || map.columns() == 0 {
                return Err(Error::Model {
                    problem: format!("layer {place} has {} outputs and {} inputs", map.rows(), map.columns()),
                    way_out: "every layer needs both",
                });
            }
        }
        Ok(Self { stages, last, last_bias })
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.stages.first().map_or(&self.last, |stage| &stage.map).columns()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.last.rows()
    }

    /// Numbers between the affine maps that an activation is applied to.
    pub fn neurons(&self) -> usize {
        let real =
            |stage: &Stage| stage.activations.iter().filter(|kind| **kind != Activation::Identity).count();
        self.stages.iter().map(real).sum()
    }

    /// Those of them whose activation has a kink, so that they can be on or off.
    pub fn kinks(&self) -> usize {
        self.stages.iter().flat_map(|stage| &stage.activations).filter(|kind| kind.has_kink()).count()
    }

    /// Affine maps.
    pub fn depth(&self) -> usize {
        self.stages.len() + 1
    }

    /// The outputs at a point.
    ///
    /// # Errors
    /// [`Error::Width`] if the point has another number of coordinates.
    pub fn evaluate(&self, point: &[f64]) -> Result<Vec<f64>, Error> {
        self.check_width("point", point.len())?;
        let mut values = point.to_vec();
        for stage in &self.stages {
            values = stage.before(&values);
            for (value, activation) in values.iter_mut().zip(&stage.activations) {
                *value = activation.value(*value);
            }
        }
        Ok(plus(self.last.apply(&values), &self.last_bias))
    }

    /// The Jacobian at a point, outputs × inputs; at a kink, that of the side where the neuron is off.
    ///
    /// # Errors
    /// [`Error::Width`] if the point has another number of coordinates.
    pub fn jacobian(&self, point: &[f64]) -> Result<Matrix, Error> {
        self.check_width("point", point.len())?;
        let found = self.slopes_at(point, None);
        Ok(Matrix::from_fn(found.nrows(), found.ncols(), |row, column| found[(row, column)]))
    }

    /// The Jacobian at a point, or one row of it.
    pub(super) fn slopes_at(&self, point: &[f64], output: Option<usize>) -> Mat<f64> {
        let mut slopes = Vec::with_capacity(self.stages.len());
        let mut values = point.to_vec();
        for stage in &self.stages {
            let before = stage.before(&values);
            let pairs = || before.iter().zip(&stage.activations);
            slopes.push(pairs().map(|(z, activation)| activation.slope(*z)).collect::<Vec<f64>>());
            values = pairs().map(|(z, activation)| activation.value(*z)).collect();
        }
        let mut found = match output {
            Some(output) => self.last.rows_from(output, 1),
            None => self.last.rows_from(0, self.outputs()),
        };
        for (stage, slopes) in self.stages.iter().zip(&slopes).rev() {
            for (column, slope) in slopes.iter().enumerate() {
                found.col_mut(column).iter_mut().for_each(|entry| *entry *= slope);
            }
            found = stage.map.pull(found.as_ref());
        }
        found
    }

    pub(super) fn check_width(&self, what: &str, found: usize) -> Result<(), Error> {
        let expected = self.inputs();
        if found == expected { Ok(()) } else { Err(Error::Width { what: what.into(), found, expected }) }
    }
}

impl Stage {
    /// What the activations are applied to.
    pub(super) fn before(&self, values: &[f64]) -> Vec<f64> {
        plus(self.map.apply(values), &self.bias)
    }
}

pub(super) fn check_activation(activation: Activation) -> Result<(), Error> {
    match activation {
        Activation::LeakyRelu(share) if !(0.0..=1.0).contains(&share) => Err(Error::Parameter {
            name: "share of the leaky ReLU",
            value: share.to_string(),
            allowed: "from 0 to 1".into(),
            way_out: "use a network with one in that range; 0.01 is usual",
        }),
        _ => Ok(()),
    }
}

fn plus(mut values: Vec<f64>, bias: &[f64]) -> Vec<f64> {
    values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    values
}
