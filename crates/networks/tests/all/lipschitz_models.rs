//! Networks read from files: outputs and Jacobians are those of torch, bounds those of the transcription in torch
//! (`peers/lipschitz_vectors.py` made the files).

use std::fs;
use std::path::{Path, PathBuf};

use backstitch_networks::Error;
use backstitch_networks::lipschitz::{Lipschitz, Network, Parameters, Region, Relaxation};
use backstitch_numerics::Stream;
use serde_json::{Value, json};

use crate::lipschitz::point;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

fn model(name: &str) -> Network {
    Network::from_onnx(&fs::read(corpus("onnx").join(name)).unwrap()).unwrap()
}

fn vectors() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/lipschitz.json")).unwrap();
    vectors["networks"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(own: &[f64], other: &[f64], tolerance: f64, what: &str) {
    assert_eq!(own.len(), other.len(), "{what}");
    for (own, other) in own.iter().zip(other) {
        assert!((own - other).abs() <= tolerance * (1.0 + other.abs()), "{what}: {own} against {other}");
    }
}

#[test]
fn networks_are_those_of_torch() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 7);
    for entry in &vectors {
        let name = entry["model"].as_str().unwrap();
        let network = model(name);
        for (place, x) in entry["points"].as_array().unwrap().iter().map(numbers).enumerate() {
            close(&network.evaluate(&x).unwrap(), &numbers(&entry["outputs"][place]), 1e-12, name);
            let jacobian = network.jacobian(&x).unwrap();
            for (output, row) in entry["jacobians"][place].as_array().unwrap().iter().enumerate() {
                close(jacobian.row(output), &numbers(row), 1e-11, name);
            }
        }
    }
}

