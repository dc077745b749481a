//! AdamW and SGD. Both keep their state by parameter name, on the host, so that a checkpoint is a list of named tensors.

use std::collections::BTreeMap;

use backstitch_kernels::step::{AdamW, Sgd};

use crate::error::NnError;

/// Which optimiser, with its constants.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum OptimizerParameters {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
    AdamW(Adam),
    /// Stochastic gradient descent: `v ← μ v + g`, `x ← x − η v`; weight decay is added to the gradient.
    Sgd {
        /// μ.
        momentum: f64,
        /// λ.
        weight_decay: f64,
    },
}

/// Constants of AdamW. The defaults are those of this project's small language models; PyTorch has β₂ 0.999.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Adam {
    /// β₁, decay of the mean of the gradients.
    pub beta1: f64,
    /// β₂, decay of the mean of their squares.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
    /// λ, applied to every parameter as PyTorch does.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl OptimizerParameters {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the constant that is out of range.
    pub fn validate(&self) -> Result<(), NnError> {
        let check = |name, value: f64, fits: bool, allowed| {
            if fits {
                return Ok(());
            }
            let hint = "see the defaults";
            Err(NnError::Parameter { name, value: value.to_string(), allowed, hint })
        };
        match *self {
            Self::AdamW(Adam { beta1, beta2, epsilon, weight_decay }) => {
                check("beta1", beta1, (0.0..1.0).contains(&beta1), "in [0, 1)")?;
                check("beta2", beta2, (0.0..1.0).contains(&beta2), "in [0, 1)")?;
                check("epsilon", epsilon, epsilon > 0.0, "above 0")?;
                check("weight_decay", weight_decay, weight_decay >= 0.0, "at least 0")
            }
            Self::Sgd { momentum, weight_decay } => {
                check("momentum", momentum, (0.0..1.0).contains(&momentum), "in [0, 1)")?;
                check("weight_decay", weight_decay, weight_decay >= 0.0, "at least 0")
            }
        }
    }
}

/// An optimiser with its state.
#[derive(Clone, Debug)]
pub struct Optimizer {
    parameters: OptimizerParameters,
    pub(crate) steps: u64,
    /// First moment (momentum of SGD) by parameter.
    pub(crate) first: BTreeMap<String, Vec<f32>>,
    /// Second moment by parameter; empty for SGD.
    pub(crate) second: BTreeMap<String, Vec<f32>>,
}

impl Optimizer {
    /// A fresh optimiser.
    ///
    /// # Errors
    /// If a constant is out of range.
    pub fn new(parameters: OptimizerParameters) -> Result<Self, NnError> {
        parameters.validate()?;
        Ok(Self { parameters, steps: 0, first: BTreeMap::new(), second: BTreeMap::new() })
    }

    /// Begins a step; every parameter is then given once to [`update`](Self::update).
    pub(crate) fn begin(&mut self) {
        self.steps += 1;
    }

    /// Moves one parameter. `gradient` is multiplied by `scale` first (clipping).
    pub(crate) fn update(
        &mut self,
        name: &str,
        values: &mut [f32],
        gradient: &[f32],
        scale: f32,
        learning_rate: f64,
    ) {
        let zeros = || vec![0.0; values.len()];
        let first = self.first.entry(name.into()).or_insert_with(zeros);
        match self.parameters {
            OptimizerParameters::AdamW(adam) => {
                let second = self.second.entry(name.into()).or_insert_with(zeros);
                let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let correction1 = 1.0 - adam.beta1.powi(steps);
                let correction2 = 1.0 - adam.beta2.powi(steps);
                let step = AdamW {
                    scale,
                    beta1: adam.beta1 as f32,
                    beta2: adam.beta2 as f32,
                    epsilon: adam.epsilon as f32,
                    shrink: (1.0 - learning_rate * adam.weight_decay) as f32,
                    rate: (learning_rate / correction1) as f32,
                    root: (1.0 / correction2.sqrt()) as f32,
                };
                step.step(values, gradient, first, second);
            }
            OptimizerParameters::Sgd { momentum, weight_decay } => {
                let step = Sgd {
                    scale,
                    momentum: momentum as f32,
                    decay: weight_decay as f32,
                    rate: learning_rate as f32,
                };
                step.step(values, gradient, first);
            }
        }
    }
}
