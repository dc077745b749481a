//! `run weight-matching` on files, written here byte by byte.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A safetensors file of single precision.
fn safetensors(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.insert(
            (*name).into(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}),
        );
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

const ROWS: [[f32; 2]; 3] = [[1.0, 0.5], [-2.0, 1.0], [0.25, 3.0]];
const BIAS: [f32; 3] = [0.1, 0.2, -0.3];
const COLUMNS: [[f32; 3]; 2] = [[1.0, -1.0, 0.5], [0.75, 2.0, -1.5]];

/// Two inputs, three hidden units in some order, two outputs; and a little change of the weights.
fn network(order: [usize; 3], change: f32) -> Vec<u8> {
    let weights: Vec<f32> = order.iter().flat_map(|&unit| ROWS[unit]).map(|value| value + change).collect();
    let bias: Vec<f32> = order.iter().map(|&unit| BIAS[unit]).collect();
    let last: Vec<f32> = COLUMNS.iter().flat_map(|row| order.map(|unit| row[unit])).collect();
    safetensors(&[("0.weight", &[3, 2], &weights), ("0.bias", &[3], &bias), ("2.weight", &[2, 3], &last)])
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a.safetensors", network([0, 1, 2], 0.0));
    sandbox.write("b.safetensors", network([2, 0, 1], 0.0));
    sandbox.write("c.safetensors", network([1, 2, 0], 0.01));
    sandbox.write("data.csv", "x,y,class\n1,2,0\n-1,1,1\n0.5,-1,1\n2,0,0\n");
    sandbox
}

const RUN: [&str; 4] = ["run", "weight-matching", "a.safetensors", "b.safetensors"];

fn bytes(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(sandbox.path(name)).unwrap()
}

/// The numbers of a file, without its header.
fn numbers(sandbox: &Sandbox, name: &str) -> Vec<f32> {
    let file = bytes(sandbox, name);
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file[8 + header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn weights_in_several_files_are_one_network() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path("b")).unwrap();
    let order = [2, 0, 1];
    let weights: Vec<f32> = order.iter().flat_map(|&unit| ROWS[unit]).collect();
    let bias = order.map(|unit| BIAS[unit]);
    let last: Vec<f32> = COLUMNS.iter().flat_map(|row| order.map(|unit| row[unit])).collect();
    sandbox.write(
        "b/part-1.safetensors",
        safetensors(&[("0.weight", &[3, 2], &weights), ("0.bias", &[3], &bias)]),
    );
    sandbox.write("b/part-2.safetensors", safetensors(&[("2.weight", &[2, 3], &last)]));
    let parts = json!({"0.weight": "part-1.safetensors", "0.bias": "part-1.safetensors", "2.weight": "part-2.safetensors"});
    let index = "b/model.safetensors.index.json";
    sandbox.write(index, json!({"weight_map": parts}).to_string());
    let whole = sandbox.expect(0, &[&RUN[..], &["--out", "m.safetensors"]].concat()).stdout;
    for second in ["b", index] {
        let run = ["run", "weight-matching", "a.safetensors", second, "--out", "parts.safetensors"];
        assert_eq!(sandbox.expect(0, &run).stdout, whole);
        assert_eq!(bytes(&sandbox, "parts.safetensors"), bytes(&sandbox, "m.safetensors"));
    }
    let run = ["run", "weight-matching", "a.safetensors", "b", "--out"];
    let said = sandbox.expect(2, &[&run[..], &["b/part-2.safetensors"]].concat()).stderr;
    assert!(said.contains("a network that is read"), "{said}");
    sandbox.write("b/part-2.safetensors", safetensors(&[("0.bias", &[3], &bias)]));
    let said = sandbox.expect(2, &[&run[..], &["x.safetensors"]].concat()).stderr;
    assert!(said.contains("part-2.safetensors: tensor \"0.bias\": it stands in two parts"), "{said}");
    sandbox.write(index, json!({"weight_map": {"0.bias": "../part-1.safetensors"}}).to_string());
    let said = sandbox.expect(2, &[&run[..], &["x.safetensors"]].concat()).stderr;
    assert!(said.contains("is not a file of the same folder"), "{said}");
    sandbox.write(index, "{}");
    let said = sandbox.expect(2, &[&run[..], &["x.safetensors"]].concat()).stderr;
    assert!(
        said.contains("this is no index of weights") && !sandbox.path("x.safetensors").exists(),
        "{said}"
    );
}

