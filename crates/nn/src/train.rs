//! The training loop: batch → loss → gradients → optimiser → metrics, and a state that carries a run over a kill.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::checkpoint::state;
use crate::error::NnError;
use crate::gradients::{gradients, norm};
use crate::optimizer::{Adam, Optimizer, OptimizerParameters};
use crate::schedule::Schedule;
use crate::tensors::{Path, host_values, replace_value};

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainingParameters {
    /// Number of steps.
    pub steps: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// The gradient is shortened to this norm; infinite for no clipping.
    pub clip: f64,
    /// The optimiser.
    pub optimizer: OptimizerParameters,
}

impl Default for TrainingParameters {
    /// AdamW, 10⁻³, 5 % warm-up, cosine to 10 %, clipping at 1, 1,000 steps: this project's default for small decoders.
    fn default() -> Self {
        Self {
            steps: 1000,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine { warm_up: 0.05, last: 0.1 },
            clip: 1.0,
            optimizer: OptimizerParameters::AdamW(Adam::default()),
        }
    }
}

impl TrainingParameters {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the value that is out of range.
    pub fn validate(&self) -> Result<(), NnError> {
        for (name, value) in [("learning_rate", self.learning_rate), ("clip", self.clip)] {
            if value.is_nan() || value <= 0.0 {
                let (value, hint) = (value.to_string(), "1e-3 and 1 are usual");
                return Err(NnError::Parameter { name, value, allowed: "above 0", hint });
            }
        }
        self.schedule.validate()?;
        self.optimizer.validate()
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// Loss before the step.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A model under training.
#[derive(Debug)]
pub struct Trainer<M> {
    model: M,
    parameters: TrainingParameters,
    optimizer: Optimizer,
    step: u64,
}

impl<M: Module> Trainer<M> {
    /// Trains `model`, whose weights must be on a device with autodiff.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn new(model: M, parameters: TrainingParameters) -> Result<Self, NnError> {
        parameters.validate()?;
        Ok(Self {
            model: model.train(),
            optimizer: Optimizer::new(parameters.optimizer)?,
            parameters,
            step: 0,
        })
    }

    /// The model as it is now.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The trained model, without autodiff.
    pub fn into_model(self) -> M {
        self.model.valid()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How it trains.
    pub fn parameters(&self) -> &TrainingParameters {
        &self.parameters
    }

    /// One step down the gradient of `loss`, which must come from [`model`](Self::model).
    ///
    /// # Errors
    /// If the loss or the gradient is not finite, or if a trainable parameter receives no gradient.
    pub fn descend(&mut self, loss: &Tensor<1>) -> Result<StepReport, NnError> {
        let step = self.step + 1;
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if !value.is_finite() {
            return Err(NnError::Diverged { step, what: "loss", value });
        }
        let gradients = gradients(&self.model, loss)?;
        let gradient_norm = norm(&gradients);
        if !gradient_norm.is_finite() {
            return Err(NnError::Diverged { step, what: "norm of the gradient", value: gradient_norm });
        }
        let learning_rate =
            self.parameters.learning_rate * self.parameters.schedule.factor(step, self.parameters.steps);
        let scale =
            if gradient_norm > self.parameters.clip { self.parameters.clip / gradient_norm } else { 1.0 };
        self.optimizer.begin();
        let mut update = Update {
            path: Path::default(),
            optimizer: &mut self.optimizer,
            gradients,
            scale: scale as f32,
            learning_rate,
        };
        self.model = self.model.clone().map(&mut update);
        self.step = step;
        Ok(StepReport { step, loss: value, gradient_norm, learning_rate })
    }

    /// Runs the remaining steps: `batch(step)` gives the data, `loss(model, batch)` what to lessen, `after` sees every step
    /// and may log or save.
    ///
    /// `batch` must depend on nothing but the step (see [`Shuffled`](crate::Shuffled)), so that a restored run continues as an
    /// uninterrupted one.
    ///
    /// # Errors
    /// Whatever a step, the batch or `after` says.
    pub fn run<B>(
        &mut self,
        mut batch: impl FnMut(u64) -> Result<B, NnError>,
        loss: impl Fn(&M, &B) -> Tensor<1>,
        mut after: impl FnMut(&Self, &StepReport) -> Result<(), NnError>,
    ) -> Result<(), NnError> {
        while self.step < self.parameters.steps {
            let batch = batch(self.step + 1)?;
            let loss = loss(&self.model, &batch);
            let report = self.descend(&loss)?;
            after(self, &report)?;
        }
        Ok(())
    }

    /// Everything that a later [`restore`](Self::restore) needs: weights, optimiser and step, as the bytes of a safetensors file.
    ///
    /// # Errors
    /// If the state cannot be laid out.
    pub fn save(&self) -> Result<Vec<u8>, NnError> {
        state::write(&self.model, &self.optimizer, self.step, &self.parameters)
    }

    /// Continues from a saved state of a trainer with the same model shape and parameters.
    ///
    /// # Errors
    /// If the bytes are damaged or belong to another model or other parameters.
    pub fn restore(self, bytes: &[u8]) -> Result<Self, NnError> {
        let (model, optimizer, step) = state::read(self.model, self.optimizer, &self.parameters, bytes)?;
        Ok(Self { model, optimizer, step, parameters: self.parameters })
    }
}

/// Gives every parameter its step.
struct Update<'a> {
    path: Path,
    optimizer: &'a mut Optimizer,
    gradients: std::collections::BTreeMap<String, Vec<f32>>,
    scale: f32,
    learning_rate: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.get(&name) else { return param };
        let mut values = host_values(param.val());
        self.optimizer.update(&name, &mut values, gradient, self.scale, self.learning_rate);
        replace_value(param, values)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.0.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.0.pop();
    }
}
