//! What can go wrong on the network floor.

use std::path::{Path, PathBuf};

/// Errors of models, training, checkpoints and tokenizers.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// A parameter is outside its range.
    #[error("{name} is {value}, but it must be {allowed}\nhint: {hint}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
        /// A way out.
        hint: &'static str,
    },
    /// A sequence does not fit the model.
    #[error(
        "a sequence of {length} tokens is longer than the context of {context}\nhint: shorten it, or use a model with a longer context"
    )]
    TooLong {
        /// Tokens of the sequence.
        length: usize,
        /// Tokens the model can see.
        context: usize,
    },
    /// A sequence is empty where something must be predicted.
    #[error("{what} is empty\nhint: give at least one token")]
    Empty {
        /// Which sequence.
        what: String,
    },
    /// A token is not in the vocabulary.
    #[error(
        "token {token} is not in the vocabulary of {vocabulary}\nhint: the tokenizer does not belong to this model"
    )]
    UnknownToken {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// Shapes that do not fit together.
    #[error("{what}: the shape is {found:?}, but {wanted:?} is needed")]
    Shape {
        /// What has the shape.
        what: String,
        /// The shape found.
        found: Vec<usize>,
        /// The shape needed.
        wanted: Vec<usize>,
    },
    /// Parameters that the loss does not depend on.
    #[error("no gradient reached {}\nhint: the loss does not depend on these parameters; declare them frozen or use them", .names.join(", "))]
    NoGradient {
        /// Names of the parameters.
        names: Vec<String>,
    },
    /// The loss or the gradient is no longer finite.
    #[error(
        "training diverged at step {step}: the {what} is {value}\nhint: lower the learning rate or clip the gradient"
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// Loss or gradient norm.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A file could not be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        reason: std::io::Error,
    },
    /// A checkpoint or tokenizer file says something that cannot be.
    #[error("{}: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A saved training state does not belong to this trainer.
    #[error("the saved training state does not fit: {reason}\nhint: start again from step 0")]
    State {
        /// What differs.
        reason: String,
    },
    /// The tokenizer refuses a text or tokens.
    #[error("the tokenizer: {0}")]
    Tokenizer(String),
    /// What the caller's own step of the training loop says.
    #[error("{0}")]
    Stopped(String),
}

impl NnError {
    pub(crate) fn file(path: &Path, reason: std::io::Error) -> Self {
        Self::File { path: path.into(), reason }
    }

    pub(crate) fn content(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Content { path: path.into(), reason: reason.to_string() }
    }
}
