//! How `reproduce` finds, continues, extends and refuses runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::sandbox::{SHORT_DAGMA, Sandbox, folders, json_file, small_settings, smoke_cells};
use crate::verbs::long_chain;

const SMOKE: [&str; 4] = ["reproduce", "topo", "--scale", "smoke"];

/// Bytes and time of every `result.json`, by cell.
fn results(run: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let cells = folders(&run.join("cells"));
    cells
        .iter()
        .map(|cell| {
            let file = cell.join("result.json");
            let time = std::fs::metadata(&file).unwrap().modified().unwrap();
            (cell.file_name().unwrap().to_string_lossy().into_owned(), (std::fs::read(&file).unwrap(), time))
        })
        .collect()
}

#[test]
fn smoke_scale_runs_everything_and_judges_nothing() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &SMOKE);
    let verdict = json_file(&sandbox.only_run().join("verdict.json"));
    let claims = verdict["claims"].as_array().unwrap();
    assert!(claims.len() > 5);
    for claim in claims {
        assert_eq!(claim["verdict"], "not-run");
        assert!(claim["reason"].as_str().unwrap().contains("smoke"));
    }
    assert!(sandbox.only_run().join("report.html").exists());
}

#[test]
fn training_tells_tokens_per_second() {
    let sandbox = Sandbox::new();
    let reproduce = ["reproduce", "reversal-curse", "--scale", "smoke"];
    let all_of = |stderr: &str| -> u64 {
        let line = stderr.lines().find(|line| line.contains(" tokens/s per job")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let outcome = sandbox.expect(0, &reproduce);
    let mut told = 0;
    for cell in folders(&folders(&sandbox.path("runs/reversal-curse"))[0].join("cells")) {
        let throughput = &json_file(&cell.join("timing.json"))["throughput"];
        let Some(amount) = throughput["amount"].as_u64() else { continue };
        assert_eq!(throughput["unit"], "tokens");
        assert!(throughput["seconds"].as_f64().unwrap() > 0.0);
        told += amount;
        let result = json_file(&cell.join("result.json"));
        let observations = result["observations"].as_array().unwrap();
        let counted = observations.iter().find(|one| one["metric"] == "tokens").unwrap();
        // Lessons with facts in the context are made up step by step; their tokens are not those of the plain lessons.
        if result["cell"]["arm"] != "in-context" {
            assert_eq!(counted["value"].as_f64(), Some(amount as f64), "{cell:?}");
        }
    }
    assert!(told > 0);
    assert_eq!(all_of(&outcome.stderr), told);
    // Nothing is left to train, and what was told before is told again.
    assert_eq!(all_of(&sandbox.expect(0, &reproduce).stderr), told);
}

#[test]
fn the_same_command_continues_and_runs_nothing_twice() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &SMOKE);
    let run = sandbox.only_run();
    let (before, verdict) = (results(&run), std::fs::read(run.join("verdict.json")).unwrap());
    // One cell is lost, one is torn.
    std::fs::remove_file(run.join("cells/topo.er2.0/result.json")).unwrap();
    std::fs::write(run.join("cells/topo.er4.1/result.json"), "{\"schema\": \"backst").unwrap();
    let outcome = sandbox.expect(0, &SMOKE);
    let (all, without) = smoke_cells(2);
    let finished = all - without - 2;
    let said = format!("{all} cells, {finished} finished before, {without} without their data");
    assert!(outcome.stderr.contains(&said), "{outcome:?}");
    let after = results(&sandbox.only_run());
    let again: Vec<&String> = before.keys().filter(|cell| before[*cell].1 != after[*cell].1).collect();
    assert_eq!(again, ["topo.er2.0", "topo.er4.1"]);
    assert!(before.iter().all(|(cell, (bytes, _))| *bytes == after[cell].0));
    assert!(std::fs::read(run.join("verdict.json")).unwrap() == verdict);
}

#[test]
fn more_seeds_extend_the_same_directory() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &SMOKE);
    let run = sandbox.only_run();
    let before = results(&run);
    let outcome = sandbox.expect(0, &[&SMOKE[..], &["--seeds", "3"]].concat());
    let ((two, two_without), (three, three_without)) = (smoke_cells(2), smoke_cells(3));
    let finished = two - two_without;
    let said = format!("{three} cells, {finished} finished before, {three_without} without their data");
    assert!(outcome.stderr.contains(&said), "{outcome:?}");
    assert_eq!(sandbox.only_run(), run);
    let after = results(&run);
    assert_eq!(after.len(), before.len() / 2 * 3);
    assert!(before.iter().all(|(cell, found)| after[cell] == *found), "a finished cell ran again");
    let verdict = json_file(&run.join("verdict.json"));
    assert_eq!((&verdict["seeds"], &verdict["recorded"]), (&json!([0, 1, 2]), &json!(false)));
    // Fewer seeds again: the verdict of the first time, from what is there.
    let outcome = sandbox.expect(0, &SMOKE);
    assert!(outcome.stderr.contains(&format!("{two} cells, {finished} finished before")), "{outcome:?}");
    assert_eq!(json_file(&run.join("verdict.json"))["seeds"], json!([0, 1]));
}

