//! Real networks: one hidden layer of ReLUs of finite width, trained by full-batch gradient descent on the k basis vectors.

use backstitch_numerics::{Matrix, Stream};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::theory::eigenvalues;
use super::{Input, NetworkParameters, Parameters, Parametrisation};
use crate::Error;

/// A trained network. Its outputs stand in the order of the input bits, as in [`Ensemble`](super::Ensemble).
///
/// The scale of either parametrisation is multiplied into the weights: `f(x) = readout · relu(hidden · x)`.
#[derive(Clone, Debug)]
pub struct Network {
    /// k × n: column j has the weights into unit j.
    hidden: Mat<f64>,
    /// k × n: column j has the weights out of unit j.
    readout: Mat<f64>,
    steps: usize,
    residual: f64,
}

/// Average and spread of trained networks on some inputs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trained {
    /// Inputs × k: average output.
    pub averages: Matrix,
    /// Inputs × k: sample variance over networks (divided by N − 1; zero for one network).
    pub variances: Matrix,
    /// Most steps that a network took.
    pub steps: usize,
    /// Largest training error of a network.
    pub residual: f64,
}

impl Network {
    pub(super) fn train(
        parameters: &Parameters,
        settings: &NetworkParameters,
        stream: &mut Stream,
    ) -> Result<Self, Error> {
        let mut descent = Descent::new(parameters, settings, stream);
        let mut steps = 0;
        let mut residual = descent.residual();
        while residual > settings.tolerance || residual.is_nan() {
            if steps == settings.steps || !residual.is_finite() {
                return Err(Error::NotTrained { steps, residual, tolerance: settings.tolerance });
            }
            descent.step();
            steps += 1;
            residual = descent.residual();
        }
        Ok(Self { hidden: descent.hidden, readout: descent.readout, steps, residual })
    }

