//! Reading a table of numbers.
//!
//! One reader for what people have: values separated by commas, tabs, semicolons or spaces, with or without a header
//! line, plain or packed with gzip, with Windows line ends, a byte order mark or quotes. What it does not read it
//! refuses by name: a missing value, text, an infinite number (unless told to keep it) or a row of the wrong width is an error that says
//! file, line, column and value. It never guesses a value and never drops a row.
//!
//! The table is read as a stream. Beside the values themselves (which grow in steps of a quarter) it holds one line,
//! at most [`TableOptions::max_line_bytes`], and the column names; limits apply to what is unpacked, so a small gzip
//! file that unpacks to an enormous table is refused at the same place as the enormous table.
//!
//! # Example
//! ```
//! use backstitch_data::table::{TableOptions, read_table_from};
//! let text = "height;weight\n1.70;61\n1.82;80\n";
//! let table = read_table_from(text.as_bytes(), "people.csv", &TableOptions::default())?;
//! assert_eq!(table.columns, ["height", "weight"]);
//! assert_eq!(table.values.row(1), [1.82, 80.0]);
//! # Ok::<(), backstitch_data::table::TableError>(())
//! ```

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use backstitch_numerics::Matrix;

pub use crate::fields::Delimiter;
use crate::fields::{BadQuote, Content, Fields};
use crate::input::{DEFAULT_MAX_LINE_BYTES, InputProblem, Lines, open};
use crate::names::{nearest, position};
pub use crate::table_error::{TableError, TableProblem};

/// Most bytes of values a table may have unless told otherwise: 4 GiB, which is 512 Mi numbers.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;

/// Most columns a table may have.
pub const MAX_COLUMNS: usize = 1_000_000;

/// A table of finite numbers (or as [`TableOptions`] allow) with named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Distinct names, one per column; without a header line the positions, `"0"`, `"1"`, …
    pub columns: Vec<String>,
    /// One row per line of data, one column per name.
    pub values: Matrix,
}

/// A column that a table does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table has no column {name:?}")]
pub struct UnknownColumn {
    /// The name given.
    pub name: String,
    /// The name of the table that is nearest to it.
    pub nearest: Option<String>,
}

impl UnknownColumn {
    /// The nearest name.
    pub fn hint(&self) -> Option<String> {
        self.nearest.as_ref().map(|name| format!("the nearest name is {name:?}"))
    }
}

impl Table {
    /// The position of a column, by its name, or by its 0-based position where no column has that name.
    ///
    /// # Errors
    /// There is no such column.
    pub fn column_position(&self, name: &str) -> Result<usize, UnknownColumn> {
        position(name, &self.columns).ok_or_else(|| UnknownColumn {
            name: shortened(name),
            nearest: nearest(name, self.columns.iter().map(String::as_str)).map(shortened),
        })
    }
}

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does, unless each of its fields is a number or missing and at least one is a number.
    #[default]
    Detect,
    /// It does.
    Present,
    /// It does not.
    Absent,
}

/// How to read a table. The default detects all it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// What separates fields; `None` detects it from the first line.
    pub delimiter: Option<Delimiter>,
    /// Whether the first line names the columns.
    pub header: Header,
    /// Most bytes of values, at eight bytes each; [`DEFAULT_MAX_BYTES`].
    pub max_bytes: u64,
    /// Longest line in bytes; [`DEFAULT_MAX_LINE_BYTES`].
    pub max_line_bytes: usize,
    /// Takes infinite numbers as they stand instead of refusing them.
    pub keep_infinite: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            delimiter: None,
            header: Header::Detect,
            max_bytes: DEFAULT_MAX_BYTES,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            keep_infinite: false,
        }
    }
}

/// Reads the table in a file, packed with gzip or not.
///
/// # Errors
/// The file cannot be read, or is not a table of finite numbers; see [`TableProblem`].
pub fn read_table(path: impl AsRef<Path>, options: &TableOptions) -> Result<Table, TableError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => read_table_from(file, &name, options),
        Err(problem) => Err(TableError { file: name, problem: problem.into() }),
    }
}

/// Reads a table from a stream, packed with gzip or not; `name` stands for it in errors.
///
/// # Errors
/// As [`read_table`].
pub fn read_table_from(reader: impl Read, name: &str, options: &TableOptions) -> Result<Table, TableError> {
    read(reader, options).map_err(|problem| TableError { file: name.into(), problem })
}

fn read(reader: impl Read, options: &TableOptions) -> Result<Table, TableProblem> {
    let mut lines = Lines::new(reader, options.max_line_bytes)?;
    let (first_number, first) = match lines.next()? {
        None => return Err(TableProblem::Empty),
        Some((number, line)) => (number, line.to_owned()),
    };
    if is_blank(&first) {
        return Err(if next_with_text(&mut lines)?.is_some() {
            TableProblem::BlankLine { line: first_number }
        } else {
            TableProblem::Empty
        });
    }
    let delimiter = options.delimiter.unwrap_or_else(|| Delimiter::detect(&first));
    let header = match options.header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => !looks_like_data(&first, delimiter),
    };
    let columns = if header {
        names(first_number, &first, delimiter)?
    } else {
        positions(first_number, &first, delimiter)?
    };
    let mut rows = Rows { columns: &columns, delimiter, options, values: Vec::new(), count: 0 };
    if !header {
        rows.push(first_number, &first)?;
    }
    while let Some((number, line)) = lines.next()? {
        if is_blank(line) {
            match next_with_text(&mut lines)? {
                None => break,
                Some(_) => return Err(TableProblem::BlankLine { line: number }),
            }
        }
        rows.push(number, line)?;
    }
    let Rows { count, mut values, .. } = rows;
    if count == 0 {
        return Err(TableProblem::HeaderOnly { columns: columns.len() });
    }
    values.shrink_to_fit();
    let values = Matrix::new(count, columns.len(), values).expect("every row has one value per column");
    Ok(Table { columns, values })
}

