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
    /// The model did not answer a call of a computation graph.
    #[error("{stage} the {role:?}: {source}")]
    Call {
        /// What was asked of the model.
        stage: &'static str,
        /// The role of the text it was asked about.
        role: String,
        /// Why it did not answer.
        source: Box<backstitch_llm::Error>,
    },
    /// The tests of a program could not be run.
    #[error("the tests of the program could not be run: {problem}")]
    Tests {
        /// What is wrong.
        problem: String,
    },
    /// A reply that cannot be used.
    #[error("a reply about the {role:?} cannot be used: {problem}; it begins {:?}", beginning(reply))]
    Malformed {
        /// The role of the text it is about.
        role: String,
        /// What is wrong with it.
        problem: String,
        /// The reply.
        reply: String,
    },
}

impl Error {
    /// A way out that the message does not hold, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Parameter { .. } | Self::Tests { .. } => None,
            Self::Model { source, .. } | Self::Call { source, .. } => source.hint(),
            Self::Malformed { .. } => {
                Some("use a model that follows instructions better, or allow longer replies")
            }
        }
    }

    pub(crate) fn model(id: &str, stage: &'static str, source: backstitch_llm::Error) -> Self {
        Self::Model { id: id.into(), stage, source: Box::new(source) }
    }

    /// A model gave no reply to a call of a graph.
    pub(crate) fn unanswered(role: &str) -> Self {
        Self::Call {
            stage: "the call for",
            role: role.into(),
            source: Box::new(backstitch_llm::Error::Unanswered),
        }
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

/// Up to 80 characters.
fn beginning(reply: &str) -> String {
    reply.trim().chars().take(80).collect()
}
