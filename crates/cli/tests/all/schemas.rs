//! Every kind of file and `--json` output is what its schema in `docs/schemas/` says, and nothing else is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use backstitch_claim::{Run, VerdictFile, results};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::loopback::Loopback;
use crate::run_probtree;
use crate::sandbox::{SHORT_DAGMA, Sandbox, folders, json_file, smoke_cells};
use crate::verbs::{CHAIN, long_chain};

#[test]
fn list() {
    let sandbox = Sandbox::new();
    let whole = sandbox.expect(0, &["list", "--json"]).json();
    assert_eq!(whole.as_array().unwrap().len(), 54);
    hold("list", &whole, &[]);
    hold("list", &sandbox.expect(0, &["list", "--json", "--family", "science"]).json(), &[]);
}

#[test]
fn topo() {
    let sandbox = Sandbox::new();
    sandbox.write("chain.csv", CHAIN);
    sandbox.write("truth.csv", "from,to\na,b\n");
    let arguments = ["run", "topo", "--data", "chain.csv", "--json"];
    hold("topo", &sandbox.expect(0, &arguments).json(), &[]);
    let arguments = [&arguments[..], &["--truth", "truth.csv", "--out", "graph"]].concat();
    let said = sandbox.expect(0, &arguments).json();
    hold("topo", &said, &[]);
    assert_eq!(said, json_file(&sandbox.path("graph/summary.json")));
    // A graph without edges.
    let empty =
        sandbox.expect(0, &["run", "topo", "--data", "chain.csv", "--json", "--threshold", "99"]).json();
    assert_eq!(empty["edges"], json!([]));
    hold("topo", &empty, &[]);
}

#[test]
#[cfg(feature = "in-process")]
fn fobar() {
    let sandbox = Sandbox::new();
    sandbox
        .expect(0, &["embedded", "questions", "--skill", "arithmetic", "--count", "12", "--out", "q.jsonl"]);
    let run = |out: &str, code: i32| {
        sandbox.expect(code, &["run", "fobar", "--model", "embedded", "--data", "q.jsonl", "--out", out]);
        let lines = std::fs::read_to_string(sandbox.path(out)).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let lines = run("answers.jsonl", 0);
    let checked = lines.iter().find(|line| line["unchecked"].is_null()).unwrap();
    hold("fobar-answer", checked, &[]);
    let unchecked = lines.iter().find(|line| !line["unchecked"].is_null()).unwrap();
    hold("fobar-answer", unchecked, &[]);
    // The embedded models do not know the word.
    let other = "{\"id\": \"other\", \"question\": \"A zebra has 2 ears. How many have 3 zebras?\"}\n";
    sandbox.write("q.jsonl", std::fs::read_to_string(sandbox.path("q.jsonl")).unwrap() + other);
    let lines = run("more.jsonl", 1);
    hold("fobar-answer", lines.last().unwrap(), &[]);
}

#[test]
fn probtree_answers() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(run_probtree::model);
    run_probtree::write(&sandbox, 2);
    let open = ["--passages", "passages.jsonl", "--out", "answers.jsonl"];
    sandbox.expect(0, &run_probtree::arguments(&server.base, &open));
    for line in sandbox.read("answers.jsonl").lines() {
        hold("probtree-answers", &serde_json::from_str(line).unwrap(), &[]);
    }
    // A limit leaves lines that say so.
    let limited = ["--closed-book", "--out", "limited.jsonl", "--no-cache", "--max-requests", "1"];
    sandbox.expect(130, &run_probtree::arguments(&server.base, &limited));
    for line in sandbox.read("limited.jsonl").lines() {
        hold("probtree-answers", &serde_json::from_str(line).unwrap(), &[]);
    }
}

#[test]
fn run_cell_verdict_and_results() {
    let sandbox = Sandbox::new();
    // Smoke scale judges nothing.
    let smoke = ["reproduce", "topo", "--scale", "smoke", "--out", "smoke", "--json"];
    hold("verdict", &sandbox.expect(0, &smoke).json(), &[]);
    let run = sandbox.path("smoke");
    hold("run", &json_file(&run.join("run.json")), &["configuration"]);
    let cells = folders(&run.join("cells"));
    let (all, without) = smoke_cells(2);
    assert_eq!(cells.len(), all - without);
    let validator = validator("cell");
    for cell in &cells {
        accept("cell", &validator, &json_file(&cell.join("result.json")));
    }
    hold("cell", &json_file(&cells[0].join("result.json")), &[]);
    let restarts = cells.iter().find(|cell| cell.to_string_lossy().contains("random-restarts")).unwrap();
    hold("cell", &json_file(&restarts.join("result.json")), &[]);

    // The user's own data has verdicts.
    sandbox.write("own.csv", long_chain());
    let own = ["reproduce", "topo", "--data", "own.csv", "--seeds", "5", "--json"];
    let said = sandbox.run(&[&own[..], &SHORT_DAGMA].concat()).json();
    let run = sandbox.only_run();
    let verdict = json_file(&run.join("verdict.json"));
    assert_eq!(said, verdict);
    hold("verdict", &verdict, &[]);
    hold("run", &json_file(&run.join("run.json")), &["configuration"]);
    hold("cell", &json_file(&run.join("cells/topo.own.0/result.json")), &[]);

    // The recorded configuration takes minutes: the same writer is given the verdict that is here.
    let (run, verdict) = (serde_json::from_value::<Run>(json_file(&run.join("run.json"))).unwrap(), verdict);
    let verdict: VerdictFile = serde_json::from_value(verdict).unwrap();
    let path = results::record(&sandbox.path("results"), &run, &verdict, Duration::from_secs(3)).unwrap();
    assert_eq!(path, sandbox.path("results/topo/quick.json"));
    hold("results", &json_file(&path), &[]);
}