#[test]
fn a_permuted_copy_is_merged_to_itself() {
    let sandbox = sandbox();
    let rest = ["--out", "m.safetensors", "--permuted", "p.safetensors", "--write-spec", "spec.json"];
    let printed = sandbox.expect(0, &[&RUN[..], &rest].concat());
    assert!(
        printed.stdout.contains("0: 3 units: 0.bias axis 0, 0.weight axis 0, 2.weight axis 1"),
        "{}",
        printed.stdout
    );
    assert!(printed.stdout.contains("0.000000 after, reduced by 100.00 %"), "{}", printed.stdout);
    assert!(printed.stdout.contains("1.0000 after"), "{}", printed.stdout);
    assert!(printed.stderr.contains("written: m.safetensors"), "{}", printed.stderr);
    let mut wanted = numbers(&sandbox, "m.safetensors");
    assert_eq!(wanted, numbers(&sandbox, "p.safetensors"));
    let mut own = numbers(&sandbox, "a.safetensors");
    // Files order their tensors differently.
    wanted.sort_by(f32::total_cmp);
    own.sort_by(f32::total_cmp);
    assert_eq!(wanted, own);
    // The specification that was written leads to the same.
    let again = [&RUN[..], &["--spec", "spec.json", "--out", "again.safetensors"]].concat();
    sandbox.expect(0, &again);
    assert_eq!(bytes(&sandbox, "m.safetensors"), bytes(&sandbox, "again.safetensors"));
    // All of the first network is the first network.
    sandbox.expect(0, &[&RUN[..], &["--weight", "0", "--out", "first.safetensors"]].concat());
    assert_eq!(bytes(&sandbox, "first.safetensors"), bytes(&sandbox, "m.safetensors"));
}

#[test]
fn barriers_and_report() {
    let sandbox = sandbox();
    for method in ["weights", "activations", "straight-through"] {
        let rest = ["--data", "data.csv", "--method", method, "--report", "found", "--json"];
        let found = sandbox.expect(0, &[&RUN[..], &rest].concat()).json();
        assert_eq!(found["barrier"]["after"]["points"].as_array().unwrap().len(), 25);
        assert_eq!(found, sandbox.expect(0, &[&RUN[..], &rest, &["--threads", "1"]].concat()).json());
        if method != "straight-through" {
            assert_eq!(found["permutations"][0]["order"], json!([1, 2, 0]));
            assert!(found["barrier"]["after"]["loss"].as_f64().unwrap().abs() < 1e-6, "{found}");
            assert!(found["barrier"]["before"]["loss"].as_f64().unwrap() > 0.01, "{found}");
        }
    }
    assert_eq!(sandbox.entries("found"), ["barrier.csv", "barrier.svg", "layers.csv", "summary.json"]);
    assert_eq!(sandbox.read("found/barrier.csv").lines().count(), 26);
    assert_eq!(sandbox.read("found/layers.csv").lines().count(), 1 + 2 * 2);
    assert!(sandbox.read("found/barrier.svg").contains("permuted"));
    let printed =
        sandbox.expect(0, &[&RUN[..], &["--data", "data.csv", "--target", "class"]].concat()).stdout;
    assert!(printed.contains("barrier of the loss: ") && printed.contains("network 2: loss "), "{printed}");
}

