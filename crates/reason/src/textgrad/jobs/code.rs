//! A program, by what its tests say.

use super::{Descent, Event, Improved, Record, feedback_event, update};
use crate::Error;
use crate::textgrad::engine::Engine;
use crate::textgrad::operations::StringFunction;
use crate::textgrad::variable::Variable;

/// Improves a program until its tests pass; the paper takes 5 steps.
#[derive(Clone, Debug)]
pub struct CodeJob {
    /// How to descend.
    pub descent: Descent,
    /// What the program is to do, if the critic is to know.
    pub task: Option<String>,
}

/// What the tests of a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// Whether they passed.
    pub passed: bool,
    /// What they printed.
    pub output: String,
}

impl CodeJob {
    /// Improves a program until `tests` passes it or all steps are taken. The best version is the one that passes; its score is 1.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::Call`]; what `tests` gives, as [`Error::Tests`].
    pub fn improve(
        &self,
        critic: &Engine<'_>,
        program: &str,
        tests: &mut dyn FnMut(&str) -> Result<TestOutcome, String>,
    ) -> Result<Improved, Error> {
        self.descent.validate()?;
        let variable = Variable::new(program, "program")?;
        let task = self
            .task
            .as_ref()
            .map(|task| Variable::constant(task.clone(), "what the program is to do"))
            .transpose()?;
        let start = Record { id: None, step: 0, event: Event::Start { text: program.into() } };
        let mut improved = Improved { id: None, versions: Vec::new(), best: 0, records: vec![start] };
        let mut optimizer = self.descent.optimizer(std::slice::from_ref(&variable))?;
        for step in 0..=self.descent.steps {
            let text = variable.value();
            let TestOutcome { passed, output } = tests(&text).map_err(|problem| Error::Tests { problem })?;
            let score = Some(f64::from(u8::from(passed)));
            improved.versions.push((text, score));
            improved.best = improved.versions.len() - 1;
            improved.note(step, Event::Evaluation { text: output.clone(), score });
            if passed || step == self.descent.steps {
                break;
            }
            let function = StringFunction::new("runs the tests of the program", move |_| output.clone())
                .with_response_role("what the tests of the program print");
            let inputs: Vec<(&str, &Variable)> =
                task.iter().map(|task| ("task", task)).chain([("program", &variable)]).collect();
            let (feedback, events) = update(&mut optimizer, &function.call(&inputs), critic)?;
            feedback.into_iter().for_each(|given| improved.note(step + 1, feedback_event(given)));
            events.into_iter().for_each(|event| improved.note(step + 1, event));
        }
        Ok(improved)
    }

    /// Most calls that it takes, repairs left out.
    pub fn most_calls(&self) -> u64 {
        2 * u64::from(self.descent.steps)
    }
}