#[test]
fn fresh_makes_another_and_the_plain_command_continues_the_latest() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &SMOKE);
    let first = sandbox.only_run();
    let before = results(&first);
    sandbox.expect(0, &[&SMOKE[..], &["--fresh"]].concat());
    let runs = folders(&sandbox.path("runs/topo"));
    assert_eq!(runs.len(), 2);
    let second = runs.iter().find(|run| **run != first).unwrap();
    assert_eq!(second.to_string_lossy(), format!("{}-2", first.display()));
    let verdict = |run: &Path| std::fs::read(run.join("verdict.json")).unwrap();
    assert!(verdict(&first) == verdict(second), "the same work gives the same verdict");

    std::fs::remove_file(second.join("cells/topo.er2.0/result.json")).unwrap();
    let outcome = sandbox.expect(0, &SMOKE);
    let (all, without) = smoke_cells(2);
    assert!(outcome.stderr.contains(&format!("{} finished before", all - without - 1)), "{outcome:?}");
    assert!(outcome.stderr.contains(&*second.file_name().unwrap().to_string_lossy()), "{outcome:?}");
    assert!(second.join("cells/topo.er2.0/result.json").exists());
    assert!(results(&first) == before, "the first run was touched");
    assert_eq!(folders(&sandbox.path("runs/topo")).len(), 2);
}

