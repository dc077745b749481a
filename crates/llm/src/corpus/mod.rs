//! What the embedded models are trained on: seeded generators of short texts, one file per skill.
//!
//! A skill gives [`Example`]s, drawn from a stream: a prompt as a method sends it when its own examples and its system text are left
//! out, and the completion that the model is to give. What studies ask is held out by construction and never an example. The words are
//! few (the tokenizers of the embedded models are word-level), numbers are words from 0 to 99.

use backstitch_numerics::Stream;

pub mod arithmetic;
pub mod feedback;
pub mod knowledge;

/// A prompt and its completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What the model reads.
    pub prompt: String,
    /// What it is to write.
    pub completion: String,
}

/// What an embedded model is trained for. Each skill has models of its own, so that a new skill, or a change of one, leaves the models of the
/// others and what was measured with them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skill {
    /// Word problems, forward and backward: [`arithmetic`].
    Arithmetic,
    /// Questions about made-up people: [`knowledge`].
    Knowledge,
    /// Codes improved by feedback in words: [`feedback`].
    Feedback,
}

impl Skill {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Arithmetic, Self::Knowledge, Self::Feedback];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arithmetic => "arithmetic",
            Self::Knowledge => "knowledge",
            Self::Feedback => "feedback",
        }
    }

    /// An example to be learned.
    pub fn example(self, stream: &mut Stream) -> Example {
        match self {
            Self::Arithmetic => arithmetic::example(stream),
            Self::Knowledge => knowledge::example(stream),
            Self::Feedback => feedback::example(stream),
        }
    }
}
