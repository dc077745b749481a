//! What people improve: solutions, prompts, programs.

mod code;
mod prompt;
mod solution;

pub use code::{CodeJob, TestOutcome};
pub use prompt::{ImprovedPrompt, PromptJob, Scores};
pub use solution::{Draft, SolutionJob, majority};

use serde::{Deserialize, Serialize};

use super::backward::Feedback;
use super::engine::Engine;
use super::optimizer::TextualGradientDescent;
use super::variable::Variable;
use crate::Error;

/// How to descend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Descent {
    /// Updates (3).
    pub steps: u32,
    /// Constraints in words.
    pub constraints: Vec<String>,
    /// Examples to go by.
    pub examples: Vec<String>,
    /// Earlier texts shown with their feedback (0).
    pub momentum: usize,
    /// Earlier feedbacks shown without their texts (0).
    pub gradient_memory: usize,
}

impl Default for Descent {
    fn default() -> Self {
        Self { steps: 3, constraints: Vec::new(), examples: Vec::new(), momentum: 0, gradient_memory: 0 }
    }
}

/// The models of a job; they may be the same.
#[derive(Clone, Copy)]
pub struct Engines<'e, 'm> {
    /// Answers tasks.
    pub task: &'e Engine<'m>,
    /// Judges, gives feedback, and writes new texts.
    pub critic: &'e Engine<'m>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The question it is about, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The update it belongs to, counted from 1; 0 is before the first.
    pub step: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "named in the schema of the transcript")]
pub enum Event {
    /// The text to begin with.
    Start { text: String },
    /// What was said of the text by a judge or by the tests, with a number if there is one.
    Evaluation { text: String, score: Option<f64> },
    /// Feedback on a text of the graph.
    Feedback { on: String, through: Option<String>, feedback: String },
    /// A new text.
    Update { before: String, after: String, repaired: bool },
    /// There was no feedback, and the text stays.
    Unchanged,
    /// No reply could be used, and the text stays.
    Refused { problem: String, reply: String },
    /// The score on the validation questions; without acceptance the text is what it was before.
    Validation { score: f64, best: f64, accepted: bool },
}

/// A text that was improved.
#[derive(Clone, Debug, PartialEq)]
pub struct Improved {
    /// Its name among others.
    pub id: Option<String>,
    /// The text before the first update and after each, with its score where there is one.
    pub versions: Vec<(String, Option<f64>)>,
    /// Which is the best: by the score, or else the last.
    pub best: usize,
    /// All that happened.
    pub records: Vec<Record>,
}

impl Improved {
    /// The best text.
    pub fn text(&self) -> &str {
        self.versions.get(self.best).map_or("", |(text, _)| text)
    }
}

impl Descent {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for more steps than could be meant.
    pub fn validate(&self) -> Result<(), Error> {
        match self.steps {
            0 => Err(Error::parameter("steps", 0, "at least 1", "3 is the paper's for solutions")),
            1..=10_000 => Ok(()),
            many => Err(Error::parameter(
                "steps",
                many,
                "at most 10000",
                "3 is the paper's for solutions, 12 for prompts",
            )),
        }
    }

    fn optimizer(&self, variables: &[Variable]) -> Result<TextualGradientDescent, Error> {
        let optimizer = TextualGradientDescent::new(variables.iter().cloned())?;
        Ok(optimizer
            .with_constraints(self.constraints.clone())
            .with_examples(self.examples.clone())
            .with_momentum(self.momentum)
            .with_gradient_memory(self.gradient_memory))
    }
}

/// One update of every text of an optimiser. Records are in the order of the texts.
fn update(
    optimizer: &mut TextualGradientDescent,
    loss: &Variable,
    critic: &Engine<'_>,
) -> Result<(Vec<Feedback>, Vec<Event>), Error> {
    optimizer.zero_grad();
    let feedback = loss.backward(critic)?;
    let steps = optimizer.step_each(critic)?.into_iter().map(|step| match step {
        Ok(step) if !step.had_feedback => Ok(Event::Unchanged),
        Ok(step) => Ok(Event::Update { before: step.before, after: step.after, repaired: step.repaired }),
        Err(Error::Malformed { problem, reply, .. }) => Ok(Event::Refused { problem, reply }),
        Err(error) => Err(error),
    });
    Ok((feedback, steps.collect::<Result<_, _>>()?))
}

fn feedback_event(given: Feedback) -> Event {
    Event::Feedback { on: given.on, through: given.through, feedback: given.feedback }
}
