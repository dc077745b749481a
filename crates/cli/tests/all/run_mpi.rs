//! `run ef21-w fit --mpi` under `mpirun`. Needs the feature `mpi` and the programs of Debian's openmpi-bin.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run_ef21_w::rows;
use crate::sandbox::{Sandbox, json_file};

const FIT: [&str; 7] = ["run", "ef21-w", "fit", "--data", "rows.txt", "--compressor", "top:2"];

/// `mpirun` with our program on some ranks, as the superuser that tests often are.
fn mpirun(folder: &Path, ranks: &str, more: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--allow-run-as-root", "--oversubscribe", "-n", ranks, env!("CARGO_BIN_EXE_backstitch")])
        .args(FIT)
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn weights(model: &Value) -> Vec<f64> {
    model["model"]["weights"].as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect()
}

#[test]
fn four_ranks_visit_the_points_of_a_simulation() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(400));
    for more in [
        &["--clients", "13", "--rounds", "300"][..],
        &["--clients", "13", "--rounds", "100", "--participation", "0.6", "--batch", "7"],
    ] {
        sandbox.expect(0, &[&FIT[..], more, &["--out", "alone"]].concat());
        let output =
            mpirun(&sandbox.path(""), "4", &[more, &["--mpi", "--out", "ranks"]].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        // Only the first rank speaks.
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches("400 rows").count(), 1, "{said}");
        let [alone, ranks] =
            ["alone", "ranks"].map(|out| weights(&json_file(&sandbox.path(out).join("model.json"))));
        let apart =
            alone.iter().zip(&ranks).fold(0.0, |most: f64, (one, other)| most.max((one - other).abs()));
        assert!(apart <= 1e-12 && alone.len() == 12, "{apart}");
    }
}

#[test]
fn more_ranks_than_clients_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(40));
    let output = mpirun(&sandbox.path(""), "3", &["--mpi", "--clients", "2"]).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error: 3 ranks share 2 clients") && said.contains("hint: start fewer ranks"),
        "{said}"
    );
}

/// The processes of our program below `mpirun`, told by their folder.
fn ranks_of(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ours = |entry: &fs::DirEntry| {
        let program = fs::read_link(entry.path().join("exe")).ok()?;
        let here = fs::read_link(entry.path().join("cwd")).ok()?;
        (program == Path::new(env!("CARGO_BIN_EXE_backstitch")) && here == folder).then_some(())
    };
    entries
        .filter(|entry| ours(entry).is_some())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Waits for a child, but not for ever.
fn ends(child: &mut Child) -> Option<std::process::ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn a_rank_that_dies_ends_the_job_with_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(400));
    let folder = sandbox.path("");
    let mut job =
        mpirun(&folder, "3", &["--mpi", "--clients", "13", "--rounds", "100000000", "--out", "ranks"])
            .spawn()
            .unwrap();
    let begin = Instant::now();
    let mut ranks = Vec::new();
    while ranks.len() < 3 && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
        ranks = ranks_of(&folder);
    }
    // They are in their rounds by then, which would take hours.
    std::thread::sleep(Duration::from_millis(500));
    let killed =
        Command::new("kill").args(["-9", &ranks.last().expect("ranks").to_string()]).status().unwrap();
    assert!(killed.success());
    let status = ends(&mut job);
    if status.is_none() {
        let _ = job.kill();
    }
    assert!(status.is_some_and(|status| !status.success()), "{status:?}");
    assert!(!sandbox.path("ranks").exists());
}
