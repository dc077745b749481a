//! JSON Lines: one JSON value per line, errors with file and line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Longest line: 16 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// All non-empty lines of a UTF-8 text file with their numbers, counted from 1. A byte order mark and CR before LF are
/// taken off.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Line`] for a line that is not UTF-8 or too long.
pub fn read_lines(path: &Path) -> Result<Vec<(usize, String)>, Error> {
    let problem = |source: io::Error| Error::File { file: path.to_owned(), problem: source.to_string() };
    let file = File::open(path).map_err(problem)?;
    if file.metadata().map_err(problem)?.is_dir() {
        return Err(Error::File { file: path.to_owned(), problem: "this is a folder, not a file".into() });
    }
    read_lines_from(file, path)
}

/// The same from any reader; `name` stands in for the file in errors.
///
/// # Errors
/// As [`read_lines`].
pub fn read_lines_from(reader: impl Read, name: &Path) -> Result<Vec<(usize, String)>, Error> {
    let mut reader = BufReader::new(reader);
    let mut lines = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES as u64 + 2).read_until(b'\n', &mut bytes);
        let read =
            read.map_err(|source| Error::File { file: name.to_owned(), problem: source.to_string() })?;
        if read == 0 {
            break;
        }
        let mut text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if line == 1 {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.len() > MAX_LINE_BYTES {
            return Err(at(
                name,
                line,
                format!("longer than {MAX_LINE_BYTES} bytes; give one record per line"),
            ));
        }
        let Ok(text) = str::from_utf8(text) else {
            return Err(at(name, line, "not UTF-8 text; save the file as UTF-8".into()));
        };
        if !text.trim().is_empty() {
            lines.push((line, text.to_owned()));
        }
    }
    Ok(lines)
}

/// One value per line of a file, with its line number.
///
/// # Errors
/// As [`read_lines`]; [`Error::Line`] for a line that is not JSON or not a `T`, with what serde says of the field.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, Error> {
    parse_lines(read_lines(path)?, path)
}

/// The same from any reader.
///
/// # Errors
/// As [`read_jsonl`].
pub fn read_jsonl_from<T: DeserializeOwned>(
    reader: impl Read,
    name: &Path,
) -> Result<Vec<(usize, T)>, Error> {
    parse_lines(read_lines_from(reader, name)?, name)
}

fn parse_lines<T: DeserializeOwned>(
    lines: Vec<(usize, String)>,
    name: &Path,
) -> Result<Vec<(usize, T)>, Error> {
    lines
        .into_iter()
        .map(|(line, text)| match serde_json::from_str(&text) {
            Ok(value) => Ok((line, value)),
            Err(error) => Err(at(name, line, explained(&error))),
        })
        .collect()
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
pub(crate) fn explained(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match error.classify() {
        serde_json::error::Category::Data => format!("{what} (column {})", error.column()),
        _ => format!("not JSON: {what} (column {}); give one JSON object per line", error.column()),
    }
}

pub(crate) fn at(file: &Path, line: usize, problem: String) -> Error {
    Error::Line { file: PathBuf::from(file), line, problem }
}
