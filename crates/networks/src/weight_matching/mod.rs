//! Weight matching: the hidden units of two networks put in the same order, so that their weights can be averaged; and why it works.
//!
//! # What it computes
//!
//! Permuting the units of hidden layers leaves a network's function as it is: `W'_l = P_l W_l P_{l−1}'`, `b'_l = P_l b_l`, with P the
//! identity at inputs and outputs. Of all permutations π, weight matching looks for those that bring network b nearest to network a,
//!
//! ```text
//! min over π of ‖a − π(b)‖²   =   max over π of Σ_l ⟨A_l, P_l B_l P_{l−1}'⟩
//! ```
//!
//! by coordinate descent: one P at a time, the others held, is a linear assignment, solved exactly. The barrier is how far the loss
//! on the straight line from a to π(b) rises above the line between the losses of its ends, on a grid of 25 points.
//!
//! The singular vectors of the layers say how far they point the same way: with `W = U S V'`,
//!
//! ```text
//! R_γ = Σ_l Σ_{i,j} (u_i^a · P_l u_j^b) (v_i^a · P_{l−1} v_j^b) / Σ_l n_l,    over vectors with s_i ≥ γ s_1
//! ```
//!
//! which is 0 on average for unrelated networks and 1 for equal ones. Other searches: activation matching ([`WeightMatching::activations`])
//! matches units by what they say on data, one assignment per layer; the straight-through estimator
//! ([`WeightMatching::straight_through`]) learns what b is matched to so that the midpoint has a low loss. More than two networks are
//! matched to the first ([`WeightMatching::star`]) or each to the mean of the others until nothing moves ([`WeightMatching::cyclic`]).
//!
//! # Paper
//!
//! *Analysis of Linear Mode Connectivity via Permutation-Based Weight Matching: With Insights into Other Permutation Search Methods*,
//! ICLR 2025, arXiv 2402.04051: the analysis and R_γ. The three searches are those of *Git Re-Basin*, arXiv 2209.04836.
//!
//! # When it helps, and when it does not
//!
//! - To average networks of one architecture that were trained from different initial weights on the same task, to compare them unit by
//!   unit, and to see whether they found the same features.
//! - The wider the layers, the lower the barrier; narrow or deep networks keep one. Measure it with data before a merged network is used.
//! - Networks fine-tuned from one checkpoint are aligned already: average them as they are.
//! - Language models: permutations of whole heads, feed-forward units and the residual stream leave the function unchanged, and
//!   models trained apart still do not average well. Their tokenizers must agree.
//!
//! # Parameters
//!
//! See [`Parameters`]. Which axis of which tensor a permutation acts on is a [`Specification`]: found from names and shapes
//! ([`Specification::found`]), from a list of layers ([`Layers::specification`]), or written down ([`Specification::from_json`]).
//!
//! # Deviations from the paper
//!
//! 1. A step of the descent counts if it gains more than 1e-12 of the product of both norms, and permutations whose neighbours did not
//!    change are not solved again; the fixed point is the same. Test: `ends_where_no_permutation_improves`.
//! 2. Query heads that share keys (grouped queries) are matched by groups and within groups, exactly. Test:
//!    `groups_of_heads_are_matched_exactly`.
//! 3. In R, numbers kept in both networks enter by their geometric mean, ties are kept whole, and singular values below 1e-12 of
//!    the largest are left out, since their vectors are arbitrary. Tests: `alignment_is_one_for_equal_networks`, `ties_are_kept_whole`.
//! 4. The straight-through estimator keeps the permutation with the lowest loss over all rows at the end of a pass, not that of the
//!    luckiest batch. Test: `straight_through_lowers_the_midpoint`.
//! 5. Running statistics of a merged network are computed over all rows at once, layer after layer, as its own outputs change.
//!    Test: `running_statistics_are_those_of_the_data`.
//! 6. The second-order estimate of the barrier is our derivation; second derivatives are differences of gradients. Test:
//!    `taylor_estimate_is_exact_for_a_parabola`.
//!
//! # Errors
//!
//! [`Error`](crate::Error) names the tensor, the layer or the parameter.
//!
//! # Cost
//!
//! A step for n units costs n² times the numbers per unit for the inner products, and at most O(n³) for the assignment; sweeps are
//! few (2 to 10). Memory: both networks, a permuted copy, and n² numbers. R takes a singular value decomposition of every layer.
//!
//! # Example
//!
//! ```
//! use backstitch_networks::weight_matching::{Checkpoint, Parameters, Specification, WeightMatching};
//!
//! let network = |order: [usize; 3]| -> Result<Checkpoint, backstitch_networks::Error> {
//!     let (rows, columns) = ([[1.0, 2.0], [-3.0, 0.5], [0.1, 4.0]], [0.3, -0.7, 1.1]);
//!     let mut found = Checkpoint::default();
//!     found.insert("0.weight", &[3, 2], order.iter().flat_map(|&unit| rows[unit]).collect())?;
//!     found.insert("2.weight", &[1, 3], order.iter().map(|&unit| columns[unit]).collect())?;
//!     Ok(found)
//! };
//! let (one, other) = (network([0, 1, 2])?, network([2, 0, 1])?);
//! let specification = Specification::found(&one, None)?;
//! let matching = WeightMatching::new(Parameters::default())?.weights(&specification, &one, &other)?;
//! assert_eq!(matching.orders, [[1, 2, 0]]);
//! assert_eq!(matching.permuted, one);
//! # Ok::<(), backstitch_networks::Error>(())
//! ```

