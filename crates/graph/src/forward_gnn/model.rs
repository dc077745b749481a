//! What is learned, and what it says of a graph.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::data::{Features, Graph};
use super::forward_forward;
use super::layer::{Block, Input, Layer, Pass, Scratch};
use super::parameters::{Convolution, Learner, Parameters};
use super::scores::{Scores, largest, sigmoid, softmax_rows};
use super::top_down;
use crate::Error;
use crate::dense::{Dense, Ledger};
use crate::structure::Structure;

/// What a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// The class of a node.
    Nodes,
    /// Whether two nodes are joined.
    Links,
}

/// A learned model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub(crate) task: Task,
    pub(crate) parameters: Parameters,
    /// 0 for links.
    pub(crate) classes: usize,
    /// Features of a node.
    pub(crate) features: usize,
    pub(crate) layers: Vec<Layer>,
    /// Features of the virtual nodes, one per class.
    pub(crate) virtual_features: Option<Dense>,
    /// Nodes whose labels predictions rest on, with their classes.
    pub(crate) known: Vec<(usize, usize)>,
}

/// What a model says of every node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// Nodes × classes; rows sum to one.
    pub probabilities: Dense,
    /// The same of each layer alone; of backpropagation there is only the last.
    pub by_layer: Vec<Dense>,
}

impl Prediction {
    /// The likeliest class of every node.
    pub fn classes(&self) -> Vec<usize> {
        classes(&self.probabilities)
    }

    /// The likeliest class of every node according to one layer alone, counted from 0.
    pub fn classes_of_layer(&self, layer: usize) -> Vec<usize> {
        classes(&self.by_layer[layer])
    }
}

fn classes(probabilities: &Dense) -> Vec<usize> {
    (0..probabilities.rows()).map(|row| largest(probabilities.row(row))).collect()
}

/// A graph ready for layers: its adjacency and the features of the nodes.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) structure: Structure,
    pub(crate) features: Features,
    /// The features after one propagation, where that is computed once for all epochs.
    around: Option<Dense>,
}

impl Ready {
    pub(crate) fn new(structure: Structure, features: Features, convolution: Convolution) -> Self {
        let around = match &features {
            Features::Dense(dense) if convolution.is_linear() => {
                let mut around = Dense::zeros(dense.rows(), dense.columns());
                structure.propagate(dense, &mut around, None, false);
                Some(around)
            }
            _ => None,
        };
        Self { structure, features, around }
    }

    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            own: vec![self.features.block()],
            around: self.around.as_ref().map(|around| vec![Block::Dense(around)]),
        }
    }

    /// With virtual nodes behind the others: class c is joined to the nodes that are known to be of class c.
    pub(crate) fn with_virtual_nodes(
        graph: &Graph,
        known: &[(usize, usize)],
        virtual_features: &Dense,
        convolution: Convolution,
    ) -> Self {
        let mut pairs = graph.pairs.clone();
        pairs.extend(known.iter().map(|&(node, class)| (node as u32, (graph.nodes + class) as u32)));
        let structure = Structure::new(graph.nodes + virtual_features.rows(), &pairs, convolution.weighing());
        let features = graph.features.with_rows(virtual_features).normalised();
        Self::new(structure, features, convolution)
    }
}

impl Model {
    /// What it answers.
    pub fn task(&self) -> Task {
        self.task
    }

    /// How it was learned.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Number of classes; 0 for links.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Nodes whose labels predictions rest on, with their classes.
    pub fn known(&self) -> &[(usize, usize)] {
        &self.known
    }

    /// Number of weights and biases.
    pub fn weights(&self) -> usize {
        let parts = self.layers.iter().flat_map(|layer| &layer.parameters);
        parts.map(|part| part.values().len()).sum()
    }

