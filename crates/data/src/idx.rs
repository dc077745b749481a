//! Reading idx files, the format of MNIST: arrays of bytes with their shape before them.
//!
//! Two zero bytes, the type (8: bytes), the number of dimensions, each dimension as four bytes with the highest first, then the values.
//! Plain or packed with gzip.
//!
//! # Example
//! ```
//! let bytes = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
//! let found = backstitch_data::idx::read_idx_from(&bytes[..], "two.idx")?;
//! assert_eq!((found.shape.as_slice(), found.values.as_slice()), (&[2, 3][..], &[1, 2, 3, 4, 5, 6][..]));
//! # Ok::<(), backstitch_data::idx::IdxError>(())
//! ```

use std::io::{self, Read};
use std::path::Path;

use crate::input::{InputProblem, open, unpack};
use crate::table::DEFAULT_MAX_BYTES;

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// Outermost first.
    pub shape: Vec<usize>,
    /// Innermost fastest.
    pub values: Vec<u8>,
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct IdxError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    #[source]
    pub problem: IdxProblem,
}

impl IdxError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            IdxProblem::Input(problem) => problem.hint(),
            IdxProblem::Cut { .. } | IdxProblem::Rest | IdxProblem::Read(_) => {
                Some("fetch the file again".into())
            }
            IdxProblem::Format { .. } => Some("give an idx file of bytes, such as those of MNIST".into()),
            IdxProblem::TooLarge { .. } => Some("give a part of it".into()),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum IdxProblem {
    /// It cannot be opened.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// Reading stopped.
    #[error("reading failed: {0}")]
    Read(#[source] io::Error),
    /// Another format.
    #[error("the file begins with the bytes {found:?}, but must with 0, 0, 8 and the number of dimensions")]
    Format {
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// Fewer values than the shape says.
    #[error("the file ends after {found} of {expected} bytes")]
    Cut {
        /// Bytes that are there.
        found: u64,
        /// Bytes that the shape asks for.
        expected: u64,
    },
    /// More values than the shape says.
    #[error("the file goes on after the last value")]
    Rest,
    /// More than is held in memory.
    #[error("the shape is {shape:?}, but at most {most} values are read")]
    TooLarge {
        /// As the file says.
        shape: Vec<usize>,
        /// The limit.
        most: u64,
    },
}

/// Reads a file.
///
/// # Errors
/// [`IdxError`] names the file and what is wrong with it.
pub fn read_idx(path: impl AsRef<Path>) -> Result<Idx, IdxError> {
    let name = path.as_ref().display().to_string();
    let file = open(path.as_ref())
        .map_err(|problem| IdxError { file: name.clone(), problem: IdxProblem::Input(problem) })?;
    read_idx_from(file, &name)
}

/// Reads a stream; `name` is what errors call it.
///
/// # Errors
/// [`IdxError`].
pub fn read_idx_from(reader: impl Read, name: &str) -> Result<Idx, IdxError> {
    read(reader).map_err(|problem| IdxError { file: name.into(), problem })
}

fn read(reader: impl Read) -> Result<Idx, IdxProblem> {
    let mut reader = unpack(reader).map_err(IdxProblem::Read)?;
    let start = take(&mut reader, 4)?;
    let dimensions = match start.as_slice() {
        &[0, 0, 8, dimensions] if dimensions > 0 => dimensions,
        _ => return Err(IdxProblem::Format { found: start }),
    };
    let sizes = take(&mut reader, 4 * usize::from(dimensions))?;
    let expected = 4 * u64::from(dimensions);
    if (sizes.len() as u64) < expected {
        return Err(IdxProblem::Cut { found: 4 + sizes.len() as u64, expected: 4 + expected });
    }
    let shape: Vec<usize> =
        sizes.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes) as usize).collect();
    let count = shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size as u64));
    let Some(count) = count.filter(|count| *count <= DEFAULT_MAX_BYTES) else {
        return Err(IdxProblem::TooLarge { shape, most: DEFAULT_MAX_BYTES });
    };
    // Grows as bytes come: the header of a short file may promise much.
    let mut values = Vec::new();
    reader.by_ref().take(count).read_to_end(&mut values).map_err(IdxProblem::Read)?;
    let header = 4 + expected;
    if (values.len() as u64) < count {
        return Err(IdxProblem::Cut { found: header + values.len() as u64, expected: header + count });
    }
    if !take(&mut reader, 1)?.is_empty() {
        return Err(IdxProblem::Rest);
    }
    Ok(Idx { shape, values })
}

/// The next bytes, fewer only at the end.
fn take(reader: &mut impl Read, count: usize) -> Result<Vec<u8>, IdxProblem> {
    let mut bytes = Vec::with_capacity(count);
    reader.by_ref().take(count as u64).read_to_end(&mut bytes).map_err(IdxProblem::Read)?;
    Ok(bytes)
}
