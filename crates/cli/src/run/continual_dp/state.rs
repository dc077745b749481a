//! What a release keeps from one process to the next.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use backstitch_claim::write::{kill_point, sync_folder};
use backstitch_statistics::continual_dp::{MaxState, State};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The state file, behind its seal ([`sealed`]).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) schema: String,
    pub(super) columns: Vec<String>,
    /// SHA-256 over all rows so far.
    pub(super) rows_sha256: String,
    pub(super) release: Release,
    /// Lines that may not have been seen.
    pub(super) pending: String,
}

pub(super) const SCHEMA: &str = "backstitch/continual-dp-state/2";
/// What a state file begins with. SHA-256 of all that follows it comes next: a digit that changed in a key or a sum would go
/// unnoticed otherwise, and give answers from other noise.
const SEAL: &str = r#"{"sha256":""#;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Release {
    Sums(Box<State>),
    Maximum(Box<MaxState>),
}

impl Saved {
    /// The state in a file; None if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot("read", path, &error)),
        };
        if !is_whole(&bytes) {
            return Err(Failure::input(format!(
                "{} is not a state, or not as it was written: its checksum is wrong",
                path.display()
            ))
            .hint(
                "restore this very state if you kept it elsewhere, never an older one; otherwise begin a new release \
                 with another --state and a budget of its own",
            ));
        }
        let saved: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::input(format!("{} is not a state: {error}", path.display())))?;
        if saved.schema != SCHEMA {
            return Err(Failure::input(format!("{} is a {}, not a {SCHEMA}", path.display(), saved.schema)));
        }
        Ok(Some(saved))
    }

    /// Writes the state with its seal.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(self).map_err(Failure::internal)?;
        write_secret(path, &sealed(&bytes[1..])).map_err(|error| cannot("written", path, &error))
    }
}

/// A JSON object, given without its first brace, with the hash of it as its first member.
fn sealed(rest: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{SEAL}{}\",", backstitch_data::hash::sha256_of_bytes(rest)).into_bytes();
    bytes.extend_from_slice(rest);
    bytes
}

/// Whether every byte is as [`sealed`] wrote it.
fn is_whole(bytes: &[u8]) -> bool {
    const HASH: usize = 64;
    let rest = bytes.get(SEAL.len() + HASH + 2..);
    rest.is_some_and(|rest| sealed(rest) == bytes)
}

/// Held while the file beside it is in use: two processes on one state would share their noise.
pub(super) fn lock(path: &Path) -> Result<File, Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| cannot("written", &path, &error))?;
    file.try_lock()
        .map_err(|_| Failure::input(format!("{} is in use by another process", path.display())))?;
    Ok(file)
}

/// Whole or absent, like `write_atomic`, and readable by its owner only from the first byte on. The temporary file has one name, so
/// that what a killed process left of the key is gone with the next write.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // Never a file that is there already, which others might read.
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    kill_point("state", "created");
    file.write_all(bytes)?;
    kill_point("state", "written");
    file.sync_all()?;
    kill_point("state", "synced");
    fs::rename(&temporary, path)?;
    kill_point("state", "renamed");
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

pub(super) fn cannot(be: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::input(format!("{} cannot be {be}: {error}", path.display()))
}
