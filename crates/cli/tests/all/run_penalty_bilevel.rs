//! `run penalty-bilevel` on files.

use crate::sandbox::{Sandbox, json_file};
use crate::snapshot::session;

/// A table of two noisy classes, `label` last; every fourth label is wrong where asked for.
fn table(rows: usize, purpose: &str, wrong: bool) -> String {
    let mut stream = backstitch_numerics::Stream::new(0, purpose);
    let mut text = String::from("width,height,noise,price,label\n");
    for row in 0..rows {
        let mut draw = || (stream.normal() * 100.0).round() / 100.0;
        let (width, height, noise) = (draw(), draw(), draw());
        let price = ((3.0 * width - height + 0.3 * draw()) * 100.0).round() / 100.0 + 10.0;
        let label = (2.0 * width + height + 0.2 * draw() > 0.0) != (wrong && row % 4 == 0);
        text += &format!("{width},{height},{noise},{price},{}\n", u8::from(label));
    }
    text
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.csv", table(120, "training rows of the user's", true));
    sandbox.write("checked.csv", table(60, "validation rows of the user's", false));
    sandbox
}

#[test]
fn penalty_bilevel() {
    let sandbox = sandbox();
    sandbox.write("sparse.txt", crate::run_ef21_w::rows(200));
    sandbox.write("new.csv", "noise,height,width\n0,1,1\n");
    sandbox.write("one-class.csv", "a,label\n1,1\n2,1\n3,1\n4,1\n");
    sandbox.write("narrow.csv", "width,label\n1,1\n2,0\n");
    sandbox.write("other-class.csv", "width,height,noise,price,label\n1,1,1,1,7\n");
    sandbox.write("two.csv", "a,label\n1,1\n2,0\n");
    sandbox.write("text.csv", "a,label\n1,cat\n2,dog\n");
    sandbox.write("large.csv", "a,label\n1e300,1\n-1e300,0\n1,1\n2,0\n");
    sandbox.write("broken.json", "{}");
    let commands = [
        "run penalty-bilevel --help",
        "run penalty-bilevel select --help",
        "run penalty-bilevel clean --help",
        "run penalty-bilevel predict --help",
        "run penalty-bilevel clean --data train.csv --target label --validation checked.csv --iterations 60 --out cleaned",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --iterations 60 --out model",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --one-penalty --iterations 60",
        "run penalty-bilevel select --data sparse.txt --loss logistic --iterations 40 --extrapolate",
        "run penalty-bilevel select --data sparse.txt --loss logistic --iterations 40 --batch 20",
        "run penalty-bilevel predict --model model/model.json --data new.csv",
        "run penalty-bilevel predict --model broken.json --data new.csv",
        "run penalty-bilevel predict --model model/model.json --data absent.csv",
        "run penalty-bilevel select --data absent.csv --target price --loss least-squares",
        "run penalty-bilevel select --data train.csv --target cost --loss least-squares",
        "run penalty-bilevel select --data train.csv --loss least-squares",
        "run penalty-bilevel select --data train.csv --target price --loss logistic",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --positive 1",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --sigma 0",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --first-sigma 0.001",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --step -1",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --start 0",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --iterations 0",
        "run penalty-bilevel select --data train.csv --target price --loss least-squares --validation-share 1.5",
        "run penalty-bilevel select --data two.csv --target label --loss logistic --validation-share 0.1",
        "run penalty-bilevel clean --data train.csv --target label --validation narrow.csv",
        "run penalty-bilevel clean --data train.csv --target label --validation other-class.csv",
        "run penalty-bilevel clean --data one-class.csv --target label",
        "run penalty-bilevel clean --data train.csv --target price",
        "run penalty-bilevel clean --data text.csv --target label",
        "run penalty-bilevel clean --data large.csv --target label",
        "run penalty-bilevel clean --data train.csv --target label --ridge -1",
        "run penalty-bilevel clean --data train.csv --target label --threshold 2",
    ];
    session("run_penalty_bilevel", &sandbox, &[], &commands);
    assert_eq!(
        sandbox.entries("cleaned"),
        [
            "certificate.json",
            "coefficients.csv",
            "model.json",
            "row-weights.csv",
            "summary.json",
            "trace.csv"
        ]
    );
    assert_eq!(
        sandbox.entries("model"),
        ["certificate.json", "coefficients.csv", "model.json", "penalties.csv", "summary.json", "trace.csv"]
    );
}

