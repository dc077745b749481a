//! ForwardGNN: graph neural networks whose layers each learn from a loss of their own, without backpropagation through the others.
//!
//! # What it computes
//!
//! A graph of n nodes, X its features (n × k), A its adjacency. Before each layer every row is divided by its norm,
//! `N(x) = x / (‖x‖ + 1e-8)`; a layer computes `H = max(0, Conv(N(X)))`, n × 128. Convolutions: GCN, `D^-1/2 (A + I) D^-1/2 X W + b`; SAGE,
//! `X V + mean over neighbours of X · W + b`; GAT, attention with 4 heads.
//!
//! **Single forward** ([`Learner::SingleForward`]): one virtual node for each class c, with fixed normal features, joined to the training
//! nodes of its class. The loss of a layer is the cross entropy of the scores `h_v · h_c / T` of training nodes v. When the layer is
//! done it is frozen, and its output is the input of the next. The answer is the mean over layers of the softmax of the scores.
//!
//! **Top-down** signals: all layers take a step at a time. [`Learner::TopToLoss`]: layer j scores the mean of its output and of the states of
//! all layers above it, which are held. [`Learner::TopToInput`]: layer j reads the state below it beside the state above it, and the last
//! one reads the labels; even layers step first.
//!
//! **Forward-forward**: a graph with true labels shall have a goodness `g = Σ_k h_k²` above θ, graphs with wrong labels below it,
//! `softplus(θ − g) + mean softplus(g − θ)`; there is one wrong graph for each other class. Labels are columns beside the features
//! ([`Learner::LabelAppending`]) or edges to virtual nodes ([`Learner::VirtualNodes`]). The answer is the class whose graph has most
//! goodness, so that an epoch and an answer take a pass per class.
//!
//! **Links** ([`ForwardGnn::fit_links`]): each layer learns `h_u · h_v` by the binary cross entropy of training edges and as many pairs that
//! are no edges; the answer is the mean over layers of its sigmoid.
//!
//! # Paper
//!
//! *Forward Learning of Graph Neural Networks*, ICLR 2024, arXiv 2403.11004.
//!
//! # When it helps, and when it does not
//!
//! - Memory of training is that of one layer, whatever the depth; backpropagation holds the outputs of all of them.
//! - Every layer gives an answer, so that one sees what depth is worth; often it is little.
//! - Forward-forward takes a pass per class for every epoch, and in our study it was behind single forward on Cora; it is here to be
//!   compared.
//! - That single forward is within 1.5 points of backpropagation rests on intervals that end at this bound: correcting Adam's constants by
//!   5e-5 moved two claims of our study from inconclusive to holding. Do not count on half a point.
//! - The top-down learners hold the states of all layers: they do not save memory.
//! - A class of which no node may train cannot be learned, and labels of training nodes must be there when predictions are made.
//!
//! # Parameters
//!
//! See [`Parameters`]; the defaults are the paper's. Our study takes a step size of 1e-2 for all learners.
//!
//! # Deviations from the paper
//!
//! 1. What decides when a layer stops is the validation accuracy of the sum over the layers so far, the one that is learning among them.
//!    Test: `training_stops_after_patience_and_keeps_the_first_best`.
//! 2. A validation of top-to-loss goes through the layers from below with the weights as they are, which is what a prediction does, instead
//!    of using states that lag by a step. Test: `a_model_read_back_says_the_same`.
//! 3. Forward-forward and top-down learners are for nodes only; links are learned layer after layer or by backpropagation. Test:
//!    `models_refuse_other_graphs_and_other_questions`.
//! 4. Shares of classes are the mean over layers, not the sum; of forward-forward the softmax of the summed goodness. The class is the
//!    same. Test: `every_learner_with_every_convolution_beats_chance_by_far`.
//! 5. Rows of features are scaled to sum 1 for backpropagation only where no feature is negative; the other learners normalise anyway. Test:
//!    `features_kept_sparse_and_dense_are_the_same_features`.
//!
//! # Errors
//!
//! [`Error`] names the node, edge, class or parameter. A class without training nodes, labels with a gap, a split without validation nodes and
//! pairs that cannot be drawn are errors; isolated nodes, several parts, loops and repeated edges are not, and are counted.
//!
//! # Cost
//!
//! With k the width and m edges, an epoch of a layer takes `n k²` for the weights; the sum over neighbours, `m k`, is taken once for all
//! epochs where the input of a layer is dense and stays, and every epoch in the first layer where features are sparse. Activations: three
//! matrices n × 128. Sums are taken in a fixed order: results do not depend on threads.
//!
//! # Example
//!
//! ```
//! use backstitch_graph::dense::Dense;
//! use backstitch_graph::forward_gnn::{ForwardGnn, Graph, Labels, Parameters, Split};
//!
//! // Two rings of 20 nodes; a feature says a little of which ring it is.
//! let edges: Vec<(usize, usize)> = (0..40).map(|node| (node, node / 20 * 20 + (node + 1) % 20)).collect();
//! let features = Dense::from_fn(40, 2, |node, column| if column == node / 20 && node % 3 > 0 { 1.0 } else { 0.5 });
//! let graph = Graph::from_dense(&edges, features)?;
//! let labels = Labels::new((0..40).map(|node| Some(node / 20)).collect())?;
//! let split = Split::random(&labels, 0.2, 0.2, 0)?;
//! let parameters = Parameters { hidden: 16, epochs: 50, learning_rate: 1e-2, ..Parameters::default() };
//! let learned = ForwardGnn::new(parameters)?.fit(&graph, &labels, &split)?;
//! let classes = learned.model.predict(&graph)?.classes();
//! assert!(labels.accuracy(&split.test, &classes) > 0.8);
//! # Ok::<(), backstitch_graph::Error>(())
//! ```

