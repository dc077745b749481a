//! The files in which question sets are published.

use std::path::Path;

use backstitch_data::jsonl::{JsonlError, read_jsonl, read_lines};
use serde_json::{Map, Value};

use super::{Line, Question, QuestionError, questions};
use crate::answer::Kind;

/// A published form of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// GSM8K: JSON lines {question, answer}, the answer behind `####`. Ids are line numbers.
    Gsm8k,
    /// SVAMP: a JSON array of {ID, Body, Question, Answer, …}.
    Svamp,
    /// AQuA: JSON lines {question, options, correct, …}, options with their letters before them. Ids are line numbers.
    Aqua,
    /// StrategyQA: a JSON array of {qid, question, answer, …}, answers true or false.
    StrategyQa,
    /// HotpotQA without its paragraphs: a JSON array of {question, answer, …}. Ids are places in the array, from 1.
    HotpotQa,
}

impl Form {
    /// What its answers are; AQuA's are options.
    pub fn kind(self) -> Kind {
        match self {
            Self::Gsm8k | Self::Svamp | Self::Aqua => Kind::Number,
            Self::StrategyQa => Kind::YesNo,
            Self::HotpotQa => Kind::Text,
        }
    }

    fn is_array(self) -> bool {
        matches!(self, Self::Svamp | Self::StrategyQa | Self::HotpotQa)
    }
}

/// Reads the questions of a file in a published form, which may be packed with gzip.
///
/// # Errors
/// [`QuestionError`] of the first record that is not of the form.
pub fn read_published(file: &Path, form: Form) -> Result<Vec<Question>, QuestionError> {
    let records: Vec<(usize, Map<String, Value>)> = if form.is_array() {
        array(file)?.into_iter().enumerate().map(|(place, record)| (place + 1, record)).collect()
    } else {
        read_jsonl(file)?
    };
    let lines = records.into_iter().map(|(number, record)| (number, line(number, record, form)));
    questions(lines.collect(), file, form.kind()).map_err(|error| match error {
        QuestionError::Field { file, line: record, problem } if form.is_array() => {
            QuestionError::Record { file, record, problem }
        }
        error => error,
    })
}

fn array(file: &Path) -> Result<Vec<Map<String, Value>>, QuestionError> {
    let lines = read_lines(file)?;
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    serde_json::from_str(&text).map_err(|error| {
        let problem = format!("not a JSON array of objects: {error}");
        QuestionError::Jsonl(JsonlError::Line { file: file.into(), line: error.line(), problem })
    })
}

/// The fields of a record under our names; what it lacks is found out later.
fn line(number: usize, mut record: Map<String, Value>, form: Form) -> Line {
    let numbered = Some(Value::from(number));
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    match form {
        Form::Gsm8k => {
            let answer = match record.remove("answer") {
                Some(Value::String(solution)) => {
                    Some(solution.rsplit_once("####").map_or("", |(_, answer)| answer).trim().into())
                }
                answer => answer,
            };
            Line { id: numbered, question: record.remove("question"), options: None, answer }
        }
        Form::Svamp => {
            let body = text(record.remove("Body"));
            let asked = text(record.remove("Question"));
            // Some bodies lack their full stop.
            let stop = if body.trim_end().ends_with(['.', '?', '!', ',']) { "" } else { "." };
            let question = format!("{}{stop} {}", body.trim(), asked.trim());
            let question = (!asked.trim().is_empty()).then(|| question.into());
            Line { id: record.remove("ID"), question, options: None, answer: record.remove("Answer") }
        }
        Form::Aqua => {
            let options = record.remove("options").and_then(|options| {
                let options: Vec<String> = serde_json::from_value(options).ok()?;
                let bare = |option: &String| {
                    option.split_once(')').map_or(option.as_str(), |(_, text)| text).trim().to_owned()
                };
                Some(options.iter().map(bare).collect())
            });
            Line {
                id: numbered,
                question: record.remove("question"),
                options,
                answer: record.remove("correct"),
            }
        }
        Form::StrategyQa => {
            let (id, answer) = (record.remove("qid"), record.remove("answer"));
            Line { id, question: record.remove("question"), options: None, answer }
        }
        Form::HotpotQa => {
            let answer = record.remove("answer");
            Line { id: numbered, question: record.remove("question"), options: None, answer }
        }
    }
}
