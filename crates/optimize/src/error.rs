//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.
//!
//! Rows, columns and clients are counted from 0 in the fields and in the messages.

use crate::ef21_w::VECTORS;
use crate::schedule_refinement::FEWEST_NORMS;

/// An error of the optimize wing.
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
    /// No rows.
    #[error("there are no rows; at least one is needed")]
    NoRows,
    /// No features.
    #[error("the rows have no features; at least one is needed; check that entries follow the labels")]
    NoFeatures,
    /// Labels that do not match the rows.
    #[error("there are {labels} labels for {rows} rows; give one label per row")]
    Labels {
        /// Labels found.
        labels: usize,
        /// Rows found.
        rows: usize,
    },
    /// A label or a feature that is not a finite number.
    #[error("{what} of row {row} is {value}, but must be a finite number; replace it or drop the row")]
    NotFinite {
        /// What is not finite.
        what: &'static str,
        /// The row.
        row: usize,
        /// The value found.
        value: f64,
    },
    /// Values whose squares overflow.
    #[error("the features of row {row} are too large to square; rescale them")]
    TooLarge {
        /// The row.
        row: usize,
    },
    /// A column of labels with one class only.
    #[error(
        "all {rows} labels are {label}, but a loss of classes needs two of them; add rows of another class, or use the \
         least-squares loss"
    )]
    OneClass {
        /// The one label.
        label: f64,
        /// Rows.
        rows: usize,
    },
    /// Labels of more than two classes.
    #[error(
        "the labels have more than two values ({}, …), but the logistic loss needs two classes; name the one that is set \
         against the others, or use the least-squares loss",
        listed(labels)
    )]
    ManyClasses {
        /// The first three values, ascending.
        labels: Vec<f64>,
    },
    /// A class that no row has.
    #[error("no label is {label}; the labels are {}; name one of them", listed(labels))]
    NoSuchClass {
        /// The class that was named.
        label: f64,
        /// The first values, ascending.
        labels: Vec<f64>,
    },
    /// A label of the logistic loss that is neither −1 nor 1.
    #[error("the label of row {row} is {value}, but must be -1 or 1; encode the two classes so")]
    NotSigned {
        /// The row.
        row: usize,
        /// The label found.
        value: f64,
    },
    /// More clients than rows.
    #[error("{clients} clients share {rows} rows, but each needs at least one; use at most {rows} clients")]
    TooManyClients {
        /// Clients asked for.
        clients: usize,
        /// Rows there are.
        rows: usize,
    },
    /// More numbers than are kept.
    #[error(
        "{clients} clients with {features} features need {VECTORS} x {clients} x {features} numbers, but at most {most} are kept; \
         use fewer clients, or number the features without gaps"
    )]
    TooManyNumbers {
        /// Clients asked for.
        clients: usize,
        /// Features there are.
        features: usize,
        /// Most numbers that are kept.
        most: usize,
    },
    /// A client whose loss is affine.
    #[error(
        "client {client} has smoothness 0: its loss is affine; give it a positive bound, drop it, or add a regulariser"
    )]
    ZeroSmoothness {
        /// The client.
        client: usize,
    },
    /// A smoothness constant that is none.
    #[error("{name} is {value}, but must be {allowed}; compute it from the data")]
    Smoothness {
        /// Which constant.
        name: String,
        /// The value found.
        value: f64,
        /// The allowed range.
        allowed: String,
    },
    /// Two lengths that do not fit.
    #[error("{what} has length {found}, but must have {expected}")]
    Length {
        /// What has the wrong length.
        what: String,
        /// The length found.
        found: usize,
        /// The length needed.
        expected: usize,
    },
    /// The clients could not exchange their messages.
    #[error("the exchange between clients failed in round {round}: {problem}; start all ranks again")]
    Exchange {
        /// The round.
        round: usize,
        /// What the transport says.
        problem: String,
    },
    /// Features of which none has an entry.
    #[error("none of the {features} features has an entry other than zero; check the data")]
    EmptyColumns {
        /// Features there are.
        features: usize,
    },
    /// Classes that a hyperplane separates, and nothing that keeps the weights short.
    #[error(
        "the classes can be separated without error, so that the loss has no minimum: longer weights are ever better; add an L1 \
         penalty or a ridge, or bound the weights"
    )]
    Separable,
    /// Numbers that grew beyond what is finite.
    #[error("the objective is not finite after {iteration} iterations; rescale the features and the labels")]
    Overflow {
        /// Iterations that were done.
        iteration: usize,
    },
    /// A matrix of a quadratic that is not symmetric.
    #[error(
        "row {row} of the matrix has no equal partner of its entry in column {column}; give a symmetric matrix"
    )]
    NotSymmetric {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
    },
    /// An edge that cannot be used.
    #[error("edge {edge}, counted from 0: {problem}")]
    Edge {
        /// The edge.
        edge: usize,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A label of a node that cannot be used.
    #[error("the label of node {node}: {problem}")]
    NodeLabel {
        /// The node.
        node: usize,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A part of a graph without a label.
    #[error(
        "a component of {} has no labelled node, node {first} among them, so its solution is not unique; label one of its \
         nodes, or drop it",
        nodes_of(*nodes)
    )]
    UnlabelledComponent {
        /// Its nodes.
        nodes: usize,
        /// The first of them.
        first: usize,
    },
    /// A graph without an unlabelled node.
    #[error("all {nodes} nodes are labelled; leave at least one without a label")]
    NoUnknown {
        /// Nodes there are.
        nodes: usize,
    },
    /// A gradient norm that is none.
    #[error(
        "the gradient norm of row {} is {value}, but must be 0 or more; drop the row, or look where the run broke",
        row + 1
    )]
    Norm {
        /// The row, from 0; the message counts from 1.
        row: usize,
        /// The value found.
        value: f64,
    },
    /// Steps that fall back.
    #[error(
        "row {} has step {to} after step {from}: the log starts again or is not sorted; keep the rows of one run, sorted by step",
        row + 1
    )]
    StepsFall {
        /// The row, from 0; the message counts from 1.
        row: usize,
        /// The step before.
        from: f64,
        /// The step of the row.
        to: f64,
    },
    /// A step that stands twice.
    #[error("row {} has step {step} a second time, with another norm; keep one of them", row + 1)]
    StepTwice {
        /// The second row, from 0; the message counts from 1.
        row: usize,
        /// The step.
        step: f64,
    },
    /// A log with too few norms.
    #[error("the log has {found} usable norms, but at least {FEWEST_NORMS} are needed; log more often")]
    ShortLog {
        /// Norms found.
        found: usize,
    },
    /// A log of zeros.
    #[error(
        "at least half of the gradient norms are 0 or next to it; log the norm of the gradients that the optimizer is given"
    )]
    ZeroNorms,
    /// A weight of a step that is none.
    #[error(
        "the weight of step {row} is {value}, but weights must be positive, and they and their sum finite; rescale them"
    )]
    Weights {
        /// The step, from 0.
        row: usize,
        /// The value found.
        value: f64,
    },
    /// More columns than indices are made for.
    #[error("there are {columns} columns, and one more is too many; drop columns, or the column of ones")]
    TooManyColumns {
        /// Columns there are.
        columns: usize,
    },
    /// A lower level that was not solved far enough.
    #[error(
        "lower-level gradient residual {residual:.0e} is larger than sigma={sigma:e}: penalty gradient unreliable; run more \
         inner steps or raise sigma"
    )]
    LowerResidual {
        /// The residual.
        residual: f64,
        /// σ.
        sigma: f64,
    },
    /// A lower level whose minimisers move faster than its residual shows.
    #[error(
        "the error bound looks violated: its constant is at most {constant:.1e}, below sigma times the curvature of the upper \
         level ({curvature:.1e}), and the gradient changes {halving:.2} times as much when sigma is halved again; lower-level minimisers \
         may jump here, lower sigma or start elsewhere"
    )]
    ErrorBound {
        /// The empirical constant.
        constant: f64,
        /// σ times the curvature of f.
        curvature: f64,
        /// How much the gradient's change is multiplied by.
        halving: f64,
    },
    /// A saved model that cannot be used.
    #[error("the saved model cannot be used: {problem}; fit it again")]
    Model {
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    pub(crate) fn parameter(
        name: &'static str,
        value: impl ToString,
        allowed: impl Into<String>,
        way_out: &'static str,
    ) -> Self {
        Self::Parameter { name, value: value.to_string(), allowed: allowed.into(), way_out }
    }
}

fn listed(labels: &[f64]) -> String {
    labels.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

fn nodes_of(count: usize) -> String {
    format!("{count} node{}", if count == 1 { "" } else { "s" })
}
