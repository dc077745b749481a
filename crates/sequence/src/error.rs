//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

use std::path::PathBuf;

use backstitch_nn::NnError;

/// An error of the sequence wing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its range.
    #[error("{name} is {value}, but must be {allowed}\nhint: {way_out}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// The allowed range.
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Sequences, a transition table or tokens that cannot be used.
    #[error("{problem}\nhint: {way_out}")]
    Data {
        /// What is wrong, with its place.
        problem: String,
        /// What to do about it.
        way_out: String,
    },
    /// A file that cannot be read or is no model.
    #[error("{}: {problem}\nhint: {way_out}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: String,
    },
    /// What the network floor says.
    #[error(transparent)]
    Network(#[from] NnError),
}

impl Error {
    pub(crate) fn data(problem: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self::Data { problem: problem.into(), way_out: way_out.into() }
    }
}
