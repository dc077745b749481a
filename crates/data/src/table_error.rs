//! What can be wrong with a table, in words for its owner.

use crate::fields::Delimiter;
use crate::input::{InputProblem, counted};
use crate::table::MAX_COLUMNS;

/// Why a table was refused: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TableError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    #[source]
    pub problem: TableProblem,
}

/// What is wrong with a table. Lines and header positions count from 1.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// It cannot be read as lines of text.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Column names and no rows.
    #[error("the file has a header of {} but no rows", counted(*columns, "column"))]
    HeaderOnly {
        /// Columns in the header.
        columns: usize,
    },
    /// A column without a name.
    #[error("line {line}: the header has no name at position {position}")]
    EmptyName {
        /// The header line.
        line: u64,
        /// Position of the column, counted from 1.
        position: usize,
    },
    /// Two columns of one name.
    #[error("line {line}: the header has the name {name:?} twice")]
    DuplicateName {
        /// The header line.
        line: u64,
        /// The name.
        name: String,
    },
    /// More columns than [`MAX_COLUMNS`].
    #[error("line {line} has more than {MAX_COLUMNS} columns")]
    TooManyColumns {
        /// The first line.
        line: u64,
    },
    /// A row of another width than the first line.
    #[error(
        "line {line} has {} where {expected} would be expected (separated by {delimiter})",
        counted(*found, "field")
    )]
    Ragged {
        /// The line.
        line: u64,
        /// Its fields.
        found: usize,
        /// Fields of the first line.
        expected: usize,
        /// What separates fields.
        delimiter: Delimiter,
    },
    /// A blank line with data below it, or above all of it.
    #[error("line {line} is blank but lines below it are not")]
    BlankLine {
        /// The line.
        line: u64,
    },
    /// A quote that is not closed on its line, or stands beside other text.
    #[error("line {line} has a quote that is not closed, or text right after a closing quote")]
    Quote {
        /// The line.
        line: u64,
    },
    /// A missing value.
    #[error("line {line}, column {column:?}: {value:?} is a missing value")]
    Missing {
        /// The line.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// An infinite number, or one too large for `f64`.
    #[error("line {line}, column {column:?}: {value:?} is not a finite number")]
    Infinite {
        /// The line.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// Text.
    #[error("line {line}, column {column:?}: {value:?} is not a number")]
    NotANumber {
        /// The line.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        value: String,
        /// What separates fields.
        delimiter: Delimiter,
    },
    /// More values than the limit allows.
    #[error(
        "line {line}: after {} of {}, one more row is above the limit of {max_bytes} bytes of values",
        counted(*rows, "row"),
        counted(*columns, "column")
    )]
    TooLarge {
        /// The line that is too much.
        line: u64,
        /// Rows read.
        rows: usize,
        /// Columns.
        columns: usize,
        /// The limit.
        max_bytes: u64,
    },
    /// The machine has no memory for more values.
    #[error(
        "line {line}: after {} of {} there is no memory for more",
        counted(*rows, "row"),
        counted(*columns, "column")
    )]
    OutOfMemory {
        /// The line that is too much.
        line: u64,
        /// Rows read.
        rows: usize,
        /// Columns.
        columns: usize,
    },
}

impl TableError {
    /// A way out, where there is one: what follows `hint:` on the command line.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

impl TableProblem {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Input(problem) => return problem.hint(),
            Self::Empty => "check that the file was written completely".into(),
            Self::HeaderOnly { .. } => {
                "if the first line is data, read the table as one without a header".into()
            }
            Self::EmptyName { .. } => {
                "name the column, or delete it (programs that write row numbers often leave their name empty)"
                    .into()
            }
            Self::DuplicateName { .. } => "rename one of the two columns".into(),
            Self::TooManyColumns { .. } => "check that rows are separated by line ends".into(),
            Self::Ragged { found: 1, delimiter, .. } => {
                format!("if fields are not separated by {delimiter}, give the delimiter")
            }
            Self::Ragged { .. } => {
                "give every row one field per column; quote names that hold a delimiter".into()
            }
            Self::BlankLine { .. } => {
                "delete the line; if it stands for a missing value, drop the row or fill the value in".into()
            }
            Self::Quote { .. } => "close the quote on its line, and double a quote inside quotes".into(),
            Self::Missing { .. } => {
                "drop rows or columns with missing values, or fill them in; none is guessed here".into()
            }
            Self::Infinite { .. } => "replace the value by a finite number, or drop the row".into(),
            Self::NotANumber { value, delimiter, .. } => not_a_number(value, *delimiter),
            Self::OutOfMemory { .. } => {
                "read fewer rows or columns, or use a machine with more memory".into()
            }
            Self::TooLarge { .. } => "read fewer rows or columns, or raise the limit if memory allows".into(),
        };
        Some(hint)
    }
}

fn not_a_number(value: &str, delimiter: Delimiter) -> String {
    if *value != *value.replace(',', ".") && value.replace(',', ".").parse::<f64>().is_ok() {
        return "write numbers with a decimal point, not a comma".into();
    }
    let other = [(';', Delimiter::Semicolon), ('\t', Delimiter::Tab), (',', Delimiter::Comma)]
        .into_iter()
        .find(|&(character, other)| other != delimiter && value.contains(character));
    match other {
        Some((_, other)) => format!("if fields are separated by {other}, give that delimiter"),
        None => "drop the column, or encode its values as numbers".into(),
    }
}
