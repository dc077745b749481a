//! `run ef21-w` on files.

use crate::sandbox::{Sandbox, json_file};
use crate::snapshot::session;

/// Rows of two noisy classes that need no generator beside ours.
pub(crate) fn rows(count: usize) -> String {
    let mut stream = backstitch_numerics::Stream::new(0, "sparse rows of the user's");
    let mut text = String::new();
    for _ in 0..count {
        let mut score = 0.7 * stream.normal();
        let mut entries = String::new();
        for index in 1..=12 {
            if stream.uniform() < 0.4 {
                let value = (stream.normal() * 100.0).round() / 100.0;
                score += value * if index % 2 == 0 { 1.0 } else { -1.0 };
                entries += &format!(" {index}:{value}");
            }
        }
        text += &format!("{}{entries}\n", if score > 0.0 { "+1" } else { "-1" });
    }
    text
}

#[test]
fn ef21_w() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(200));
    sandbox.write("new.txt", "+1 1:1 2:-1\n-1 2:2 12:0.5\n");
    sandbox.write("wider.txt", "+1 1:1 13:1\n");
    sandbox.write("zero.txt", "+1 0:1 2:1\n-1 1:1\n");
    sandbox.write("unsorted.txt", "+1 1:1 2:1\n-1 5:1 3:1\n");
    sandbox.write("twice.txt", "+1 1:1 2:1\n-1 5:1 5:1\n");
    sandbox.write("one-class.txt", "+1 1:1\n+1 2:1\n");
    sandbox.write("three.txt", "1 1:1\n2 2:1\n3 1:1 2:1\n");
    sandbox.write("separable.txt", "+1 1:1\n-1 2:1\n+1 1:2\n-1 2:2\n");
    sandbox.write("empty-rows.txt", "+1 1:1\n+1 2:1\n-1\n-1\n");
    sandbox.write("table.csv", "a,b\n1,2\n");
    sandbox.write("broken.json", "{}");
    let commands = [
        "run ef21-w --help",
        "run ef21-w fit --help",
        "run ef21-w predict --help",
        "run ef21-w step --help",
        "run ef21-w fit --data rows.txt --clients 10 --rounds 300 --out model",
        "run ef21-w predict --model model/model.json --data new.txt",
        "run ef21-w predict --model model/model.json --data new.txt --json",
        "run ef21-w fit --data rows.txt --clients 10 --rounds 50 --loss least-squares --compressor natural --participation 0.5",
        "run ef21-w fit --data rows.txt --clients 10 --rounds 50 --step 100 --algorithm dcgd",
        "run ef21-w step --constants 1,1,1,100 --features 100",
        "run ef21-w step --constants 1,1,1,100 --features 100 --compressor natural --json",
        "run ef21-w fit --data separable.txt --clients 2 --rounds 100 --regulariser none",
        "run ef21-w fit --data three.txt --clients 1 --rounds 10 --positive 3",
        "run ef21-w predict --model model/model.json --data wider.txt",
        "run ef21-w predict --model broken.json --data new.txt",
        "run ef21-w fit --data zero.txt --clients 1",
        "run ef21-w fit --data unsorted.txt --clients 1",
        "run ef21-w fit --data twice.txt --clients 1",
        "run ef21-w fit --data table.csv",
        "run ef21-w fit --data absent.txt",
        "run ef21-w fit --data one-class.txt --clients 1",
        "run ef21-w fit --data three.txt --clients 1",
        "run ef21-w fit --data three.txt --clients 1 --positive 4",
        "run ef21-w fit --data rows.txt --clients 201",
        "run ef21-w fit --data rows.txt --clients 10 --compressor top:13",
        "run ef21-w fit --data rows.txt --clients 10 --compressor top",
        "run ef21-w fit --data rows.txt --clients 10 --regulariser ridge:-1",
        "run ef21-w fit --data rows.txt --clients 10 --step 0",
        "run ef21-w fit --data rows.txt --clients 10 --participation 0",
        "run ef21-w fit --data empty-rows.txt --clients 2 --regulariser none",
        "run ef21-w step --constants 1,0,2 --features 10",
        "run ef21-w step --constants 1,2 --smoothness 3 --features 10",
    ];
    session("run_ef21_w", &sandbox, &[], &commands);
    assert_eq!(sandbox.entries("model"), ["clients.csv", "model.json", "summary.json", "trace.csv"]);
    assert_eq!(sandbox.read("model/trace.csv").lines().count(), 302);
    assert_eq!(sandbox.read("model/clients.csv").lines().count(), 11);
}

#[test]
fn the_result_depends_on_the_seed_and_on_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(3_000));
    let fit = |out: &str, more: &[&str]| {
        let base = [
            "run",
            "ef21-w",
            "fit",
            "--data",
            "rows.txt",
            "--clients",
            "40",
            "--rounds",
            "60",
            "--batch",
            "20",
            "--participation",
            "0.7",
            "--compressor",
            "random:3",
            "--out",
            out,
        ];
        sandbox.expect(0, &[&base[..], more].concat());
        json_file(&sandbox.path(out).join("model.json"))
    };
    let one = fit("one", &["--threads", "1"]);
    assert_eq!(one, fit("two", &["--threads", "2"]));
    assert_ne!(one, fit("other", &["--seed", "1"]));
}

#[test]
fn a_diverged_model_is_not_written() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(100));
    let arguments = [
        "run",
        "ef21-w",
        "fit",
        "--data",
        "rows.txt",
        "--clients",
        "5",
        "--loss",
        "least-squares",
        "--step",
        "1000",
        "--out",
        "model",
    ];
    let outcome = sandbox.expect(2, &arguments);
    assert!(
        outcome.stderr.contains("diverged") && outcome.stderr.contains("hint: take a certified step"),
        "{outcome:?}"
    );
    assert!(!sandbox.path("model").exists());
}
