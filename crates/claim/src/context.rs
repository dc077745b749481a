//! What a running cell sees: its configuration, the folders of its needs, its data, and where it reports.
//!
//! A cell has no other inputs, so that it gives the same result wherever and whenever it runs.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::write::write_atomic;

/// Why a cell ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// The method or the study says what is wrong.
    #[error("{0}")]
    Failed(String),
}

impl CellError {
    /// An error from anything that can say what is wrong.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }
}

/// One number that a cell measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Metric name, declared by the study.
    pub metric: String,
    /// The item measured, where a cell measures many (questions, nodes): the unit of cluster statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The value; absent if the cell diverged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// `diverged` where there is no finite value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Data that a cell used, by content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DataRecord {
    /// Name of the set or of the generator.
    pub name: String,
    /// SHA-256 of the unpacked content.
    pub sha256: String,
    /// Whether it was generated.
    pub synthetic: bool,
}

/// How much of a named unit a cell got through, and in what time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// What is counted, in the plural: `tokens`.
    pub unit: String,
    /// How many.
    pub amount: u64,
    /// The time that they alone took.
    pub seconds: f64,
}

/// The world of one running cell.
#[derive(Debug)]
pub struct CellContext<'a> {
    folder: &'a Path,
    configuration: &'a Value,
    cells_folder: &'a Path,
    needs: &'a [String],
    data: &'a BTreeMap<String, PathBuf>,
    measurements: Vec<Measurement>,
    records: Vec<DataRecord>,
    throughput: Option<Throughput>,
}

/// The file that carries a cell over a kill.
#[derive(Serialize, Deserialize)]
struct Checkpoint<T> {
    step: u64,
    metrics_bytes: u64,
    state: T,
}