    /// Takes exactly the given number of steps, whatever the training error.
    pub(super) fn train_steps(
        parameters: &Parameters,
        settings: &NetworkParameters,
        stream: &mut Stream,
    ) -> Self {
        let mut descent = Descent::new(parameters, settings, stream);
        for _ in 0..settings.steps {
            descent.step();
        }
        let residual = descent.residual();
        Self { hidden: descent.hidden, readout: descent.readout, steps: settings.steps, residual }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Largest absolute error of an output on a training input.
    pub fn residual(&self) -> f64 {
        self.residual
    }

    /// Outputs on inputs, inputs × k. Inputs are divided by the root of their number of ones unless `normalise` is false.
    pub fn outputs(&self, inputs: &[Input], normalise: bool) -> Matrix {
        let (k, width) = (self.hidden.nrows(), self.hidden.ncols());
        let mut active = Mat::zeros(inputs.len(), width);
        for unit in 0..width {
            let weights = self.hidden.col(unit);
            for (row, input) in inputs.iter().enumerate() {
                let sum: f64 = input.ones().iter().map(|&bit| weights[bit]).sum();
                let size = if normalise { (input.ones().len() as f64).sqrt() } else { 1.0 };
                active[(row, unit)] = (sum / size).max(0.0);
            }
        }
        let mut outputs = Mat::zeros(inputs.len(), k);
        matmul(outputs.as_mut(), Accum::Replace, &active, self.readout.transpose(), 1.0, Par::Seq);
        Matrix::from_fn(inputs.len(), k, |row, column| outputs[(row, column)])
    }
}

/// Trains `models` networks, each from a stream of its own, and averages their outputs. The result does not depend on the
/// number of threads: outputs are added in the order of the networks.
pub(super) fn train_many(
    parameters: &Parameters,
    settings: &NetworkParameters,
    inputs: &[Input],
    normalise: bool,
    models: u64,
    seed: u64,
) -> Result<Trained, Error> {
    /// Networks trained between two additions, so that memory does not grow with their number.
    const CHUNK: u64 = 64;
    let (rows, k) = (inputs.len(), parameters.length);
    let mut averages = Matrix::zeros(rows, k);
    let mut squares = Matrix::zeros(rows, k);
    let (mut steps, mut residual, mut count) = (0, 0.0_f64, 0.0);
    for first in (0..models).step_by(CHUNK as usize) {
        let chunk: Vec<u64> = (first..models.min(first + CHUNK)).collect();
        let trained: Result<Vec<(Matrix, usize, f64)>, Error> = chunk
            .into_par_iter()
            .map(|model| {
                let mut stream = Stream::new(seed, &format!("exact-permutations network {model}"));
                let network = Network::train(parameters, settings, &mut stream)?;
                Ok((network.outputs(inputs, normalise), network.steps, network.residual))
            })
            .collect();
        for (outputs, taken, error) in trained? {
            count += 1.0;
            // Welford: averages and squared deviations in one pass.
            for row in 0..rows {
                for column in 0..k {
                    let value = outputs[(row, column)];
                    let before = value - averages[(row, column)];
                    averages[(row, column)] += before / count;
                    squares[(row, column)] += before * (value - averages[(row, column)]);
                }
            }
            steps = steps.max(taken);
            residual = residual.max(error);
        }
    }
    let degrees = (count - 1.0).max(1.0);
    let variances = Matrix::from_fn(rows, k, |row, column| squares[(row, column)] / degrees);
    Ok(Trained { averages, variances, steps, residual })
}

/// Full-batch gradient descent on half the squared error, all k training inputs at once.
struct Descent {
    hidden: Mat<f64>,
    readout: Mat<f64>,
    /// k × n: row i, column j is unit j on training input i.
    active: Mat<f64>,
    /// k × k: output minus target; row is the output, column the training input.
    errors: Mat<f64>,
    slopes: Mat<f64>,
    hidden_rate: f64,
    readout_rate: f64,
}

impl Descent {
    fn new(parameters: &Parameters, settings: &NetworkParameters, stream: &mut Stream) -> Self {
        let (k, width) = (parameters.length, settings.width);
        let hidden_deviation = (parameters.weight_variance / k as f64).sqrt();
        let readout_deviation = 1.0 / (width as f64).sqrt();
        // One unit after the other, its weights in and out together.
        let (mut hidden, mut readout) = (Mat::zeros(k, width), Mat::zeros(k, width));
        for unit in 0..width {
            for bit in 0..k {
                hidden[(bit, unit)] = hidden_deviation * stream.normal();
            }
            for bit in 0..k {
                readout[(bit, unit)] = readout_deviation * stream.normal();
            }
        }
        let (smallest, largest) = eigenvalues(parameters);
        let rate = settings.rate * 2.0 / (smallest + largest);
        // A rate η acts on the weights with the scale multiplied in as η times the square of that scale. In the standard
        // parametrisation the scale is 1 and η itself is of order 1/n.
        let readout_rate = rate / width as f64;
        let hidden_rate = match parameters.parametrisation {
            Parametrisation::Ntk => rate * hidden_deviation * hidden_deviation,
            Parametrisation::Standard => readout_rate,
        };
        let mut descent = Self {
            hidden,
            readout,
            active: Mat::zeros(k, width),
            errors: Mat::zeros(k, k),
            slopes: Mat::zeros(k, width),
            hidden_rate,
            readout_rate,
        };
        descent.forward();
        descent
    }

    fn forward(&mut self) {
        for unit in 0..self.hidden.ncols() {
            for bit in 0..self.hidden.nrows() {
                // The training input is a basis vector, so the unit sees one weight.
                self.active[(bit, unit)] = self.hidden[(bit, unit)].max(0.0);
            }
        }
        matmul(self.errors.as_mut(), Accum::Replace, &self.readout, self.active.transpose(), 1.0, Par::Seq);
        for bit in 0..self.errors.nrows() {
            self.errors[(bit, bit)] -= 1.0;
        }
    }

    fn residual(&self) -> f64 {
        let mut largest: f64 = 0.0;
        for column in 0..self.errors.ncols() {
            for row in 0..self.errors.nrows() {
                let error = self.errors[(row, column)].abs();
                // `max` would pass over a value that is not a number.
                largest = if error.is_nan() { return f64::NAN } else { largest.max(error) };
            }
        }
        largest
    }

    fn step(&mut self) {
        let (hidden_rate, readout_rate) = (self.hidden_rate, self.readout_rate);
        matmul(self.slopes.as_mut(), Accum::Replace, self.errors.transpose(), &self.readout, 1.0, Par::Seq);
        matmul(self.readout.as_mut(), Accum::Add, &self.errors, &self.active, -readout_rate, Par::Seq);
        for unit in 0..self.hidden.ncols() {
            for bit in 0..self.hidden.nrows() {
                if self.active[(bit, unit)] > 0.0 {
                    self.hidden[(bit, unit)] -= hidden_rate * self.slopes[(bit, unit)];
                }
            }
        }
        self.forward();
    }
}