#[test]
fn many_networks() {
    let sandbox = sandbox();
    for scheme in ["star", "cyclic"] {
        let rest = [
            "--many",
            "c.safetensors",
            "--scheme",
            scheme,
            "--out",
            "m.safetensors",
            "--data",
            "data.csv",
            "--json",
        ];
        let found = sandbox.expect(0, &[&RUN[..], &rest].concat()).json();
        assert!(found["distance"]["after"].as_f64().unwrap() < 0.03, "{found}");
        assert_eq!(found["permutations"][0]["order"].as_array().unwrap().len(), 3);
        assert_eq!(found["scores"]["networks"].as_array().unwrap().len(), 3);
    }
}

/// What cannot be used is refused with code 2, in words that name it; nothing is written.
#[test]
fn mistakes() {
    let sandbox = sandbox();
    sandbox.write(
        "wide.safetensors",
        safetensors(&[
            ("0.weight", &[4, 2], &[1.0; 8]),
            ("0.bias", &[4], &[0.0; 4]),
            ("2.weight", &[2, 4], &[1.0; 8]),
        ]),
    );
    sandbox.write(
        "nan.safetensors",
        safetensors(&[
            ("0.weight", &[3, 2], &[f32::NAN; 6]),
            ("0.bias", &[3], &[0.0; 3]),
            ("2.weight", &[2, 3], &[1.0; 6]),
        ]),
    );
    sandbox.write(
        "twice.json",
        r#"{"tensors": {"0.weight": ["h", "h"], "0.bias": ["h"], "2.weight": [null, "h"]}}"#,
    );
    sandbox.write(
        "wrong.json",
        r#"{"tensors": {"0.weight": ["h", null], "0.bias": [null], "2.weight": [null, null]}}"#,
    );
    sandbox.write("narrow.csv", "x,class\n1,0\n");
    sandbox.write("classes.csv", "x,y,class\n1,2,7\n");
    sandbox.write("empty.csv", "");
    let refused = |rest: &[&str], words: &str| {
        let stderr = sandbox.expect(2, &[&RUN[..2], rest, &["--out", "found.safetensors"]].concat()).stderr;
        assert!(stderr.contains(words), "{stderr}");
    };
    let both = |rest: &[&'static str]| [&RUN[2..], rest].concat();
    refused(&["a.safetensors", "absent.safetensors"], "absent.safetensors cannot be read");
    refused(&["a.safetensors", "data.csv"], "data.csv: this is no whole safetensors file");
    refused(
        &["a.safetensors", "wide.safetensors"],
        "wide.safetensors: tensor \"0.bias\": its shape is [3] in the first file and [4]",
    );
    refused(&["a.safetensors", "nan.safetensors"], "nan.safetensors: tensor \"0.weight\": number 0 is NaN");
    refused(
        &both(&["--spec", "twice.json"]),
        "tensor \"0.weight\": permutation \"h\" stands on two of its axes",
    );
    refused(&both(&["--spec", "data.csv"]), "data.csv: the specification cannot be read");
    refused(
        &both(&["--spec", "wrong.json", "--data", "data.csv"]),
        "permuted by this specification the network gives other outputs",
    );
    refused(&both(&["--layers", "data.csv"]), "the list of layers cannot be read");
    refused(&both(&["--weight", "1.5"]), "--weight is 1.5, but must be from 0 to 1");
    refused(&both(&["--sweeps", "0"]), "sweeps is 0");
    refused(&both(&["--method", "activations"]), "--method needs --data");
    refused(
        &both(&["--data", "narrow.csv"]),
        "narrow.csv has 1 columns beside the target, but the network has 2 inputs",
    );
    refused(
        &both(&["--data", "classes.csv"]),
        "the target of row 0 is 7, but the network has the classes 0 to 1",
    );
    refused(&both(&["--data", "empty.csv"]), "the file is empty");
    refused(&both(&["--data", "data.csv", "--target", "label"]), "label");
    refused(&both(&["--permuted", "absent/p.safetensors"]), "there is no folder absent");
    refused(&both(&["--permuted", "a.safetensors"]), "it is also the file of a network that is read");
    refused(&both(&["--permuted", "found.safetensors"]), "it is also the file of --out");
    assert!(!sandbox.path("found.safetensors").exists());
}
