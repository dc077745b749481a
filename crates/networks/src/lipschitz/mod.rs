//! Local Lipschitz constants of networks: how much an output can change per unit of change of the inputs, at most, anywhere in a box
//! around a point.
//!
//! # What it computes
//!
//! A network f maps n inputs to m outputs through affine maps and activations, `z_k = W_k h_{k−1} + b_k`, `h_k = σ(z_k)`. Over a box
//! `B = {x : |x_i − c_i| ≤ radius}`, clipped to a range if the data have one, the constant of output j is
//!
//! ```text
//! L_j = max over x in B of ‖∂f_j/∂x‖₁,      |f_j(x) − f_j(y)| ≤ L_j max_i |x_i − y_i|   for all x, y in B
//! ```
//!
//! and that of f as a map into ℓ∞ the largest of them; where f has a kink, every Jacobian near it counts (Clarke). Finding `L_j` is
//! hard; [`Lipschitz::bound`] gives an upper bound that holds, and a lower bound that was met, so that the gap is known.
//!
//! The derivative is a chain of its own, from the output back: `g_K = W_{K+1}[j]`, `m_k = g_k · σ'(z_k)`, `g_{k−1} = m_k W_k`, and
//! `g_0` is the gradient. Bounds `l ≤ z_k ≤ u` leave an interval for σ'(z_k): a ReLU that is on or off all over the box has one slope,
//! an undecided one has both. Given also `l ≤ g ≤ u`, the product m lies between two lines in g (of an undecided ReLU, m is between
//! min(g, 0) and max(g, 0), and if g can have either sign, `l(u − g)/(u − l)` and `u(g − l)/(u − l)` are below and above those). Linear
//! expressions in `g_k` become linear expressions in `g_{k+1}`, up to the output, where g is constant: that bounds each entry, layer by
//! layer, and at the end a line above each `|g_0,i|` is propagated once more for their sum.
//!
//! # Paper
//!
//! *Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound Propagation*, 2022, arXiv 2210.07394. Authors' code:
//! `shizhouxing/Local-Lipschitz-Constants` and the package `auto_LiRPA` (both BSD-3).
//!
//! # When it helps, and when it does not
//!
//! - To certify that a trained network does not react strongly near a point, to compare networks or points, and to certify that an
//!   output only grows, or only falls, in a feature ([`Constants::monotonicity`]).
//! - The wider the box, the looser: when most neurons are undecided, lines still give less than intervals, but many times any slope that
//!   is met. A box so small that no neuron is undecided needs none of this: the constant is the norm of one Jacobian, and all local
//!   relaxations agree.
//! - It speaks of ℓ∞ balls, and of the network as given: of logits, not of a loss or a softmax behind them.
//! - Branch and bound is exact on small networks. It cannot split tanh or the logistic function, and with hundreds of undecided
//!   neurons it moves the bound little.
//!
//! # Parameters
//!
//! See [`Parameters`]. The defaults are the paper's lines and its 20 steps of slope search, without branch and bound. Networks come from
//! [`Network::from_onnx`], [`Network::from_layers`] or [`Network::dense`].
//!
//! # Deviations from the paper
//!
//! 1. Slopes of the forward bounds are searched for every neuron's own bounds, not for the margins of a label. Test:
//!    `searched_slopes_are_no_worse`.
//! 2. The best bound over all layers of a propagation is taken ([`Parameters::tighten`]), so that lines are never worse than intervals.
//!    Test: `lines_are_no_worse_than_intervals`.
//! 3. Branch and bound computes forward bounds anew in every part, and drops parts that linear inequalities show to be empty. Test:
//!    `branch_and_bound_is_the_enumeration_of_patterns`.
//! 4. Slopes of activations are kept as intervals, so that leaky ReLUs, tanh and the logistic function come out of the same lines. For the
//!    smooth ones the derivative and g are bounded apart, which forgets that both follow from the same input. Test:
//!    `no_bound_is_below_a_slope`.
//! 5. Rounding is outward: every propagation carries a bound on what double precision did to it. Bounds hold in real arithmetic for the
//!    network whose affine maps are those composed here; composing them (batch normalisation is folded into what is before it) rounds once
//!    more, by some 1e-16 of a weight. Test: `no_bound_is_below_a_slope`.
//! 6. Splits are closed half-spaces, z ≥ 0 with slope 1 and z ≤ 0 with slope 0, without the released code's gap of 1e-9 at the kink. Test:
//!    `branch_and_bound_is_the_enumeration_of_patterns`.
//!
//! # Errors
//!
//! [`Error`] names the layer, the input or the parameter; of a model file, the operator and its node.
//!
//! # Cost
//!
//! With widths n_k: forward bounds O(Σ_k n_k Σ_{j<k} n_j n_{j−1}), times the steps of the slope search for undecided neurons; the
//! Jacobian of each output as much, with the inputs as one more layer. Neurons that are off are left out. Each part of branch and bound
//! costs as much as one output without slope search.
//!
//! # Example
//!
//! ```
//! use backstitch_networks::lipschitz::{Activation, Lipschitz, Network, Parameters, Region};
//! use backstitch_numerics::Matrix;
//!
//! // f(x) = relu(x₁ + x₂) − relu(x₁ − x₂).
//! let hidden = (Matrix::new(2, 2, vec![1.0, 1.0, 1.0, -1.0])?, vec![0.0, 0.0]);
//! let output = (Matrix::new(1, 2, vec![1.0, -1.0])?, vec![0.0]);
//! let network = Network::dense(&[hidden, output], Activation::Relu)?;
//! let found = Lipschitz::new(Parameters::default())?.bound(&network, &Region::around(&[0.0, 0.0], 1.0)?)?;
//! assert!(found.upper[0] >= 2.0 && found.sampled.norms[0] == 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alpha;
mod branch;
mod card;
mod feasibility;
mod forward;
mod graph;
mod jacobian;
pub(crate) mod layers;
mod linear;
mod network;
mod numbers;
mod onnx;
mod parameters;
mod planar;
mod propagate;
mod region;
mod relaxation;
mod rounding;
mod sampling;

