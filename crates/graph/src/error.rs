//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

/// An error of the graph wing. Nodes are counted from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value found.
        value: String,
        /// The allowed range.
        allowed: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// An edge to a node that is not there.
    #[error(
        "edge {edge} joins nodes {from} and {to}, but there are {nodes} nodes, counted from 0; give every node a row of features"
    )]
    Node {
        /// Place of the edge in the list, from 0.
        edge: usize,
        /// One end.
        from: usize,
        /// The other end.
        to: usize,
        /// Nodes of the graph.
        nodes: usize,
    },
    /// Features or labels of another number of nodes.
    #[error("the {what} are of {found} nodes, but the graph has {nodes}; {way_out}")]
    Count {
        /// What does not fit.
        what: &'static str,
        /// Nodes they are of.
        found: usize,
        /// Nodes of the graph.
        nodes: usize,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A feature that is not finite.
    #[error(
        "node {node}, feature {feature} is {value}, but must be finite; drop the node or fill in the value"
    )]
    Feature {
        /// The node.
        node: usize,
        /// The column.
        feature: usize,
        /// The value found.
        value: f64,
    },
    /// A class that no node has.
    #[error(
        "no node has the label {missing}, but labels go up to {largest}; labels must be 0, 1, … without a gap: number the classes anew"
    )]
    Gap {
        /// The smallest label without a node.
        missing: usize,
        /// The largest label.
        largest: usize,
    },
    /// A class that no training node has.
    #[error(
        "class {class} has no training node (it has {labelled} with a label); train on at least one node of every class, or drop the class"
    )]
    ClassWithoutTraining {
        /// The class.
        class: usize,
        /// Nodes with this label.
        labelled: usize,
    },
    /// Nodes of a split that do not fit.
    #[error("{problem}; {way_out}")]
    Split {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Something that does not fit the model.
    #[error("{problem}; {way_out}")]
    Model {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Numbers that are no longer finite.
    #[error(
        "the loss of layer {layer} is {value} in epoch {epoch}; lower the learning rate, or scale the features down"
    )]
    Diverged {
        /// Layer, from 1.
        layer: usize,
        /// Epoch, from 0.
        epoch: usize,
        /// The loss found.
        value: f64,
    },
}
