//! `run flexround` on a small network.

use crate::sandbox::Sandbox;

const LAYERS: &str = r#"{"input": [4], "layers": [{"kind": "dense", "weight": "a", "bias": "b"}, {"kind": "relu"}, {"kind": "dense", "weight": "c"}]}"#;

fn draws(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 / f64::from(1_u32 << 31) * 2.0 - 1.0) as f32
    }
}

/// A safetensors file of tensors in single precision.
fn weights(tensors: &[(&str, &[usize], Vec<f32>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert((*name).into(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut draw = draws(3);
    let mut some = |count: usize| (0..count).map(|_| draw()).collect::<Vec<f32>>();
    let (a, b, c) = (some(24), some(6), some(12));
    let mut broken = a.clone();
    broken[7] = f32::NAN;
    let tensors =
        |a: Vec<f32>| [("a", &[6, 4][..], a), ("b", &[6][..], b.clone()), ("c", &[2, 6][..], c.clone())];
    sandbox.write("net.safetensors", weights(&tensors(a)));
    sandbox.write("nan.safetensors", weights(&tensors(broken)));
    sandbox.write("net.json", LAYERS);
    sandbox.write("lstm.json", LAYERS.replace("relu", "lstm"));
    let mut rows = String::from("w,x,y,z\n");
    for _ in 0..60 {
        let values = [draw(), draw(), draw(), draw()];
        rows += &format!("{},{},{},{}\n", values[0], values[0] + values[1], values[1] - values[0], values[2]);
    }
    sandbox.write("rows.csv", &rows);
    sandbox.write("few.csv", rows.lines().take(6).collect::<Vec<_>>().join("\n"));
    sandbox
}

const RUN: [&str; 5] = ["run", "flexround", "quantize", "--steps", "200"];

fn quantize<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let files = ["--model", "net.safetensors", "--layers", "net.json", "--calibration", "rows.csv"];
    [&RUN[..], &files, rest].concat()
}

#[test]
fn a_network_is_quantised_and_used() {
    let sandbox = sandbox();
    let rest = ["--bits", "3", "--granularity", "tensor", "--test", "rows.csv", "--out", "small"];
    let printed = sandbox.expect(0, &quantize(&rest)).stdout;
    for part in
        ["error nearest", "moved 1, 2+", "60 calibration rows", "SHA-256", "on 60 test rows", "times less"]
    {
        assert!(printed.contains(part), "{part} is missing: {printed}");
    }
    assert_eq!(sandbox.entries("small"), ["layers.csv", "model.safetensors", "summary.json"]);
    assert_eq!(sandbox.read("small/layers.csv").lines().count(), 3);
    let summary: serde_json::Value = serde_json::from_str(&sandbox.read("small/summary.json")).unwrap();
    assert_eq!(summary["calibration"]["rows"], 60);
    assert_eq!(summary["layers"][0]["bits"], 3);
    assert!(summary["error"].as_f64().unwrap() < 0.05, "{summary}");
    let shown = sandbox.expect(0, &["run", "flexround", "show", "--model", "small", "--json"]).json();
    assert_eq!(shown["layers"], summary["layers"]);
    let outputs =
        sandbox.expect(0, &["run", "flexround", "predict", "--model", "small", "--data", "rows.csv"]).stdout;
    assert_eq!(outputs.lines().count(), 61);
    assert!(outputs.starts_with("output_1,output_2\n"));
    // The same again, and nothing depends on threads.
    sandbox.expect(
        0,
        &quantize(&["--bits", "3", "--granularity", "tensor", "--out", "again", "--threads", "1"]),
    );
    let bytes = |name: &str| std::fs::read(sandbox.path(name)).unwrap();
    assert_eq!(bytes("small/model.safetensors"), bytes("again/model.safetensors"));
}

#[test]
fn what_cannot_be_quantised_is_refused_and_nothing_is_written() {
    let sandbox = sandbox();
    sandbox.expect(0, &quantize(&["--bits", "8", "--out", "small"]));
    let refused = |arguments: &[&str], part: &str| {
        let found = sandbox.expect(2, arguments);
        assert!(found.stderr.contains(part), "{part} is missing: {}", found.stderr);
        assert!(!sandbox.entries(".").contains(&"out".to_owned()));
    };
    let with = |model: &str, layers: &str, rows: &str| -> Vec<String> {
        let own = ["--model", model, "--layers", layers, "--calibration", rows, "--out", "out"];
        RUN.iter().chain(&own).map(|part| (*part).to_owned()).collect()
    };
    for (model, layers, rows, part) in [
        ("nan.safetensors", "net.json", "rows.csv", "number 8 is NaN"),
        ("small/model.safetensors", "net.json", "rows.csv", "quantised already"),
        ("net.safetensors", "lstm.json", "rows.csv", "lstm"),
        ("net.safetensors", "net.json", "few.csv", "5 rows, but at least 8"),
        ("net.json", "net.json", "rows.csv", "no whole safetensors file"),
        ("net.safetensors", "net.json", "none.csv", "none.csv"),
    ] {
        let arguments = with(model, layers, rows);
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), part);
    }
    refused(&quantize(&["--bits", "9", "--out", "out"]), "bits is 9, but must be from 2 to 8");
    refused(
        &quantize(&["--drop-column", "z", "--out", "out"]),
        "rows have 3 numbers, but the network takes 4",
    );
    refused(&quantize(&["--divide", "0", "--out", "out"]), "--divide is 0");
    refused(
        &["run", "flexround", "predict", "--model", "net.safetensors", "--data", "rows.csv"],
        "no quantised network",
    );
}

/// The folder of a decoder that comes with backstitch, and a text.
#[cfg(feature = "in-process")]
fn decoder() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &["embedded", "export", "--skill", "arithmetic", "--out", "full"]);
    let line = |number: usize| {
        format!("A bus has {number} riders. At a stop {} get off. How many riders are there now?", number / 3)
    };
    let lines: Vec<String> =
        (0..40).map(|number| serde_json::json!({"text": line(number)}).to_string()).collect();
    sandbox.write("text.jsonl", lines.join("\n"));
    sandbox.write("text.txt", (0..40).map(line).collect::<Vec<_>>().join("\n"));
    sandbox.write("short.txt", line(1));
    sandbox
}

