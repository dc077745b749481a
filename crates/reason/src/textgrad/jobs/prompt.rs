//! A prompt over training questions, gated by validation questions.

use backstitch_llm::answer::extract;
use backstitch_llm::question::Question;
use backstitch_numerics::Stream;
use serde::Serialize;

use super::{Descent, Engines, Event, Improved, Record, feedback_event, update};
use crate::Error;
use crate::options::with_options;
use crate::textgrad::loss::exact_match;
use crate::textgrad::operations::{LlmCall, aggregate, sum};
use crate::textgrad::variable::Variable;

/// Improves the system prompt of a model over minibatches of questions with known answers.
#[derive(Clone, Debug)]
pub struct PromptJob {
    /// How to descend; the paper takes 12 steps.
    pub descent: Descent,
    /// Questions per step (3).
    pub batch: usize,
    /// Let the critic merge the feedback of a batch into one first.
    pub merge: bool,
    /// Seed of the order of the questions.
    pub seed: u64,
}

/// Shares of right answers to the test questions, looked at once, in the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// With the first prompt.
    pub before: f64,
    /// With the improved one.
    pub after: f64,
    /// Questions.
    pub questions: usize,
}

/// A prompt that was improved.
#[derive(Clone, Debug, PartialEq)]
pub struct ImprovedPrompt {
    /// The prompt and what happened; scores are on the validation questions.
    pub prompt: Improved,
    /// On the test questions.
    pub test: Option<Scores>,
}

impl PromptJob {
    /// Improves a prompt. It is put back when the share of right answers to the validation questions falls; without any, every new prompt
    /// stays. The test questions decide nothing.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a question without a known answer, among others; [`Error::Call`].
    pub fn improve(
        &self,
        engines: Engines<'_, '_>,
        prompt: &str,
        training: &[Question],
        validation: &[Question],
        test: &[Question],
    ) -> Result<ImprovedPrompt, Error> {
        self.descent.validate()?;
        if self.batch == 0 || self.batch > training.len() {
            let (value, way_out) =
                (format!("{} of {} training questions", self.batch, training.len()), "the paper takes 3");
            return Err(Error::parameter("batch", value, "at least 1 and at most all", way_out));
        }
        if let Some(question) =
            training.iter().chain(validation).chain(test).find(|question| question.gold.is_none())
        {
            let value = format!("missing for question {:?}", question.id);
            return Err(Error::parameter(
                "the answer",
                value,
                "known for every question",
                "add an `answer` to its line",
            ));
        }
        let variable = Variable::new(prompt, "system prompt of a language model that answers questions")?;
        let start = Record { id: None, step: 0, event: Event::Start { text: prompt.into() } };
        let mut improved = Improved { id: None, versions: Vec::new(), best: 0, records: vec![start] };
        let mut best = score(engines, prompt, validation)?;
        improved.versions.push((prompt.into(), best));
        if let Some(score) = best {
            improved.note(0, Event::Validation { score, best: score, accepted: true });
        }
        let mut optimizer = self.descent.optimizer(std::slice::from_ref(&variable))?;
        let mut batches = Batches::new(training.len(), self.batch, self.seed);
        for step in 1..=self.descent.steps {
            let kept = variable.value();
            let losses =
                self.losses(engines, &variable, batches.next().iter().map(|place| &training[*place]))?;
            let right = losses.iter().filter(|loss| loss.value() == "1").count();
            let text = format!("{right} of {} right", losses.len());
            improved.note(step, Event::Evaluation { text, score: Some(right as f64 / losses.len() as f64) });
            let loss = if self.merge { aggregate(&losses) } else { sum(&losses) };
            let (feedback, events) = update(&mut optimizer, &loss, engines.critic)?;
            feedback.into_iter().for_each(|given| improved.note(step, feedback_event(given)));
            let changed = variable.value() != kept;
            events.into_iter().for_each(|event| improved.note(step, event));
            if let (Some(before), true) = (best, changed) {
                let now = score(engines, &variable.value(), validation)?.unwrap_or(before);
                let accepted = now >= before;
                best = Some(before.max(now));
                improved.versions.push((variable.value(), Some(now)));
                improved.note(step, Event::Validation { score: now, best: before.max(now), accepted });
                if accepted {
                    improved.best = improved.versions.len() - 1;
                } else {
                    variable.set_value(kept);
                }
            } else {
                improved.versions.push((variable.value(), best));
                if changed {
                    improved.best = improved.versions.len() - 1;
                }
            }
        }
        let test = match score(engines, improved.text(), test)? {
            None => None,
            Some(after) => {
                let before = score(engines, prompt, test)?.unwrap_or(after);
                Some(Scores { before, after, questions: test.len() })
            }
        };
        Ok(ImprovedPrompt { prompt: improved, test })
    }

    /// Most calls that it takes, repairs left out.
    pub fn most_calls(&self, validation: usize, test: usize) -> u64 {
        let (steps, batch, validation) =
            (u64::from(self.descent.steps), self.batch as u64, validation as u64);
        validation
            + steps * (3 * batch + u64::from(self.merge && batch > 1) + 1 + validation)
            + 2 * test as u64
    }

    fn losses<'q>(
        &self,
        engines: Engines<'_, '_>,
        prompt: &Variable,
        questions: impl Iterator<Item = &'q Question> + Clone,
    ) -> Result<Vec<Variable>, Error> {
        let texts: Vec<Variable> = questions
            .clone()
            .map(|question| Variable::constant(with_options(question), "question"))
            .collect::<Result<_, _>>()?;
        let call = LlmCall::new("answer to the question").with_system(prompt);
        let answers = call.call_all(engines.task, &texts)?;
        answers
            .iter()
            .zip(questions)
            .map(|(answer, question)| {
                let gold = question.gold.as_ref().map(ToString::to_string).unwrap_or_default();
                Ok(exact_match(question.kind, answer, &Variable::constant(gold, "right answer")?))
            })
            .collect()
    }
}

/// The share of right answers with a prompt; nothing without questions.
fn score(engines: Engines<'_, '_>, prompt: &str, questions: &[Question]) -> Result<Option<f64>, Error> {
    if questions.is_empty() {
        return Ok(None);
    }
    let texts: Vec<Variable> = questions
        .iter()
        .map(|question| Variable::constant(with_options(question), "question"))
        .collect::<Result<_, _>>()?;
    let prompt = Variable::constant(prompt, "system prompt")?;
    let answers =
        LlmCall::new("answer to the question").with_system(&prompt).call_all(engines.task, &texts)?;
    let is_right = |(answer, question): &(Variable, &Question)| {
        let found = extract(&answer.value(), question.kind);
        found.is_some() && found == question.gold
    };
    let right = answers.into_iter().zip(questions).filter(is_right).count();
    Ok(Some(right as f64 / questions.len() as f64))
}

/// Minibatches of a fixed size, in another order in every epoch. What is left over at the end of an epoch is left out of it, so that no batch
/// has a question twice.
struct Batches {
    questions: usize,
    size: usize,
    seed: u64,
    epoch: u64,
    open: Vec<usize>,
}

impl Batches {
    fn new(questions: usize, size: usize, seed: u64) -> Self {
        Self { questions, size, seed, epoch: 0, open: Vec::new() }
    }

    fn next(&mut self) -> Vec<usize> {
        if self.open.len() < self.size {
            let purpose = format!("textgrad minibatches, epoch {}", self.epoch);
            self.open = Stream::new(self.seed, &purpose).permutation(self.questions);
            self.epoch += 1;
        }
        self.open.drain(..self.size).collect()
    }
}
