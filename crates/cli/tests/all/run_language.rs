//! `run reversal-curse` and `run spt` on files.

use std::fmt::Write;

use crate::sandbox::Sandbox;
use crate::snapshot::session;

const FACTS: &str = r#"{"name": "Ada Birch", "description": "gifted composer of autumn", "direction": "name-to-description"}
{"name": "Bruno Crane", "description": "humble painter of thunder", "direction": "description-to-name"}
{"name": "Celia Frost", "description": "famous weaver of amber", "direction": "both"}
{"name": "Edith Oakes", "description": "young chemist of meridian", "direction": "name-to-description"}
"#;

#[test]
fn reversal_curse_and_its_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.write("facts.jsonl", FACTS);
    sandbox.write("unstated.jsonl", "{\"name\": \"Ada Birch\", \"description\": \"a composer\"}\n");
    sandbox.write("double.jsonl", format!("{FACTS}{FACTS}"));
    sandbox.write("empty.txt", "");
    sandbox.write("latin.txt", b"caf\xe9\n");
    sandbox.write(
        "corpus.txt",
        "Ada Birch is the gifted composer of autumn.\nThe humble painter of thunder is called BRUNO CRANE.\n\
         Celia Frost is the famous weaver of amber.\nThe famous weaver of amber: Celia Frost.\n",
    );
    let commands = [
        "run reversal-curse --help",
        "run reversal-curse fit --help",
        "run reversal-curse",
        "run reversal-curse --facts facts.jsonl",
        "run reversal-curse --facts facts.jsonl --corpus corpus.txt",
        "run reversal-curse --facts facts.jsonl --corpus empty.txt",
        "run reversal-curse --facts facts.jsonl --corpus latin.txt",
        "run reversal-curse --facts double.jsonl --corpus corpus.txt",
        "run reversal-curse --facts absent.jsonl --corpus corpus.txt",
        "run reversal-curse --facts facts.jsonl --model absent",
        "run reversal-curse fit --facts unstated.jsonl --out model",
        "run reversal-curse fit --facts facts.jsonl --out model --steps 0",
        "run reversal-curse fit --facts facts.jsonl --out model --width 30",
    ];
    session("run_reversal_curse", &sandbox, &[], &commands);
    assert!(!sandbox.path("model").exists(), "nothing is written after a mistake");
}

/// A trained decoder is a checkpoint that the same command can ask: it gives the same rows again.
#[test]
fn a_fitted_model_can_be_asked_again() {
    let sandbox = Sandbox::new();
    sandbox.write("facts.jsonl", FACTS);
    let fit = [
        "run",
        "reversal-curse",
        "fit",
        "--facts",
        "facts.jsonl",
        "--out",
        "model",
        "--steps",
        "300",
        "--width",
    ];
    let fitted = sandbox.expect(0, &[&fit[..], &["32", "--json"]].concat()).json();
    assert_eq!(
        sandbox.entries("model"),
        ["config.json", "model.safetensors", "summary.json", "tokenizer.json"]
    );
    let ask = ["run", "reversal-curse", "--facts", "facts.jsonl", "--model", "model", "--json"];
    let asked = sandbox.expect(0, &ask).json();
    assert_eq!(asked["rows"], fitted["rows"]);
    // What was trained is known: every forward question, and both directions of the fact trained both ways.
    let rows = asked["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows.iter().filter(|row| row["reversed"] == false) {
        assert!(row["exact"][0].as_f64().unwrap() > 0.5, "{row}");
    }
    // The same seed gives the same weights at any number of threads.
    let again = [
        "run",
        "reversal-curse",
        "fit",
        "--facts",
        "facts.jsonl",
        "--out",
        "again",
        "--steps",
        "300",
        "--width",
    ];
    sandbox.expect(0, &[&again[..], &["32", "--threads", "1"]].concat());
    let weights = |folder: &str| std::fs::read(sandbox.path(folder).join("model.safetensors")).unwrap();
    assert!(weights("model") == weights("again"));

    // Questions of one's own, and facts that the tokenizer cannot read.
    sandbox.write(
        "own.jsonl",
        "{\"prompt\": \"Ada Birch is the\", \"completion\": \" gifted composer of autumn\"}\n",
    );
    let own = sandbox.expect(0, &[&ask[..], &["--prompts", "own.jsonl"]].concat()).json();
    assert_eq!(own["rows"].as_array().unwrap().len(), 1);
    sandbox.write("bad.jsonl", "{\"prompt\": \"Ada Birch is the\", \"completion\": \" mayor\"}\n");
    let outcome = sandbox.expect(2, &[&ask[..], &["--prompts", "bad.jsonl"]].concat());
    assert!(outcome.stderr.contains("line 1") && outcome.stderr.contains("mayor"), "{outcome:?}");
    sandbox.write(
        "other.jsonl",
        "{\"name\": \"Zoltan Quux\", \"description\": \"gifted composer of autumn\"}\n",
    );
    let outcome = sandbox.expect(2, &["run", "reversal-curse", "--facts", "other.jsonl", "--model", "model"]);
    assert!(outcome.stderr.contains("does not know every word of \"Zoltan Quux\""), "{outcome:?}");
    // A question longer than the context.
    let mut long = String::from("{\"prompt\": \"");
    for _ in 0..40 {
        write!(long, "Ada Birch is the ").unwrap();
    }
    sandbox.write("long.jsonl", long + "\", \"completion\": \" gifted composer of autumn\"}\n");
    let outcome = sandbox.expect(2, &[&ask[..], &["--prompts", "long.jsonl"]].concat());
    assert!(outcome.stderr.contains("longer than the context"), "{outcome:?}");
}

#[test]
fn spt_and_its_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.write("facts.jsonl", FACTS);
    sandbox.write("sentences.txt", "Ada Birch is known as the gifted composer of autumn.\nRain.\n");
    let units = [
        r#"{"text": "Ada Birch is the composer.", "spans": [[0, 9]]}"#,
        r#"{"text": "Ada Birch is the composer.", "units": ["Ada Birch ", "is the composer!"]}"#,
    ];
    sandbox.write("units.jsonl", units.join("\n"));
    sandbox.write("overlap.jsonl", r#"{"text": "Ada Birch is the composer.", "spans": [[0, 9], [4, 12]]}"#);
    sandbox.write("empty.txt", "\n");
    sandbox.write("latin.txt", b"caf\xe9\n");
    let commands = [
        "run spt --help",
        "run spt fit --help",
        "run spt",
        "run spt sentences.txt",
        "run spt sentences.txt --orders rev --draws 1",
        "run spt units.jsonl --orders orig,rev --draws 2 --jsonl --seed 1",
        "run spt units.jsonl --json --out augmented.jsonl",
        "run spt sentences.txt --orders",
        "run spt sentences.txt --draws 0",
        "run spt overlap.jsonl",
        "run spt empty.txt",
        "run spt latin.txt",
        "run spt absent.txt",
    ];
    session("run_spt", &sandbox, &[], &commands);
    assert_eq!(sandbox.read("augmented.jsonl").lines().count(), 6);
    let fit = [
        "run",
        "spt",
        "fit",
        "--facts",
        "facts.jsonl",
        "--out",
        "model",
        "--steps",
        "20",
        "--width",
        "16",
        "--json",
    ];
    let fitted = sandbox.expect(0, &fit).json();
    assert_eq!(fitted["rows"].as_array().unwrap().len(), 6);
    assert!(sandbox.path("model").join("model.safetensors").exists());
}
