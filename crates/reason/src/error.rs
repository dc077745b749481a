//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

/// An error of the reason wing.
#[derive(Clone, Debug, thiserror::Error)]
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
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The model did not answer.
    #[error("question {id:?}, {stage}: {source}")]
    Model {
        /// The question.
        id: String,
        /// What was asked of the model.
        stage: &'static str,
        /// Why it did not answer.
        source: Box<backstitch_llm::Error>,
    },
}

impl Error {
    /// A way out that the message does not hold, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Parameter { .. } => None,
            Self::Model { source, .. } => source.hint(),
        }
    }

    pub(crate) fn model(id: &str, stage: &'static str, source: backstitch_llm::Error) -> Self {
        Self::Model { id: id.into(), stage, source: Box::new(source) }
    }

    pub(crate) fn parameter(
        name: &'static str,
        value: impl ToString,
        allowed: &'static str,
        way_out: &'static str,
    ) -> Self {
        Self::Parameter { name, value: value.to_string(), allowed, way_out }
    }
}
