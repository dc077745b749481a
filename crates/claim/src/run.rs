//! A run: what exactly is executed, on which data, made by whom.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::hex;
use crate::statement::{Claim, Scope};
use crate::study::{Cell, OWN_DATA, Scale, Study};

/// Schema of `run.json`.
pub const RUN_SCHEMA: &str = "backstitch/run/1";
/// What can go wrong with a run directory.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// A file is not what it should be.
    #[error("{0}: {1}")]
    Malformed(PathBuf, String),
    /// The configuration is not one the study takes.
    #[error("{0}")]
    Configuration(String),
    /// The directory belongs to another configuration.
    #[error("{path} holds a run of another configuration: {difference}", path = .0.display(), difference = .1)]
    Other(PathBuf, String),
    /// Another process is at work there.
    #[error("{path} is in use by another process", path = .0.display())]
    Busy(PathBuf),
}

/// A data set as this machine has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// Name of the set; `own` for the user's file.
    pub name: String,
    /// Where it is; absent if it is not there.
    pub path: Option<PathBuf>,
    /// SHA-256 of its unpacked content; absent if it is not there.
    pub sha256: Option<String>,
    /// How to get it.
    pub hint: String,
}

/// What produced a run, for the reader of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of backstitch.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Compiler it was built with.
    pub toolchain: String,
    /// Processor.
    pub cpu: String,
    /// Logical cores.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
}

/// Everything that decides what a run computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The method.
    pub method: String,
    /// The scale.
    pub scale: Scale,
    /// Revision of the study.
    pub revision: usize,
    /// Hash of claims, arms, metrics, seeds and configuration as they stand in the code.
    pub claims_hash: String,
    /// Names the run directory: a hash of revision, configuration and data.
    pub key: String,
    /// Whether this is the recorded configuration: no `--set`, no other seeds, no own data.
    pub recorded: bool,
    /// The resolved configuration.
    pub configuration: Value,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Data sets, found or not.
    pub data: Vec<DataSource>,
    /// Threads of each cell.
    pub threads: usize,
    /// The command line, without anything secret.
    pub arguments: Vec<String>,
    /// Who made it.
    pub provenance: Provenance,
}

/// What the caller chooses about a run.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// `--set key=value` changes.
    pub set: Vec<(String, String)>,
    /// The number of seeds, if not the study's.
    pub seeds: Option<u64>,
    /// First seed; 0 for evidence, 1000 and up for pilots.
    pub first_seed: u64,
    /// Data sets as found on this machine; one named [`OWN_DATA`] if the user gave a file.
    pub data: Vec<DataSource>,
    /// Threads of each cell.
    pub threads: usize,
    /// The command line.
    pub arguments: Vec<String>,
    /// Who runs it.
    pub provenance: Provenance,
}

