//! JSON Lines: one JSON value per line. Also plain text line by line, which the same readers take where a value is only a text.
//!
//! # Example
//! ```
//! use std::path::Path;
//! use backstitch_data::jsonl::read_jsonl_from;
//! let read: Vec<(usize, Vec<u32>)> = read_jsonl_from("[1, 2]\n\n[3]\n".as_bytes(), Path::new("numbers.jsonl"))?;
//! assert_eq!(read, [(1, vec![1, 2]), (3, vec![3])]);
//! # Ok::<(), backstitch_data::jsonl::JsonlError>(())
//! ```

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::input::{DEFAULT_MAX_LINE_BYTES, InputProblem, Lines, open};

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// It cannot be read as lines of text.
    #[error("{}: {problem}{}", file.display(), problem.hint().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Input {
        /// The file, as it was named to the reader.
        file: PathBuf,
        /// What is wrong.
        problem: InputProblem,
    },
    /// A line is not JSON, or not of the form that is expected.
    #[error("{}, line {line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What serde says of the field.
        problem: String,
    },
}

/// All lines of a UTF-8 text file that are not blank, with their numbers, counted from 1. The file may be packed with gzip; a byte
/// order mark and CR before LF are taken off. Lines have at most 16 MiB.
///
/// # Errors
/// [`JsonlError::Input`].
pub fn read_lines(path: &Path) -> Result<Vec<(usize, String)>, JsonlError> {
    let file = open(path).map_err(|problem| JsonlError::Input { file: path.into(), problem })?;
    read_lines_from(file, path)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_lines`].
pub fn read_lines_from(reader: impl Read, name: &Path) -> Result<Vec<(usize, String)>, JsonlError> {
    let all = || {
        let mut reader = Lines::new(reader, DEFAULT_MAX_LINE_BYTES)?;
        let mut lines = Vec::new();
        while let Some((number, text)) = reader.next()? {
            if !text.trim().is_empty() {
                lines.push((number as usize, text.to_owned()));
            }
        }
        Ok(lines)
    };
    all().map_err(|problem| JsonlError::Input { file: name.into(), problem })
}

/// One value per line of a file, with its line number.
///
/// # Errors
/// As [`read_lines`]; [`JsonlError::Line`] for a line that is not JSON or not a `T`.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, JsonlError> {
    parse_all(read_lines(path)?, path)
}

/// The same from any reader.
///
/// # Errors
/// As [`read_jsonl`].
pub fn read_jsonl_from<T: DeserializeOwned>(
    reader: impl Read,
    name: &Path,
) -> Result<Vec<(usize, T)>, JsonlError> {
    parse_all(read_lines_from(reader, name)?, name)
}

fn parse_all<T: DeserializeOwned>(
    lines: Vec<(usize, String)>,
    name: &Path,
) -> Result<Vec<(usize, T)>, JsonlError> {
    lines.into_iter().map(|(line, text)| Ok((line, parse(&text, name, line)?))).collect()
}

/// The value on one line.
///
/// # Errors
/// [`JsonlError::Line`].
pub fn parse<T: DeserializeOwned>(text: &str, name: &Path, line: usize) -> Result<T, JsonlError> {
    serde_json::from_str(text).map_err(|error| JsonlError::Line {
        file: name.into(),
        line,
        problem: explained(&error),
    })
}

/// Writes one value per line.
///
/// # Errors
/// The writer fails.
pub fn write_jsonl<T: Serialize>(mut writer: impl Write, values: &[T]) -> io::Result<()> {
    for value in values {
        serde_json::to_writer(&mut writer, value)?;
        writer.write_all(b"\n")?;
    }
    Ok(())
}

/// What serde says, without its own position: the line is known, and within it the column is enough.
fn explained(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match error.classify() {
        serde_json::error::Category::Data => format!("{what} (column {})", error.column()),
        _ => format!("not JSON: {what} (column {}); give one JSON object per line", error.column()),
    }
}
