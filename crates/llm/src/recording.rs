//! Answers recorded in a file of JSON lines, and played back from it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use backstitch_data::jsonl::{JsonlError, parse, read_lines, read_lines_from};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::key::{Canonical, Identity, Key};
use crate::model::Model;
use crate::reply::{Reply, Sample, Usage};
use crate::request::Request;
use crate::stored::{KeptRequest, Store};

/// Misses for which the nearest request is looked for: each search goes through the whole recording.
const SEARCHES: usize = 5;

/// One line of a recording: a sample, and the whole request it belongs to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) key: Key,
    pub(crate) sample: u32,
    pub(crate) request: Canonical,
    pub(crate) reply: Sample,
}

impl Line {
    pub(crate) fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        // At once, so that lines of a process that is killed are whole, or the last is cut off.
        writer.write_all(&text)
    }
}

/// Answers in a file of JSON lines, one sample per line with the whole request, to be kept with the evidence of a run. It holds no
/// key.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: HashMap<Key, Recorded>,
    /// The file, if it is being extended.
    writer: Option<File>,
}

#[derive(Debug)]
struct Recorded {
    canonical: Canonical,
    samples: BTreeMap<u32, Sample>,
}

impl Recording {
    /// Opens a recording to play it back and to extend it; makes the file if there is none. A last line that a killed
    /// process left half written is cut off.
    ///
    /// # Errors
    /// [`Error::Recording`]: the file cannot be opened, is being extended by another process, or a line is not one of a recording.
    pub fn extend(file: &Path) -> Result<Self, Error> {
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(file);
        let mut writer = opened.map_err(|error| problem(file, None, &error))?;
        match writer.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(problem(file, None, "is being extended by another process"));
            }
            Err(TryLockError::Error(error)) => return Err(problem(file, None, &error)),
        }
        let mut bytes = Vec::new();
        writer.read_to_end(&mut bytes).map_err(|error| problem(file, None, &error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let requests = requests_of(read_lines_from(&bytes[..whole], file), file)?;
        let cut = writer.set_len(whole as u64).and_then(|()| writer.seek(SeekFrom::End(0)));
        cut.map_err(|error| problem(file, None, &error))?;
        Ok(Self { file: file.into(), state: Mutex::new(State { requests, writer: Some(writer) }) })
    }

    /// Reads a recording to play it back. The file may be packed with gzip.
    ///
    /// # Errors
    /// [`Error::Recording`]: the file cannot be read, or a line is not one of a recording.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let requests = requests_of(read_lines(file), file)?;
        Ok(Self { file: file.into(), state: Mutex::new(State { requests, writer: None }) })
    }

    /// The models whose answers it holds, by name.
    pub fn identities(&self) -> Vec<Identity> {
        let mut all: Vec<Identity> =
            self.state().requests.values().map(|recorded| recorded.canonical.identity()).collect();
        all.sort_by(|one, other| {
            (&one.model, &one.place, &one.kind).cmp(&(&other.model, &other.place, &other.kind))
        });
        all.dedup();
        all
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nearest request that was recorded, and in what it differs.
    fn nearest(&self, asked: &Canonical) -> String {
        let asked = fields(asked);
        let state = self.state();
        let nearest = state.requests.iter().min_by_key(|(key, recorded)| {
            let recorded = fields(&recorded.canonical);
            let shared = common_start(&asked["prompt"].to_string(), &recorded["prompt"].to_string());
            (differing(&asked, &recorded).len(), std::cmp::Reverse(shared), key.as_str().to_owned())
        });
        let Some((key, recorded)) = nearest else { return "it holds nothing".into() };
        let recorded = fields(&recorded.canonical);
        let differences: Vec<String> = differing(&asked, &recorded)
            .into_iter()
            .map(|name| {
                let (one, other) = (asked[&name].to_string(), recorded[&name].to_string());
                let from = common_start(&one, &other).saturating_sub(10);
                format!("{name} ({}, recorded {})", excerpt(&one, from), excerpt(&other, from))
            })
            .collect();
        format!("the nearest is {key}, which differs in {}", differences.join(", "))
    }
}

impl Store for Recording {
    fn find(&self, key: &Key, indices: RangeInclusive<u32>) -> Result<BTreeMap<u32, Sample>, Error> {
        let state = self.state();
        let recorded = state.requests.get(key).into_iter();
        let samples = recorded.flat_map(|recorded| recorded.samples.range(indices.clone()));
        Ok(samples.map(|(index, sample)| (*index, sample.clone())).collect())
    }