    /// Whether the parts fit each other: what a file has to pass before it is used.
    ///
    /// # Errors
    /// [`Error::Parameter`], [`Error::Model`].
    pub fn check(&self) -> Result<(), Error> {
        self.parameters.validate()?;
        let Parameters { learner, layers, hidden, convolution, .. } = self.parameters;
        let fits = self.layers.len() == layers
            && self.layers.iter().enumerate().all(|(place, layer)| {
                let last = place + 1 == layers;
                let below = if place == 0 { self.features } else { hidden };
                let above = if last { self.classes } else { hidden };
                let inputs = match learner {
                    Learner::TopToInput => below + above,
                    Learner::LabelAppending if place == 0 => below + self.classes,
                    _ => below,
                };
                let classifies = last && learner == Learner::Backpropagation && self.task == Task::Nodes;
                let outputs = if classifies { self.classes } else { hidden };
                layer.is_whole()
                    && layer.convolution == convolution
                    && (layer.inputs(), layer.outputs()) == (inputs, outputs)
            });
        let virtual_nodes = self.task == Task::Nodes
            && !matches!(learner, Learner::LabelAppending | Learner::Backpropagation);
        let shape = self.virtual_features.as_ref().map(|dense| (dense.rows(), dense.columns()));
        let wanted = virtual_nodes.then_some((self.classes, self.features));
        let known = self.known.iter().all(|&(_, class)| class < self.classes);
        if fits && shape == wanted && known && (self.task == Task::Links || self.classes >= 2) {
            return Ok(());
        }
        Err(Error::Model {
            problem: "the layers of the model do not fit each other".into(),
            way_out: "give a model as it was written by a fit",
        })
    }

    fn check_graph(&self, graph: &Graph, task: Task) -> Result<(), Error> {
        let refuse = |problem, way_out| Err(Error::Model { problem, way_out });
        if self.task != task {
            let way_out = "ask a model of nodes for classes and a model of links for pairs";
            return refuse(format!("this is a model of {:?}, not of {task:?}", self.task), way_out);
        }
        if graph.columns() != self.features {
            let problem =
                format!("the graph has {} features, but the model reads {}", graph.columns(), self.features);
            return refuse(problem, "give the features that the model was learned on");
        }
        if let Some((node, _)) = self.known.iter().find(|(node, _)| *node >= graph.nodes) {
            let problem =
                format!("the model was learned with node {node}, but the graph has {} nodes", graph.nodes);
            return refuse(problem, "give the graph it was learned on; new nodes come after the others");
        }
        Ok(())
    }

    /// What it says of every node. The graph is the one that was learned on, new nodes after the others if there are any.
    ///
    /// # Errors
    /// [`Error::Model`] if the graph does not fit.
    pub fn predict(&self, graph: &Graph) -> Result<Prediction, Error> {
        self.check_graph(graph, Task::Nodes)?;
        let ledger = Arc::new(Ledger::default());
        let Parameters { learner, convolution, temperature, .. } = self.parameters;
        let by_layer = match (learner, &self.virtual_features) {
            (Learner::SingleForward | Learner::TopToLoss | Learner::TopToInput, Some(virtual_features)) => {
                let ready = Ready::with_virtual_nodes(graph, &self.known, virtual_features, convolution);
                match learner {
                    Learner::SingleForward => {
                        let outputs = bottom_up(&self.layers, &ready, &ledger);
                        outputs.iter().map(|output| self.shares(output, temperature, &ledger)).collect()
                    }
                    Learner::TopToLoss => top_down::loss_shares(self, &ready, &ledger),
                    _ => top_down::input_shares(self, &ready, graph.nodes, &ledger),
                }
            }
            (Learner::Backpropagation, _) => {
                let structure = Structure::new(graph.nodes, &graph.pairs, convolution.weighing());
                let ready = Ready::new(structure, graph.features.summing_to_one(), convolution);
                let mut scores = end_to_end(&self.layers, &ready, &ledger);
                softmax_rows(&mut scores);
                vec![scores]
            }
            _ => forward_forward::shares(self, graph, &ledger),
        };
        Ok(self.joined(graph.nodes, by_layer))
    }

