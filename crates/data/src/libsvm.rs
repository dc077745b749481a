//! Reading sparse data in the LIBSVM (SVMlight) text format.
//!
//! A line is a row: a number, the label, then the entries that are not zero as `index:value`, separated by spaces or tabs, indices
//! ascending and counted from 1. Text after `#` is a comment. Plain or packed with gzip, with any line ends but lone carriage
//! returns. What does not fit is refused with its line: nothing is sorted, added up or dropped silently.
//!
//! The file is read as a stream into a [`SparseMatrix`]; beside it and the labels one line is held. Where every value is 1, as in
//! most sets of categories, an entry takes four bytes, otherwise twelve.
//!
//! # Example
//! ```
//! use backstitch_data::libsvm::{LibsvmOptions, read_libsvm_from};
//! let data = read_libsvm_from("+1 1:0.5 3:2\n-1 2:1\n".as_bytes(), "two.txt", &LibsvmOptions::default())?;
//! assert_eq!(data.labels, [1.0, -1.0]);
//! assert_eq!(data.features.to_dense().row(0), [0.5, 0.0, 2.0]);
//! # Ok::<(), backstitch_data::libsvm::LibsvmError>(())
//! ```

use std::io::Read;
use std::path::Path;

use backstitch_numerics::sparse::{MOST_COLUMNS, SparseBuilder, SparseMatrix};

use crate::input::{DEFAULT_MAX_LINE_BYTES, InputProblem, Lines, counted, open};
use crate::table::{DEFAULT_MAX_BYTES, shortened};

/// Most features unless told otherwise: methods hold dense vectors of as many numbers.
pub const DEFAULT_MAX_FEATURES: usize = 1 << 24;

/// Labels and sparse features, a row each.
#[derive(Clone, Debug, PartialEq)]
pub struct LibsvmData {
    /// One label per row.
    pub labels: Vec<f64>,
    /// The features: feature i of the file is column i − 1 (column i where indices count from 0).
    pub features: SparseMatrix,
}

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibsvmOptions {
    /// Indices count from 0 instead of 1.
    pub zero_based: bool,
    /// How many features there are; `None` takes the largest index.
    pub features: Option<usize>,
    /// Most features where their number is not given; [`DEFAULT_MAX_FEATURES`].
    pub max_features: usize,
    /// Most bytes of labels and entries; [`DEFAULT_MAX_BYTES`].
    pub max_bytes: u64,
    /// Longest line in bytes; [`DEFAULT_MAX_LINE_BYTES`].
    pub max_line_bytes: usize,
}

impl Default for LibsvmOptions {
    fn default() -> Self {
        Self {
            zero_based: false,
            features: None,
            max_features: DEFAULT_MAX_FEATURES,
            max_bytes: DEFAULT_MAX_BYTES,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
        }
    }
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct LibsvmError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    #[source]
    pub problem: LibsvmProblem,
}