#[cfg(feature = "in-process")]
const DECODER: [&str; 9] =
    ["run", "flexround", "quantize", "--model", "full", "--steps", "50", "--context", "64"];

#[cfg(feature = "in-process")]
#[test]
fn a_decoder_is_quantised_and_measured() {
    let sandbox = decoder();
    let rest = ["--calibration", "text.jsonl", "--test", "text.txt", "--out", "small"];
    let printed = sandbox.expect(0, &[&DECODER[..], &rest].concat()).stdout;
    assert!(printed.contains("backbone.blocks.3.feed.down.weight"), "{printed}");
    assert!(printed.contains("perplexity on the test text, ") && printed.contains("times less"), "{printed}");
    assert_eq!(
        sandbox.entries("small"),
        ["config.json", "layers.csv", "model.safetensors", "summary.json", "tokenizer.json"]
    );
    let summary: serde_json::Value = serde_json::from_str(&sandbox.read("small/summary.json")).unwrap();
    assert_eq!(summary["calibration"]["sha256"].as_str().unwrap().len(), 64);
    // Four bits of blocks, and the rest as it was.
    assert!(summary["bytes"]["file"].as_f64().unwrap() * 4.0 < summary["bytes"]["before"].as_f64().unwrap());
    let perplexity = |folder: &str| {
        let run =
            ["run", "flexround", "evaluate", "--model", folder, "--text", "text.txt", "--context", "64"];
        sandbox.expect(0, &[&run[..], &["--json"]].concat()).json()["perplexity"].as_f64().unwrap()
    };
    for (folder, which) in [("full", "before"), ("small", "after")] {
        assert_eq!(perplexity(folder), summary["perplexity"][which].as_f64().unwrap(), "{folder}");
    }
    let again = ["run", "flexround", "quantize", "--model", "small", "--calibration", "text.jsonl"];
    assert!(sandbox.expect(2, &again).stderr.contains("this model is quantised already"));
}

#[cfg(feature = "in-process")]
#[test]
fn mistakes_with_decoders() {
    let sandbox = decoder();
    sandbox.write("words.jsonl", "{\"words\": \"a\"}\n");
    let refused = |rest: &[&str], part: &str| {
        let said = sandbox.expect(2, &[&DECODER[..], rest, &["--out", "out"]].concat()).stderr;
        assert!(said.contains(part), "{part}: {said}");
        assert!(!sandbox.path("out").exists());
    };
    refused(&["--calibration", "short.txt"], "tokens, but a sequence has 64");
    refused(&["--calibration", "absent.txt"], "absent.txt");
    refused(&["--calibration", "words.jsonl"], "words.jsonl, line 1: missing field `text`");
    refused(&["--calibration", "text.txt", "--layers", "net.json"], "--layers is for networks in one file");
    refused(&["--calibration", "text.txt", "--block", "2"], "block is 2, but must be 1 for a decoder");
    refused(&["--calibration", "text.txt", "--rows", "0"], "--rows is 0");
    let long =
        ["run", "flexround", "evaluate", "--model", "full", "--text", "text.txt", "--context", "100000"];
    assert!(sandbox.expect(2, &long).stderr.contains("--context is 100000, but must be between 2 and"));
    std::fs::remove_file(sandbox.path("full/tokenizer.json")).unwrap();
    refused(&["--calibration", "text.txt"], "no tokenizer.json");
    let mut weights = std::fs::read(sandbox.path("full/model.safetensors")).unwrap();
    let last = weights.len() - 1;
    weights.truncate(last);
    sandbox.write("full/model.safetensors", weights);
    refused(&["--calibration", "text.txt"], "model.safetensors");
}
