//! Exact learning of permutations: what wide networks, trained on the k basis vectors only, say of every other binary input,
//! and how many of them must be averaged for the answer to be exact.
//!
//! # What it computes
//!
//! A network `f(x) = W₂ relu(W₁x)` (one hidden layer, no biases) is trained by full-batch gradient descent on the inputs
//! `e_1 … e_k` with targets `P e_i`, P a permutation of the k bits. A binary input with the set S of ones, m = |S| ≥ 1, is
//! shown as `x = (1/√m) Σ_{i∈S} e_i`. In the limit of infinite width and training time each output is Gaussian over initial
//! weights, and outputs are independent. With `θ = arccos(1/√m)`, `c = 1/(2π)`, and
//!
//! ```text
//! κ = c(sin θ + (π − θ) cos θ)                k times the kernel of the hidden features, input against a basis vector in S
//! α = κ + c(π − θ) cos θ,   d = 1 − c         neural tangent kernel (both layers learn)
//! α = κ,                    d = 1/2 − c       readout kernel (standard parametrisation at large width)
//! μ₀ = (c/d)·(d − m(α − c))/(d + ck)          mean of output P(i), i not in S
//! μ₁ = μ₀ + (α − c)/d                         mean of output P(i), i in S;   for m = 1: μ₀ = 0, μ₁ = 1
//! σ² = K** − 2 A K_X* + A K_XX Aᵀ             variance of an output, A the row of entries μ₀ and μ₁; of order 1/k
//! ```
//!
//! For m ≥ 2, μ₀ < 0 < μ₁: the sign of the mean is the permuted bit. The average of N networks has variance σ²/N, so that it
//! rounds all bits of an input correctly with probability `Φ(√N(μ₁ − t)/σ)^m · Φ(√N(t − μ₀)/σ)^(k−m)`, t the cut (0, or the
//! midpoint of the means). [`ExactPermutations::models`] inverts this, and its union over all 2^k − 1 inputs. All quantities
//! are pure numbers.
//!
//! # Paper
//!
//! *Exact Learning of Permutations for Nonzero Binary Inputs with Logarithmic Training Size and Quadratic Ensemble Complexity*,
//! 2025, arXiv 2502.16763: N = O(k log(k/δ)) for one input, O(k²) for all. The authors' code (MIT) is not used here; the
//! numbers of models it recorded are data of the study.
//!
//! # When it helps, and when it does not
//!
//! - To know, before training anything, whether and with how many networks such an experiment can be exact; to check a
//!   training pipeline against a limit known in closed form.
//! - Not to learn a permutation: the k training targets spell it out, and linear regression without a ridge is exact. That a
//!   *nonlinear* network gets there is the point.
//! - Of the two roundings the midpoint is the better one except where nearly all bits are one (k = 20, m = 19: 22 models against 21
//!   at 99 %).
//! - The theory is for large widths; [`ExactPermutations::train`] shows how far a given width is from it.
//!
//! # Parameters
//!
//! See [`Parameters`] (defaults: the paper's theory: NTK parametrisation, rounding at zero, weights of variance 1/k) and
//! [`NetworkParameters`] (released: width 50,000 and a fixed number of steps; ours: width 4,096, trained to a tolerance).
//!
//! # Deviations from the paper
//!
//! 1. Numbers of models are exact (Gaussian tails), for all inputs a union bound over inputs, instead of asymptotic bounds. Test:
//!    `the_error_probability_is_what_simulation_finds`.
//! 2. [`Rounding::Midpoint`] is ours. Test: `the_midpoint_needs_fewer_models`.
//! 3. [`Parametrisation::Standard`]: the released experiments use it, the theory does not treat it. Test:
//!    `closed_forms_are_the_numeric_solution`, both kernels.
//! 4. Inputs with m = 1 are cut at one half under both roundings: their outputs are 0 and 1 without spread, and a cut at 0
//!    would be decided by rounding errors. Test: `training_inputs_are_met_exactly`.
//! 5. Networks are trained to a tolerance, not for a number of steps. Test: `a_network_that_cannot_fit_says_so`.
//! 6. [`Parameters::weight_variance`] is ours: means do not depend on it, and numbers of models are proportional to it. Test:
//!    `models_are_proportional_to_the_weight_variance`.
//!
//! # Errors
//!
//! [`Error`] names the parameter, or the input and bit. The all-zero input has no direction; the theory excludes it.
//!
//! # Cost
//!
//! A prediction is O(1) time and memory; the number of models O(log N) evaluations, each O(1) for one input and O(k) for all.
//! An [`Ensemble`] of n inputs: O(n³) once, then O(n² k) per average. A network of width w: O(w k²) per step, some tens
//! to hundreds of steps.
//!
//! # Example
//!
//! ```
//! use backstitch_networks::exact_permutations::{Coverage, ExactPermutations, Parameters, Rounding};
//!
//! let paper = ExactPermutations::new(Parameters { length: 20, ..Parameters::default() })?;
//! let prediction = paper.prediction(2)?;
//! assert!(prediction.off < 0.0 && prediction.on > 0.0);
//! assert_eq!(paper.models(Coverage::Ones(2), 0.1)?, 579);
//!
//! let ours = ExactPermutations::new(Parameters { rounding: Rounding::Midpoint, ..paper.parameters().clone() })?;
//! assert_eq!(ours.models(Coverage::Ones(2), 0.1)?, 1);
//! # Ok::<(), backstitch_networks::Error>(())
//! ```