/// As published: no search for slopes, the bound at the end of each propagation.
#[test]
fn bounds_are_those_of_the_transcription() {
    let parameters = Parameters { slope_steps: 0, tighten: false, samples: 0, ..Parameters::default() };
    let method = Lipschitz::new(parameters).unwrap();
    let mut compared = 0;
    for entry in vectors() {
        for bounds in entry["bounds"].as_array().into_iter().flatten() {
            let network = model(entry["model"].as_str().unwrap());
            let region =
                Region::around(&numbers(&bounds["center"]), bounds["radius"].as_f64().unwrap()).unwrap();
            let found = method.bound(&network, &region).unwrap();
            close(&found.upper, &numbers(&bounds["upper"]), 1e-10, "upper");
            let (low, high) = found.entries.unwrap();
            for output in 0..network.outputs() {
                close(low.row(output), &numbers(&bounds["low"][output]), 1e-10, "low");
                close(high.row(output), &numbers(&bounds["high"][output]), 1e-10, "high");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 3);
}

/// Convolutions, skip connections and mixed activations: no bound is below a slope.
#[test]
fn no_bound_is_below_a_slope_of_a_file() {
    let mut stream = Stream::new(10, "files");
    for entry in vectors() {
        let network = model(entry["model"].as_str().unwrap());
        for trial in 0..30 {
            let radius = [0.0, 0.01, 0.1, 1.0][trial % 4];
            let region = Region::around(&point(network.inputs(), &mut stream), radius).unwrap();
            let relaxation = [Relaxation::Lines, Relaxation::RecurJac, Relaxation::Interval][trial % 3];
            let domains = if trial % 5 == 0 { 40 } else { 0 };
            let parameters = Parameters { relaxation, domains, samples: 50, ..Parameters::default() };
            let found = Lipschitz::new(parameters).unwrap().bound(&network, &region).unwrap();
            let (lower, upper) = found.entries.as_ref().unwrap();
            for output in 0..network.outputs() {
                assert!(found.sampled.norms[output] <= found.upper[output], "{} {trial}", entry["model"]);
                for input in 0..network.inputs() {
                    let at = (output, input);
                    assert!(lower[at] <= found.sampled.least[at] && found.sampled.most[at] <= upper[at]);
                }
            }
        }
    }
}

/// The corpus of the fuzz target, replayed.
#[test]
fn corpus_of_onnx() {
    let mut replayed = 0;
    for entry in fs::read_dir(corpus("onnx")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let error = Network::from_onnx(&fs::read(&path).unwrap()).err();
        assert!(!name.starts_with("reads-") || error.is_none(), "{name}: {error:?}");
        assert!(!name.starts_with("refused-") || error.is_some(), "{name} was read");
        replayed += 1;
    }
    assert!(replayed >= 20, "{replayed}");
}

/// Every byte of a model changed, and every length: an error or a network, never a panic.
#[test]
fn damaged_models_are_answered() {
    let whole = fs::read(corpus("onnx").join("reads-arithmetic.onnx")).unwrap();
    for place in 0..whole.len() {
        let _ = Network::from_onnx(&whole[..place]);
        for change in [1_u8, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[place] ^= change;
            let _ = Network::from_onnx(&damaged);
        }
    }
}

#[test]
fn operators_are_refused_by_name() {
    let refused = |name: &str| Network::from_onnx(&fs::read(corpus("onnx").join(name)).unwrap()).unwrap_err();
    let says = |name: &str, words: &str| {
        let error = refused(name).to_string();
        assert!(error.contains(words), "{error}");
    };
    says(
        "refused-softmax.onnx",
        "operator Softmax at node 1 (\"probs\"): it is not bounded here; cut it off",
    );
    says("refused-maxpool.onnx", "operator MaxPool at node 1");
    says(
        "refused-erf.onnx",
        "operator Erf at node 1 (\"probs\"): it is not read; the network can be given as safetensors",
    );
    says("refused-shape.onnx", "fixed batch size of 1");
    says("refused-product.onnx", "it multiplies or divides by a value");
    says("refused-width.onnx", "weights for 3 inputs meet a value of shape [4]");
    says("refused-infinite.onnx", "not finite");
    says("refused-no-output.onnx", "no operator makes the output \"nowhere\"");
    says("refused-free-axis.onnx", "no fixed size along axis 1");
    says("refused-leaky-share.onnx", "leaky ReLU is 2");
    says("refused-image-too-small.onnx", "does not fit an image of [2, 2]");
    says("refused-stride-zero.onnx", "does not fit");
    says("refused-padding-huge.onnx", "too large");
    says("refused-truncated.onnx", "this is no ONNX model");
    says("refused-empty", "the model is empty");
    says("refused-text", "this is no ONNX model");
}

/// A safetensors file made of tensors.
fn weights(tensors: &[(&str, &[usize], &[f64])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.insert(
            (*name).into(),
            json!({"dtype": "F64", "shape": shape, "data_offsets": [from, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The same network in both formats.
#[test]
fn a_list_of_layers_is_the_onnx_model() {
    let onnx = model("reads-convolutions.onnx");
    let mut stream = Stream::new(11, "layers");
    let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| 0.3 * stream.normal()).collect() };
    let (kernel, bias, last) = (draw(4 * 2 * 3 * 3), draw(4), draw(3 * 4 * 3 * 3));
    let (scale, shift, mean, variance) = (draw(4), draw(4), draw(4), vec![0.5, 1.0, 2.0, 3.0]);
    let file = weights(&[
        ("k", &[4, 2, 3, 3], &kernel),
        ("b", &[4], &bias),
        ("w", &[3, 36], &last),
        ("s", &[4], &scale),
        ("t", &[4], &shift),
        ("m", &[4], &mean),
        ("v", &[4], &variance),
    ]);
    let text = r#"{"input": [2, 6, 6], "layers": [
        {"kind": "convolution", "weight": "k", "bias": "b", "stride": [2, 2], "padding": [1, 1]},
        {"kind": "batch-normalisation", "weight": "s", "bias": "t", "mean": "m", "variance": "v"},
        {"kind": "keep", "name": "before"}, {"kind": "leaky-relu", "share": 0.1}, {"kind": "add", "name": "before"},
        {"kind": "flatten"}, {"kind": "dense", "weight": "w"}]}"#;
    let network = Network::from_layers(text, &file).unwrap();
    assert_eq!((network.inputs(), network.outputs(), network.depth(), network.neurons()), (72, 3, 2, 36));
    assert_eq!(onnx.depth(), 3);
    // Written out: the convolution number by number.
    let x = point(72, &mut Stream::new(12, "point"));
    let mut flat = Vec::new();
    for channel in 0..4 {
        for (row, column) in (0..9_usize).map(|place| (place / 3, place % 3)) {
            let mut sum = bias[channel];
            for (own, (down, right)) in
                (0..2).flat_map(|own| (0..9_usize).map(move |tap| (own, (tap / 3, tap % 3))))
            {
                let (y, z) = ((2 * row + down).wrapping_sub(1), (2 * column + right).wrapping_sub(1));
                if y < 6 && z < 6 {
                    sum += kernel[((channel * 2 + own) * 3 + down) * 3 + right] * x[own * 36 + y * 6 + z];
                }
            }
            let normal = (sum - mean[channel]) / (variance[channel] + 1e-5_f64).sqrt() * scale[channel]
                + shift[channel];
            flat.push(normal + if normal > 0.0 { normal } else { 0.1 * normal });
        }
    }
    let outputs: Vec<f64> = last
        .chunks(36)
        .map(|row| row.iter().zip(&flat).map(|(weight, value)| weight * value).sum())
        .collect();
    close(&network.evaluate(&x).unwrap(), &outputs, 1e-12, "layers");
}

#[test]
fn lists_of_layers_that_do_not_fit() {
    let file = weights(&[("w", &[2, 3], &[1.0; 6]), ("b", &[2], &[0.0; 2]), ("empty", &[0, 3], &[])]);
    let refused = |text: &str, words: &str| {
        let error = Network::from_layers(text, &file).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    let layers = |layers: &str| format!("{{\"input\": [3], \"layers\": [{layers}]}}");
    refused("", "list of layers cannot be read");
    refused(&layers(r#"{"kind": "softmax"}"#), "unknown variant `softmax`");
    refused(&layers(r#"{"kind": "dense", "weight": "x"}"#), "there is no tensor \"x\"; there is b, empty, w");
    refused(&layers(r#"{"kind": "dense", "weight": "empty"}"#), "has no numbers");
    refused(&layers(r#"{"kind": "dense", "weight": "b"}"#), "not outputs × inputs");
    refused(&layers(r#"{"kind": "add", "name": "a"}"#), "nothing is kept");
    refused(&layers(r#"{"kind": "average-pooling", "kernel": [2, 2]}"#), "must be channels × height × width");
    refused(&layers(r#"{"kind": "leaky-relu", "share": -1}"#), "leaky ReLU is -1");
    let two = r#"{"kind": "dense", "weight": "w", "bias": "b"}, {"kind": "dense", "weight": "w"}"#;
    refused(&layers(two), "operator dense at node 1 (\"w\"): weights for 3 inputs meet a value of shape [2]");
    refused("{\"input\": [], \"layers\": [], \"x\": 1}", "unknown field `x`");
    refused("{\"input\": [0], \"layers\": []}", "not from 1 to");
    let good = layers(r#"{"kind": "dense", "weight": "w", "bias": "b"}"#);
    assert!(Network::from_layers(&good, &file).is_ok());
    assert!(matches!(Network::from_layers(&good, &file[..20]), Err(Error::Model { .. })));
}
