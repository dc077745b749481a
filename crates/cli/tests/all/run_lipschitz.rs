//! `run lipschitz` on files.

use std::path::Path;

use serde_json::json;

use crate::sandbox::Sandbox;

const POINTS: &str = "a,b,c,d\n0.1,0.2,-0.3,0.4\n1,0,0,0\n";

/// The networks that the tests of the wing read too.
fn model(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/onnx").join(name)).unwrap()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("net.onnx", model("reads-relu.onnx"));
    sandbox.write("x.csv", POINTS);
    sandbox
}

const RUN: [&str; 6] = ["run", "lipschitz", "--center", "x.csv", "--model", "net.onnx"];

/// Upper bounds are above what was met, for every method; branch and bound closes the gap; the same on one thread.
#[test]
fn bounds_of_a_network() {
    let sandbox = sandbox();
    let ask = |rest: &[&str]| {
        let radius = if rest.contains(&"--radius") { &[][..] } else { &["--radius", "0.2"] };
        sandbox.expect(0, &[&RUN[..], &["--json"], radius, rest].concat()).json()
    };
    let mut before = 0.0;
    for method in ["bound", "recurjac", "ibp", "global"] {
        let found = ask(&["--method", method]);
        for point in found["points"].as_array().unwrap() {
            for output in point["outputs"].as_array().unwrap() {
                assert!(output["lower"].as_f64().unwrap() <= output["upper"].as_f64().unwrap(), "{method}");
            }
        }
        let upper = found["points"][0]["upper"].as_f64().unwrap();
        assert!(upper >= before, "{method}");
        before = upper;
    }
    let exact = ask(&["--branch", "1000"]);
    assert_eq!(exact, ask(&["--branch", "1000", "--threads", "1"]));
    for point in exact["points"].as_array().unwrap() {
        let (lower, upper) = (point["lower"].as_f64().unwrap(), point["upper"].as_f64().unwrap());
        assert!((upper - lower).abs() < 1e-6 * upper, "{point}");
    }
    // The whole box may leave the range of the data, or be cut to it.
    let wide = ask(&["--radius", "0.8"]);
    let clipped = ask(&["--clip", "0,0.5", "--radius", "0.8"]);
    assert_eq!(clipped["clip"], json!([0.0, 0.5]));
    assert_ne!(clipped["points"], wide["points"]);
}

#[test]
fn text_and_files() {
    let sandbox = sandbox();
    let rest = ["--radius", "0.2", "--branch", "100", "--monotone", "--out", "found"];
    let printed = sandbox.expect(0, &[&RUN[..], &rest].concat()).stdout;
    assert!(
        printed.starts_with("net.onnx: 4 inputs, 3 outputs, 3 affine maps, 13 neurons\npoint  output"),
        "{printed}"
    );
    assert!(printed.contains("point 0, output 0: decreasing in a, c; neither in b"), "{printed}");
    assert!(printed.contains("ReLUs undecided; before branching"), "{printed}");
    assert_eq!(sandbox.entries("found"), ["bounds.csv", "monotonicity.csv", "summary.json"]);
    assert_eq!(sandbox.read("found/bounds.csv").lines().count(), 7);
    let monotonicity = sandbox.read("found/monotonicity.csv");
    assert_eq!(monotonicity.lines().count(), 1 + 2 * 3 * 4);
    for line in monotonicity.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers: Vec<f64> = fields[4..].iter().map(|field| field.parse().unwrap()).collect();
        assert!(numbers[0] <= numbers[2] && numbers[2] <= numbers[3] && numbers[3] <= numbers[1], "{line}");
        assert_eq!(fields[3] == "increasing", numbers[0] >= 0.0, "{line}");
    }
    sandbox.write("ways.csv", "1,0,0,0\n1,1,-1,1\n");
    let along = ["--radius", "0.2", "--directions", "ways.csv", "--out", "found"];
    let printed = sandbox.expect(0, &[&RUN[..], &along].concat()).stdout;
    assert!(printed.contains("point  output  direction   slope from"), "{printed}");
    let slopes = sandbox.read("found/directions.csv");
    let first: Vec<f64> =
        slopes.lines().nth(1).unwrap().split(',').map(|field| field.parse().unwrap()).collect();
    let entry: Vec<&str> = monotonicity.lines().nth(1).unwrap().split(',').collect();
    let (lower, upper): (f64, f64) = (entry[4].parse().unwrap(), entry[5].parse().unwrap());
    assert!((first[3] - lower).abs() < 1e-9 && (first[4] - upper).abs() < 1e-9, "{first:?} {entry:?}");
    sandbox.write("net.onnx", model("reads-tanh.onnx"));
    let smooth = sandbox.expect(0, &[&RUN[..], &["--radius", "0.1"]].concat()).stdout;
    assert!(!smooth.contains("undecided"), "{smooth}");
}

