//! A run: what exactly is executed, where it lives, and the files that describe it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::{DataRecord, hex};
use crate::judge::{Evidence, Judgement, Observation, Verdict, judge};
use crate::statement::{Claim, Scope};
use crate::study::{Cell, OWN_DATA, Scale, Study};
use crate::write::write_atomic;

/// Schema of `run.json`.
pub const RUN_SCHEMA: &str = "backstitch/run/1";
/// Schema of `verdict.json`.
pub const VERDICT_SCHEMA: &str = "backstitch/verdict/1";
/// Schema of a cell's `result.json`.
pub const CELL_SCHEMA: &str = "backstitch/cell/1";

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
        if count == 0 {
            return Err(RunError::Configuration("a run needs at least one seed".into()));
        }
        let usual = if scale == Scale::Smoke { study.seeds.min(2) } else { study.seeds };
        let seeds: Vec<u64> = (choices.first_seed..choices.first_seed + count).collect();
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
        study.checked_cells(&run.configuration, &run.seeds).map_err(RunError::Configuration)?;
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

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

/// What a finished cell left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// [`CELL_SCHEMA`].
    pub schema: String,
    /// The cell.
    pub cell: Cell,
    /// What it measured.
    pub observations: Vec<crate::context::Measurement>,
    /// The data it used.
    pub data: Vec<DataRecord>,
}

/// `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictFile {
    /// [`VERDICT_SCHEMA`].
    pub schema: String,
    /// The method.
    pub method: String,
    /// The scale.
    pub scale: Scale,
    /// Revision of the study.
    pub revision: usize,
    /// Hash of what was frozen.
    pub claims_hash: String,
    /// Whether this is the recorded configuration.
    pub recorded: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Every claim with its verdict.
    pub claims: Vec<Judgement>,
    /// Every number.
    pub observations: Vec<Observation>,
    /// Data by content.
    pub data: Vec<DataRecord>,
}

impl RunDirectory {
    /// The directory of a run: exactly `out` if given, else below `root`, found again by its key. A fresh one gets a
    /// number behind its key; without `fresh` it is the latest of them.
    pub fn of(run: &Run, root: &Path, out: Option<&Path>, fresh: bool) -> Self {
        if let Some(out) = out {
            return Self { path: out.to_path_buf() };
        }
        let first = root.join(&run.method).join(format!("{}-{}", run.scale.name(), run.key));
        let numbered =
            |n: u32| if n == 1 { first.clone() } else { PathBuf::from(format!("{}-{n}", first.display())) };
        let mut free = 1;
        while numbered(free).exists() {
            free += 1;
        }
        Self { path: numbered(if fresh { free } else { free.saturating_sub(1).max(1) }) }
    }

    /// An existing directory.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of all cells.
    pub fn cells_folder(&self) -> PathBuf {
        self.path.join("cells")
    }

    /// The folder of one cell.
    pub fn cell_folder(&self, id: &str) -> PathBuf {
        self.path.join("cells").join(id)
    }

