//! ForwardGNN.

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
