//! What all readers share: opening a file, unpacking gzip, and lines of UTF-8 text in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Longest line a reader takes unless told otherwise: 16 MiB.
pub const DEFAULT_MAX_LINE_BYTES: usize = 16 << 20;

/// First bytes of a gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// First bytes of a UTF-8 file that some programs write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file could not be read as lines of text.
#[derive(Debug, thiserror::Error)]
pub enum InputProblem {
    /// No such file.
    #[error("there is no such file")]
    NotFound,
    /// A folder where a file is expected.
    #[error("this is a folder, not a file")]
    Folder,
    /// The file cannot be opened.
    #[error("the file cannot be opened: {source}")]
    Open {
        /// What the system says.
        source: io::Error,
    },
    /// Reading stopped in the middle.
    #[error("reading failed after line {after_line}: {source}")]
    Read {
        /// Last line that was read, counted from 1; 0 before the first.
        after_line: u64,
        /// What the system or the unpacking says.
        source: io::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line} is not UTF-8 text")]
    NotUtf8 {
        /// The line, counted from 1.
        line: u64,
    },
    /// A carriage return inside a line: a line end of old Macintosh programs, or a broken file.
    #[error("line {line} has a carriage return that is not followed by a line feed")]
    CarriageReturn {
        /// The line.
        line: u64,
    },
    /// A line above the limit.
    #[error("line {line} is longer than {max_bytes} bytes")]
    LineTooLong {
        /// The line, counted from 1.
        line: u64,
        /// The limit.
        max_bytes: usize,
    },
}

impl InputProblem {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound => Some("check the path; it is taken relative to the current folder".into()),
            Self::Folder => Some("name a file inside the folder".into()),
            Self::Open { .. } => Some("check the permissions of the file".into()),
            Self::Read { .. } => Some("a packed file may be cut short; fetch or pack it again".into()),
            Self::NotUtf8 { .. } => Some("save the file as UTF-8 text".into()),
            Self::CarriageReturn { .. } => Some("save the file with line ends LF or CRLF".into()),
            Self::LineTooLong { .. } => {
                Some("check that the file is text with one row per line, separated by line ends".into())
            }
        }
    }
}

/// A number of things in words: `1 field`, `2 fields`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Opens a file for reading; folders are refused here because opening one succeeds on some systems.
pub(crate) fn open(path: &Path) -> Result<File, InputProblem> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => InputProblem::NotFound,
        _ => InputProblem::Open { source },
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(InputProblem::Folder),
        Ok(_) => Ok(file),
        Err(source) => Err(InputProblem::Open { source }),
    }
}

/// The content of a stream: unpacked if it starts with the magic bytes of gzip, as it is otherwise. Names do not
/// matter.
pub(crate) fn unpack<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    reader.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let packed = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(reader);
    Ok(if packed { Box::new(MultiGzDecoder::new(BufReader::new(whole))) } else { Box::new(whole) })
}

/// Lines of UTF-8 text, one at a time, without their ends (LF or CRLF) and without a byte order mark.
pub(crate) struct Lines<'a> {
    reader: BufReader<Box<dyn Read + 'a>>,
    line: Vec<u8>,
    number: u64,
    max_bytes: usize,
}

impl<'a> Lines<'a> {
    /// The lines of a stream, which may be packed with gzip.
    pub(crate) fn new(reader: impl Read + 'a, max_bytes: usize) -> Result<Self, InputProblem> {
        let reader = unpack(reader).map_err(|source| InputProblem::Read { after_line: 0, source })?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, reader), line: Vec::new(), number: 0, max_bytes })
    }

    /// The next line with its number, counted from 1; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &str)>, InputProblem> {
        self.line.clear();
        // Two more than the limit: room for CRLF, and for noticing that there is more.
        let most = self.max_bytes as u64 + 2;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| InputProblem::Read { after_line: self.number, source })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.ends_with(b"\n") {
            self.line.pop();
            if self.line.ends_with(b"\r") {
                self.line.pop();
            }
        }
        if self.line.len() > self.max_bytes {
            return Err(InputProblem::LineTooLong { line: self.number, max_bytes: self.max_bytes });
        }
        let mut bytes = self.line.as_slice();
        if self.number == 1 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        if bytes.contains(&b'\r') {
            return Err(InputProblem::CarriageReturn { line: self.number });
        }
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Some((self.number, text))),
            Err(_) => Err(InputProblem::NotUtf8 { line: self.number }),
        }
    }
}
