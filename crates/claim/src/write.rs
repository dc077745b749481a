//! Files that are either whole or absent: temporary → fsync → rename → fsync of the folder.
//!
//! Every write has a name. In builds with debug assertions (development and tests) the environment variable
//! `BACKSTITCH_KILL_AT=<name>:<phase>[:<n>]` aborts the process at the n-th time it gets there, which is how the
//! kill tests reach every point of every write.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The phases of one write, in order. A process can die after each.
pub const PHASES: [&str; 4] = ["created", "written", "synced", "renamed"];

/// The names of the writes in a run directory. Other files (evidence, scoreboards, output of methods) are written the same way.
pub const WRITES: [&str; 7] = ["run", "artifact", "checkpoint", "timing", "result", "verdict", "report"];

/// Writes `bytes` to `path` so that no reader ever sees half a file, whatever happens.
///
/// # Errors
/// Whatever the file system says; the temporary file is removed then.
pub fn write_atomic(path: &Path, bytes: &[u8], name: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file_name = path.file_name().ok_or_else(|| io::Error::other("a file needs a name"))?;
    let temporary = folder.join(format!(".{}.{}.tmp", file_name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        kill_point(name, "created");
        file.write_all(bytes)?;
        kill_point(name, "written");
        file.sync_all()?;
        kill_point(name, "synced");
        fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        // The first error is the one to report; a leftover temporary file is harmless.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    kill_point(name, "renamed");
    sync_folder(folder)
}

/// Makes a rename or a new entry in a folder durable.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Aborts here if the tests asked for it: for writes that [`write_atomic`] does not make, with phases named as its own.
#[cfg(debug_assertions)]
pub fn kill_point(name: &str, phase: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("BACKSTITCH_KILL_AT") else { return };
    let mut parts = wanted.split(':');
    if parts.next() == Some(name) && parts.next() == Some(phase) {
        let nth = parts.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        if PASSED.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            std::process::abort();
        }
    }
}

/// Release builds have no kill points.
#[cfg(not(debug_assertions))]
pub fn kill_point(_name: &str, _phase: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        write_atomic(&path, b"old", "result").unwrap();
        let missing = folder.path().join("absent").join("kept.json");
        assert!(write_atomic(&missing, b"new", "result").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
