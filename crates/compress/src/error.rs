//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

/// An error of the compress wing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// What it is the number of.
        name: &'static str,
        /// The value found.
        value: f64,
        /// The allowed range.
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A layer that cannot be quantised or computed.
    #[error("layer {layer}: {problem}; {way_out}")]
    Layer {
        /// Its place and name.
        layer: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A tensor of a file.
    #[error("tensor {name:?}: {problem}; {way_out}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A file that is no network.
    #[error("{problem}; {way_out}")]
    Model {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Rows that cannot be calibrated on.
    #[error("calibration: {problem}; {way_out}")]
    Calibration {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
}
