//! `run negative-eigenvalues` on sequences.

use std::io::Write;
use std::process::Stdio;

use crate::sandbox::{Outcome, Sandbox};

const RUN: [&str; 2] = ["run", "negative-eigenvalues"];

fn on<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], rest].concat()
}

/// A model of parity, its training sequences and longer ones.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let generate = ["generate", "parity", "--lengths", "1..20", "--sequences", "500", "--out", "train.jsonl"];
    sandbox.expect(0, &on(&generate));
    let generate = ["generate", "parity", "--lengths", "64", "--sequences", "50", "--last", "--seed", "1"];
    sandbox.write("long.jsonl", sandbox.expect(0, &on(&generate)).stdout);
    let size = ["--width", "16", "--feed", "0", "--steps", "200", "--layer", "diagonal", "--states", "1"];
    let fit = ["fit", "--data", "train.jsonl", "--test", "long.jsonl", "--out", "model", "--json"];
    let summary = sandbox.expect(0, &on(&[&fit[..], &size].concat())).json();
    assert_eq!(summary["labels"], serde_json::json!(["even", "odd"]));
    let test = &summary["accuracy"][1]["rows"][0];
    assert!(test["right"].as_f64().unwrap() > 0.95 && test["shortest"] == 64, "{summary}");
    sandbox
}

