//! SHA-256 of data, as 64 lower-case hexadecimal digits.
//!
//! The hash that names data in results is that of its *content*: a file packed with gzip has the hash of what it unpacks
//! to, so packing a file again, or unpacking it, does not make other data of it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::input::unpack;

/// The hash of bytes as they stand.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(Sha256::digest(bytes).as_slice())
}

/// The hash of a file as it stands.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    sha256_of_stream(File::open(path)?)
}

/// The hash of the content of a file: of what it unpacks to if it is packed with gzip (whatever its name).
///
/// # Errors
/// The file cannot be read or unpacked.
pub fn content_sha256_of_file(path: &Path) -> io::Result<String> {
    sha256_of_stream(unpack(File::open(path)?)?)
}

/// The hash of the content of bytes: of what they unpack to if they are packed with gzip.
///
/// # Errors
/// The bytes start like gzip but cannot be unpacked.
pub fn content_sha256_of_bytes(bytes: &[u8]) -> io::Result<String> {
    sha256_of_stream(unpack(bytes)?)
}

/// The hash of all files in a folder: of the lines `<content hash>  <path>` in the order of the paths, which are
/// relative to the folder and written with `/`. Empty folders do not count; links are followed.
///
/// # Errors
/// A file cannot be read or unpacked, or its path is not UTF-8.
pub fn content_sha256_of_folder(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort_unstable();
    let mut hash = Sha256::new();
    for file in files {
        let content = content_sha256_of_file(&folder.join(&file))?;
        hash.update(format!("{content}  {file}\n"));
    }
    Ok(hexadecimal(hash.finalize().as_slice()))
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the file name {name:?} is not UTF-8"))
        })?;
        let path = format!("{prefix}{name}");
        if fs::metadata(entry.path())?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn sha256_of_stream(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(hash.finalize().as_slice())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