mod card;
mod drawing;
mod ensemble;
mod input;
mod kernel;
mod network;
mod numeric;
mod parameters;
mod size;
mod tail;
mod theory;

use backstitch_numerics::Stream;

pub use card::CARD;
pub use drawing::{Curve, draw};
pub use ensemble::{Ensemble, MOST_INPUTS};
pub use input::{Input, LONGEST_LISTED, Permutation};
pub use network::{Network, Trained};
pub use numeric::{NumericPrediction, solve};
pub use parameters::{LONGEST, NetworkParameters, Parameters, Parametrisation, Rounding, SHORTEST};
pub use size::{Coverage, MOST_MODELS};
pub use theory::Prediction;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct ExactPermutations {
    parameters: Parameters,
}

/// What an ensemble says of one output bit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bit {
    /// Mean of the average over networks.
    pub mean: f64,
    /// Variance of one network; the average of N has this divided by N.
    pub variance: f64,
    /// The mean rounded: the bit in the limit of many networks.
    pub bit: bool,
}

impl ExactPermutations {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Means, variance and cut for inputs with this many ones.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `ones` is from 1 to the length.
    pub fn prediction(&self, ones: usize) -> Result<Prediction, Error> {
        self.check_ones(ones)?;
        Ok(Prediction::new(&self.parameters, ones))
    }

    /// The covariance, over networks, of one output on two inputs.
    ///
    /// # Errors
    /// [`Error::Length`] if an input has another length.
    pub fn covariance(&self, one: &Input, other: &Input) -> Result<f64, Error> {
        for input in [one, other] {
            self.check_length(input)?;
        }
        Ok(theory::covariance(&self.parameters, one, other))
    }

    /// What many networks trained on a permutation say of an input, one entry per output bit.
    ///
    /// # Errors
    /// [`Error::Length`] if the input or the permutation has another length.
    pub fn predict(&self, permutation: &Permutation, input: &Input) -> Result<Vec<Bit>, Error> {
        self.check_length(input)?;
        let (found, length) = (permutation.length(), self.parameters.length);
        if found != length {
            let problem = format!("there are {found} targets");
            return Err(Error::Permutation { length, problem });
        }
        let prediction = Prediction::new(&self.parameters, input.ones().len());
        let bit = |has: bool| {
            let mean = if has { prediction.on } else { prediction.off };
            Bit { mean, variance: prediction.variance, bit: mean > prediction.threshold }
        };
        let mut bits = vec![bit(false); length];
        for &one in input.ones() {
            bits[permutation.target(one)] = bit(true);
        }
        Ok(bits)
    }