#[test]
fn bench() {
    let sandbox = Sandbox::new();
    let alone = sandbox.expect(0, &["bench", "topo", "--only", "d=30", "--pairs", "1", "--json"]).json();
    assert_eq!(alone["rows"][0]["peer"], Value::Null);
    hold("bench", &alone, &[]);

    // A peer that answers every request with an empty graph of 30 nodes.
    let graph = vec![vec![0; 30]; 30];
    let reply = json!({"version": "9", "seconds": 2.5, "peak_bytes": 4096, "answer": {"weights": graph}});
    let script =
        format!("#!/bin/sh\necho '{{\"ready\": true}}'\nwhile read -r request; do echo '{reply}'; done\n");
    sandbox.write("peer", script);
    std::fs::set_permissions(sandbox.path("peer"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["bench", "topo", "--only", "d=30", "--pairs", "3", "--json", "--record", "results"];
    let mut command = sandbox.command(&arguments);
    command.env("BACKSTITCH_PYTHON", sandbox.path("peer"));
    let beside = crate::sandbox::Outcome::of(command.output().unwrap()).json();
    assert_eq!(beside, json_file(&sandbox.path("results/topo/bench.json")));
    let row = &beside["rows"][0];
    assert_eq!((&row["peer"]["name"], &row["peer"]["median_s"]), (&json!("dagma"), &json!(2.5)));
    assert_eq!((&row["pairs"], &row["agree"]), (&json!(3), &json!(true)));
    assert!(row["ratio"].as_f64().unwrap() > 0.0);
    hold("bench", &beside, &[]);
}

/// A document is accepted; with a key more or less anywhere, or another word for a term, it is not. Below the keys in
/// `free` anything goes.
#[track_caller]
fn hold(schema: &str, document: &Value, free: &[&str]) {
    let validator = validator(schema);
    accept(schema, &validator, document);
    let mut mutants = Vec::new();
    mutate(document, &mut |mutant, what| mutants.push((mutant, what)), free);
    assert!(mutants.len() > 5, "{schema}: hardly anything to change");
    for (mutant, what) in mutants {
        assert!(!validator.is_valid(&mutant), "{schema}: accepted although {what}");
    }
}

/// The same of every line of a file, those with an id left out: there it may be missing too.
#[track_caller]
pub(crate) fn hold_lines(schema: &str, lines: &[Value]) {
    let validator = validator(schema);
    for line in lines {
        accept(schema, &validator, line);
        if line.get("id").is_none() {
            hold(schema, line, &[]);
        }
    }
}

#[track_caller]
fn accept(schema: &str, validator: &Validator, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .take(5)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {}", errors.join("\n"));
}

fn validator(schema: &str) -> Validator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let schema = json_file(&folder.join(format!("{schema}.schema.json")));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Words of a fixed vocabulary.
const TERMS: [&str; 7] = ["schema", "scale", "scope", "verdict", "role", "family", "state"];
/// Keys that a measurement may lack.
const OPTIONAL: [&str; 1] = ["item"];

/// Tells every change of one place of the document; of long lists only the first, the second and the last entry.
fn mutate(document: &Value, tell: &mut dyn FnMut(Value, String), free: &[&str]) {
    match document {
        Value::Object(object) => {
            let mut more = object.clone();
            more.insert("unexpected".into(), json!(1));
            tell(Value::Object(more), "a key is added".into());
            for (key, value) in object {
                if !OPTIONAL.contains(&key.as_str()) {
                    let mut less = object.clone();
                    less.remove(key);
                    tell(Value::Object(less), format!("{key} is gone"));
                }
                let mut other = object.clone();
                other.insert(key.clone(), json!({"unexpected": true}));
                if !free.contains(&key.as_str()) {
                    tell(Value::Object(other), format!("{key} is an object of something else"));
                }
                if TERMS.contains(&key.as_str()) && value.is_string() {
                    let mut other = object.clone();
                    other.insert(key.clone(), json!("perhaps"));
                    tell(Value::Object(other), format!("{key} is `perhaps`"));
                }
                if !free.contains(&key.as_str()) {
                    let mut inside = |mutant: Value, what: String| {
                        let mut whole = object.clone();
                        whole.insert(key.clone(), mutant);
                        tell(Value::Object(whole), format!("{key}: {what}"));
                    };
                    mutate(value, &mut inside, free);
                }
            }
        }
        Value::Array(entries) => {
            let last = entries.len().saturating_sub(1);
            for (i, entry) in entries.iter().enumerate().filter(|(i, _)| *i < 2 || *i == last) {
                let mut inside = |mutant: Value, what: String| {
                    // The others are left out: a short document is as wrong as a long one.
                    tell(json!([mutant]), format!("entry {i}: {what}"));
                };
                mutate(entry, &mut inside, free);
            }
        }
        _ => {}
    }
}
