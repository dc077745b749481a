//! What runs write: whole files, and fields of CSV.

use std::fmt::Display;
use std::path::Path;

#[cfg(any(
    feature = "compress",
    feature = "continual",
    feature = "graph",
    feature = "in-process",
    feature = "language",
    feature = "networks",
    feature = "optimize",
    feature = "science",
    feature = "sequence",
    feature = "statistics"
))]
use backstitch_claim::write::sync_folder;
use backstitch_claim::write::write_atomic;

use crate::failure::Failure;

/// Writes one file whole.
#[cfg(any(
    feature = "compress",
    feature = "continual",
    feature = "language",
    feature = "networks",
    feature = "reason",
    feature = "sequence",
))]
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    write_atomic(path, contents, "output").map_err(|error| unwritten(path, &error))
}

/// Refuses a place that no file can be written to, before anything is paid for.
#[cfg(any(feature = "networks", feature = "reason"))]
pub(crate) fn refuse_unwritable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || path.file_name().is_none() {
        return Err(unwritten(path, &"a folder is in its place"));
    }
    if !folder.is_dir() {
        return Err(unwritten(path, &format_args!("there is no folder {}", folder.display())));
    }
    Ok(())
}

/// Refuses results in the place of a file that the command reads or extends.
#[cfg(any(feature = "networks", feature = "reason"))]
pub(crate) fn refuse_same(out: &Path, other: &Path, option: &str) -> Result<(), Failure> {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    if whole(out).is_some() && whole(out) == whole(other) {
        return Err(unwritten(out, &format_args!("it is also the file of {option}")));
    }
    Ok(())
}

/// Writes all files, or none and says which one could not be written: each lies whole beside its place before the
/// first is moved there.
#[cfg(any(
    feature = "compress",
    feature = "continual",
    feature = "graph",
    feature = "in-process",
    feature = "language",
    feature = "networks",
    feature = "optimize",
    feature = "science",
    feature = "sequence",
    feature = "statistics"
))]
pub(crate) fn write_all(folder: &Path, files: &[(&str, impl AsRef<[u8]>)]) -> Result<(), Failure> {
    let existed = folder.exists();
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    let staged = |name: &str| folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = files.iter().try_for_each(|(name, contents)| {
        let path = folder.join(name);
        if path.is_dir() {
            return Err(unwritten(&path, &"a folder is in its place"));
        }
        write_atomic(&staged(name), contents.as_ref(), "output").map_err(|error| unwritten(&path, &error))
    });
    let moved = written.and_then(|()| {
        files.iter().try_for_each(|(name, _)| {
            let path = folder.join(name);
            std::fs::rename(staged(name), &path).map_err(|error| unwritten(&path, &error))
        })
    });
    if moved.is_err() {
        // The first error is the one to report.
        for (name, _) in files {
            let _ = std::fs::remove_file(staged(name));
        }
        if !existed {
            let _ = std::fs::remove_dir(folder);
        }
        return moved;
    }
    sync_folder(folder).map_err(|error| unwritten(folder, &error))
}

fn unwritten(path: &Path, error: &dyn Display) -> Failure {
    Failure::input(format!("{} cannot be written: {error}", path.display())).hint("give another --out")
}

/// A summary as the text of a file.
#[cfg(feature = "language")]
pub(super) fn json(summary: &serde_json::Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(summary).map_err(Failure::internal)? + "\n")
}

/// A field of a CSV file, in quotes where it needs them.
#[cfg(any(
    feature = "compress",
    feature = "continual",
    feature = "networks",
    feature = "science",
    feature = "sequence",
    feature = "statistics"
))]
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