#[test]
fn wrong_labels_are_called_suspicious() {
    let sandbox = sandbox();
    let arguments = [
        "run",
        "penalty-bilevel",
        "clean",
        "--data",
        "train.csv",
        "--target",
        "label",
        "--validation",
        "checked.csv",
        "--out",
        "out",
    ];
    sandbox.expect(0, &arguments);
    let (mut right, mut wrong) = ((0, 0), (0, 0));
    for (row, line) in sandbox.read("out/row-weights.csv").lines().skip(1).enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[0], (row + 1).to_string());
        let count = if row % 4 == 0 { &mut wrong } else { &mut right };
        count.0 += u32::from(fields[2] == "true");
        count.1 += 1;
    }
    assert_eq!((wrong.1, right.1), (30, 90));
    assert!(wrong.0 >= 24 && right.0 <= 22, "{wrong:?} {right:?}");
}

#[test]
fn weights_are_for_features_as_they_are() {
    let sandbox = sandbox();
    // Metres as millimetres: the weight shrinks by as much, and nothing else changes.
    let text = sandbox.read("train.csv");
    let mut large = String::from("width,height,noise,price,label\n");
    for line in text.lines().skip(1) {
        let (width, rest) = line.split_once(',').unwrap();
        large += &format!("{},{rest}\n", 1000.0 * width.parse::<f64>().unwrap());
    }
    sandbox.write("large.csv", large);
    let weights = |data: &str| -> Vec<f64> {
        let arguments = [
            "run",
            "penalty-bilevel",
            "select",
            "--data",
            data,
            "--target",
            "price",
            "--loss",
            "least-squares",
            "--out",
            "out",
        ];
        sandbox.expect(0, &arguments);
        let table = sandbox.read("out/coefficients.csv");
        table.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().1.parse().unwrap()).collect()
    };
    let (small, large) = (weights("train.csv"), weights("large.csv"));
    // What is predicted is their sum.
    let predictions = sandbox.expect(
        0,
        &["run", "penalty-bilevel", "predict", "--model", "out/model.json", "--data", "large.csv"],
    );
    let values = |line: &str| line.split(',').map(|field| field.parse().unwrap()).collect::<Vec<f64>>();
    let table = sandbox.read("large.csv");
    for (line, predicted) in table.lines().skip(1).zip(predictions.stdout.lines().skip(1)) {
        let row = values(line);
        let sum = large[4] + large[0] * row[0] + large[1] * row[1] + large[2] * row[2] + large[3] * row[4];
        assert!((sum - predicted.parse::<f64>().unwrap()).abs() < 1e-9, "{sum} {predicted}");
    }
    // Three features besides the label, and the intercept.
    assert_eq!(small.len(), 5);
    assert!(
        (small[0] - 3.0).abs() < 0.2 && (small[1] + 1.0).abs() < 0.2 && (small[4] - 10.0).abs() < 0.2,
        "{small:?}"
    );
    assert!((1000.0 * large[0] - small[0]).abs() < 1e-6 * small[0].abs());
}

#[test]
fn the_result_depends_on_the_seed_and_on_nothing_else() {
    let sandbox = sandbox();
    let run = |out: &str, more: &[&str]| {
        let base = [
            "run",
            "penalty-bilevel",
            "clean",
            "--data",
            "train.csv",
            "--target",
            "label",
            "--iterations",
            "20",
            "--out",
            out,
        ];
        sandbox.expect(0, &[&base[..], more].concat());
        json_file(&sandbox.path(out).join("model.json"))
    };
    let one = run("one", &["--threads", "1"]);
    assert_eq!(one, run("two", &["--threads", "2"]));
    // Other rows are held out.
    assert_ne!(one, run("other", &["--seed", "1"]));
}