    /// The probability that an average of `models` networks gets at least one bit wrong: of one input, or of any input (an
    /// upper bound there, which can exceed 1).
    ///
    /// # Errors
    /// [`Error::Parameter`] if `models` is 0 or the number of ones is outside its range.
    pub fn error(&self, coverage: Coverage, models: u64) -> Result<f64, Error> {
        if models == 0 {
            return Err(Error::Parameter {
                name: "models",
                value: "0".into(),
                allowed: "at least 1".into(),
                way_out: "average at least one network",
            });
        }
        if let Coverage::Ones(ones) = coverage {
            self.check_ones(ones)?;
        }
        Ok(size::ln_error(&self.parameters, coverage, models as f64).exp())
    }

    /// The smallest number of models whose average is wrong with probability at most `error`: exact for one input, by the
    /// union over inputs for all.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `error` is not between 0 and 1 or the number of ones is outside its range;
    /// [`Error::TooManyModels`].
    pub fn models(&self, coverage: Coverage, error: f64) -> Result<u64, Error> {
        parameters::probability("error", error, "use 0.01, a confidence of 99 %")?;
        if let Coverage::Ones(ones) = coverage {
            self.check_ones(ones)?;
        }
        size::models(&self.parameters, coverage, error)
    }

    /// Prepares the simulation of infinitely wide networks on some inputs.
    ///
    /// # Errors
    /// [`Error::NoInputs`], [`Error::Length`], [`Error::TooManyInputs`].
    pub fn ensemble(&self, inputs: Vec<Input>) -> Result<Ensemble, Error> {
        Ensemble::new(&self.parameters, inputs)
    }

    /// Trains one real network.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::NotTrained`] if it does not fit its training data.
    pub fn train(&self, settings: &NetworkParameters, stream: &mut Stream) -> Result<Network, Error> {
        settings.validate()?;
        Network::train(&self.parameters, settings, stream)
    }

    /// Trains one real network for exactly [`NetworkParameters::steps`] steps; the tolerance is not looked at.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn train_steps(&self, settings: &NetworkParameters, stream: &mut Stream) -> Result<Network, Error> {
        settings.validate()?;
        Ok(Network::train_steps(&self.parameters, settings, stream))
    }

    /// Trains `models` real networks and averages their outputs on the inputs, which are divided by the root of their
    /// number of ones unless `normalise` is false.
    ///
    /// # Errors
    /// As [`Self::train`] and [`Self::ensemble`].
    pub fn train_many(
        &self,
        settings: &NetworkParameters,
        inputs: &[Input],
        normalise: bool,
        models: u64,
        seed: u64,
    ) -> Result<Trained, Error> {
        settings.validate()?;
        if inputs.is_empty() {
            return Err(Error::NoInputs);
        }
        inputs.iter().try_for_each(|input| self.check_length(input))?;
        network::train_many(&self.parameters, settings, inputs, normalise, models, seed)
    }

    fn check_ones(&self, ones: usize) -> Result<(), Error> {
        match ones {
            0 => Err(Error::ZeroInput { input: 0 }),
            _ if ones > self.parameters.length => Err(ones_outside(ones, self.parameters.length)),
            _ => Ok(()),
        }
    }

    fn check_length(&self, input: &Input) -> Result<(), Error> {
        let (found, length) = (input.length(), self.parameters.length);
        if found == length { Ok(()) } else { Err(Error::Length { input: 0, found, length }) }
    }
}

fn ones_outside(ones: usize, length: usize) -> Error {
    Error::Parameter {
        name: "ones",
        value: ones.to_string(),
        allowed: format!("from 1 to the length {length}"),
        way_out: "an input cannot have more ones than bits",
    }
}
