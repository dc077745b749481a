//! Questions, read from JSON lines.
//!
//! A line holds `{"id": "17", "question": "…", "answer": "18"}`, for a multiple choice also `"options": ["…", "…"]`. An id is a text or
//! a whole number; the answer, which may be left out where none is known, is a text or a number, for a multiple choice the letter or
//! the text of an option. Other fields are ignored.
//!
//! # Example
//! ```
//! use backstitch_llm::answer::{Answer, Kind};
//! use backstitch_llm::question::read_questions_from;
//! let lines = r##"{"id": 1, "question": "What is 2 + 2?", "answer": "It is 4. #### 4"}"##;
//! let questions = read_questions_from(lines.as_bytes(), "questions.jsonl".as_ref(), Kind::Number)?;
//! assert_eq!(questions[0].gold, Some(Answer::Number(4.into())));
//! # Ok::<(), backstitch_llm::question::QuestionError>(())
//! ```

mod published;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use backstitch_data::jsonl::{JsonlError, read_jsonl, read_jsonl_from};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Answer, Kind, parse};

pub use published::{Form, read_published};

/// Most options of a question: they are named by letters.
const MOST_OPTIONS: usize = 26;

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its name, which no other question of the file has.
    pub id: String,
    /// Its text.
    pub text: String,
    /// The options of a multiple choice, in order; empty otherwise.
    pub options: Vec<String>,
    /// What kind of answer it has.
    pub kind: Kind,
    /// The right answer, if it is known.
    pub gold: Option<Answer>,
}

/// Why questions were refused.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The file cannot be read, or a line is not JSON.
    #[error(transparent)]
    Jsonl(#[from] JsonlError),
    /// A field is missing, empty or something else than it should be.
    #[error("{}, line {line}: {problem}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with which field, and a way out.
        problem: String,
    },
    /// The same, of a record of a file that is no list of lines.
    #[error("{}, record {record}: {problem}", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// The record, counted from 1.
        record: usize,
        /// What is wrong with which field, and a way out.
        problem: String,
    },
    /// Two questions have the same id.
    #[error("{}, line {line}: the id {id:?} stands in line {first} too; give every question its own", file.display())]
    DuplicateId {
        /// The file.
        file: PathBuf,
        /// The later line.
        line: usize,
        /// The id.
        id: String,
        /// The earlier line.
        first: usize,
    },
    /// There are none.
    #[error("{}: there are no questions; give one JSON object per line", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Reads the questions of a file, which may be packed with gzip. `kind` is that of their answers; questions with options are
/// multiple choices all the same.
///
/// # Errors
/// [`QuestionError`] of the first line that cannot be used.
pub fn read_questions(file: &Path, kind: Kind) -> Result<Vec<Question>, QuestionError> {
    questions(read_jsonl(file)?, file, kind)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_questions`].
pub fn read_questions_from(
    reader: impl Read,
    name: &Path,
    kind: Kind,
) -> Result<Vec<Question>, QuestionError> {
    questions(read_jsonl_from(reader, name)?, name, kind)
}

#[derive(Deserialize)]
struct Line {
    id: Option<Value>,
    question: Option<Value>,
    #[serde(default)]
    options: Option<Vec<String>>,
    answer: Option<Value>,
}

fn questions(lines: Vec<(usize, Line)>, file: &Path, kind: Kind) -> Result<Vec<Question>, QuestionError> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut questions = Vec::with_capacity(lines.len());
    for (line, fields) in lines {
        let question = question(fields, kind).map_err(|problem| QuestionError::Field {
            file: file.into(),
            line,
            problem,
        })?;
        if let Some(first) = seen.insert(question.id.clone(), line) {
            return Err(QuestionError::DuplicateId { file: file.into(), line, id: question.id, first });
        }
        questions.push(question);
    }
    if questions.is_empty() {
        return Err(QuestionError::Empty { file: file.into() });
    }
    Ok(questions)
}

fn question(line: Line, kind: Kind) -> Result<Question, String> {
    let id = match line.id {
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
        None => return Err("there is no `id`; give every question one, a text or a whole number".into()),
        Some(other) => return Err(format!("`id` is {other}, but must be a text or a whole number")),
    };
    let text = match line.question {
        Some(Value::String(text)) if !text.trim().is_empty() => text,
        None => return Err(format!("question {id:?} has no `question`; give its text under this name")),
        Some(other) => return Err(format!("`question` of {id:?} is {other}, but must be a text")),
    };
    let options = line.options.unwrap_or_default();
    if options.len() == 1 || options.len() > MOST_OPTIONS {
        let count = options.len();
        return Err(format!(
            "question {id:?} has {count} options, but a multiple choice has 2 to {MOST_OPTIONS}"
        ));
    }
    let kind = if options.is_empty() { kind } else { Kind::Choice { options: options.len() as u8 } };
    let gold = line.answer.filter(|answer| !answer.is_null());
    let gold =
        gold.map(|answer| gold_answer(&answer, &options, kind).ok_or_else(|| unreadable(&id, &answer, kind)));
    Ok(Question { id, text, options, kind, gold: gold.transpose()? })
}

fn gold_answer(answer: &Value, options: &[String], kind: Kind) -> Option<Answer> {
    let text = match answer {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) if kind == Kind::YesNo => return Some(Answer::YesNo(*yes)),
        _ => return None,
    };
    let named = options.iter().position(|option| option.trim() == text.trim());
    match (kind, named) {
        (Kind::Choice { .. }, Some(place)) => Some(Answer::Choice((b'A' + place as u8).into())),
        _ => parse(&text, kind),
    }
}

fn unreadable(id: &str, answer: &Value, kind: Kind) -> String {
    let expected = match kind {
        Kind::Number => "a number".into(),
        Kind::Choice { options } => format!("the letter or the text of one of its {options} options"),
        Kind::YesNo => "yes or no".into(),
        Kind::Text => "a text".to_owned(),
    };
    format!("`answer` of {id:?} is {answer}, but must be {expected}; leave it out if it is not known")
}
