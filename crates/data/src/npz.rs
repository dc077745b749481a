//! Reading the arrays of an `.npz` file: a ZIP of `.npy` files, as numpy writes it.
//!
//! Members may be stored or deflated. Numbers of one to eight bytes and truth values are read; text, records and pickled objects
//! are left alone, so that a file may hold them beside what is asked for. Sizes are bounded before anything is unpacked, and check sums
//! are checked.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// Most unpacked bytes of all arrays that are read, unless told otherwise: 4 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of every axis; none for a single number.
    pub shape: Vec<usize>,
    /// The numbers, the last axis fastest.
    pub numbers: Numbers,
}

/// Numbers of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Whole numbers and truth values.
    Whole(Vec<i64>),
    /// Others.
    Real(Vec<f64>),
}

/// Why an `.npz` file was refused.
#[derive(Debug, thiserror::Error)]
pub enum NpzProblem {
    /// Reading stopped.
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
    /// It is no ZIP file.
    #[error("this is not a ZIP file, which an .npz file is")]
    NotZip,
    /// It is a broken ZIP file.
    #[error("the ZIP file is broken: {0}")]
    Broken(&'static str),
    /// It would be too large.
    #[error("the arrays have more than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// An array that cannot be read.
    #[error("array {name:?}: {problem}")]
    Array {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The arrays of a file by name.
#[derive(Debug)]
pub struct Npz {
    bytes: Vec<u8>,
    members: BTreeMap<String, Member>,
    max_bytes: u64,
}

/// A member of the ZIP file.
#[derive(Clone, Copy, Debug)]
struct Member {
    deflated: bool,
    check_sum: u32,
    packed: usize,
    unpacked: u64,
    header: usize,
}

impl Npz {
    /// Reads the list of members.
    ///
    /// # Errors
    /// [`NpzProblem`].
    pub fn read(reader: impl Read, max_bytes: u64) -> Result<Self, NpzProblem> {
        let mut bytes = Vec::new();
        reader.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(NpzProblem::TooLarge { max_bytes });
        }
        let members = members(&bytes)?;
        Ok(Self { bytes, members, max_bytes })
    }

    /// Names of the arrays, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// An array, or nothing where none has the name.
    ///
    /// # Errors
    /// [`NpzProblem`] if it cannot be read or holds no numbers.
    pub fn array(&self, name: &str) -> Result<Option<Array>, NpzProblem> {
        let Some(member) = self.members.get(name) else { return Ok(None) };
        let content = self.content(member)?;
        let array = array(&content).map_err(|problem| NpzProblem::Array { name: name.into(), problem })?;
        Ok(Some(array))
    }

    fn content(&self, member: &Member) -> Result<Vec<u8>, NpzProblem> {
        if member.unpacked > self.max_bytes {
            return Err(NpzProblem::TooLarge { max_bytes: self.max_bytes });
        }
        let header = self.bytes.get(member.header..).unwrap_or_default();
        if header.len() < 30 || header[..4] != *b"PK\x03\x04" {
            return Err(NpzProblem::Broken("a member has no header"));
        }
        let start = 30 + usize::from(short(header, 26)) + usize::from(short(header, 28));
        let packed = start.checked_add(member.packed).and_then(|end| header.get(start..end));
        let packed = packed.ok_or(NpzProblem::Broken("a member goes beyond the end"))?;
        let mut content = Vec::new();
        if member.deflated {
            DeflateDecoder::new(packed).take(member.unpacked + 1).read_to_end(&mut content)?;
        } else {
            content.extend_from_slice(packed);
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() as u64 != member.unpacked || crc.sum() != member.check_sum {
            return Err(NpzProblem::Broken("a member does not have its length or its check sum"));
        }
        Ok(content)
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn members(bytes: &[u8]) -> Result<BTreeMap<String, Member>, NpzProblem> {
    if !bytes.starts_with(b"PK") {
        return Err(NpzProblem::NotZip);
    }
    // The record at the end has 22 bytes and a comment of at most 65,535.
    let from = bytes.len().saturating_sub(22 + 0xFFFF);
    let end = bytes[from..].windows(22).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let end = &bytes[from + end.ok_or(NpzProblem::Broken("it has no end record"))?..];
    let count = short(end, 10);
    let mut at = long(end, 16) as usize;
    let mut found = BTreeMap::new();
    for _ in 0..count {
        let entry = bytes.get(at..).unwrap_or_default();
        if entry.len() < 46 || entry[..4] != *b"PK\x01\x02" {
            return Err(NpzProblem::Broken("its directory is cut short"));
        }
        let method = short(entry, 10);
        let (packed, unpacked, header) = (long(entry, 20), long(entry, 24), long(entry, 42));
        if !matches!(method, 0 | 8) || short(entry, 8) & 1 == 1 {
            return Err(NpzProblem::Broken("a member is neither stored nor deflated, or is encrypted"));
        }
        if [packed, unpacked, header].contains(&u32::MAX) {
            return Err(NpzProblem::Broken("a member has 4 GiB or more"));
        }
        let length = usize::from(short(entry, 28));
        let name = entry.get(46..46 + length).ok_or(NpzProblem::Broken("its directory is cut short"))?;
        let name = String::from_utf8_lossy(name);
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
        let member = Member {
            deflated: method == 8,
            check_sum: long(entry, 16),
            packed: packed as usize,
            unpacked: u64::from(unpacked),
            header: header as usize,
        };
        found.insert(name, member);
        at += 46 + length + usize::from(short(entry, 30)) + usize::from(short(entry, 32));
    }
    Ok(found)
}

/// Reads an `.npy` file.
fn array(content: &[u8]) -> Result<Array, String> {
    let magic = content.strip_prefix(b"\x93NUMPY").ok_or("it does not begin as an .npy file")?;
    let (length, start): (usize, usize) = match magic.first() {
        Some(1) => (usize::from(short(magic, 2)), 4),
        Some(2 | 3) => (long(magic, 2) as usize, 6),
        _ => return Err("it is of an unknown version".into()),
    };
    let header = start.checked_add(length).and_then(|end| magic.get(start..end));
    let header = header.and_then(|bytes| str::from_utf8(bytes).ok()).ok_or("its header is cut short")?;
    let values = &magic[start + length..];
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([' ', ':']));
    let kind = after("'descr'").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
    let kind = kind.ok_or("it holds records, not numbers")?;
    if after("'fortran_order'").is_some_and(|rest| rest.starts_with("True")) {
        return Err("its columns come first (Fortran order); save it with numpy.ascontiguousarray".into());
    }
    let shape = after("'shape'").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
    let shape: Vec<usize> = shape
        .ok_or("its header has no shape")?
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| "its shape is not made of whole numbers")?;
    let count = shape.iter().try_fold(1_usize, |product, axis| product.checked_mul(*axis));
    let count = count.ok_or("its shape is too large")?;
    let (order, form) = kind.split_at(1.min(kind.len()));
    if order == ">" {
        return Err(format!("numbers of the kind {kind:?} are not read; save them in little-endian order"));
    }
    macro_rules! numbers {
        ($kind:ty, $into:ident, $as:ty) => {{
            const SIZE: usize = size_of::<$kind>();
            if count.checked_mul(SIZE) != Some(values.len()) {
                return Err(format!(
                    "it has {} bytes where its shape asks for {count} numbers of {SIZE}",
                    values.len()
                ));
            }
            let (chunks, _) = values.as_chunks::<SIZE>();
            Numbers::$into(chunks.iter().map(|bytes| <$kind>::from_le_bytes(*bytes) as $as).collect())
        }};
    }
    let numbers = match form {
        "b1" | "u1" => numbers!(u8, Whole, i64),
        "i1" => numbers!(i8, Whole, i64),
        "i2" => numbers!(i16, Whole, i64),
        "u2" => numbers!(u16, Whole, i64),
        "i4" => numbers!(i32, Whole, i64),
        "u4" => numbers!(u32, Whole, i64),
        "i8" => numbers!(i64, Whole, i64),
        "u8" => numbers!(u64, Whole, i64),
        "f4" => numbers!(f32, Real, f64),
        "f8" => numbers!(f64, Real, f64),
        _ => {
            return Err(format!(
                "numbers of the kind {kind:?} are not read; save them as integers or floats"
            ));
        }
    };
    Ok(Array { shape, numbers })
}
