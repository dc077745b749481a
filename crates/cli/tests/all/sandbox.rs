//! A folder of its own and a clean environment for every call of the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where a test works; gone when it ends.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary in this folder: no variable of ours, a home of its own, nothing on the search path.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstitch"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("PATH", self.path("no-programs")).env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end. It must never panic.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must end with this code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:?}");
        outcome
    }

    /// The one run directory below `runs/topo`.
    pub(crate) fn only_run(&self) -> PathBuf {
        let runs = folders(&self.path("runs/topo"));
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// Names of everything in the folder, in order.
    pub(crate) fn entries(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn of(output: Output) -> Self {
        let outcome = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
        for text in [&outcome.stdout, &outcome.stderr] {
            assert!(!text.contains('\x1b'), "escape codes without a terminal: {text:?}");
        }
        outcome
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The folders in a folder, in order of their names.
pub(crate) fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

/// A JSON file.
pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The six generated settings of the study of `topo`, shrunk: a verdict at quick scale within two seconds.
pub(crate) fn small_settings() -> String {
    let setting = |name: &str, graph: &str, noise: &str| {
        serde_json::json!({"name": name, "data": {
            "graph": graph, "nodes": 5, "edges": 5, "rows": 200, "noise": noise, "scale": {"equal": 1.0},
            "unit_variance": true, "weight_low": 0.5, "weight_high": 2.0,
        }})
    };
    let settings = serde_json::json!([
        setting("er2-small", "erdos-renyi", "gauss"),
        setting("er2", "erdos-renyi", "gauss"),
        setting("er2-exponential", "erdos-renyi", "exponential"),
        setting("er2-gumbel", "erdos-renyi", "gumbel"),
        setting("er4", "erdos-renyi", "gauss"),
        setting("sf2", "scale-free", "gauss"),
    ]);
    format!("settings={settings}")
}

/// Fewer iterations of the baseline: faster, no worse a test.
pub(crate) const SHORT_DAGMA: [&str; 4] =
    ["--set", "dagma.warm_iterations=200", "--set", "dagma.last_iterations=400"];

/// How many cells the study of topo has at smoke scale with this many seeds, and how many of them lack the data that a
/// sandbox does not have.
pub(crate) fn smoke_cells(seeds: u64) -> (usize, usize) {
    let study = &backstitch_studies::topo::STUDY;
    let seeds: Vec<u64> = (0..seeds).collect();
    let cells = study.checked_cells(&(study.configuration)(backstitch_claim::Scale::Smoke), &seeds).unwrap();
    (cells.len(), cells.iter().filter(|cell| !cell.data.is_empty()).count())
}