/// A list of layers with safetensors, written here byte by byte.
#[test]
fn safetensors() {
    let sandbox = sandbox();
    let header = r#"{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend([3.0_f32, -4.0].iter().flat_map(|weight| weight.to_le_bytes()));
    sandbox.write("w.safetensors", file);
    sandbox.write("layers.json", r#"{"input": [2], "layers": [{"kind": "dense", "weight": "w"}]}"#);
    sandbox.write("two.csv", "1,2\n");
    let run =
        ["run", "lipschitz", "--model", "w.safetensors", "--center", "two.csv", "--radius", "0.1", "--json"];
    let found = sandbox.expect(0, &[&run[..], &["--layers", "layers.json"]].concat()).json();
    let upper = found["points"][0]["outputs"][0]["upper"].as_f64().unwrap();
    assert!((7.0..7.000_001).contains(&upper));
    assert!(sandbox.expect(2, &run).stderr.contains("--layers"));
}

/// What cannot be used is refused with code 2, in words that name it; nothing is written.
#[test]
fn mistakes() {
    let sandbox = sandbox();
    sandbox.write("softmax.onnx", model("refused-softmax.onnx"));
    sandbox.write("empty.onnx", "");
    sandbox.write("empty.csv", "");
    sandbox.write("narrow.csv", "1,2\n");
    sandbox.write("missing.csv", "1,2,NaN,4\n1,2,3,4\n");
    let refused = |rest: &[&str], words: &str| {
        // Later options would be refused for being there twice.
        let mut arguments = vec!["run", "lipschitz", "--out", "found"];
        for (option, value) in [("--model", "net.onnx"), ("--center", "x.csv"), ("--radius", "0.1")] {
            if !rest.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        arguments.extend(rest);
        let stderr = sandbox.expect(2, &arguments).stderr;
        assert!(stderr.contains(words), "{stderr}");
    };
    refused(&["--model", "softmax.onnx"], "operator Softmax at node 1 (\"probs\")");
    refused(&["--model", "empty.onnx"], "empty.onnx: the model is empty");
    refused(&["--model", "x.csv"], "x.csv: this is no ONNX model");
    refused(&["--model", "absent.onnx"], "absent.onnx cannot be read");
    refused(&["--layers", "x.csv"], "the list of layers cannot be read");
    refused(&["--center", "narrow.csv"], "narrow.csv has 2 columns, but the network has 4 inputs");
    refused(&["--center", "empty.csv"], "the file is empty");
    refused(&["--center", "missing.csv"], "missing value");
    refused(&["--radius", "-0.1"], "radius is -0.1, but must be at least 0");
    refused(&["--radius", "nan"], "radius is NaN");
    refused(&["--clip", "1,0"], "clip is 1,0");
    refused(&["--clip", "5,6"], "x.csv, row 0: input 0 of the box");
    refused(&["--clip", "5"], "give two numbers");
    refused(&["--directions", "narrow.csv"], "narrow.csv has 2 columns");
    refused(&["--directions", "x.csv", "--method", "global"], "says nothing about directions");
    refused(&["--branch", "10", "--method", "ibp"], "--branch splits neurons");
    refused(&["--branch", "10", "--seconds", "0"], "seconds is 0");
    refused(&["--samples", "1000000000"], "samples is 1000000000");
    assert!(!sandbox.path("found").exists());
}