    /// Makes the directory, or finds it and continues.
    ///
    /// # Errors
    /// If it holds a run of another configuration; the message says what differs.
    pub fn open(&self, run: &Run) -> Result<(), RunError> {
        let file = self.path.join("run.json");
        if file.exists() {
            let existing = self.read_run()?;
            if existing.key != run.key {
                return Err(RunError::Other(self.path.clone(), difference(&existing, run)));
            }
        } else if fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_some()) {
            let leftover =
                |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".run.json.");
            let entries =
                fs::read_dir(&self.path).map_err(|error| RunError::File(self.path.clone(), error))?;
            if entries
                .filter_map(Result::ok)
                .any(|entry| entry.file_name() != "run.lock" && !leftover(&entry))
            {
                return Err(RunError::Other(self.path.clone(), "it has files, but no run.json".into()));
            }
        }
        self.write_json("run.json", run, "run")
    }

    /// Takes the directory for this process until the guard is dropped.
    ///
    /// # Errors
    /// If another process has it.
    pub fn lock(&self) -> Result<fs::File, RunError> {
        lock(&self.path, "run.lock")
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// If it is absent or malformed.
    pub fn read_run(&self) -> Result<Run, RunError> {
        read_json(&self.path.join("run.json"))
    }

    /// Reads `verdict.json`.
    ///
    /// # Errors
    /// If it is absent or malformed.
    pub fn read_verdict(&self) -> Result<VerdictFile, RunError> {
        read_json(&self.path.join("verdict.json"))
    }

    /// The result of a finished cell. A result file that cannot be read counts as not finished.
    pub fn cell_result(&self, id: &str) -> Option<CellResult> {
        let result: CellResult = read_json(&self.cell_folder(id).join("result.json")).ok()?;
        (result.schema == CELL_SCHEMA).then_some(result)
    }

    /// The time a finished cell took.
    pub fn cell_seconds(&self, id: &str) -> Option<Duration> {
        let timing: Value = read_json(&self.cell_folder(id).join("timing.json")).ok()?;
        Duration::try_from_secs_f64(timing.get("seconds")?.as_f64()?).ok()
    }

    /// Judges what the finished cells say and writes `verdict.json`. `failures` are cells that ended with an error.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn conclude(
        &self,
        study: &Study,
        run: &Run,
        failures: &BTreeMap<String, String>,
    ) -> Result<VerdictFile, RunError> {
        let cells = run.cells(study)?;
        let mut evidence = Evidence::default();
        let mut records: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
        for cell in &cells {
            let id = cell.id();
            let Some(result) = self.cell_result(&id) else {
                let need = cell.needs.iter().find_map(|need| evidence.missing.get(need).cloned());
                let reason = run.missing_data(cell).or_else(|| failures.get(&id).cloned()).or(need);
                evidence.missing.insert(
                    id.clone(),
                    reason.unwrap_or_else(|| format!("the cell `{id}` has not been run")),
                );
                continue;
            };
            let role = study.arm(&cell.arm).map_or(crate::study::Role::Prepare, |arm| arm.role);
            evidence.observations.extend(result.observations.into_iter().map(|measurement| Observation {
                cell: id.clone(),
                arm: cell.arm.clone(),
                role,
                seed: cell.seed,
                setting: cell.setting.clone(),
                measurement,
            }));
            for record in result.data {
                records.entry((record.name, record.synthetic)).or_default().push(record.sha256);
            }
        }
        let mut claims = judge(study, &run.claims(study), &cells, &run.seeds, &evidence);
        if run.scale == Scale::Smoke {
            for claim in &mut claims {
                claim.verdict = Verdict::NotRun;
                claim.reason = Some("smoke scale checks that everything runs and judges nothing".into());
            }
        }
        let verdict = VerdictFile {
            schema: VERDICT_SCHEMA.into(),
            method: run.method.clone(),
            scale: run.scale,
            revision: run.revision,
            claims_hash: run.claims_hash.clone(),
            recorded: run.recorded,
            seeds: run.seeds.clone(),
            claims,
            observations: evidence.observations,
            data: fold(run, records),
        };
        self.write_json("verdict.json", &verdict, "verdict")?;
        Ok(verdict)
    }

    /// Writes a text file of the run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_text(&self, name: &str, text: &str, point: &str) -> Result<PathBuf, RunError> {
        let path = self.path.join(name);
        fs::create_dir_all(&self.path)
            .and_then(|()| write_atomic(&path, text.as_bytes(), point))
            .map_err(|error| RunError::File(path.clone(), error))?;
        Ok(path)
    }

    fn write_json(&self, name: &str, value: &impl Serialize, point: &str) -> Result<(), RunError> {
        let text = to_json(value).map_err(|reason| RunError::Malformed(self.path.join(name), reason))?;
        self.write_text(name, &text, point).map(|_| ())
    }
}

/// Pretty JSON with a final newline.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Takes a lock file in `folder`, waiting a little for a process that is just dying.
pub(crate) fn lock(folder: &Path, name: &str) -> Result<fs::File, RunError> {
    let path = folder.join(name);
    let open = || {
        fs::create_dir_all(folder)?;
        fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)
    };
    let file = open().map_err(|error| RunError::File(path.clone(), error))?;
    for _ in 0..100 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(50)),
            Err(fs::TryLockError::Error(error)) => return Err(RunError::File(path, error)),
        }
    }
    Err(RunError::Busy(folder.to_path_buf()))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let bytes = fs::read(path).map_err(|error| RunError::File(path.to_path_buf(), error))?;
    serde_json::from_slice(&bytes).map_err(|error| RunError::Malformed(path.to_path_buf(), error.to_string()))
}

/// One record per data set: real ones as found, generated ones as the hash over the hashes of all draws.
fn fold(run: &Run, records: BTreeMap<(String, bool), Vec<String>>) -> Vec<DataRecord> {
    let real = run.data.iter().filter_map(|source| {
        Some(DataRecord { name: source.name.clone(), sha256: source.sha256.clone()?, synthetic: false })
    });
    let drawn = records.into_iter().filter(|((_, synthetic), _)| *synthetic).map(
        |((name, synthetic), mut hashes)| {
            hashes.sort_unstable();
            hashes.dedup();
            let sha256 = match hashes.as_slice() {
                [one] => one.clone(),
                many => hex(&Sha256::digest(many.concat())),
            };
            DataRecord { name, sha256, synthetic }
        },
    );
    real.chain(drawn).collect()
}

/// What differs between two runs, for the message that refuses the second.
fn difference(existing: &Run, wanted: &Run) -> String {
    let mut differences = Vec::new();
    let mut compare = |name: &str, left: String, right: String| {
        if left != right {
            differences.push(format!("{name} is {left} there and {right} here"));
        }
    };
    compare("method", existing.method.clone(), wanted.method.clone());
    compare("scale", existing.scale.name().into(), wanted.scale.name().into());
    compare("revision", existing.revision.to_string(), wanted.revision.to_string());
    let empty = serde_json::Map::new();
    let left = existing.configuration.as_object().unwrap_or(&empty);
    let right = wanted.configuration.as_object().unwrap_or(&empty);
    let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for key in keys {
        let show = |object: &serde_json::Map<String, Value>| {
            object.get(key).map_or("absent".into(), Value::to_string)
        };
        compare(key, show(left), show(right));
    }
    let data = |run: &Run| {
        run.data
            .iter()
            .map(|source| {
                format!("{}={}", source.name, source.sha256.as_deref().map_or("absent", |hash| &hash[..12]))
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    compare("data", data(existing), data(wanted));
    if differences.is_empty() {
        differences.push("the files of data have moved".into());
    }
    differences.join("; ")
}