/// What is wrong. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum LibsvmProblem {
    /// It cannot be read as lines of text.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// No row.
    #[error("the file has no rows")]
    Empty,
    /// A blank line with rows below it.
    #[error("line {line} is blank but lines below it are not")]
    BlankLine {
        /// The line.
        line: u64,
    },
    /// A line that begins with an entry.
    #[error("line {line} has no label: it begins with {found:?}")]
    NoLabel {
        /// The line.
        line: u64,
        /// What it begins with.
        found: String,
    },
    /// A label that is no finite number.
    #[error("line {line}: the label {found:?} is not a finite number")]
    Label {
        /// The line.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// Something that is no `index:value`.
    #[error("line {line}: {found:?} is not an entry index:value")]
    Entry {
        /// The line.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// An index that is no whole number.
    #[error("line {line}: the index {found:?} is not a whole number")]
    Index {
        /// The line.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// The index 0 where indices count from 1.
    #[error("line {line}: the index is 0, but indices count from 1")]
    IndexZero {
        /// The line.
        line: u64,
    },
    /// An index above the limit.
    #[error("line {line}: the index is {index}, but must be at most {most}")]
    IndexTooLarge {
        /// The line.
        line: u64,
        /// The index.
        index: u64,
        /// The largest one taken.
        most: u64,
        /// Whether the number of features was given.
        given: bool,
    },
    /// An index that comes before the one to its left.
    #[error("line {line}: index {index} comes after index {before}; the indices of a line must ascend")]
    Unsorted {
        /// The line.
        line: u64,
        /// The index.
        index: u64,
        /// The index before it.
        before: u64,
    },
    /// An index that stands in a line twice.
    #[error("line {line}: index {index} stands there twice")]
    Twice {
        /// The line.
        line: u64,
        /// The index.
        index: u64,
    },
    /// A value that is no finite number.
    #[error("line {line}, index {index}: the value {found:?} is not a finite number")]
    Value {
        /// The line.
        line: u64,
        /// The index.
        index: u64,
        /// What stands there.
        found: String,
    },
    /// More than the limit allows.
    #[error(
        "line {line}: after {}, the next one is above the limit of {max_bytes} bytes",
        counted(*rows, "row")
    )]
    TooLarge {
        /// The line that is too much.
        line: u64,
        /// Rows read.
        rows: usize,
        /// The limit.
        max_bytes: u64,
    },
}

impl LibsvmError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

impl LibsvmProblem {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Input(problem) => return problem.hint(),
            Self::Empty => "check that the file was written completely",
            Self::BlankLine { .. } => "delete the line; a row without entries is its label alone",
            Self::NoLabel { .. } => "begin every line with its label, such as `+1 3:0.5`",
            Self::Label { found, .. } if found.contains(',') => {
                "write one label per row, with a decimal point; rows of several labels are not read"
            }
            Self::Label { .. } => "encode labels as numbers, such as +1 and -1",
            Self::Entry { found, .. } if found.starts_with("qid:") => {
                "delete the qid: fields; they are for ranking"
            }
            Self::Entry { .. } | Self::Index { .. } => {
                "write entries as index:value without spaces inside, such as 3:0.5"
            }
            Self::IndexZero { .. } => "read the file as one whose indices count from 0",
            Self::IndexTooLarge { given: true, .. } => {
                "give data with the features that were used before, or another number of features"
            }
            Self::IndexTooLarge { .. } => {
                "number features without large gaps, or give the number of features if memory allows"
            }
            Self::Unsorted { .. } => "sort the entries of every line by their index",
            Self::Twice { .. } => "keep one of the two entries",
            Self::Value { .. } => "replace the value by a finite number, or drop the entry",
            Self::TooLarge { .. } => "read fewer rows, or raise the limit if memory allows",
        };
        Some(hint.into())
    }
}

/// Reads a file, packed with gzip or not.
///
/// # Errors
/// The file cannot be read, or is not in the format; see [`LibsvmProblem`].
pub fn read_libsvm(path: impl AsRef<Path>, options: &LibsvmOptions) -> Result<LibsvmData, LibsvmError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => read_libsvm_from(file, &name, options),
        Err(problem) => Err(LibsvmError { file: name, problem: problem.into() }),
    }
}

/// Reads a stream, packed with gzip or not; `name` stands for it in errors.
///
/// # Errors
/// As [`read_libsvm`].
pub fn read_libsvm_from(
    reader: impl Read,
    name: &str,
    options: &LibsvmOptions,
) -> Result<LibsvmData, LibsvmError> {
    read(reader, options).map_err(|problem| LibsvmError { file: name.into(), problem })
}

fn read(reader: impl Read, options: &LibsvmOptions) -> Result<LibsvmData, LibsvmProblem> {
    let mut lines = Lines::new(reader, options.max_line_bytes)?;
    let mut rows = Rows { options, labels: Vec::new(), builder: SparseBuilder::new(), columns: 0 };
    let mut blank = None;
    while let Some((line, text)) = lines.next()? {
        let content = text.split('#').next().unwrap_or_default();
        if content.trim_matches([' ', '\t']).is_empty() {
            // A line of comment only is no blank line.
            if content.len() == text.len() {
                blank = blank.or(Some(line));
            }
            continue;
        }
        if let Some(line) = blank {
            return Err(LibsvmProblem::BlankLine { line });
        }
        rows.push(line, content)?;
    }
    rows.finish()
}