mod alignment;
mod card;
mod checkpoint;
mod decoders;
mod evaluate;
mod layers;
mod many;
mod matching;
mod parameters;
mod sequential;
mod specification;
mod straight_through;

use backstitch_numerics::Matrix;

pub use alignment::{Alignment, LayerAlignment};
pub use card::CARD;
pub use checkpoint::{Checkpoint, Tensor};
pub use evaluate::{Barrier, Data, GRID, Score, barrier};
pub use layers::Layers;
pub use many::Many;
pub use parameters::Parameters;
pub use specification::{AxisUse, MOST_UNITS, Permutation, Specification};

use crate::Error;
use matching::{Descent, Gains};

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct WeightMatching {
    parameters: Parameters,
}

/// A network brought into the order of another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Matching {
    /// For each permutation of the specification: unit i of the result is unit `orders[…][i]` of the network that was permuted.
    pub orders: Vec<Vec<usize>>,
    /// The permuted network.
    pub permuted: Checkpoint,
    /// Sweeps over all permutations; 0 for activation matching.
    pub sweeps: usize,
    /// Whether the last sweep found nothing to improve.
    pub converged: bool,
    /// ‖a − b‖ over all weights, running statistics left out.
    pub distance_before: f64,
    /// ‖a − π(b)‖.
    pub distance_after: f64,
}

impl WeightMatching {
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

    /// Permutes `other` towards `one` by its weights.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the specification.
    pub fn weights(
        &self,
        specification: &Specification,
        one: &Checkpoint,
        other: &Checkpoint,
    ) -> Result<Matching, Error> {
        one.check_like(other)?;
        specification.check(one)?;
        let Parameters { sweeps, tolerance, seed, .. } = self.parameters;
        let mut descent = Descent::new(specification, other, seed);
        let progress = descent.descend(one, sweeps, tolerance)?;
        let Descent { orders, current, .. } = descent;
        let found = Matching::of(specification, one, other, orders, current);
        Ok(Matching { sweeps: progress.sweeps, converged: progress.converged, ..found })
    }

    /// Permutes `other` towards `one` by what its units say on rows of inputs: one assignment per permutation.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the layers, [`Error::Width`] if the rows do not.
    pub fn activations(
        &self,
        layers: &Layers,
        one: &Checkpoint,
        other: &Checkpoint,
        rows: &Matrix,
    ) -> Result<Matching, Error> {
        one.check_like(other)?;
        let (specification, taps) = layers.walk(one)?;
        let mut gains: Vec<Gains> = specification.permutations().iter().map(Gains::zeros).collect();
        for tap in taps {
            let units = specification.permutations()[tap.permutation].units;
            let by_unit = |weights: &Checkpoint| -> Result<Vec<f64>, Error> {
                let values = layers.values_after(tap.layers, weights, rows)?;
                let area = values.columns() / units;
                let numbers = |unit: usize| (0..values.rows()).map(move |row| (row, unit * area));
                let values = &values;
                Ok((0..units)
                    .flat_map(numbers)
                    .flat_map(|(row, from)| values.row(row)[from..from + area].iter().copied())
                    .collect())
            };
            let (ours, theirs) = (by_unit(one)?, by_unit(other)?);
            gains[tap.permutation].add(false, &ours, &theirs, ours.len() / units);
        }
        let orders = specification
            .permutations()
            .iter()
            .zip(&gains)
            .map(|(own, gains)| Ok(matching::best(own, gains, &mut None)?.0))
            .collect::<Result<Vec<_>, Error>>()?;
        let permuted = specification.apply(&orders, other)?;
        Ok(Matching::of(&specification, one, other, orders, permuted))
    }

