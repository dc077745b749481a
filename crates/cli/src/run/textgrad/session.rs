//! The models of a command, and where its results go.

use std::cell::Cell;
use std::path::Path;

use backstitch_llm::corpus::Skill;
use backstitch_reason::Error;
use backstitch_reason::textgrad::jobs::{Engines, Improved};
use backstitch_reason::textgrad::{Calls, Engine, Parameters, Prompts};

use super::report::{self, Report};
use super::{Shared, failure};
use crate::arguments::Common;
use crate::failure::{EXIT_CLAIM_FAILS, EXIT_DONE, EXIT_INTERRUPTED, Failure};
use crate::run::language_model::{self, LanguageModel, Unsent, Used, is_limit, is_unsent};
use crate::run::output;
use crate::terminal;

/// The models of a command, what they are told, and the files of its results.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    common: &'a Common,
    task: LanguageModel,
    critic: Option<LanguageModel>,
    unsent: Option<Unsent>,
    parameters: Parameters,
    prompts: Prompts,
    limit_reached: Cell<bool>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        inputs: &[(&str, Option<&Path>)],
        bare: fn() -> Prompts,
        common: &'a Common,
    ) -> Result<Self, Failure> {
        let (parameters, prompts) = (shared.parameters(common)?, shared.templates(bare)?);
        let (task, critic, unsent) = if shared.model.dry_run {
            let (task, critic, unsent) = shared.model.rehearse_with(Skill::Feedback, shared.other())?;
            (task, critic, Some(unsent))
        } else {
            let outputs = [&shared.out, &shared.transcript];
            for out in outputs.into_iter().flatten() {
                output::refuse_unwritable(out)?;
                shared.model.refuse_output(out)?;
                for (option, input) in inputs {
                    if let Some(input) = input {
                        output::refuse_same(out, input, option)?;
                    }
                }
            }
            if let (Some(out), Some(transcript)) = (&shared.out, &shared.transcript) {
                output::refuse_same(transcript, out, "--out")?;
            }
            let (task, critic) = shared.model.open_with(Skill::Feedback, shared.other())?;
            (task, critic, None)
        };
        let limit_reached = Cell::new(false);
        Ok(Self { shared, common, task, critic, unsent, parameters, prompts, limit_reached })
    }

    /// Does the job; nothing if it was a rehearsal, or a limit was reached.
    pub(super) fn run<T>(
        &self,
        most_calls: u64,
        job: impl FnOnce(Engines<'_, '_>) -> Result<T, Error>,
    ) -> Result<Option<(T, Calls)>, Failure> {
        let task = self.engine(&self.task)?;
        let critic = self.engine(self.critic.as_ref().unwrap_or(&self.task))?;
        let outcome = job(Engines { task: &task, critic: &critic });
        if let Some(unsent) = &self.unsent {
            return match outcome {
                Err(Error::Call { source, .. }) if !is_unsent(&source) => {
                    Err(language_model::failure(*source))
                }
                Err(Error::Call { .. }) | Ok(_) => {
                    let kept =
                        self.task.delivered() + self.critic.as_ref().map_or(0, LanguageModel::delivered);
                    let next = backstitch_llm::estimate(&unsent.all(), self.shared.model.prices());
                    report::rehearsed(most_calls, kept, next, self.common.json)?;
                    Ok(None)
                }
                Err(error) => Err(failure(error)),
            };
        }
        match outcome {
            Ok(done) => Ok(Some((done, both(task.calls(), critic.calls())))),
            Err(error) if matches!(&error, Error::Call { source, .. } if is_limit(source)) => {
                self.shared.model.limit_reached(error).print();
                self.limit_reached.set(true);
                Ok(None)
            }
            Err(error) => Err(failure(error)),
        }
    }

    fn engine<'m>(&self, model: &'m LanguageModel) -> Result<Engine<'m>, Failure> {
        let engine = Engine::new(model).with_parameters(self.parameters.clone()).map_err(failure)?;
        engine.with_prompts(self.prompts.clone()).map_err(failure)
    }

    /// The exit code of a command that did nothing more.
    pub(super) fn end(&self) -> i32 {
        if self.limit_reached.get() { EXIT_INTERRUPTED } else { EXIT_DONE }
    }

    pub(super) fn used(&self) -> Used {
        let used = self.task.used();
        match &self.critic {
            Some(critic) => used.with(&critic.used()),
            None => used,
        }
    }

    /// Writes the best text, the transcript, and says what came of it.
    pub(super) fn write(&self, best: String, all: &[Improved], report: &Report) -> Result<i32, Failure> {
        if let Some(transcript) = &self.shared.transcript {
            output::write(transcript, report::transcript(all)?.as_bytes())?;
        }
        match &self.shared.out {
            Some(out) => {
                output::write(out, best.as_bytes())?;
                if self.common.json {
                    terminal::print_json(&report.json(None))?;
                } else {
                    terminal::print(&report.words())?;
                    terminal::say(format_args!("written: {}", out.display()));
                }
            }
            None if self.common.json => terminal::print_json(&report.json(Some(&best)))?,
            None => {
                let end = if best.ends_with('\n') { "" } else { "\n" };
                terminal::print(&(best + end))?;
                terminal::say(report.words().trim_end());
            }
        }
        report.warn();
        Ok(if report.is_sound() { EXIT_DONE } else { EXIT_CLAIM_FAILS })
    }
}

fn both(one: Calls, other: Calls) -> Calls {
    Calls {
        forward: one.forward + other.forward,
        backward: one.backward + other.backward,
        reduce: one.reduce + other.reduce,
        optimizer: one.optimizer + other.optimizer,
        repair: one.repair + other.repair,
    }
}