#[test]
fn a_directory_of_another_configuration_is_refused_with_the_difference() {
    let sandbox = Sandbox::new();
    let out = |more: &[&'static str]| [&SMOKE[..], &["--out", "mine"], more].concat();
    sandbox.expect(0, &out(&[]));
    let (run, before) = (sandbox.read("mine/run.json"), results(&sandbox.path("mine")));
    let cases: [(&[&'static str], &str); 2] = [
        (&["--set", "threshold=0.5"], "threshold is 0.3 there and 0.5 here"),
        (&["--scale", "quick"], "scale is smoke there and quick here"),
    ];
    for (more, difference) in cases {
        let arguments = if more[0] == "--scale" {
            [&["reproduce", "topo", "--out", "mine"], more].concat()
        } else {
            out(more)
        };
        for verb in ["reproduce", "plan"] {
            let mut arguments = arguments.clone();
            arguments[0] = verb;
            let outcome = sandbox.expect(2, &arguments);
            assert!(outcome.stderr.contains(difference), "{outcome:?}");
            assert!(outcome.stderr.contains("hint: give another --out"), "{outcome:?}");
        }
    }
    assert_eq!(sandbox.read("mine/run.json"), run);
    assert!(results(&sandbox.path("mine")) == before);
    // A folder of something else is left as it was.
    std::fs::create_dir(sandbox.path("thesis")).unwrap();
    sandbox.write("thesis/chapter.txt", "mine");
    let outcome = sandbox.expect(2, &[&SMOKE[..], &["--out", "thesis"]].concat());
    assert!(outcome.stderr.contains("it has files, but no run.json"), "{outcome:?}");
    assert_eq!(sandbox.entries("thesis"), ["chapter.txt"]);
}

#[test]
fn a_directory_in_use_is_refused_and_left_alone() {
    let sandbox = Sandbox::new();
    let out = [&SMOKE[..], &["--out", "mine"]].concat();
    sandbox.expect(0, &out);
    let run = sandbox.read("mine/run.json");
    let lock = std::fs::OpenOptions::new().write(true).open(sandbox.path("mine/run.lock")).unwrap();
    lock.lock().unwrap();
    let outcome = sandbox.expect(2, &[&out[..], &["--seeds", "3"]].concat());
    assert!(outcome.stderr.contains("mine is in use by another process"), "{outcome:?}");
    assert_eq!(sandbox.read("mine/run.json"), run);
}

#[test]
fn what_cannot_be_run_leaves_no_directory() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 8] = [
        (&["--set", "rows=5"], "`rows` is not a key of this configuration; it has "),
        (&["--set", "dagma.sped=1"], "`dagma.sped` is not a key"),
        (&["--set", "settings"], "expected KEY=VALUE"),
        (&["--set", "threshold=high"], "expected f64"),
        (&["--seeds", "0"], "0 is not in 1..=10000"),
        (&["--seeds", "99999999999999999"], "99999999999999999 is not in 1..=10000"),
        (&["--seed", "18446744073709551615"], "18446744073709551615 is not in 0..="),
        (&["--record", "results"], "--record takes the recorded configuration"),
    ];
    for (more, word) in cases {
        let outcome = sandbox.expect(2, &[&SMOKE[..], more].concat());
        assert!(outcome.stderr.contains(word), "{more:?}: {}", outcome.stderr);
        assert_eq!(sandbox.entries(""), [""; 0], "{more:?}");
    }
    for out in ["/dev/null/run", "/proc/run"] {
        sandbox.expect(2, &[&SMOKE[..], &["--out", out]].concat());
    }
}

#[test]
fn the_users_own_file_gives_verdicts_of_scope_own() {
    let sandbox = Sandbox::new();
    sandbox.write("own.csv", long_chain());
    let arguments = [&["reproduce", "topo", "--data", "own.csv", "--seeds", "5"], &SHORT_DAGMA[..]].concat();
    let outcome = sandbox.run(&arguments);
    assert!([Some(0), Some(1), Some(3)].contains(&outcome.code), "{outcome:?}");
    assert!(outcome.stdout.contains("(own)") && !outcome.stdout.contains("(reduced)"), "{outcome:?}");
    let run = sandbox.only_run();
    let verdict = json_file(&run.join("verdict.json"));
    let claims = verdict["claims"].as_array().unwrap();
    assert!(!claims.is_empty());
    for claim in claims {
        assert_eq!((&claim["scope"], &claim["published"]), (&json!("own"), &Value::Null));
        assert_ne!(claim["verdict"], "not-run", "{claim}");
    }
    let data = &verdict["data"];
    assert_eq!(
        (&data[0]["name"], &data[0]["synthetic"], data.as_array().unwrap().len()),
        (&json!("own"), &json!(false), 1)
    );
    assert!(verdict["observations"].as_array().unwrap().iter().all(|seen| seen["setting"] == "own"));

    // Another content is another run; the same content elsewhere is the same one.
    sandbox.write("copy.csv", long_chain());
    let mut copied = arguments.clone();
    copied[3] = "copy.csv";
    sandbox.run(&copied);
    assert_eq!(sandbox.only_run(), run);
    sandbox.write("own.csv", long_chain().replacen("0.3,", "0.4,", 1));
    sandbox.run(&arguments);
    assert_eq!(folders(&sandbox.path("runs/topo")).len(), 2);
}

#[test]
fn the_verdict_does_not_depend_on_jobs_and_threads() {
    let settings = small_settings();
    let verdict = |jobs: &str, threads: &str| {
        let sandbox = Sandbox::new();
        let mut arguments = vec!["reproduce", "topo", "--seeds", "5", "--set", &settings];
        arguments.extend(["--jobs", jobs, "--threads", threads]);
        arguments.extend(SHORT_DAGMA);
        sandbox.run(&arguments);
        std::fs::read(sandbox.only_run().join("verdict.json")).unwrap()
    };
    let one = verdict("1", "1");
    assert!(one == verdict("2", "2"));
    let decided = serde_json::from_slice::<Value>(&one).unwrap();
    assert!(decided["claims"].as_array().unwrap().iter().any(|claim| claim["verdict"] == "holds"));
}

/// More jobs than the machine can have threads, and more threads than cores, are no reason to fail.
#[test]
fn any_number_of_jobs_and_threads_is_taken() {
    let sandbox = Sandbox::new();
    sandbox
        .expect(0, &[&SMOKE[..], &["--jobs", "1000000", "--threads", "3", "--set", "settings=[]"]].concat());
}

#[test]
fn data_that_changes_between_plan_and_cell_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("own.csv", long_chain());
    let arguments = ["topo", "--data", "own.csv", "--seeds", "5", "--out", "own"];
    sandbox.expect(0, &[&["plan"][..], &arguments].concat());
    sandbox.write("own.csv", long_chain().replacen("0.3,", "0.4,", 1));
    let outcome = sandbox.expect(2, &["cell", "own", "topo.own.0"]);
    assert!(outcome.stderr.contains("own.csv has changed since this run was made"), "{outcome:?}");
    let outcome = sandbox.expect(2, &[&["reproduce"][..], &arguments].concat());
    assert!(outcome.stderr.contains("data is own="), "{outcome:?}");
    std::fs::remove_file(sandbox.path("own.csv")).unwrap();
    let outcome = sandbox.expect(2, &["cell", "own", "topo.own.0"]);
    assert!(outcome.stderr.contains("own.csv cannot be read"), "{outcome:?}");
    sandbox.write("own.csv", long_chain());
    sandbox.expect(0, &["cell", "own", "topo.own.0"]);
    assert_eq!(folders(&sandbox.path("own/cells")).len(), 1);
}

/// A verdict must not carry the name of a study that did not give it.
#[test]
fn a_run_of_another_revision_is_neither_continued_nor_judged() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &[&SMOKE[..], &["--out", "old"]].concat());
    let (run, verdict) = (json_file(&sandbox.path("old/run.json")), sandbox.read("old/verdict.json"));
    let revision = run["revision"].as_u64().unwrap();
    let changes = [
        ("revision", json!(revision + 1), "this build has revision"),
        ("claims_hash", json!("0".repeat(64)), "other claims than this build"),
    ];
    for (key, value, word) in changes {
        let mut other = run.clone();
        other[key] = value;
        sandbox.write("old/run.json", other.to_string());
        for arguments in [&["report", "old"][..], &["cell", "old", "topo.er2.0"]] {
            let outcome = sandbox.expect(2, arguments);
            assert!(outcome.stderr.contains(word), "{outcome:?}");
        }
        assert_eq!(sandbox.read("old/verdict.json"), verdict);
    }
}