use backstitch_numerics::Matrix;
use faer::Mat;
use rayon::prelude::*;

pub use card::CARD;
pub use network::{Activation, DenseLayer, MOST_WEIGHTS, Network};
pub use parameters::{Parameters, Relaxation};
pub use planar::planar_constants;
pub use region::Region;
pub use sampling::Sampled;

use crate::Error;
use forward::{Effort, Forward};
use jacobian::RowBounds;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct Lipschitz {
    parameters: Parameters,
}

/// What is known about the Jacobian over a region.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Constants {
    /// Upper bound of the ℓ∞ Lipschitz constant of each output.
    pub upper: Vec<f64>,
    /// The same before branch and bound.
    pub root: Vec<f64>,
    /// Slopes that were met: lower bounds.
    pub sampled: Sampled,
    /// Bounds of the entries of the Jacobian, outputs × inputs: lower, upper. [`Relaxation::Global`] has none.
    pub entries: Option<(Matrix, Matrix)>,
    /// Neurons whose side of the kink is not known from the bounds.
    pub undecided: usize,
    /// Regions that branch and bound looked at.
    pub domains: usize,
}

/// How an output moves with an input, over a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monotonicity {
    /// It does not move at all.
    Constant,
    /// It never falls: certified.
    Increasing,
    /// It never grows: certified.
    Decreasing,
    /// It does both: seen.
    Neither,
    /// Neither certified nor seen.
    Unknown,
}

impl Lipschitz {
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

    /// Bounds the Jacobian of a network over a region.
    ///
    /// # Errors
    /// [`Error::Width`] if the region has another number of inputs than the network; [`Error::Overflow`].
    pub fn bound(&self, network: &Network, region: &Region) -> Result<Constants, Error> {
        network.check_width("region", region.lower().len())?;
        let Parameters { relaxation, samples, seed, .. } = self.parameters;
        let mut sampled = sampling::sample(network, region, samples, seed);
        if relaxation == Relaxation::Global {
            let upper: Vec<f64> =
                (0..network.outputs()).map(|output| jacobian::global(network, output)).collect();
            if upper.iter().any(|value| !value.is_finite()) {
                return Err(Error::Overflow { layer: network.depth() - 1 });
            }
            let (root, undecided) = (upper.clone(), network.kinks());
            return Ok(Constants { upper, root, sampled, entries: None, undecided, domains: 0 });
        }
        let forward = self.forward(network, region)?;
        let rows = self.rows(network, &forward)?;
        let root: Vec<f64> = rows.iter().map(|row| row.norm).collect();
        let (mut upper, mut domains) = (root.clone(), 0);
        if self.parameters.domains > 0 {
            let found = branch::branch(network, region, &self.parameters, &forward, &rows, &sampled.norms)?;
            (upper, domains) = (found.upper, found.domains);
            for (output, point) in &found.points {
                sampled.add(network, *output, point);
            }
        }
        let side = |pick: fn(&RowBounds) -> &[f64]| {
            Matrix::from_fn(rows.len(), network.inputs(), |row, column| pick(&rows[row])[column])
        };
        let entries = Some((side(|row| &row.lower), side(|row| &row.upper)));
        let free = forward.layers.iter().flat_map(|layer| &layer.free);
        let undecided = free.filter(|free| free.is_some()).count();
        Ok(Constants { upper, root, sampled, entries, undecided, domains })
    }

