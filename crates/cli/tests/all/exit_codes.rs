//! Exit codes: 0 done, 1 a claim fails, 2 wrong input, 3 nothing decided, 4 internal error, 130 interrupted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Outcome, SHORT_DAGMA, Sandbox, json_file, small_settings};
use crate::verbs::long_chain;

/// All arms on a file of the user's, at quick scale with five seeds.
fn on_own_data(sandbox: &Sandbox) -> Outcome {
    sandbox.write("own.csv", long_chain());
    sandbox.run(&[&["reproduce", "topo", "--data", "own.csv", "--seeds", "5"], &SHORT_DAGMA[..]].concat())
}

fn verdicts(sandbox: &Sandbox) -> Vec<String> {
    let file = json_file(&sandbox.only_run().join("verdict.json"));
    let claims = file["claims"].as_array().unwrap().iter();
    claims.map(|claim| claim["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn zero_when_something_holds_and_nothing_fails() {
    let sandbox = Sandbox::new();
    let outcome = on_own_data(&sandbox);
    let verdicts = verdicts(&sandbox);
    assert!(verdicts.contains(&"holds".into()) && !verdicts.contains(&"fails".into()), "{verdicts:?}");
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn one_when_a_claim_fails() {
    let sandbox = Sandbox::new();
    // No weight of ours reaches this threshold, so our graph is empty and DAGMA's scores better.
    let settings = small_settings();
    let arguments = ["reproduce", "topo", "--seeds", "5", "--set", &settings, "--set", "threshold=50"];
    let outcome = sandbox.run(&[&arguments[..], &SHORT_DAGMA].concat());
    let verdicts = verdicts(&sandbox);
    assert!(verdicts.contains(&"holds".into()) && verdicts.contains(&"fails".into()), "{verdicts:?}");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("fails        (reduced)"), "{}", outcome.stdout);
}

#[test]
fn three_when_nothing_is_decided() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.expect(3, &["reproduce", "topo", "--set", "settings=[]"]);
    assert!(outcome.stdout.contains("not-run      (mechanism)"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("backstitch data get sachs"), "says how to get it: {}", outcome.stdout);
}

#[test]
fn four_when_a_cell_fails() {
    let sandbox = Sandbox::new();
    // Making a run does not read the file as a table; its cells do.
    sandbox.write("own.csv", "a,b,c\n1,2,three\n");
    sandbox.expect(0, &["plan", "topo", "--data", "own.csv", "--seeds", "5", "--out", "own"]);
    let outcome = sandbox.expect(4, &["cell", "own", "topo.own.0"]);
    assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains("\"three\""), "{outcome:?}");
    assert!(!sandbox.path("own/cells/topo.own.0/result.json").exists());
    let outcome = sandbox.expect(4, &["reproduce", "topo", "--data", "own.csv", "--seeds", "5"]);
    assert!(outcome.stderr.contains("the cell `topo.own.0` failed: "), "{outcome:?}");
    assert!(outcome.stdout.contains("not-run      (own)"), "{outcome:?}");
}

#[test]
fn interrupted_it_says_130_and_the_same_command_finishes() {
    let sandbox = Sandbox::new();
    let arguments = ["reproduce", "topo", "--scale", "smoke", "--jobs", "1", "-v"];
    let mut child =
        sandbox.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // After some cells, long before the last.
    let before: Vec<String> = lines.by_ref().take(6).map(Result::unwrap).collect();
    signal("INT", child.id());
    let after: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{before:?} {after:?}");
    assert!(after.contains(&"interrupted; the same command continues".into()), "{after:?}");
    let run = sandbox.only_run();
    assert!(!run.join("verdict.json").exists());

    let outcome = sandbox.expect(0, &arguments);
    assert!(outcome.stderr.contains(" finished before"), "{}", outcome.stderr);
    assert_eq!(sandbox.only_run(), run);
    let other = Sandbox::new();
    other.expect(0, &arguments);
    let verdict = |run: &std::path::Path| std::fs::read(run.join("verdict.json")).unwrap();
    assert!(verdict(&run) == verdict(&other.only_run()), "the same verdict as without the interruption");
}

/// A cell whose parent is killed ends soon, although nothing told it to.
#[test]
fn an_orphaned_cell_ends() {
    let sandbox = Sandbox::new();
    // One cell that would take minutes, and needs no time before it starts.
    let slow = r#"settings=[{"name":"er4","data":{"graph":"erdos-renyi","nodes":150,"edges":600,"rows":1000,"noise":"gauss","scale":{"equal":1.0},"unit_variance":true,"weight_low":0.5,"weight_high":2.0}}]"#;
    let arguments =
        ["reproduce", "topo", "--out", "run", "--jobs", "2", "--set", slow, "--set", "dagma.tolerance=0.0"];
    let mut child = sandbox.command(&arguments).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let cell = loop {
        assert!(child.try_wait().unwrap().is_none(), "it has to be slow for this test");
        if let Some(cell) = running_cell(child.id())
            && sandbox.path("run/cells/dagma.er4.0/lock").exists()
        {
            break cell;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let begin = Instant::now();
    while alive(cell) {
        assert!(begin.elapsed() < Duration::from_secs(20), "the cell {cell} goes on without its parent");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!sandbox.path("run/cells/dagma.er4.0/result.json").exists());
}

/// The DAGMA cell that this process runs now, which is the slow one.
fn running_cell(parent: u32) -> Option<u32> {
    let mut children = std::fs::read_dir(format!("/proc/{parent}/task"))
        .ok()?
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let ids: String = children.by_ref().collect::<Vec<_>>().join(" ");
    ids.split_whitespace().filter_map(|id| id.parse().ok()).find(|id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("\0dagma.er4.0\0")
    })
}

fn alive(process: u32) -> bool {
    // A zombie that nobody has collected yet is dead too.
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(status.success());
}
