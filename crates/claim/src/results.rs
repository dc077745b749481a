//! Evidence files, `results/<method>/<scale>.json`: a verdict with the machine and the command that made it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::directory::{VerdictFile, to_json};
use crate::run::{Provenance, Run, RunError};
use crate::write::write_atomic;

/// Schema of an evidence file.
pub const RESULTS_SCHEMA: &str = "backstitch/results/2";

/// An evidence file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The verdict, with [`RESULTS_SCHEMA`] as its schema.
    #[serde(flatten)]
    pub verdict: VerdictFile,
    /// Where it was made, and from which commit.
    pub provenance: Provenance,
    /// The command that made it.
    pub command: String,
    /// Time of all cells, added up.
    pub wall_seconds: f64,
}

/// Writes the evidence file of a run below `folder`.
///
/// # Errors
/// If the file cannot be written.
pub fn record(folder: &Path, run: &Run, verdict: &VerdictFile, wall: Duration) -> Result<PathBuf, RunError> {
    let results = Results {
        verdict: VerdictFile { schema: RESULTS_SCHEMA.into(), ..verdict.clone() },
        provenance: run.provenance.clone(),
        command: run.arguments.join(" "),
        wall_seconds: (wall.as_secs_f64() * 10.0).round() / 10.0,
    };
    let path = folder.join(&run.method).join(format!("{}.json", run.scale.name()));
    let text = to_json(&results).map_err(|reason| RunError::Malformed(path.clone(), reason))?;
    fs::create_dir_all(folder.join(&run.method))
        .and_then(|()| write_atomic(&path, text.as_bytes(), "results"))
        .map_err(|error| RunError::File(path.clone(), error))?;
    Ok(path)
}

/// Reads an evidence file.
///
/// # Errors
/// If it is absent or malformed.
pub fn read(path: &Path) -> Result<Results, RunError> {
    let bytes = fs::read(path).map_err(|error| RunError::File(path.to_path_buf(), error))?;
    serde_json::from_slice(&bytes).map_err(|error| RunError::Malformed(path.to_path_buf(), error.to_string()))
}
