//! `run scale-mixture-nngp` on files.

use std::fmt::Write;

use crate::sandbox::Sandbox;

/// A curved function of two columns. The numbers come from a formula that is the same everywhere.
fn table(rows: usize) -> String {
    let mut text = "a,b,y\n".to_owned();
    for row in 0..rows {
        let wave = |step: usize| f64::from(u8::try_from((row * step + row * row) % 97).unwrap()) / 48.0 - 1.0;
        let (a, b) = (wave(31), wave(17));
        writeln!(text, "{a},{b},{}", a * a - 2.0 * b + 0.2 * wave(53)).unwrap();
    }
    text
}

const FIT: [&str; 7] = ["run", "scale-mixture-nngp", "fit", "--data", "table.csv", "--target", "y"];
const PREDICT: [&str; 5] = ["run", "scale-mixture-nngp", "predict", "--model", "model/model.json"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", table(40));
    sandbox
}

/// What cannot be used is refused with code 2, in words that name it; nothing is written.
#[test]
fn mistakes() {
    let sandbox = sandbox();
    sandbox.write("constant.csv", "a,y\n1,2\n2,2\n3,2\n");
    sandbox.write("one.csv", "a,y\n1,2\n");
    sandbox.write("alone.csv", "y\n1\n2\n");
    sandbox.write("text.csv", "a,y\n1,2\nx,3\n");
    sandbox.write("without.csv", "a,b\n1,2\n");
    sandbox.write("bad.json", "{}");
    let fit = |file: &str, rest: &[&str]| {
        let mut arguments = vec!["run", "scale-mixture-nngp", "fit", "--target", "y", "--out", "model"];
        arguments.extend(["--data", file]);
        arguments.extend(rest);
        sandbox.expect(2, &arguments).stderr
    };
    let says = |stderr: String, words: &str| assert!(stderr.contains(words), "{stderr}");
    says(fit("table.csv", &["--prior", "t:0.4"]), "shape is 0.4, but must be above 0.5");
    says(fit("table.csv", &["--prior", "burr:2"]), "burr:C,K");
    says(fit("table.csv", &["--prior", "gaussian", "--fit-prior"]), "fit_prior is true");
    says(fit("table.csv", &["--noise", "-1"]), "noise is -1, but must be from 0");
    says(fit("table.csv", &["--depth", "101"]), "depth is 101");
    says(fit("table.csv", &["--exact-rows", "10"]), "give a number of inducing points");
    says(fit("table.csv", &["--inducing", "0"]), "inducing is 0");
    says(fit("table.csv", &["--test", "without.csv"]), "without.csv has no column \"y\"");
    says(fit("constant.csv", &[]), "the target is the same value in all rows (2)");
    says(fit("one.csv", &[]), "1 row(s)");
    says(fit("alone.csv", &[]), "no column but the target");
    says(fit("text.csv", &[]), "line 3, column \"a\"");
    says(fit("nothing.csv", &[]), "nothing.csv");
    let unknown = ["run", "scale-mixture-nngp", "fit", "--data", "table.csv", "--target", "z"];
    says(sandbox.expect(2, &unknown).stderr, "no column \"z\"");
    let model = ["run", "scale-mixture-nngp", "predict", "--data", "table.csv", "--model", "bad.json"];
    says(sandbox.expect(2, &model).stderr, "missing field `schema`");
    assert!(!sandbox.path("model").exists());
}

