//! From names of data sets to what this machine has of them.

use std::path::Path;

use backstitch_claim::{Cell, DataSource, OWN_DATA, Run, Scale, Study};
use backstitch_data::catalogue::{CATALOGUE, PublicFile, PublicSet, public_set};
use backstitch_data::directory::{DataDirectory, DirectoryError};
use backstitch_data::hash::{content_sha256_of_file, sha256_of_bytes};

use crate::arguments::Common;
use crate::failure::Failure;

/// The data directory of this process.
pub(crate) fn directory(common: &Common) -> Result<DataDirectory, Failure> {
    DataDirectory::resolve(common.data_dir.as_deref()).map_err(failure)
}

/// What a study needs, as this machine has it; with a file of the user's in their place if one was given. Sets that no cell of the scale
/// reads need not be there, even where data is required.
pub(crate) fn sources(
    study: &Study,
    scale: Scale,
    own: Option<&Path>,
    common: &Common,
) -> Result<Vec<DataSource>, Failure> {
    if let Some(file) = own {
        let path = std::path::absolute(file).map_err(Failure::input)?;
        let sha256 = content_sha256_of_file(&path)
            .map_err(|error| Failure::input(format!("{} cannot be read: {error}", file.display())))?;
        let hint = "give the file with --data".into();
        return Ok(vec![DataSource { name: OWN_DATA.into(), path: Some(path), sha256: Some(sha256), hint }]);
    }
    let directory = directory(common)?;
    let cells = (study.cells)(&(study.configuration)(scale), &[0]).map_err(Failure::internal)?;
    study
        .data
        .iter()
        .map(|name| {
            let is_read = cells.iter().any(|cell| cell.data.iter().any(|set| set == name));
            source(public_set(name).map_err(Failure::internal)?, &directory, is_read)
        })
        .collect()
}

/// Refuses data that has changed since the run was made: its results would stand under the hash of the old data.
pub(crate) fn verify(run: &Run, cell: &Cell) -> Result<(), Failure> {
    for source in run.data.iter().filter(|source| cell.data.contains(&source.name)) {
        let (Some(path), Some(sha256)) = (&source.path, &source.sha256) else { continue };
        let files = if source.name == OWN_DATA {
            vec![(path.clone(), sha256.as_str())]
        } else {
            let set = public_set(&source.name).map_err(Failure::internal)?;
            // `path` is the folder of the first file; the data directory is as far above it as its own path says.
            let depth = set
                .files
                .first()
                .map_or(0, |first| Path::new(first.path).components().count().saturating_sub(1));
            let root = path.ancestors().nth(depth).unwrap_or(path);
            let place = |file: &PublicFile| root.join(file.path);
            set.files.iter().map(|file| (place(file), file.sha256)).collect()
        };
        for (file, wanted) in files {
            let found = content_sha256_of_file(&file)
                .map_err(|error| Failure::input(format!("{} cannot be read: {error}", file.display())))?;
            if found != wanted {
                let message = format!("{} has changed since this run was made", file.display());
                return Err(Failure::input(message)
                    .hint("bring it back, or reproduce again for a run of the new data"));
            }
        }
    }
    Ok(())
}

/// Every set of the catalogue and whether all of it is there and unchanged.
pub(crate) fn state(directory: &DataDirectory) -> Vec<(&'static str, bool)> {
    CATALOGUE.iter().map(|set| (set.name, matches!(directory.files_of(set), Ok(Some(_))))).collect()
}

/// An error of the data directory as the user sees it.
pub(crate) fn failure(error: DirectoryError) -> Failure {
    Failure::input(&error).maybe_hint(error.hint())
}

fn source(set: &PublicSet, directory: &DataDirectory, is_read: bool) -> Result<DataSource, Failure> {
    let hint = format!("get it with `backstitch data get {}`", set.name);
    let files = match directory.files_of(set) {
        Err(DirectoryError::Required { .. }) if !is_read => None,
        found => found.map_err(failure)?,
    };
    // A study asks for the folder of the first file, where most sets have all of theirs.
    let path = files.as_ref().and_then(|files| files.first()?.parent().map(Path::to_path_buf));
    let hashes: String = set.files.iter().map(|file| file.sha256).collect();
    let sha256 = files.is_some().then(|| match set.files {
        [one] => one.sha256.to_owned(),
        _ => sha256_of_bytes(hashes.as_bytes()),
    });
    Ok(DataSource { name: set.name.into(), path, sha256, hint })
}
