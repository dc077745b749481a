//! `run cuber` on tables.

use std::fmt::Write;

use crate::sandbox::Sandbox;

/// Rows of two classes that the sum of two columns tells apart; the other columns are noise.
fn table(first: usize, rows: usize, labels: [u8; 2]) -> String {
    let mut text = String::from("a,b,c,d,label\n");
    let mut state = 7 + first as u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31) * 2.0 - 1.0
    };
    for _ in 0..rows {
        let values: [f64; 4] = [draw(), draw(), draw(), draw()];
        let label = labels[usize::from(values[first] + values[first + 1] > 0.0)];
        let _ = writeln!(text, "{},{},{},{},{label}", values[0], values[1], values[2], values[3]);
    }
    text
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("one.csv", table(0, 200, [0, 1]));
    sandbox.write("two.csv", table(2, 200, [0, 1]));
    sandbox.write("three.csv", table(0, 150, [0, 1]));
    sandbox.write("other.csv", table(1, 200, [5, 9]));
    sandbox
}

const FIT: [&str; 3] = ["run", "cuber", "fit"];
const QUICK: [&str; 6] = ["--hidden", "20", "--rate", "0.1", "--epochs", "10"];

fn fit<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&FIT[..], &QUICK, rest].concat()
}

#[test]
fn tasks_are_learned_and_rows_are_classified() {
    let sandbox = sandbox();
    let tasks = ["--tasks", "one.csv", "two.csv", "three.csv", "--target", "label"];
    let printed = sandbox.expect(0, &fit(&[&tasks[..], &["--out", "model"]].concat())).stdout;
    for part in
        ["after one", "after three", "since then", "ACC", "BWT", "FWT", "layer 1: ", "directions protected"]
    {
        assert!(printed.contains(part), "{part} is missing: {printed}");
    }
    let files = ["accuracy.csv", "accuracy.svg", "model.safetensors", "relations.csv", "summary.json"];
    assert_eq!(sandbox.entries("model"), files);
    assert_eq!(sandbox.read("model/accuracy.csv").lines().count(), 4);
    // Two layers; one earlier task, then two.
    assert_eq!(sandbox.read("model/relations.csv").lines().count(), 1 + 2 * (1 + 2));
    let summary: serde_json::Value = serde_json::from_str(&sandbox.read("model/summary.json")).unwrap();
    assert!(summary["acc"].as_f64().unwrap() > 0.85, "{summary}");
    assert_eq!(summary["parameters"]["samples"], 120);
    let again = sandbox.expect(0, &fit(&[&tasks[..], &["--json"]].concat())).json();
    assert_eq!(again, summary);

    let predict = ["run", "cuber", "predict", "--model", "model", "--data", "one.csv", "--task"];
    let lines = sandbox.expect(0, &[&predict[..], &["one"]].concat()).stdout;
    assert!(lines.starts_with("label,probability_0,probability_1\n"), "{lines}");
    let table = sandbox.read("one.csv");
    let last = |line: &str| line.rsplit(',').next().unwrap().to_owned();
    let right =
        table.lines().skip(1).zip(lines.lines().skip(1)).filter(|(row, line)| line.starts_with(&last(row)));
    assert!(right.count() > 160);
    sandbox.expect(0, &[&predict[..], &["1", "--out", "p.csv"]].concat());
    assert_eq!(sandbox.read("p.csv"), lines);
}

#[test]
fn a_model_goes_on_with_new_tasks() {
    let sandbox = sandbox();
    sandbox.expect(0, &fit(&["--tasks", "one.csv", "two.csv", "--samples", "100", "--out", "model"]));
    let on = ["--from", "model", "--tasks", "three.csv", "--again", "one.csv", "two.csv", "--out", "further"];
    let printed = sandbox.expect(0, &[&FIT[..], &on].concat()).stdout;
    assert!(printed.contains("after three") && printed.contains("BWT"), "{printed}");
    let lines = sandbox
        .expect(0, &["run", "cuber", "predict", "--model", "further", "--task", "3", "--data", "three.csv"]);
    assert_eq!(lines.stdout.lines().count(), 151);
    // The model that was gone on from is as it was.
    sandbox.expect(
        2,
        &["run", "cuber", "predict", "--model", "model", "--task", "three", "--data", "three.csv"],
    );
}

#[test]
fn every_method_and_heads_of_their_own() {
    let sandbox = sandbox();
    for method in ["cuber", "trgp", "gpm", "ewc", "naive", "joint"] {
        let rest = ["--tasks", "one.csv", "other.csv", "--method", method, "--bias", "--no-scale", "--json"];
        let found = sandbox.expect(0, &fit(&rest)).json();
        assert_eq!(found["parameters"]["heads"], "own", "labels differ");
        assert!(found["acc"].as_f64().unwrap() > 0.8, "{method}: {found}");
    }
}

#[test]
fn bad_input_is_refused_and_nothing_is_written() {
    let sandbox = sandbox();
    sandbox.write("narrow.csv", "a,b,label\n1,2,0\n3,4,1\n");
    sandbox.write("flat.csv", "a,b,c,d,label\n1,2,3,4,1\n5,6,7,8,1\n1,1,1,1,1\n2,1,1,1,1\n3,1,1,1,1\n");
    sandbox.write("wrong.safetensors", "text");
    let said = |arguments: &[&str]| {
        let printed = sandbox.expect(2, arguments).stderr;
        assert!(!sandbox.path("out").exists());
        printed
    };
    let two = |other: &str| said(&fit(&["--tasks", "one.csv", other, "--out", "out"]));
    assert!(two("narrow.csv").contains("narrow.csv: "), "{}", two("narrow.csv"));
    assert!(two("flat.csv").contains("rows have one class"), "{}", two("flat.csv"));
    assert!(two("nowhere.csv").contains("nowhere.csv"));
    let rest = ["--tasks", "one.csv", "two.csv", "--samples", "5000", "--out", "out"];
    assert!(said(&fit(&rest)).contains("but 5000 are wanted"), "{}", said(&fit(&rest)));
    let rest = ["--tasks", "one.csv", "--test", "two.csv", "three.csv", "--out", "out"];
    assert!(said(&fit(&rest)).contains("--test names 2 tables, but --tasks 1"));
    let rest = ["--tasks", "one.csv", "--target", "lable", "--out", "out"];
    assert!(said(&fit(&rest)).contains("the nearest name is \"label\""), "{}", said(&fit(&rest)));
    let slow = ["--tasks", "one.csv", "--rate", "-1", "--out", "out"];
    assert!(said(&[&FIT[..], &slow].concat()).contains("rate is -1, but must be positive"));
    let wild = ["--tasks", "one.csv", "--rate", "1e200", "--out", "out"];
    assert!(said(&[&FIT[..], &wild].concat()).contains("training diverged in task one"));
    let predict = ["run", "cuber", "predict", "--task", "1", "--data", "one.csv", "--model"];
    assert!(said(&[&predict[..], &["wrong.safetensors"]].concat()).contains("no whole safetensors file"));
    let heads = ["--tasks", "one.csv", "other.csv", "--heads", "shared", "--json"];
    // Shared by wish: the classes of all tables.
    assert_eq!(sandbox.expect(0, &fit(&heads)).json()["parameters"]["heads"], "shared");
}