/// The rows read so far.
struct Rows<'a> {
    options: &'a LibsvmOptions,
    labels: Vec<f64>,
    builder: SparseBuilder,
    /// One more than the largest column, entries of zero among them.
    columns: usize,
}

impl Rows<'_> {
    fn push(&mut self, line: u64, text: &str) -> Result<(), LibsvmProblem> {
        let mut fields = text.split([' ', '\t']).filter(|field| !field.is_empty());
        let label = fields.next().unwrap_or_default();
        if label.contains(':') {
            return Err(LibsvmProblem::NoLabel { line, found: shortened(label) });
        }
        match label.parse::<f64>() {
            Ok(label) if label.is_finite() => self.labels.push(label),
            _ => return Err(LibsvmProblem::Label { line, found: shortened(label) }),
        }
        let mut before = None;
        for field in fields {
            let Some((index, value)) = field.split_once(':').filter(|_| !field.starts_with("qid:")) else {
                return Err(LibsvmProblem::Entry { line, found: shortened(field) });
            };
            let (index, column) = self.place(line, index)?;
            if let Some(before) = before.filter(|before| index <= *before) {
                return Err(if index == before {
                    LibsvmProblem::Twice { line, index }
                } else {
                    LibsvmProblem::Unsorted { line, index, before }
                });
            }
            before = Some(index);
            let value = match value.parse::<f64>() {
                Ok(number) if number.is_finite() => number,
                _ => return Err(LibsvmProblem::Value { line, index, found: shortened(value) }),
            };
            self.columns = self.columns.max(column + 1);
            if value != 0.0 && self.builder.push(column, value).is_err() {
                return Err(self.too_large_index(line, index));
            }
        }
        self.builder.end_row();
        let bytes = self.builder.bytes() + size_of_val(self.labels.as_slice());
        if bytes as u64 > self.options.max_bytes {
            let (rows, max_bytes) = (self.labels.len() - 1, self.options.max_bytes);
            return Err(LibsvmProblem::TooLarge { line, rows, max_bytes });
        }
        Ok(())
    }

    /// The index in a field and its column, within their range.
    fn place(&self, line: u64, field: &str) -> Result<(u64, usize), LibsvmProblem> {
        let digits = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        let Some(index) = field.parse::<u64>().ok().filter(|_| digits) else {
            return Err(LibsvmProblem::Index { line, found: shortened(field) });
        };
        let Some(column) = index.checked_sub(u64::from(!self.options.zero_based)) else {
            return Err(LibsvmProblem::IndexZero { line });
        };
        match usize::try_from(column) {
            Ok(column) if column < self.most_columns() => Ok((index, column)),
            _ => Err(self.too_large_index(line, index)),
        }
    }

    fn most_columns(&self) -> usize {
        self.options.features.unwrap_or(self.options.max_features).min(MOST_COLUMNS)
    }

    fn too_large_index(&self, line: u64, index: u64) -> LibsvmProblem {
        let columns = self.most_columns() as u64;
        let most = if self.options.zero_based { columns.saturating_sub(1) } else { columns };
        LibsvmProblem::IndexTooLarge { line, index, most, given: self.options.features.is_some() }
    }

    fn finish(self) -> Result<LibsvmData, LibsvmProblem> {
        if self.labels.is_empty() {
            return Err(LibsvmProblem::Empty);
        }
        let columns = self.options.features.unwrap_or(self.columns);
        let mut labels = self.labels;
        labels.shrink_to_fit();
        let features = self.builder.finish().with_columns(columns).expect("no index is above the number");
        Ok(LibsvmData { labels, features })
    }
}