    fn keep(&self, request: &KeptRequest, first: u32, samples: Vec<Sample>) -> Result<Vec<Sample>, Error> {
        let mut state = self.state();
        let State { requests, writer } = &mut *state;
        let Some(writer) = writer else {
            return Err(problem(&self.file, None, "was opened for reading only"));
        };
        let recorded = requests
            .entry(request.key.clone())
            .or_insert_with(|| Recorded { canonical: request.canonical.clone(), samples: BTreeMap::new() });
        for (index, sample) in (first..).zip(&samples) {
            let line = Line {
                key: request.key.clone(),
                sample: index,
                request: request.canonical.clone(),
                reply: sample.clone(),
            };
            line.write(&mut *writer).map_err(|error| problem(&self.file, None, &error))?;
            recorded.samples.insert(index, sample.clone());
        }
        Ok(samples)
    }
}

/// Plays a recording back, and nothing else: what was not recorded is an error that names the nearest request.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    identity: Identity,
}

impl Replay {
    /// Plays back the answers of a model; of the only one that the recording holds, if none is named.
    ///
    /// # Errors
    /// [`Error::Recording`] if none is named and the recording holds none or several.
    pub fn new(recording: Recording, identity: Option<Identity>) -> Result<Self, Error> {
        if let Some(identity) = identity {
            return Ok(Self { recording, identity });
        }
        match recording.identities().as_slice() {
            [identity] => Ok(Self { identity: identity.clone(), recording }),
            [] => Err(problem(&recording.file, None, "holds no answers")),
            all => {
                let names: Vec<&str> = all.iter().map(|identity| identity.model.as_str()).collect();
                let found = format!("holds answers of several models ({}); name one", names.join(", "));
                Err(problem(&recording.file, None, found))
            }
        }
    }

    fn find(&self, request: &Request, misses: &mut usize) -> Result<Reply, Error> {
        request.validate()?;
        let canonical = Canonical::new(&self.identity, request);
        let key = canonical.key();
        let indices = request.first_sample..=request.first_sample + (request.samples - 1);
        let mut found = self.recording.find(&key, indices.clone())?;
        let mut samples = Vec::with_capacity(request.samples as usize);
        for sample in indices {
            if let Some(found) = found.remove(&sample) {
                samples.push(found);
                continue;
            }
            *misses += 1;
            let has = self.recording.state().requests.get(&key).map(|recorded| recorded.samples.len());
            let nearest = match has {
                Some(has) => format!("it has {has} of its samples"),
                None if *misses <= SEARCHES => self.recording.nearest(&canonical),
                None => "the nearest was named for earlier ones".into(),
            };
            return Err(Error::NotRecorded { file: self.recording.file.clone(), key, sample, nearest });
        }
        Ok(Reply { samples, usage: Usage::default(), stored: request.samples })
    }
}

impl Model for Replay {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        let mut misses = 0;
        for (position, request) in requests.iter().enumerate() {
            arrived(position, self.find(request, &mut misses));
        }
    }
}

/// The requests of all lines.
fn requests_of(
    lines: Result<Vec<(usize, String)>, JsonlError>,
    file: &Path,
) -> Result<HashMap<Key, Recorded>, Error> {
    let mut requests: HashMap<Key, Recorded> = HashMap::new();
    for (number, text) in lines.map_err(|error| of_lines(file, error))? {
        let line: Line = parse(&text, file, number).map_err(|error| of_lines(file, error))?;
        if line.request.key() != line.key {
            let found = "its key is not that of its request; one of the two was changed";
            return Err(problem(file, Some(number), found));
        }
        let recorded = requests
            .entry(line.key)
            .or_insert_with(|| Recorded { canonical: line.request, samples: BTreeMap::new() });
        let known = recorded.samples.entry(line.sample).or_insert_with(|| line.reply.clone());
        if *known != line.reply {
            let found =
                format!("sample {} of this request stands in an earlier line with another text", line.sample);
            return Err(problem(file, Some(number), found));
        }
    }
    Ok(requests)
}

fn of_lines(file: &Path, error: JsonlError) -> Error {
    match error {
        JsonlError::Line { line, problem: found, .. } => problem(file, Some(line), found),
        JsonlError::Input { problem: found, .. } => problem(file, None, found),
    }
}

fn problem(file: &Path, line: Option<usize>, problem: impl ToString) -> Error {
    Error::Recording { file: file.into(), line, problem: problem.to_string() }
}

fn fields(canonical: &Canonical) -> Value {
    serde_json::to_value(canonical)
        .unwrap_or_else(|error| unreachable!("texts and finite numbers are JSON: {error}"))
}

fn differing(one: &Value, other: &Value) -> Vec<String> {
    let names = one.as_object().into_iter().flat_map(|fields| fields.keys());
    names.filter(|name| one[name.as_str()] != other[name.as_str()]).cloned().collect()
}

/// Characters with which both texts begin.
fn common_start(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// Up to 60 characters from a place on.
fn excerpt(text: &str, from: usize) -> String {
    let cut: String = text.chars().skip(from).take(60).collect();
    let (before, after) =
        (if from > 0 { "…" } else { "" }, if text.chars().count() > from + 60 { "…" } else { "" });
    format!("{before}{cut}{after}")
}