impl Run {
    /// Resolves what is to be run.
    ///
    /// # Errors
    /// If a change names a key that the configuration does not have, or makes a configuration that gives no cells.
    pub fn resolve(study: &Study, scale: Scale, choices: Choices) -> Result<Self, RunError> {
        let mut configuration = (study.configuration)(scale);
        for (key, value) in &choices.set {
            set(&mut configuration, key, value)?;
        }
        let own = choices.data.iter().any(|source| source.name == OWN_DATA);
        if own {
            if !study.takes_own_data() {
                let method = study.method;
                return Err(RunError::Configuration(format!(
                    "the study of {method} cannot be run on other data"
                )));
            }
            configuration["own_data"] = true.into();
        }
        let count =
            choices.seeds.unwrap_or(if scale == Scale::Smoke { study.seeds.min(2) } else { study.seeds });
        let last = choices.first_seed.checked_add(count);
        let (Some(end), 1..) = (last, count) else {
            return Err(RunError::Configuration(
                "a run needs at least one seed, and seeds are whole numbers below 2^64".into(),
            ));
        };
        let usual = if scale == Scale::Smoke { study.seeds.min(2) } else { study.seeds };
        let seeds: Vec<u64> = (choices.first_seed..end).collect();
        let recorded = choices.set.is_empty() && !own && count == usual && choices.first_seed == 0;
        let claims_hash = claims_hash(study, scale);
        let hashes: Vec<_> = choices.data.iter().map(|source| (&source.name, &source.sha256)).collect();
        let identity = json!([RUN_SCHEMA, study.method, study.revision(), scale, configuration, hashes]);
        let run = Self {
            schema: RUN_SCHEMA.into(),
            method: study.method.into(),
            scale,
            revision: study.revision(),
            claims_hash,
            key: hex(&Sha256::digest(identity.to_string()))[..12].into(),
            recorded,
            configuration,
            seeds,
            data: choices.data,
            threads: choices.threads.max(1),
            arguments: choices.arguments,
            provenance: choices.provenance,
        };
        let changes: Vec<String> =
            choices.set.iter().map(|(key, value)| format!("--set {key}={value}")).collect();
        study.checked_cells(&run.configuration, &run.seeds).map_err(|reason| match changes.as_slice() {
            [] => RunError::Configuration(reason),
            changes => RunError::Configuration(format!("with {}: {reason}", changes.join(" "))),
        })?;
        Ok(run)
    }

    /// The cells of the run.
    ///
    /// # Errors
    /// If the study refuses the configuration.
    pub fn cells(&self, study: &Study) -> Result<Vec<Cell>, RunError> {
        study.checked_cells(&self.configuration, &self.seeds).map_err(RunError::Configuration)
    }

    /// The claims that this run judges: all, or on the user's own data those that allow it.
    pub fn claims(&self, study: &Study) -> Vec<Claim> {
        if !self.data.iter().any(|source| source.name == OWN_DATA) {
            return study.claims.to_vec();
        }
        let allowed = study.claims.iter().filter(|claim| claim.own_data);
        allowed
            .map(|claim| Claim { settings: &[OWN_DATA], scope: Scope::Own, published: None, ..*claim })
            .collect()
    }

    /// Why a cell cannot run here, if a data set is not there.
    pub fn missing_data(&self, cell: &Cell) -> Option<String> {
        let absent =
            |name: &String| self.data.iter().find(|source| source.name == *name && source.path.is_none());
        cell.data
            .iter()
            .find_map(absent)
            .map(|source| format!("needs the data set `{}`; {}", source.name, source.hint))
    }

    /// The paths of the data sets that are there.
    pub fn data_paths(&self) -> BTreeMap<String, PathBuf> {
        let found = self.data.iter().filter_map(|source| Some((source.name.clone(), source.path.clone()?)));
        found.collect()
    }
}

/// Hash of what is frozen before the evidence run.
pub fn claims_hash(study: &Study, scale: Scale) -> String {
    let frozen = json!({
        "method": study.method,
        "revision": study.revision(),
        "arms": study.arms,
        "metrics": study.metrics,
        "claims": study.claims,
        "seeds": study.seeds,
        "configuration": (study.configuration)(scale),
    });
    hex(&Sha256::digest(frozen.to_string()))
}

/// Applies one `--set key=value`: an existing key, with dots for nesting; the value is JSON, else text.
fn set(configuration: &mut Value, key: &str, text: &str) -> Result<(), RunError> {
    let known = configuration
        .as_object()
        .map(|object| object.keys().cloned().collect::<Vec<_>>())
        .unwrap_or_default();
    let mut place = &mut *configuration;
    for part in key.split('.') {
        place = place.get_mut(part).ok_or_else(|| {
            RunError::Configuration(format!(
                "`{key}` is not a key of this configuration; it has {}",
                known.join(", ")
            ))
        })?;
    }
    *place = serde_json::from_str(text).unwrap_or_else(|_| text.into());
    Ok(())
}