    /// Permutes `other` so that its midpoint with `one` has a low loss on data: weight matching to weights that are learned by the
    /// straight-through estimator. For dense layers with ReLU or tanh.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the layers; [`Error::Operator`] for other layers;
    /// [`Error::Width`] or [`Error::Model`] if the data do not fit.
    pub fn straight_through(
        &self,
        layers: &Layers,
        one: &Checkpoint,
        other: &Checkpoint,
        data: &Data,
    ) -> Result<Matching, Error> {
        one.check_like(other)?;
        let specification = layers.specification(one)?;
        let (orders, sweeps) =
            straight_through::straight_through(&self.parameters, &specification, one, other, layers, data)?;
        let permuted = specification.apply(&orders, other)?;
        Ok(Matching { sweeps, ..Matching::of(&specification, one, other, orders, permuted) })
    }
}

impl Matching {
    /// What given permutations do.
    ///
    /// # Errors
    /// [`Error::Permutation`] if they are none of the specification; [`Error::Tensor`] if the networks do not fit.
    pub fn given(
        specification: &Specification,
        one: &Checkpoint,
        other: &Checkpoint,
        orders: Vec<Vec<usize>>,
    ) -> Result<Self, Error> {
        one.check_like(other)?;
        let permuted = specification.apply(&orders, other)?;
        Ok(Self::of(specification, one, other, orders, permuted))
    }

    fn of(
        specification: &Specification,
        one: &Checkpoint,
        other: &Checkpoint,
        orders: Vec<Vec<usize>>,
        permuted: Checkpoint,
    ) -> Self {
        let distance_before = matching::distance(specification, one, other);
        let distance_after = matching::distance(specification, one, &permuted);
        Self { orders, permuted, sweeps: 0, converged: true, distance_before, distance_after }
    }

    /// By which share of itself the distance fell; 0 between equal networks.
    pub fn reduction(&self) -> f64 {
        if self.distance_before > 0.0 { 1.0 - self.distance_after / self.distance_before } else { 0.0 }
    }
}

impl Specification {
    /// The specification that names and shapes tell: of a chain of dense or convolutional layers with normalisation (names as PyTorch
    /// gives them), or of a Hugging Face decoder of the families GPT-2, Llama and Qwen2, whose config.json says how many heads
    /// there are.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a tensor whose place is not clear; [`Error::Model`] if nothing can be permuted.
    pub fn found(weights: &Checkpoint, configuration: Option<&str>) -> Result<Self, Error> {
        if decoders::is_decoder(weights) {
            decoders::specification(weights, configuration)
        } else {
            sequential::specification(weights)
        }
    }

    /// How far the singular vectors of two networks point the same way, before and after the other is permuted by these orders, at
    /// some thresholds γ.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the specification; [`Error::Permutation`].
    pub fn alignments(
        &self,
        orders: &[Vec<usize>],
        one: &Checkpoint,
        other: &Checkpoint,
        thresholds: &[f64],
    ) -> Result<Vec<Alignment>, Error> {
        one.check_like(other)?;
        self.check(one)?;
        self.check_orders(orders)?;
        alignment::alignments(self, orders, one, other, thresholds)
    }

    /// Multiplications that [`alignments`](Self::alignments) takes, roughly.
    pub fn alignment_work(&self, weights: &Checkpoint) -> f64 {
        2.0 * alignment::work(self, weights)
    }
}

impl Layers {
    /// What second derivatives around both networks say of the height of the barrier in the middle between them, as the paper
    /// checks it. For dense layers with ReLU or tanh.
    ///
    /// # Errors
    /// [`Error::Operator`] for other layers; [`Error::Width`] or [`Error::Model`] if the data do not fit.
    pub fn taylor_estimate(&self, one: &Checkpoint, other: &Checkpoint, data: &Data) -> Result<f64, Error> {
        straight_through::taylor_estimate(one, other, self, data)
    }
}
