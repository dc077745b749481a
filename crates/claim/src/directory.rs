//! The folder of a run: its files, what continues it, and what is concluded from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::context::{DataRecord, Measurement, Throughput, hex};
use crate::judge::{Evidence, Judgement, Observation, Verdict, judge};
use crate::run::{Run, RunError};
use crate::study::{Cell, Role, Scale, Study};
use crate::write::write_atomic;

/// Schema of `verdict.json`.
pub const VERDICT_SCHEMA: &str = "backstitch/verdict/2";
/// Schema of a cell's `result.json`.
pub const CELL_SCHEMA: &str = "backstitch/cell/1";

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
    pub observations: Vec<Measurement>,
    /// The data it used.
    pub data: Vec<DataRecord>,
}

/// What a finished cell took: `timing.json`. It stands apart from the result, which must not depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellTiming {
    /// Wall time of the process that finished the cell.
    pub seconds: f64,
    /// Threads within the cell.
    pub threads: usize,
    /// How fast the cell says it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
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
    #[serde(with = "crate::observations")]
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
        // Pilots, whose first seed is not 0, must not overwrite the verdict of the evidence.
        let pilot = match run.seeds.first() {
            Some(&first) if first > 0 => format!("-from{first}"),
            _ => String::new(),
        };
        let (folder, name) = (root.join(&run.method), format!("{}-{}{pilot}", run.scale.name(), run.key));
        let number_of = |entry: fs::DirEntry| {
            let found = entry.file_name().to_string_lossy().into_owned();
            match found.strip_prefix(&name)? {
                "" => Some(1),
                rest => rest.strip_prefix('-')?.parse::<u32>().ok(),
            }
        };
        let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let latest = entries.filter_map(number_of).max().unwrap_or(0);
        let path = match if fresh { latest + 1 } else { latest.max(1) } {
            1 => folder.join(name),
            number => folder.join(format!("{name}-{number}")),
        };
        Self { path }
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
    pub fn cell_timing(&self, id: &str) -> Option<CellTiming> {
        read_json(&self.cell_folder(id).join("timing.json")).ok()
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
            let role = study.arm(&cell.arm).map_or(Role::Prepare, |arm| arm.role);
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
    if let Some((path, left, right)) = first_difference(&existing.configuration, &wanted.configuration) {
        compare(&path, left, right);
    }
    let data = |run: &Run| {
        let short = |source: &crate::run::DataSource| match &source.sha256 {
            Some(hash) => format!("{}={}", source.name, hash.get(..12).unwrap_or(hash)),
            None => format!("{}=absent", source.name),
        };
        run.data.iter().map(short).collect::<Vec<_>>().join(" ")
    };
    compare("data", data(existing), data(wanted));
    differences.join("; ")
}

/// The first place where two configurations differ, as a dotted path with both values.
fn first_difference(left: &Value, right: &Value) -> Option<(String, String, String)> {
    let children: Vec<(String, Option<&Value>, Option<&Value>)> = match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            keys.into_iter().map(|key| (key.clone(), left.get(key), right.get(key))).collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .map(|(i, (left, right))| (i.to_string(), Some(left), Some(right)))
            .collect(),
        _ => return (left != right).then(|| (String::new(), left.to_string(), right.to_string())),
    };
    children.into_iter().find_map(|(key, left, right)| {
        let show = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
        let (below, left, right) = match (left, right) {
            (Some(left), Some(right)) => first_difference(left, right)?,
            (left, right) => (String::new(), show(left), show(right)),
        };
        Some((if below.is_empty() { key } else { format!("{key}.{below}") }, left, right))
    })
}
