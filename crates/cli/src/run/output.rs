//! Files of a result, written all or none.

use std::path::Path;

use backstitch_claim::write::{sync_folder, write_atomic};

use crate::failure::Failure;

/// Writes all files, or none and says which one could not be written: each lies whole beside its place before the
/// first is moved there.
pub(super) fn write_all(folder: &Path, files: &[(&str, String)]) -> Result<(), Failure> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::input(format!("{} cannot be written: {error}", path.display())).hint("give another --out")
    };
    let existed = folder.exists();
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let staged = |name: &str| folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = files.iter().try_for_each(|(name, text)| {
        let path = folder.join(name);
        if path.is_dir() {
            return Err(failed(&path, &"a folder is in its place"));
        }
        write_atomic(&staged(name), text.as_bytes(), "output").map_err(|error| failed(&path, &error))
    });
    let moved = written.and_then(|()| {
        files.iter().try_for_each(|(name, _)| {
            let path = folder.join(name);
            std::fs::rename(staged(name), &path).map_err(|error| failed(&path, &error))
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
    sync_folder(folder).map_err(|error| failed(folder, &error))
}
