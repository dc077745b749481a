//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.
//!
//! Inputs and bits are counted from 0 in the fields and in the messages.

/// An error of the networks wing.
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
    /// The input without a one.
    #[error(
        "input {input} is all zeros: the all-zero input has no direction; the theory excludes it; drop the row"
    )]
    ZeroInput {
        /// Row of the input, from 0.
        input: usize,
    },
    /// An entry of an input that is neither 0 nor 1.
    #[error("input {input}, bit {bit} is {value}, but must be 0 or 1; encode the input in bits")]
    NotBinary {
        /// Row of the input, from 0.
        input: usize,
        /// Bit, from 0.
        bit: usize,
        /// The value found.
        value: f64,
    },
    /// An input of the wrong length.
    #[error("input {input} has {found} bits, but must have {length}; pad it or set length to {found}")]
    Length {
        /// Row of the input, from 0.
        input: usize,
        /// Bits found.
        found: usize,
        /// Bits needed.
        length: usize,
    },
    /// Targets that are not a permutation of the bits.
    #[error("the targets are not a permutation of 0 to {}: {problem}; give every bit exactly once", length - 1)]
    Permutation {
        /// Number of bits.
        length: usize,
        /// What is wrong.
        problem: String,
    },
    /// No input at all.
    #[error("there are no inputs; at least one is needed")]
    NoInputs,
    /// More inputs than the simulation takes.
    #[error("{what} has {found} inputs, but at most {limit} are simulated together; {way_out}")]
    TooManyInputs {
        /// What has so many.
        what: String,
        /// How many.
        found: String,
        /// The limit.
        limit: usize,
        /// What to do about it.
        way_out: &'static str,
    },
    /// More models than a machine counts.
    #[error("more than {limit} models are needed; lower the confidence or the weight variance")]
    TooManyModels {
        /// The limit.
        limit: u64,
    },
    /// A network that did not fit its training data.
    #[error(
        "after {steps} steps the largest training error is {residual:e}, but must be at most {tolerance:e}; take more \
         steps, a wider network, or a lower rate"
    )]
    NotTrained {
        /// Steps taken.
        steps: usize,
        /// Largest absolute error of an output on a training input.
        residual: f64,
        /// The tolerance.
        tolerance: f64,
    },
    /// A number of values that does not fit.
    #[error(
        "the {what} has {found} numbers, but the network takes {expected} there; give one number per input of that layer"
    )]
    Width {
        /// What has the wrong width.
        what: String,
        /// Numbers found.
        found: usize,
        /// Numbers needed.
        expected: usize,
    },
    /// A coordinate that is not finite.
    #[error("{what}, input {index} is {value}, but must be finite; drop the row or fill in the value")]
    Coordinate {
        /// What it belongs to.
        what: &'static str,
        /// Input, from 0.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A network or a region that makes no sense.
    #[error("{problem}; {way_out}")]
    Model {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// An operator of a model file that is not read.
    #[error("operator {operator} at node {node} ({name:?}): {problem}; {way_out}")]
    Operator {
        /// The operator.
        operator: String,
        /// Position of the node in the graph, from 0.
        node: usize,
        /// Name of the node.
        name: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A tensor that does not fit.
    #[error("tensor {name:?}: {problem}; {way_out}")]
    Tensor {
        /// Its name in the file.
        name: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Bounds that are too large for double precision.
    #[error(
        "bounds at layer {layer} are too large for double precision; give a smaller radius, or scale the network's weights down"
    )]
    Overflow {
        /// Affine map, from 0.
        layer: usize,
    },
}