fn stream(sandbox: &Sandbox, rest: &[&str], text: &str) -> Outcome {
    let mut command = sandbox.command(&on(&[&["stream", "--model", "model"], rest].concat()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Outcome::of(child.wait_with_output().unwrap())
}

#[test]
fn a_state_is_learned_and_followed() {
    let sandbox = sandbox();
    assert_eq!(sandbox.entries("model"), ["model.json", "model.safetensors", "summary.json"]);
    let found = stream(&sandbox, &[], "1\n0\n1\n1\n\n1\n");
    let labels: Vec<&str> = found.stdout.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!((found.code, labels), (Some(0), vec!["odd", "odd", "even", "odd", "odd"]));
    let refused = stream(&sandbox, &["--json"], "1\ntwo\n");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stdout.starts_with("{") && refused.stdout.contains("\"label\":\"odd\""),
        "{}",
        refused.stdout
    );
    assert!(refused.stderr.contains("line 2: the token \"two\" is not known"), "{}", refused.stderr);

    let predict = ["predict", "--model", "model", "--data", "long.jsonl"];
    let lines = sandbox.expect(0, &on(&predict)).stdout;
    assert!(lines.starts_with("line,position,token,label,probability\n1,1,"), "{lines}");
    assert_eq!(lines.lines().count(), 1 + 50 * 64);
    let snapped =
        sandbox.expect(0, &on(&[&predict[..], &["--snap", "0.1", "--json", "--out", "p.csv"]].concat()));
    assert_eq!(snapped.json()["right"], 1.0);
    assert_eq!(sandbox.read("p.csv").lines().count(), 1 + 50 * 64);

    let inspect = ["inspect", "--model", "model", "--data", "train.jsonl"];
    let histogram = sandbox.expect(0, &on(&inspect)).stdout;
    assert!(histogram.contains("layer 1: ") && histogram.lines().count() == 21, "{histogram}");
}

#[test]
fn last_labels_and_tables_and_every_layer() {
    let sandbox = Sandbox::new();
    sandbox.write("few.csv", "tokens,label\na b,x\nb,\"y, z\"\na a b a b,x\n");
    for layer in ["delta", "diagonal", "gru", "attention"] {
        let small =
            ["--steps", "3", "--width", "8", "--layers", "2", "--convolution", "2", "--householders", "2"];
        let fit = ["fit", "--data", "few.csv", "--layer", layer, "--out", layer];
        let printed = sandbox.expect(0, &on(&[&fit[..], &small].concat())).stdout;
        assert!(printed.starts_with("on ") && printed.contains("training"), "{printed}");
        let lines = sandbox.expect(0, &on(&["predict", "--model", layer, "--data", "few.csv"])).stdout;
        assert!(lines.starts_with("line,label,probability\n2,") && lines.lines().count() == 4, "{lines}");
    }
    let refused = sandbox.expect(2, &on(&["inspect", "--model", "gru", "--data", "few.csv"])).stderr;
    assert!(refused.contains("no linear recurrence"), "{refused}");
    let refused = sandbox.expect(2, &on(&["stream", "--model", "attention"])).stderr;
    assert!(refused.contains("mixer is attention"), "{refused}");
}

#[test]
fn automata_are_probed() {
    let sandbox = Sandbox::new();
    sandbox.write("three.csv", "state,token,next\na,x,b\nb,x,c\nc,x,a\n");
    let printed = sandbox.expect(0, &on(&["probe", "--automaton", "three.csv"])).stdout;
    assert!(printed.contains("with --householders 2"), "{printed}");
    let found = sandbox.expect(0, &on(&["probe", "--automaton", "three.csv", "--json"])).json();
    assert_eq!(found["probe"]["signed_diagonal"], "no");
    sandbox.write("half.csv", "state,token,next\na,x,b\n");
    let refused = sandbox.expect(2, &on(&["probe", "--automaton", "half.csv"])).stderr;
    assert!(refused.contains("state \"b\" with token \"x\" goes nowhere"), "{refused}");
}

#[test]
fn tasks_are_generated_with_their_labels() {
    let sandbox = Sandbox::new();
    for task in [
        &["count", "--modulus", "4"][..],
        &["cycle"],
        &["modular", "--modulus", "7"],
        &["group", "--group", "a5"],
        &["group", "--group", "s4", "--swaps"],
    ] {
        let generate = [&["generate"], task, &["--sequences", "5", "--out", "data.jsonl"]].concat();
        sandbox.expect(0, &on(&generate));
        let fit = ["fit", "--data", "data.jsonl", "--steps", "1", "--width", "8", "--out", "model"];
        sandbox.expect(0, &on(&fit));
    }
    for (wrong, wanted) in [
        (&["group", "--group", "a5", "--swaps"][..], "swaps is true"),
        (&["count", "--modulus", "1"], "modulus is 1"),
        (&["parity", "--lengths", "9..2"], "the shorter first"),
        (&["parity", "--lengths", "0..2"], "give two lengths"),
    ] {
        let printed = sandbox.expect(2, &on(&[&["generate"], wrong].concat())).stderr;
        assert!(printed.contains(wanted), "{printed}");
    }
}

#[test]
fn bad_input_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("good.csv", "tokens,label\na b,x\nb,y\n");
    sandbox.write("one.csv", "tokens,label\na b,x\nb,x\n");
    sandbox.write("odd.csv", "tokens,labels\na b,x\n");
    sandbox.write("empty.csv", "");
    sandbox.write("other.csv", "tokens,label\nc,x\n");
    let said = |rest: &[&str]| {
        let printed = sandbox.expect(2, &on(&[&["fit", "--out", "out"], rest].concat())).stderr;
        assert!(!sandbox.path("out").exists());
        printed
    };
    for (file, wanted) in [
        ("one.csv", "one.csv: of labels there is only \"x\""),
        ("odd.csv", "odd.csv, line 2: 1 labels for 2 tokens"),
        ("empty.csv", "empty.csv: no sequences"),
        ("none.csv", "none.csv"),
    ] {
        let printed = said(&["--data", file]);
        assert!(printed.contains(wanted), "{printed}");
    }
    let taken = ["fit", "--data", "good.csv", "--out", "good.csv"];
    let printed = sandbox.expect(2, &on(&taken)).stderr;
    assert!(printed.contains("good.csv is a file"), "{printed}");
    let printed = said(&["--data", "good.csv", "--test", "other.csv"]);
    assert!(printed.contains("other.csv: line 2: the token \"c\" is not known"), "{printed}");
    assert!(said(&["--data", "good.csv", "--heads", "5"]).contains("heads is 5"));
    assert!(said(&["--data", "good.csv", "--learning-rate", "nan"]).contains("learning-rate is NaN"));
    let wild = said(&["--data", "good.csv", "--learning-rate", "1e38"]);
    assert!(wild.contains("training diverged"), "{wild}");
    let printed = sandbox.expect(2, &on(&["predict", "--model", "nowhere", "--data", "good.csv"])).stderr;
    assert!(printed.contains("model.json") && printed.contains("hint"), "{printed}");
}
