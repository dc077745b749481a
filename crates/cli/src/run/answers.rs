//! What the methods that ask a language model have in common beside the model: prompts of the user's, failures, estimates, and answers
//! that are written.

use std::path::Path;

use backstitch_data::jsonl::write_jsonl;
use backstitch_llm::Estimate;
use backstitch_llm::question::Question;
use backstitch_reason::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::language_model::{LanguageModelOptions, is_limit};
use super::output;
use crate::arguments::Common;
use crate::failure::{EXIT_CLAIM_FAILS, EXIT_DONE, EXIT_INTERRUPTED, Failure};
use crate::terminal;

/// Failures that are named one by one.
const NAMED_FAILURES: usize = 5;

/// The texts of the prompts: those of a file; without one the bare questions for an embedded model, and the built-in ones for others.
pub(super) fn prompts<P: DeserializeOwned + Default>(
    file: Option<&Path>,
    form: &str,
    model: &LanguageModelOptions,
    bare: fn() -> P,
) -> Result<P, Failure> {
    let Some(file) = file else { return Ok(if model.is_embedded() { bare() } else { P::default() }) };
    let refuse = |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refuse(&error))?;
    serde_json::from_str(&text).map_err(|error| refuse(&error).hint(form))
}

/// A question in the file of answers.
#[derive(Serialize)]
pub(super) struct Line<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    outcome: Outcome<'a, T>,
    /// The known answer.
    gold: Option<String>,
}

/// What was found, or why nothing was.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a, T> {
    Found(&'a T),
    Failed { id: &'a str, error: String },
}

impl<'a, T> Line<'a, T> {
    fn new(schema: &'static str, question: &'a Question, outcome: &'a Result<T, Error>) -> Self {
        let outcome = match outcome {
            Ok(found) => Outcome::Found(found),
            Err(error) => Outcome::Failed { id: &question.id, error: error.to_string() },
        };
        Self { schema, outcome, gold: question.gold.as_ref().map(ToString::to_string) }
    }
}

/// The lines of all questions, in their order.
pub(super) fn lines<'a, T>(
    schema: &'static str,
    questions: &'a [Question],
    outcomes: &'a [Result<T, Error>],
) -> Vec<Line<'a, T>> {
    questions.iter().zip(outcomes).map(|(question, outcome)| Line::new(schema, question, outcome)).collect()
}

/// An error of the method as the user sees it.
pub(super) fn failure(error: Error) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::input(error).maybe_hint(hint)
}

/// Whether a hard limit ended it: the same command continues.
pub(super) fn limits(error: &Error) -> bool {
    matches!(error, Error::Model { source, .. } if is_limit(source))
}

/// The limit that ended it, if one did.
///
/// # Errors
/// If nothing at all was answered, and not for lack of allowance: the first reason is that of all.
pub(super) fn limit_of<T>(outcomes: &[Result<T, Error>]) -> Result<Option<&Error>, Failure> {
    let limit = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).find(|error| limits(error));
    match (outcomes.iter().all(Result::is_err), limit, outcomes.first()) {
        (true, None, Some(Err(error))) => Err(failure(error.clone())),
        _ => Ok(limit),
    }
}

/// Says what failed.
pub(super) fn tell_failures<T>(outcomes: &[Result<T, Error>]) {
    let failures: Vec<&Error> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).filter(|error| !limits(error)).collect();
    for error in failures.iter().take(NAMED_FAILURES) {
        terminal::say(format_args!("warning: {error}"));
    }
    if failures.len() > NAMED_FAILURES {
        let others = failures.len() - NAMED_FAILURES;
        terminal::say(format_args!("warning: {others} other questions failed; their lines say why"));
    }
}

/// The exit code of a command whose answers are written; says which limit ended it, if one did.
pub(super) fn exit_code<T>(
    outcomes: &[Result<T, Error>],
    limit: Option<&Error>,
    model: &LanguageModelOptions,
) -> i32 {
    if let Some(limit) = limit {
        model.limit_reached(limit).print();
        return EXIT_INTERRUPTED;
    }
    if outcomes.iter().any(Result::is_err) { EXIT_CLAIM_FAILS } else { EXIT_DONE }
}

/// Writes a line per question, and says the summary, in words or as JSON; without a file, the lines go to standard output.
pub(super) fn write<L: Serialize>(
    out: Option<&Path>,
    lines: &[L],
    words: &str,
    mut summary: Value,
    common: &Common,
) -> Result<(), Failure> {
    let mut text = Vec::new();
    write_jsonl(&mut text, lines).map_err(Failure::internal)?;
    match out {
        None if common.json => {
            summary["answers"] = json!(lines);
            terminal::print_json(&summary)
        }
        None => {
            terminal::print(&String::from_utf8(text).map_err(Failure::internal)?)?;
            terminal::say(words.trim_end());
            Ok(())
        }
        Some(out) => {
            output::write(out, &text)?;
            if common.json {
                return terminal::print_json(&summary);
            }
            terminal::print(words)?;
            terminal::say(format_args!("written: {}", out.display()));
            Ok(())
        }
    }
}

/// What a run would ask, by stage.
pub(super) struct Estimates {
    pub(super) questions: usize,
    /// Samples that are there.
    pub(super) kept: u64,
    /// A key for JSON, words for people, and what it would take.
    pub(super) stages: Vec<(&'static str, &'static str, Estimate)>,
}

impl Estimates {
    /// The stages, and all together.
    fn rows(&self) -> Vec<(&'static str, &'static str, Estimate)> {
        let mut rows = self.stages.clone();
        let all = self.stages.iter().map(|(.., estimate)| *estimate).reduce(|one, other| one + other);
        rows.push(("at_most", "all, at most", all.unwrap_or_default()));
        rows
    }

    pub(super) fn json(&self, schema: &str) -> Value {
        let mut object = json!({"schema": schema, "questions": self.questions, "kept": self.kept});
        for (key, _, Estimate { requests, samples, usage, cost }) in self.rows() {
            object[key] = json!({
                "requests": requests, "samples": samples, "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens, "cost": cost,
            });
        }
        object
    }

    pub(super) fn words(&self) -> String {
        let mut text = format!(
            "{} questions · {} samples are kept from before · nothing was sent\n{:<18}{:>10}{:>10}{:>16}{:>16}{:>12}\n",
            self.questions, self.kept, "", "requests", "samples", "tokens read", "tokens written", "cost"
        );
        for (_, name, Estimate { requests, samples, usage, cost }) in self.rows() {
            let cost = cost.map_or("-".into(), |cost| format!("{cost:.4}"));
            text += &format!(
                "{name:<18}{requests:>10}{samples:>10}{:>16}{:>16}{cost:>12}\n",
                usage.prompt_tokens, usage.completion_tokens
            );
        }
        text += "Tokens read are about a quarter of the bytes; tokens written are the most there may be. A server that gives one sample per \
                 request takes as many requests as samples.\n";
        text
    }
}
