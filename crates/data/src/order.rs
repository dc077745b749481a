//! Reading a known order of the columns of a table: one name per line, or all of them in one line separated like a
//! table. Names are column names, or 0-based positions where no column has that name; each column stands in the
//! order once.
//!
//! # Example
//! ```
//! use backstitch_data::order::read_order_from;
//! let columns = ["raf", "mek", "erk"].map(String::from);
//! assert_eq!(read_order_from("erk\nraf\nmek\n".as_bytes(), "order.txt", &columns)?, [2, 0, 1]);
//! assert_eq!(read_order_from("erk,raf,mek".as_bytes(), "order.csv", &columns)?, [2, 0, 1]);
//! # Ok::<(), backstitch_data::order::OrderError>(())
//! ```

use std::io::Read;
use std::path::Path;

use crate::fields::{BadQuote, Delimiter, Fields};
use crate::input::{DEFAULT_MAX_LINE_BYTES, InputProblem, Lines, open};
use crate::names::{nearest, position};
use crate::table::shortened;

/// Why an order was refused: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct OrderError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    #[source]
    pub problem: OrderProblem,
}

/// What is wrong with an order. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum OrderProblem {
    /// It cannot be read as lines of text.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// A quote that is not closed.
    #[error("line {line} has a quote that is not closed, or text right after a closing quote")]
    Quote {
        /// The line.
        line: u64,
    },
    /// A name that is no column.
    #[error("line {line}: the table has no column {name:?}")]
    UnknownColumn {
        /// The line.
        line: u64,
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// A column that stands in the order twice.
    #[error("line {line}: column {name:?} stands in the order twice")]
    Twice {
        /// The line of the second.
        line: u64,
        /// The column.
        name: String,
    },
    /// Columns that do not stand in the order.
    #[error("the order has {found} of {expected} columns; the first one missing is {missing:?}")]
    Incomplete {
        /// Columns in the order.
        found: usize,
        /// Columns of the table.
        expected: usize,
        /// A column that is missing.
        missing: String,
    },
}

impl OrderError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            OrderProblem::Input(problem) => problem.hint(),
            OrderProblem::Quote { .. } => Some("close the quote on its line".into()),
            OrderProblem::UnknownColumn { nearest, .. } => {
                nearest.as_ref().map(|name| format!("the nearest name is {name:?}"))
            }
            OrderProblem::Twice { .. } | OrderProblem::Incomplete { .. } => {
                Some("name every column of the table once".into())
            }
        }
    }
}

/// Reads the order in a file: positions of `columns`, first to last.
///
/// # Errors
/// The file cannot be read, or does not name every column once; see [`OrderProblem`].
pub fn read_order(path: impl AsRef<Path>, columns: &[String]) -> Result<Vec<usize>, OrderError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => read_order_from(file, &name, columns),
        Err(problem) => Err(OrderError { file: name, problem: problem.into() }),
    }
}

/// Reads an order from a stream; `name` stands for it in errors.
///
/// # Errors
/// As [`read_order`].
pub fn read_order_from(reader: impl Read, name: &str, columns: &[String]) -> Result<Vec<usize>, OrderError> {
    read(reader, columns).map_err(|problem| OrderError { file: name.into(), problem })
}

fn read(reader: impl Read, columns: &[String]) -> Result<Vec<usize>, OrderProblem> {
    let mut lines = Lines::new(reader, DEFAULT_MAX_LINE_BYTES)?;
    let mut order = Vec::with_capacity(columns.len());
    let mut placed = vec![false; columns.len()];
    while let Some((line, text)) = lines.next()? {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        // A line that is a column's name as it stands is that, even if the name holds a delimiter.
        if let Some(column) = position(text, columns) {
            place(line, text, column, &mut placed, &mut order)?;
            continue;
        }
        for name in Fields::of(text, Delimiter::detect(text)) {
            let name = name.map_err(|BadQuote| OrderProblem::Quote { line })?;
            let column = position(&name, columns).ok_or_else(|| OrderProblem::UnknownColumn {
                line,
                name: shortened(&name),
                nearest: nearest(&name, columns.iter().map(String::as_str)).map(shortened),
            })?;
            place(line, &name, column, &mut placed, &mut order)?;
        }
    }
    match placed.iter().position(|placed| !placed) {
        None => Ok(order),
        Some(missing) => Err(OrderProblem::Incomplete {
            found: order.len(),
            expected: columns.len(),
            missing: shortened(&columns[missing]),
        }),
    }
}

fn place(
    line: u64,
    name: &str,
    column: usize,
    placed: &mut [bool],
    order: &mut Vec<usize>,
) -> Result<(), OrderProblem> {
    if placed[column] {
        return Err(OrderProblem::Twice { line, name: shortened(name) });
    }
    placed[column] = true;
    order.push(column);
    Ok(())
}