impl<'a> CellContext<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        cells_folder: &'a Path,
        configuration: &'a Value,
        needs: &'a [String],
        data: &'a BTreeMap<String, PathBuf>,
    ) -> Self {
        Self {
            folder,
            configuration,
            cells_folder,
            needs,
            data,
            measurements: Vec::new(),
            records: Vec::new(),
            throughput: None,
        }
    }

    /// The configuration in the study's own type.
    ///
    /// # Errors
    /// If a `--set` change made a value that the type does not take.
    pub fn configuration<T: DeserializeOwned>(&self) -> Result<T, CellError> {
        T::deserialize(self.configuration)
            .map_err(|error| CellError::Failed(format!("configuration: {error}")))
    }

    /// The path of a data set that the cell declared.
    ///
    /// # Errors
    /// If the cell did not declare it.
    pub fn data(&self, name: &str) -> Result<&Path, CellError> {
        let path = self.data.get(name);
        path.map(PathBuf::as_path)
            .ok_or_else(|| CellError::Failed(format!("the data set `{name}` was not declared by this cell")))
    }

    /// Reads an artifact of a needed cell.
    ///
    /// # Errors
    /// If no need is of that arm, or the file cannot be read.
    pub fn read_need(&self, arm: &str, artifact: &str) -> Result<Vec<u8>, CellError> {
        let prefix = format!("{arm}.");
        let Some(id) = self.needs.iter().find(|id| id.starts_with(&prefix)) else {
            return Err(CellError::Failed(format!("this cell does not need a cell of the arm `{arm}`")));
        };
        self.read_cell(id, artifact)
    }

    /// Reads an artifact of all needed cells, of whatever arm and seed, in the order of the needs.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read_needs(&self, artifact: &str) -> Result<Vec<Vec<u8>>, CellError> {
        self.needs.iter().map(|id| self.read_cell(id, artifact)).collect()
    }

    fn read_cell(&self, id: &str, artifact: &str) -> Result<Vec<u8>, CellError> {
        let path = self.cells_folder.join(id).join("artifacts").join(artifact);
        fs::read(&path).map_err(|error| CellError::File(path, error))
    }

    /// Writes a file that stays with the cell and that other cells may need.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn artifact(&self, name: &str, bytes: &[u8]) -> Result<(), CellError> {
        let folder = self.folder.join("artifacts");
        let path = folder.join(name);
        fs::create_dir_all(&folder)
            .and_then(|()| write_atomic(&path, bytes, "artifact"))
            .map_err(|error| CellError::File(path, error))
    }

    /// Appends one line to `metrics.jsonl`: a step and named numbers.
    ///
    /// # Errors
    /// If the line cannot be written.
    pub fn log(&self, step: u64, values: &[(&str, f64)]) -> Result<(), CellError> {
        let mut line = serde_json::Map::new();
        line.insert("step".into(), step.into());
        for (name, value) in values {
            line.insert((*name).into(), Value::from(*value));
        }
        let path = self.metrics_path();
        let text = format!("{}\n", Value::Object(line));
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| CellError::File(path, error))
    }

    /// Saves the state after `step`; a killed cell continues from here.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn checkpoint<T: Serialize>(&self, step: u64, state: &T) -> Result<(), CellError> {
        self.checkpoint_with(step, state, &[])
    }

    /// Saves the state after `step` together with bytes that are no text: the weights of a network.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn checkpoint_with<T: Serialize>(
        &self,
        step: u64,
        state: &T,
        payload: &[u8],
    ) -> Result<(), CellError> {
        let path = self.checkpoint_path();
        // The metrics must be durable before the checkpoint that counts on them.
        let metrics_bytes = match fs::File::open(self.metrics_path()) {
            Ok(file) => file.sync_data().and_then(|()| file.metadata()).map(|metadata| metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
        .map_err(|error| CellError::File(self.metrics_path(), error))?;
        let mut bytes = serde_json::to_vec(&Checkpoint { step, metrics_bytes, state })
            .map_err(|error| CellError::Failed(format!("checkpoint: {error}")))?;
        // One line of JSON, which holds no line break, then the payload.
        bytes.push(b'\n');
        bytes.extend_from_slice(payload);
        write_atomic(&path, &bytes, "checkpoint").map_err(|error| CellError::File(path, error))
    }

    /// The state of the last checkpoint with its step, or nothing for a fresh cell. Cuts `metrics.jsonl` back to
    /// what had been written then, so that a resumed cell leaves the file of an uninterrupted one. Call it once,
    /// before the first [`log`](Self::log).
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn resume<T: DeserializeOwned>(&self) -> Result<Option<(u64, T)>, CellError> {
        Ok(self.resume_with()?.map(|(step, state, _)| (step, state)))
    }

    /// Like [`resume`](Self::resume), for a state saved by [`checkpoint_with`](Self::checkpoint_with).
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn resume_with<T: DeserializeOwned>(&self) -> Result<Option<(u64, T, Vec<u8>)>, CellError> {
        let path = self.checkpoint_path();
        let checkpoint: Option<(Checkpoint<T>, Vec<u8>)> = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CellError::File(path, error)),
            Ok(mut bytes) => {
                let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
                let checkpoint = serde_json::from_slice(&bytes[..end])
                    .map_err(|error| CellError::Failed(format!("{}: {error}", path.display())))?;
                Some((checkpoint, bytes.split_off((end + 1).min(bytes.len()))))
            }
        };
        let path = self.metrics_path();
        let there = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let checkpoint = checkpoint.filter(|(checkpoint, _)| checkpoint.metrics_bytes <= there);
        let keep = checkpoint.as_ref().map_or(0, |(checkpoint, _)| checkpoint.metrics_bytes);
        OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .and_then(|file| file.set_len(keep))
            .map_err(|error| CellError::File(path, error))?;
        Ok(checkpoint.map(|(checkpoint, payload)| (checkpoint.step, checkpoint.state, payload)))
    }

    /// Reports a metric. A value that is not finite is reported as diverged.
    pub fn observe(&mut self, metric: &str, value: f64) {
        self.record(metric, None, value);
    }

    /// Reports a metric of one item of many.
    pub fn observe_item(&mut self, metric: &str, item: &str, value: f64) {
        self.record(metric, Some(item.into()), value);
    }

    /// Reports that there is no value because the computation diverged.
    pub fn observe_diverged(&mut self, metric: &str) {
        self.record(metric, None, f64::NAN);
    }

    /// Tells how fast the cell works. Like all times this stands apart from its result; of a continued cell it is about the rest.
    pub fn tell_throughput(&mut self, unit: &str, amount: u64, time: Duration) {
        self.throughput = Some(Throughput { unit: unit.into(), amount, seconds: time.as_secs_f64() });
    }

    /// Records the content of the data the cell used.
    pub fn record_data(&mut self, name: &str, content: &[u8], synthetic: bool) {
        let sha256 = hex(&Sha256::digest(content));
        self.records.push(DataRecord { name: name.into(), sha256, synthetic });
    }

    fn record(&mut self, metric: &str, item: Option<String>, value: f64) {
        let finite = value.is_finite();
        self.measurements.push(Measurement {
            metric: metric.into(),
            item,
            value: finite.then_some(value),
            status: (!finite).then(|| "diverged".into()),
        });
    }

    pub(crate) fn into_parts(self) -> (Vec<Measurement>, Vec<DataRecord>, Option<Throughput>) {
        (self.measurements, self.records, self.throughput)
    }

    fn metrics_path(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resuming_cuts_the_metrics_back_to_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (configuration, data) = (Value::Null, BTreeMap::new());
        let open = || CellContext::new(folder.path(), folder.path(), &configuration, &[], &data);
        let context = open();
        assert_eq!(context.resume::<u32>().unwrap(), None);
        context.log(1, &[("score", 0.5)]).unwrap();
        context.checkpoint(1, &41_u32).unwrap();
        context.log(2, &[("score", 0.25)]).unwrap();

        let context = open();
        assert_eq!(context.resume::<u32>().unwrap(), Some((1, 41)));
        let metrics = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        assert_eq!(metrics, "{\"score\":0.5,\"step\":1}\n");
    }

    #[test]
    fn a_payload_comes_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (configuration, data) = (Value::Null, BTreeMap::new());
        let context = CellContext::new(folder.path(), folder.path(), &configuration, &[], &data);
        let payload: Vec<u8> = (0..=255).cycle().take(1000).collect();
        context.checkpoint_with(7, &"a\nb", &payload).unwrap();
        assert_eq!(context.resume_with::<String>().unwrap(), Some((7, "a\nb".into(), payload)));
    }

    #[test]
    fn metrics_without_a_checkpoint_start_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("metrics.jsonl"), "{\"half").unwrap();
        let (configuration, data) = (Value::Null, BTreeMap::new());
        let context = CellContext::new(folder.path(), folder.path(), &configuration, &[], &data);
        assert_eq!(context.resume::<u32>().unwrap(), None);
        assert_eq!(fs::read(folder.path().join("metrics.jsonl")).unwrap(), b"");
    }

    #[test]
    fn what_is_not_finite_is_reported_as_diverged() {
        let (configuration, data) = (Value::Null, BTreeMap::new());
        let mut context = CellContext::new(Path::new("."), Path::new("."), &configuration, &[], &data);
        context.observe("loss", f64::INFINITY);
        let (measurements, ..) = context.into_parts();
        assert_eq!((measurements[0].value, measurements[0].status.as_deref()), (None, Some("diverged")));
    }
}