    /// Bounds of the derivatives of all outputs along some directions (one per row): lower and upper, outputs × directions.
    ///
    /// # Errors
    /// [`Error::Width`] if region or directions have another number of inputs than the network; [`Error::Model`] with
    /// [`Relaxation::Global`], which has no directions; [`Error::Overflow`].
    pub fn directional(
        &self,
        network: &Network,
        region: &Region,
        directions: &Matrix,
    ) -> Result<(Matrix, Matrix), Error> {
        network.check_width("region", region.lower().len())?;
        network.check_width("direction", directions.columns())?;
        let Parameters { relaxation, tighten, .. } = self.parameters;
        if relaxation == Relaxation::Global {
            return Err(Error::Model {
                problem: "the product of norms says nothing about directions".into(),
                way_out: "use another relaxation",
            });
        }
        let forward = self.forward(network, region)?;
        let rows =
            Mat::from_fn(directions.rows(), directions.columns(), |row, column| directions[(row, column)]);
        let found: Vec<(Vec<f64>, Vec<f64>)> = (0..network.outputs())
            .into_par_iter()
            .map(|output| jacobian::directional(&forward, output, &rows, relaxation, tighten))
            .collect::<Result<_, _>>()?;
        let side = |upper: bool| {
            Matrix::from_fn(found.len(), directions.rows(), |output, direction| {
                if upper { found[output].1[direction] } else { found[output].0[direction] }
            })
        };
        Ok((side(false), side(true)))
    }

    fn forward(&self, network: &Network, region: &Region) -> Result<Forward, Error> {
        let Parameters { relaxation, tighten, .. } = self.parameters;
        let lines = relaxation != Relaxation::Interval;
        let effort = Effort { lines, tighten, descent: self.parameters.descent() };
        // Without decisions only rounding could make bounds cross, and that is outward.
        forward::forward(network, (region.lower(), region.upper()), effort, None, &[])?
            .ok_or(Error::Overflow { layer: 0 })
    }

    fn rows(&self, network: &Network, forward: &Forward) -> Result<Vec<RowBounds>, Error> {
        let Parameters { relaxation, tighten, domains, .. } = self.parameters;
        let one = |output| jacobian::row_bounds(forward, output, relaxation, tighten, domains > 0);
        (0..network.outputs()).into_par_iter().map(one).collect()
    }
}

impl Constants {
    /// Upper bound of the ℓ∞ Lipschitz constant of the network: the largest of those of its outputs.
    pub fn largest_upper(&self) -> f64 {
        self.upper.iter().copied().fold(0.0, f64::max)
    }

    /// The largest slope that was met.
    pub fn largest_sampled(&self) -> f64 {
        self.sampled.norms.iter().copied().fold(0.0, f64::max)
    }

    /// How output and input move together, over the whole region. [`Relaxation::Global`] certifies nothing.
    pub fn monotonicity(&self, output: usize, input: usize) -> Monotonicity {
        let at = (output, input);
        let (low, high) = match &self.entries {
            Some((lower, upper)) => (lower[at], upper[at]),
            None => (f64::NEG_INFINITY, f64::INFINITY),
        };
        match (low >= 0.0, high <= 0.0) {
            (true, true) => Monotonicity::Constant,
            (true, false) => Monotonicity::Increasing,
            (false, true) => Monotonicity::Decreasing,
            (false, false) if self.sampled.least[at] < 0.0 && self.sampled.most[at] > 0.0 => {
                Monotonicity::Neither
            }
            (false, false) => Monotonicity::Unknown,
        }
    }
}
