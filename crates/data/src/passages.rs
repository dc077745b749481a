//! Passages of text that a method searches.
//!
//! A file holds JSON lines `{"id": "12", "title": "…", "text": "…"}`, where `id` and `title` may be left out, or plain text, one passage per
//! line. A passage without an id has its line number. Other fields are ignored.
//!
//! # Example
//! ```
//! use backstitch_data::passages::read_passages_from;
//! let lines = "{\"title\": \"Kelda\", \"text\": \"A river of the north.\"}\n{\"id\": \"b\", \"text\": \"A lake.\"}\n";
//! let passages = read_passages_from(lines.as_bytes(), "passages.jsonl".as_ref())?;
//! assert_eq!((passages[0].id.as_str(), passages[0].title.as_str(), passages[1].id.as_str()), ("1", "Kelda", "b"));
//! # Ok::<(), backstitch_data::passages::PassagesError>(())
//! ```

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jsonl::{JsonlError, parse, read_lines, read_lines_from};

/// A passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Its name, which no other passage of the file has.
    pub id: String,
    /// Its title, or nothing.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// Why passages were refused.
#[derive(Debug, thiserror::Error)]
pub enum PassagesError {
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
    /// Two passages have the same id.
    #[error("{}, line {line}: the id {id:?} stands in line {first} too; give every passage its own", file.display())]
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
    #[error("{}: there are no passages; give one JSON object or one text per line", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Reads the passages of a file, which may be packed with gzip. They are JSON lines if the first line begins with `{`.
///
/// # Errors
/// [`PassagesError`] of the first line that cannot be used.
pub fn read_passages(file: &Path) -> Result<Vec<Passage>, PassagesError> {
    passages(read_lines(file)?, file)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_passages`].
pub fn read_passages_from(reader: impl Read, name: &Path) -> Result<Vec<Passage>, PassagesError> {
    passages(read_lines_from(reader, name)?, name)
}

#[derive(Deserialize)]
struct Line {
    id: Option<Value>,
    title: Option<Value>,
    text: Option<Value>,
}

fn passages(lines: Vec<(usize, String)>, file: &Path) -> Result<Vec<Passage>, PassagesError> {
    let json = lines.first().is_some_and(|(_, line)| line.trim_start().starts_with('{'));
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut passages = Vec::with_capacity(lines.len());
    for (line, text) in lines {
        let passage = if json {
            passage(parse(&text, file, line)?, line).map_err(|problem| PassagesError::Field {
                file: file.into(),
                line,
                problem,
            })?
        } else {
            Passage { id: line.to_string(), title: String::new(), text: text.trim().to_owned() }
        };
        if let Some(first) = seen.insert(passage.id.clone(), line) {
            return Err(PassagesError::DuplicateId { file: file.into(), line, id: passage.id, first });
        }
        passages.push(passage);
    }
    if passages.is_empty() {
        return Err(PassagesError::Empty { file: file.into() });
    }
    Ok(passages)
}

fn passage(fields: Line, line: usize) -> Result<Passage, String> {
    let id = match fields.id {
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
        None | Some(Value::Null) => line.to_string(),
        Some(other) => return Err(format!("`id` is {other}, but must be a text or a whole number")),
    };
    let title = match fields.title {
        Some(Value::String(title)) => title.trim().to_owned(),
        None | Some(Value::Null) => String::new(),
        Some(other) => return Err(format!("`title` of {id:?} is {other}, but must be a text")),
    };
    let text = match fields.text {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        None => return Err(format!("passage {id:?} has no `text`; give its text under this name")),
        Some(other) => {
            return Err(format!("`text` of {id:?} is {other}, but must be a text that is not empty"));
        }
    };
    Ok(Passage { id, title, text })
}