/// A fit writes its files; predictions come out the same however they are asked for, and do not depend on threads or on the order of
/// columns.
#[test]
fn a_model_is_fitted_saved_and_predicts() {
    let sandbox = sandbox();
    let printed = sandbox.expect(0, &[&FIT[..], &["--iterations", "20", "--out", "model"]].concat()).stdout;
    assert!(printed.contains("44.0 degrees of freedom"), "{printed}");
    assert!(printed.contains("40 rows left out: NLL"), "{printed}");
    assert_eq!(
        sandbox.entries("model"),
        ["calibration.csv", "calibration.svg", "model.json", "summary.json"]
    );
    let first = sandbox.read("model/model.json");
    sandbox.expect(0, &[&FIT[..], &["--iterations", "20", "--out", "model", "--threads", "1"]].concat());
    assert_eq!(sandbox.read("model/model.json"), first);

    let csv = sandbox.expect(0, &[&PREDICT[..], &["--data", "table.csv"]].concat());
    assert!(csv.stdout.starts_with("mean,lower,upper,scale,degrees_of_freedom,log_density\n"), "{csv:?}");
    assert_eq!(csv.stdout.lines().count(), 41);
    assert!(csv.stderr.contains("40 rows: NLL"), "{csv:?}");
    for line in csv.stdout.lines().skip(1) {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        assert!(fields[1] < fields[0] && fields[0] < fields[2] && fields[4] == 44.0, "{line}");
    }
    sandbox.expect(0, &[&PREDICT[..], &["--data", "table.csv", "--out", "predicted"]].concat());
    assert_eq!(sandbox.read("predicted/predictions.csv"), csv.stdout);
    assert_eq!(
        sandbox.entries("predicted"),
        ["calibration.csv", "calibration.svg", "predictions.csv", "summary.json"]
    );

    let turned: String = table(40)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{},{}\n", fields[1], fields[0])
        })
        .collect();
    sandbox.write("turned.csv", turned);
    let turned = sandbox.expect(0, &[&PREDICT[..], &["--data", "turned.csv"]].concat());
    assert!(turned.stdout.starts_with("mean,lower,upper,scale,degrees_of_freedom\n"));
    let mean = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(mean(&turned.stdout), mean(&csv.stdout));

    let wide = [&PREDICT[..], &["--data", "table.csv", "--json", "--level", "0.5"]].concat();
    let json = sandbox.expect(0, &wide).json();
    assert_eq!(json["half_width"].as_array().unwrap().len(), 40);
    assert!(json["quality"]["nll"].is_number());
    let error = sandbox.expect(2, &[&PREDICT[..], &["--data", "table.csv", "--level", "1"]].concat());
    assert!(error.stderr.contains("--level is 1"), "{error:?}");
}

/// A changed model is refused; a Gaussian process writes infinite degrees of freedom, which JSON does without.
#[test]
fn priors_and_changed_models() {
    let sandbox = sandbox();
    for prior in ["gaussian", "t:1.5,3", "burr:2,1", "half-cauchy:1", "gamma:2,2"] {
        let few = ["--iterations", "3", "--prior", prior, "--out", "model"];
        let json = sandbox.expect(0, &[&FIT[..], &few, &["--json"]].concat()).json();
        assert_eq!(json["degrees_of_freedom"].is_null(), prior == "gaussian", "{prior}");
        let csv = sandbox.expect(0, &[&PREDICT[..], &["--data", "table.csv", "--latent"]].concat()).stdout;
        assert_eq!(csv.lines().nth(1).unwrap().ends_with(",inf"), prior == "gaussian", "{prior}");
    }
    let text = sandbox.read("model/model.json");
    sandbox.write("model/model.json", text.replacen("\"noise\": ", "\"noise\": -", 1));
    let refused = sandbox.expect(2, &[&PREDICT[..], &["--data", "table.csv"]].concat());
    assert!(refused.stderr.contains("noise is -"), "{refused:?}");
}

/// Inducing rows on the command line: the model says which, and predicts through them.
#[test]
fn inducing_rows() {
    let sandbox = sandbox();
    let through = [
        "--iterations",
        "3",
        "--exact-rows",
        "30",
        "--inducing",
        "12",
        "--test",
        "table.csv",
        "--out",
        "model",
    ];
    let printed = sandbox.expect(0, &[&FIT[..], &through].concat()).stdout;
    assert!(printed.contains("seen through 12 of the rows"), "{printed}");
    assert!(printed.contains("40 test rows: NLL"), "{printed}");
    let csv = sandbox.expect(0, &[&PREDICT[..], &["--data", "table.csv"]].concat());
    assert_eq!(csv.stdout.lines().count(), 41);
}