mod attention;
mod backpropagation;
mod card;
mod data;
mod forward_forward;
mod layer;
mod links;
mod model;
mod parameters;
mod scores;
mod single_forward;
mod top_down;

pub use backpropagation::Backpropagation;
pub use card::CARD;
pub use data::{Graph, Labels, LinkSplit, Split, area_under_curve};
pub use model::{Model, Prediction, Task};
pub use parameters::{Convolution, Learner, Parameters};

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct ForwardGnn {
    parameters: Parameters,
}

/// A model and how it was learned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Learned {
    /// The model, with the weights of the best validation.
    pub model: Model,
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// The epoch whose weights were kept: one for each layer where layers learn one after the other, else one.
    pub best_epochs: Vec<usize>,
    /// Share of validation nodes that are right, or the area under the curve of validation pairs.
    pub validation: f64,
    /// How often a layer went over a whole graph in training, validation left out.
    pub passes: u64,
    /// The most bytes of activations and their gradients that were alive at once in training. Features, weights and the state of the
    /// optimizer are not among them.
    pub peak_bytes: usize,
}

/// One epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Epoch {
    /// Layer that learned, from 0; 0 where all learn at once.
    pub layer: usize,
    /// Epoch of this layer, from 0.
    pub epoch: usize,
    /// The loss before the step; not a number where validation ended training.
    pub loss: f64,
    /// The validation, in epochs that have one.
    pub validation: Option<f64>,
}

impl ForwardGnn {
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

    /// Learns the classes of nodes.
    ///
    /// # Errors
    /// [`Error::Count`], [`Error::Split`] or [`Error::ClassWithoutTraining`] if labels or split do not fit, [`Error::Diverged`].
    pub fn fit(&self, graph: &Graph, labels: &Labels, split: &Split) -> Result<Learned, Error> {
        check(graph, labels, split)?;
        match self.parameters.learner {
            Learner::SingleForward => single_forward::fit(&self.parameters, graph, labels, split),
            Learner::TopToLoss | Learner::TopToInput => top_down::fit(&self.parameters, graph, labels, split),
            Learner::LabelAppending | Learner::VirtualNodes => {
                forward_forward::fit(&self.parameters, graph, labels, split)
            }
            Learner::Backpropagation => backpropagation::fit(&self.parameters, graph, labels, split),
        }
    }

    /// Learns which nodes are joined, from the training edges of the split; messages pass along those only.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a learner that has no form for links, [`Error::Diverged`].
    pub fn fit_links(&self, graph: &Graph, split: &LinkSplit) -> Result<Learned, Error> {
        let learner = self.parameters.learner;
        if !matches!(learner, Learner::SingleForward | Learner::Backpropagation) {
            return Err(Error::Parameter {
                name: "learner",
                value: format!("{learner:?}"),
                allowed: "single-forward or backpropagation for links".into(),
                way_out: "the others pass labels of nodes along, which links do not have",
            });
        }
        links::fit(&self.parameters, graph, split)
    }
}

fn check(graph: &Graph, labels: &Labels, split: &Split) -> Result<(), Error> {
    let found = labels.of().len();
    if found != graph.nodes() {
        let way_out = "give one label per node, or none where it is not known";
        return Err(Error::Count { what: "labels", found, nodes: graph.nodes(), way_out });
    }
    split.check(labels)
}