    /// The mean over layers, of the nodes that are not virtual.
    fn joined(&self, nodes: usize, by_layer: Vec<Dense>) -> Prediction {
        let cut = |dense: &Dense| Dense::from_fn(nodes, self.classes, |node, class| dense.row(node)[class]);
        if self.parameters.learner.is_forward_forward() {
            // The sum of goodness comes behind those of the layers.
            let mut by_layer = by_layer;
            let probabilities = by_layer.pop().unwrap_or_default();
            return Prediction { probabilities, by_layer };
        }
        let by_layer: Vec<Dense> = by_layer.iter().map(cut).collect();
        let each = 1.0 / by_layer.len() as f32;
        let mean =
            |node: usize, class: usize| by_layer.iter().map(|layer| each * layer.row(node)[class]).sum();
        Prediction { probabilities: Dense::from_fn(nodes, self.classes, mean), by_layer }
    }

    /// The softmax of scores against the virtual nodes.
    pub(crate) fn shares(&self, output: &Dense, temperature: f64, ledger: &Arc<Ledger>) -> Dense {
        let mut scores = Scores::new(self.classes, output, temperature, ledger).scores;
        softmax_rows(&mut scores);
        scores
    }

    /// How likely pairs of nodes are joined, from 0 to 1, the mean over layers.
    ///
    /// # Errors
    /// [`Error::Model`] if the graph does not fit, [`Error::Node`] for a node that is not there.
    pub fn link_scores(&self, graph: &Graph, pairs: &[(u32, u32)]) -> Result<Vec<f64>, Error> {
        self.check_graph(graph, Task::Links)?;
        for (edge, &(from, to)) in pairs.iter().enumerate() {
            let (from, to, nodes) = (from as usize, to as usize, graph.nodes);
            if from >= nodes || to >= nodes {
                return Err(Error::Node { edge, from, to, nodes });
            }
        }
        let ledger = Arc::new(Ledger::default());
        let Parameters { learner, convolution, .. } = self.parameters;
        let structure = Structure::new(graph.nodes, &graph.pairs, convolution.weighing());
        let outputs = if learner == Learner::Backpropagation {
            let ready = Ready::new(structure, graph.features.summing_to_one(), convolution);
            vec![end_to_end(&self.layers, &ready, &ledger)]
        } else {
            bottom_up(&self.layers, &Ready::new(structure, graph.features.normalised(), convolution), &ledger)
        };
        let score = |&(from, to): &(u32, u32)| {
            let each = outputs.iter().map(|output| sigmoid(dot(output, from, to)));
            each.sum::<f64>() / outputs.len() as f64
        };
        Ok(pairs.iter().map(score).collect())
    }
}

/// The inner product of two rows.
pub(crate) fn dot(output: &Dense, from: u32, to: u32) -> f64 {
    let (left, right) = (output.row(from as usize), output.row(to as usize));
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}

/// Outputs of all layers, each from the one below with its rows normalised.
pub(crate) fn bottom_up(layers: &[Layer], ready: &Ready, ledger: &Arc<Ledger>) -> Vec<Dense> {
    let mut scratch = Scratch::new(ledger);
    let mut outputs: Vec<Dense> = Vec::with_capacity(layers.len());
    for layer in layers {
        let mut pass = Pass::default();
        let below = outputs.last().map(|output| {
            let mut below = output.clone();
            below.normalise_rows();
            below
        });
        let input = below.as_ref().map_or_else(|| ready.input(), Input::dense);
        layer.forward(&input, &ready.structure, true, &mut pass, &mut scratch);
        outputs.push(pass.output);
    }
    outputs
}

/// The output of a network without normalisation between layers, and none of the rectifier after the last.
pub(crate) fn end_to_end(layers: &[Layer], ready: &Ready, ledger: &Arc<Ledger>) -> Dense {
    let mut scratch = Scratch::new(ledger);
    let mut output: Option<Dense> = None;
    for (place, layer) in layers.iter().enumerate() {
        let mut pass = Pass::default();
        let input = output.as_ref().map_or_else(|| ready.input(), Input::dense);
        layer.forward(&input, &ready.structure, place + 1 < layers.len(), &mut pass, &mut scratch);
        output = Some(pass.output);
    }
    output.unwrap_or_default()
}
