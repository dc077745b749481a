//! Ours beside a peer: the same work in turn, in one run, and the ratio pair by pair.
//!
//! Both sides are processes that answer JSON lines on standard input with JSON lines on standard output and time
//! themselves after a warm-up. A fresh pair of processes serves each piece of work, so that the peak memory of a
//! side is that of the work.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use backstitch_numerics::interval::median;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Schema of `bench.json`.
pub const BENCH_SCHEMA: &str = "backstitch/bench/1";

/// `bench.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchFile {
    /// [`BENCH_SCHEMA`].
    pub schema: String,
    /// The method.
    pub method: String,
    /// One row per piece of work and peer.
    pub rows: Vec<Row>,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// Our side.
    pub ours: Side,
    /// The peer's side, if there is one here.
    pub peer: Option<Side>,
    /// Median over pairs of peer ÷ ours: above 1, ours is faster.
    pub ratio: Option<f64>,
    /// How many pairs.
    pub pairs: usize,
    /// Whether the answers agree, as the bench of the method defines it.
    pub agree: Option<bool>,
    /// What the answers were, in words.
    pub note: String,
}

/// One side's times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the contestant.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Median time of the work.
    pub median_s: f64,
    /// Fastest.
    pub min_s: f64,
    /// Slowest.
    pub max_s: f64,
    /// Peak resident memory of the process.
    pub peak_bytes: Option<u64>,
}

/// A contestant's answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Version of the contestant.
    pub version: String,
    /// Time of the work alone.
    pub seconds: f64,
    /// Peak resident memory so far.
    pub peak_bytes: Option<u64>,
    /// What it computed.
    pub answer: Value,
}

/// Why a contestant gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ContestantError(String);

/// A process that answers requests.
#[derive(Debug)]
pub struct Contestant {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Contestant {
    /// Starts the process and waits for its first line, `{"ready": true, …}`.
    ///
    /// # Errors
    /// If it cannot be started or says something else.
    pub fn start(command: &mut Command) -> Result<Self, ContestantError> {
        let shown = format!("{command:?}");
        let failed = |reason: String| ContestantError(format!("{shown}: {reason}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".into()));
        };
        let mut contestant = Self { child, requests: Some(requests), replies: BufReader::new(replies) };
        let greeting = contestant.line().map_err(|error| failed(error.0))?;
        if greeting.get("ready") != Some(&Value::Bool(true)) {
            return Err(failed(format!("it is not ready: {greeting}")));
        }
        Ok(contestant)
    }

    /// Sends one request and waits for the reply.
    ///
    /// # Errors
    /// If the process ends or answers with an error.
    pub fn ask(&mut self, request: &Value) -> Result<Reply, ContestantError> {
        let Some(pipe) = self.requests.as_mut() else {
            return Err(ContestantError("it has been closed".into()));
        };
        writeln!(pipe, "{request}")
            .and_then(|()| pipe.flush())
            .map_err(|error| ContestantError(error.to_string()))?;
        let reply = self.line()?;
        if let Some(error) = reply.get("error") {
            return Err(ContestantError(error.as_str().map_or_else(|| error.to_string(), str::to_owned)));
        }
        Reply::deserialize(&reply).map_err(|error| ContestantError(format!("its reply is not one: {error}")))
    }

    fn line(&mut self) -> Result<Value, ContestantError> {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(0) => Err(ContestantError("it ended without an answer".into())),
            Ok(_) => serde_json::from_str(&line).map_err(|_| ContestantError(format!("it said {line:?}"))),
            Err(error) => Err(ContestantError(error.to_string())),
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // End of input asks it to end; it is killed in case it does not listen.
        drop(self.requests.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Summary of one side.
///
/// `replies` must not be empty.
pub fn side(name: &str, replies: &[Reply]) -> Side {
    let times: Vec<f64> = replies.iter().map(|reply| reply.seconds).collect();
    Side {
        name: name.into(),
        version: replies.first().map(|reply| reply.version.clone()).unwrap_or_default(),
        median_s: median(&times).unwrap_or(f64::NAN),
        min_s: times.iter().copied().fold(f64::INFINITY, f64::min),
        max_s: times.iter().copied().fold(0.0, f64::max),
        peak_bytes: replies.iter().filter_map(|reply| reply.peak_bytes).max(),
    }
}

/// Median over pairs of peer ÷ ours.
pub fn ratio(ours: &[Reply], peer: &[Reply]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| peer.seconds / ours.seconds).collect();
    median(&ratios).unwrap_or(f64::NAN)
}

/// Peak resident memory of this process, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