/// The rows read so far.
struct Rows<'a> {
    columns: &'a [String],
    delimiter: Delimiter,
    options: &'a TableOptions,
    values: Vec<f64>,
    count: usize,
}

impl Rows<'_> {
    fn push(&mut self, line: u64, text: &str) -> Result<(), TableProblem> {
        let width = self.columns.len();
        let bytes = (self.values.len() + width) as u64 * size_of::<f64>() as u64;
        if bytes > self.options.max_bytes {
            return Err(TableProblem::TooLarge {
                line,
                rows: self.count,
                columns: width,
                max_bytes: self.options.max_bytes,
            });
        }
        if self.values.capacity() - self.values.len() < width {
            // A quarter at a time: doubling would hold up to twice the table.
            let more = width.max(self.values.len() / 4);
            self.values.try_reserve_exact(more).map_err(|_| TableProblem::OutOfMemory {
                line,
                rows: self.count,
                columns: width,
            })?;
        }
        let mut found = 0;
        let mut wider = false;
        for field in Fields::of(text, self.delimiter) {
            let field = field.map_err(|BadQuote| TableProblem::Quote { line })?;
            let problem = match (self.columns.get(found), Content::of(&field)) {
                (None, _) => {
                    wider = true;
                    break;
                }
                (Some(_), Content::Number(number)) => {
                    self.values.push(number);
                    found += 1;
                    continue;
                }
                (Some(name), Content::Missing) => {
                    TableProblem::Missing { line, column: name.clone(), value: shortened(&field) }
                }
                (Some(_), Content::Infinite(number)) if self.options.keep_infinite => {
                    self.values.push(number);
                    found += 1;
                    continue;
                }
                (Some(name), Content::Infinite(_)) => {
                    TableProblem::Infinite { line, column: name.clone(), value: shortened(&field) }
                }
                (Some(name), Content::Text) => TableProblem::NotANumber {
                    line,
                    column: name.clone(),
                    value: shortened(&field),
                    delimiter: self.delimiter,
                },
            };
            // A row that lost or gained a delimiter is better named by its width than by its first odd field.
            self.check_width(line, text)?;
            return Err(problem);
        }
        if found != width || wider {
            self.check_width(line, text)?;
        }
        self.count += 1;
        Ok(())
    }

    fn check_width(&self, line: u64, text: &str) -> Result<(), TableProblem> {
        let found = Fields::of(text, self.delimiter).count();
        if found != self.columns.len() {
            let (expected, delimiter) = (self.columns.len(), self.delimiter);
            return Err(TableProblem::Ragged { line, found, expected, delimiter });
        }
        Ok(())
    }
}

/// The column names in a header line.
fn names(line: u64, text: &str, delimiter: Delimiter) -> Result<Vec<String>, TableProblem> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for field in Fields::of(text, delimiter) {
        let name = field.map_err(|BadQuote| TableProblem::Quote { line })?;
        if name.is_empty() {
            return Err(TableProblem::EmptyName { line, position: names.len() + 1 });
        }
        if !seen.insert(name.to_string()) {
            return Err(TableProblem::DuplicateName { line, name: shortened(&name) });
        }
        names.push(name.into_owned());
        check_columns(line, names.len())?;
    }
    Ok(names)
}

/// Names for the columns of a table without header: their positions.
fn positions(line: u64, text: &str, delimiter: Delimiter) -> Result<Vec<String>, TableProblem> {
    let count = Fields::of(text, delimiter).count();
    check_columns(line, count)?;
    Ok((0..count).map(|position| position.to_string()).collect())
}

fn check_columns(line: u64, columns: usize) -> Result<(), TableProblem> {
    if columns > MAX_COLUMNS { Err(TableProblem::TooManyColumns { line }) } else { Ok(()) }
}

/// Whether a first line is a row: each field a number or missing, and at least one a number.
fn looks_like_data(text: &str, delimiter: Delimiter) -> bool {
    let mut numbers = 0;
    for field in Fields::of(text, delimiter) {
        match field.as_deref().map(Content::of) {
            Ok(Content::Number(_) | Content::Infinite(_)) => numbers += 1,
            Ok(Content::Missing) => {}
            Ok(Content::Text) | Err(_) => return false,
        }
    }
    numbers > 0
}

/// Skips blank lines; the number of the next line with text, if there is one.
fn next_with_text(lines: &mut Lines<'_>) -> Result<Option<u64>, InputProblem> {
    while let Some((number, line)) = lines.next()? {
        if !is_blank(line) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn is_blank(line: &str) -> bool {
    line.bytes().all(|byte| byte == b' ' || byte == b'\t')
}

/// A value as an error shows it: at most forty characters.
pub(crate) fn shortened(value: &str) -> String {
    const MOST: usize = 40;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