/// Two clouds are told apart, by dense layers and as images; the answers do not depend on threads or on units.
#[test]
fn classes_are_told_apart() {
    let sandbox = Sandbox::new();
    let cloud = |rows: usize, unit: f64, labelled: bool| {
        let mut text = if labelled { "a,b,c,d,kind\n" } else { "a,b,c,d\n" }.to_owned();
        for row in 0..rows {
            let wave =
                |step: usize| f64::from(u8::try_from((row * step + row * row) % 97).unwrap()) / 48.0 - 1.0;
            let side = if row % 2 == 0 { 1.5 } else { -1.5 };
            let values = [side + wave(31), side + wave(17), wave(53), wave(7)].map(|value| unit * value);
            let label = if labelled { format!(",{}", row % 2 * 5) } else { String::new() };
            writeln!(text, "{},{},{},{}{label}", values[0], values[1], values[2], values[3]).unwrap();
        }
        text
    };
    sandbox.write("train.csv", cloud(60, 1.0, true));
    sandbox.write("test.csv", cloud(40, 1.0, true));
    sandbox.write("new.csv", cloud(40, 1.0, false));
    sandbox.write("large.csv", cloud(60, 1e3, true));
    sandbox.write("large-new.csv", cloud(40, 1e3, false));
    let classify = |data: &'static str, test: &'static str, rest: &[&'static str]| {
        let start = ["run", "scale-mixture-nngp", "classify", "--target", "kind", "--steps", "200"];
        [&start[..], &["--data", data, "--test", test], rest].concat()
    };
    let found = sandbox.expect(0, &classify("train.csv", "test.csv", &[]));
    assert!(found.stdout.starts_with("label,probability_0,probability_5\n"), "{found:?}");
    let accuracy = found.stderr.split("accuracy ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(accuracy.parse::<f64>().unwrap() > 0.9, "{found:?}");
    for line in found.stdout.lines().skip(1) {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        assert!((fields[1] + fields[2] - 1.0).abs() < 1e-9 && (fields[0] == 0.0) == (fields[1] >= fields[2]));
    }
    let alone = sandbox.expect(0, &classify("train.csv", "new.csv", &["--threads", "1"]));
    assert_eq!((alone.stdout, alone.stderr.as_str()), (found.stdout.clone(), ""));
    let labels = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let large = sandbox.expect(0, &classify("large.csv", "large-new.csv", &[]));
    assert_eq!(labels(&large.stdout), labels(&found.stdout));
    let images = ["--image", "2,2", "--prior", "gaussian", "--out", "classes"];
    sandbox.expect(0, &classify("train.csv", "test.csv", &images));
    assert_eq!(sandbox.entries("classes"), ["predictions.csv", "summary.json"]);

    sandbox.write("one.csv", "a,b,c,d,kind\n1,2,3,4,1\n2,3,4,5,1\n");
    sandbox.write("third.csv", "a,b,c,d,kind\n1,2,3,4,9\n");
    let says = |arguments: Vec<&str>, words: &str| {
        let stderr = sandbox.expect(2, &arguments).stderr;
        assert!(stderr.contains(words), "{stderr}");
    };
    says(classify("one.csv", "test.csv", &[]), "all 2 labels are the same");
    says(classify("train.csv", "third.csv", &[]), "the label 9, which no training row has");
    says(classify("train.csv", "one.csv", &["--image", "3,3"]), "9");
    says(classify("train.csv", "test.csv", &["--prior", "burr:2,2"]), "t:SHAPE[,SCALE] or gaussian");
    says(classify("train.csv", "test.csv", &["--inducing", "0"]), "inducing is 0");
}
