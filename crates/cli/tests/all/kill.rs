//! Killed at any moment, the same command ends with the same verdict.
//!
//! Two runs at smoke scale: `topo`, with a generated setting large enough that its searches checkpoint, and the training of
//! `reversal-curse`. What is compared, byte for byte: `verdict.json`, and of every cell `result.json`, `metrics.jsonl`, the
//! artifacts and the last checkpoint, which holds the final weights where a network was trained.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backstitch_claim::write::{PHASES, WRITES};
use tempfile::TempDir;

/// One setting, 30 nodes and a small candidate set: a few dozen steps per search, so that there are checkpoints to die at.
const SETTINGS: &str = r#"settings=[{"name":"er4","data":{"graph":"erdos-renyi","nodes":30,"edges":120,"rows":200,
"noise":"gauss","scale":{"equal":1.0},"unit_variance":true,"weight_low":0.5,"weight_high":2.0}}]"#;

/// The writes of cells; a process of its own dies there, and the run goes on with the other cells.
const CELL_WRITES: [&str; 4] = ["artifact", "checkpoint", "timing", "result"];
/// The writes of the run itself.
const RUN_WRITES: [&str; 3] = ["run", "verdict", "report"];

/// Arguments of `reproduce`.
type Subject = &'static [&'static str];

const SEARCH: Subject =
    &["topo", "--scale", "smoke", "--set", SETTINGS, "--set", "topo.small=20", "--set", "topo.large=40"];
const TRAINING: Subject = &[
    "reversal-curse",
    "--scale",
    "smoke",
    "--set",
    "people_fit.steps=40",
    "--set",
    "symbolic_fit.steps=40",
    "--set",
    "checkpoint_every=5",
];

fn command(subject: Subject, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    command.current_dir(folder).arg("reproduce").args(subject);
    command.env_remove("BACKSTITCH_DATA").env_remove("BACKSTITCH_REQUIRE_DATA").env("HOME", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn finish(subject: Subject, folder: &Path) -> ExitStatus {
    command(subject, folder).status().unwrap()
}

/// Every file that must not depend on the history of the run.
fn outcome(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, root, files);
            } else if matches!(
                name.as_str(),
                "verdict.json"
                    | "result.json"
                    | "metrics.jsonl"
                    | "search.json"
                    | "weights.json"
                    | "checkpoint"
            ) {
                files.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(&folder.join("runs"), folder, &mut files);
    files
}

/// An uninterrupted run, and how long it took.
fn uninterrupted(subject: Subject) -> (BTreeMap<PathBuf, Vec<u8>>, Duration) {
    let folder = TempDir::new().unwrap();
    let begin = Instant::now();
    assert_eq!(finish(subject, folder.path()).code(), Some(0));
    let outcome = outcome(folder.path());
    assert!(outcome.keys().any(|path| path.ends_with("verdict.json")));
    let checkpoints = outcome.keys().filter(|path| path.ends_with("metrics.jsonl"));
    assert!(checkpoints.count() >= 4, "the run has searches that can be cut");
    (outcome, begin.elapsed())
}

fn assert_same(found: &BTreeMap<PathBuf, Vec<u8>>, expected: &BTreeMap<PathBuf, Vec<u8>>, history: &str) {
    let (mine, theirs): (Vec<_>, Vec<_>) = (found.keys().collect(), expected.keys().collect());
    assert_eq!(mine, theirs, "{history}");
    for (path, bytes) in expected {
        assert!(found[path] == *bytes, "{history}: {} differs", path.display());
    }
}

fn twenty_kills_at_random_moments(subject: Subject) {
    let (expected, time) = uninterrupted(subject);
    let folder = TempDir::new().unwrap();
    // Moments spread over the whole run; a fixed sequence, but the machine makes it random enough.
    let mut landed = 0;
    for kill in 0..20_u32 {
        if kill % 5 == 0 {
            // Start over four times, so that early moments are cut too.
            let _ = fs::remove_dir_all(folder.path().join("runs"));
        }
        let mut child = group(&mut command(subject, folder.path()));
        std::thread::sleep(time.mul_f64(f64::from(kill * 7 % 20) / 20.0));
        // Half of the kills take the cells along, half leave them as orphans that must end by themselves.
        let target = if kill % 2 == 0 { format!("-{}", child.id()) } else { child.id().to_string() };
        let killed =
            Command::new("kill").args(["-KILL", "--", &target]).stderr(Stdio::null()).status().unwrap();
        landed += u32::from(killed.success());
        child.wait().unwrap();
    }
    assert!(landed >= 10, "only {landed} of 20 kills met a living process");
    assert_eq!(finish(subject, folder.path()).code(), Some(0));
    assert_same(&outcome(folder.path()), &expected, "after twenty kills");
}

#[test]
fn a_search_survives_twenty_kills_at_random_moments() {
    twenty_kills_at_random_moments(SEARCH);
}

#[test]
fn a_training_survives_twenty_kills_at_random_moments() {
    twenty_kills_at_random_moments(TRAINING);
}

/// Dies at every phase of the named writes, one after the other, and then continues to the end.
fn deaths(subject: Subject, writes: &[&str]) {
    let (expected, _) = uninterrupted(subject);
    for name in writes {
        let folder = TempDir::new().unwrap();
        for phase in PHASES {
            let point = format!("{name}:{phase}");
            if phase == "created" || phase == "renamed" {
                // The middle phases continue what the first left behind; the last starts over.
                let _ = fs::remove_dir_all(folder.path().join("runs"));
            }
            let status = command(subject, folder.path()).env("BACKSTITCH_KILL_AT", &point).status().unwrap();
            if RUN_WRITES.contains(name) {
                assert_eq!(status.code(), None, "{point}: the run must die there, it ended with {status}");
            } else {
                assert_eq!(
                    status.code(),
                    Some(4),
                    "{point}: cells must die there, the run ended with {status}"
                );
            }
        }
        assert_eq!(finish(subject, folder.path()).code(), Some(0), "after {name}");
        assert_same(&outcome(folder.path()), &expected, name);
    }
}

#[test]
fn a_death_at_every_phase_of_every_write() {
    let writes: Vec<&str> = CELL_WRITES.into_iter().chain(RUN_WRITES).collect();
    let reached: BTreeSet<&str> = writes.iter().copied().collect();
    assert_eq!(reached, WRITES.into_iter().collect(), "every write of a run has its turn");
    deaths(SEARCH, &writes);
}

#[test]
fn a_training_dies_at_every_phase_of_a_checkpoint() {
    deaths(TRAINING, &["checkpoint", "result"]);
}

#[test]
fn threads_and_jobs_change_nothing() {
    for subject in [SEARCH, TRAINING] {
        let (expected, _) = uninterrupted(subject);
        for (jobs, threads) in [("1", "1"), ("1", "2"), ("3", "2"), ("2", "3")] {
            let folder = TempDir::new().unwrap();
            let mut command = command(subject, folder.path());
            let status = command.args(["--jobs", jobs, "--threads", threads]).status().unwrap();
            assert_eq!(status.code(), Some(0), "{jobs} jobs, {threads} threads");
            assert_same(&outcome(folder.path()), &expected, &format!("{jobs} jobs, {threads} threads"));
        }
    }
}

/// Starts a process in a group of its own, so that it can be killed with all its cells.
fn group(command: &mut Command) -> Child {
    use std::os::unix::process::CommandExt;
    command.process_group(0).spawn().unwrap()
}
