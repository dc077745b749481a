//! Files and specifications: types and metadata stay, chains are found from names, what does not fit is refused by name.

use std::collections::HashMap;

use backstitch_networks::lipschitz::Activation;
use backstitch_networks::weight_matching::{Checkpoint, Layers, Specification};
use backstitch_numerics::Stream;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::weight_matching::{fill, method, same_axes};

fn of(shapes: &[(&str, &[usize])]) -> Checkpoint {
    let mut stream = Stream::new(0, "weight matching files");
    let mut weights = Checkpoint::default();
    for (name, shape) in shapes {
        fill(&mut weights, name, shape, &mut stream);
    }
    weights
}

/// A hidden layer in each type of numbers, with a counter and metadata.
fn mixed(sign: f64) -> Vec<u8> {
    let numbers = [0.5, -1.25, 3.0, 0.125].map(|number: f64| sign * number);
    let parts: [(&str, Dtype, Vec<usize>, Vec<u8>); 5] = [
        (
            "0.weight",
            Dtype::F16,
            vec![4, 1],
            numbers.iter().flat_map(|value| f16::from_f64(*value).to_le_bytes()).collect(),
        ),
        (
            "0.bias",
            Dtype::BF16,
            vec![4],
            numbers.iter().flat_map(|value| bf16::from_f64(*value).to_le_bytes()).collect(),
        ),
        (
            "1.weight",
            Dtype::F32,
            vec![1, 4],
            numbers.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
        ),
        ("1.bias", Dtype::F64, vec![1], numbers[0].to_le_bytes().to_vec()),
        ("counter", Dtype::I64, vec![], 7_i64.to_le_bytes().to_vec()),
    ];
    let views: Vec<(&str, TensorView<'_>)> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()))
        .collect();
    safetensors::serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())]))).unwrap()
}

#[test]
fn types_and_metadata_stay() {
    let bytes = mixed(1.0);
    let one = Checkpoint::read(&bytes).unwrap();
    assert_eq!(one.write().unwrap(), bytes);
    let specification = Specification::found(&one, None).unwrap();
    let permuted = specification.apply(&[vec![2, 0, 3, 1]], &one).unwrap();
    let written = permuted.write().unwrap();
    let file = SafeTensors::deserialize(&written).unwrap();
    assert_eq!(file.tensor("0.weight").unwrap().dtype(), Dtype::F16);
    assert_eq!(file.tensor("counter").unwrap().data(), 7_i64.to_le_bytes());
    assert_eq!(permuted.tensor("0.bias").unwrap().values().unwrap(), [3.0, 0.5, 0.125, -1.25]);
    assert_eq!(SafeTensors::read_metadata(&written).unwrap().1.metadata().as_ref().unwrap()["format"], "pt");
    // Means are computed in double precision and rounded to each type once.
    let other = Checkpoint::read(&mixed(1.0009765625)).unwrap();
    let merged = one.combined(0.25, &[(0.75, &other)]).unwrap();
    let exact = |name: &str| {
        let (one, other) =
            (one.tensor(name).unwrap().values().unwrap(), other.tensor(name).unwrap().values().unwrap());
        one.iter().zip(other).map(|(one, other)| 0.25 * one + 0.75 * other).collect::<Vec<f64>>()
    };
    let found = |name: &str| merged.tensor(name).unwrap().values().unwrap();
    assert_eq!(
        found("0.weight"),
        exact("0.weight").iter().map(|value| f16::from_f64(*value).to_f64()).collect::<Vec<_>>()
    );
    assert_eq!(
        found("1.weight"),
        exact("1.weight").iter().map(|value| f64::from(*value as f32)).collect::<Vec<_>>()
    );
    assert_eq!(found("1.bias"), exact("1.bias"));
    assert!(method().weights(&specification, &one, &permuted).unwrap().permuted == one);
}

/// Names of PyTorch modules, in whatever order the alphabet puts them.
#[test]
fn chains_are_found() {
    let chain = |shapes: &[(&str, &[usize])]| {
        let weights = of(shapes);
        let specification = Specification::found(&weights, None).unwrap();
        (specification.permutations().iter().map(|own| own.units).collect::<Vec<_>>(), specification, weights)
    };
    let (sizes, ..) =
        chain(&[("net.0.weight", &[9, 4]), ("net.2.weight", &[8, 9]), ("net.10.weight", &[3, 8])]);
    assert_eq!(sizes, [9, 8]);
    // Only the shapes tell which comes first.
    let (sizes, specification, weights) = chain(&[
        ("hidden.weight", &[7, 9]),
        ("hidden.bias", &[7]),
        ("input.weight", &[9, 4]),
        ("input.bias", &[9]),
        ("output.weight", &[3, 7]),
    ]);
    assert_eq!(sizes, [9, 7]);
    assert!(specification.notes()[0].contains("input, hidden, output"), "{:?}", specification.notes());
    let layers = Layers::found(&weights, Activation::Tanh).unwrap().unwrap();
    same_axes(&specification, &layers.specification(&weights).unwrap());
    // Layer norm after a dense layer.
    let (sizes, specification, _) =
        chain(&[("fc1.weight", &[6, 5]), ("ln1.weight", &[6]), ("ln1.bias", &[6]), ("fc2.weight", &[2, 6])]);
    assert_eq!((sizes, specification.axes_of(0).count()), (vec![6], 4));
    let (sizes, specification, weights) = chain(&[
        ("conv1.weight", &[4, 1, 3, 3]),
        ("bn1.weight", &[4]),
        ("bn1.bias", &[4]),
        ("bn1.running_mean", &[4]),
        ("bn1.running_var", &[4]),
        ("conv2.weight", &[5, 4, 3, 3]),
        ("conv2.bias", &[5]),
        ("bn2.weight", &[5]),
        ("bn2.bias", &[5]),
        ("bn2.running_mean", &[5]),
        ("bn2.running_var", &[5]),
        ("fc1.weight", &[6, 20]),
        ("fc1.bias", &[6]),
        ("fc2.weight", &[3, 6]),
        ("fc2.bias", &[3]),
    ]);
    assert_eq!(sizes, [4, 5, 6]);
    assert!(specification.is_statistic("bn1.running_var"));
    assert!(Layers::found(&weights, Activation::Relu).unwrap().is_none());
    // The list of layers of the same network says the same.
    let batch = |place: usize| {
        format!(
            r#"{{"kind": "batch-normalisation", "weight": "bn{place}.weight", "bias": "bn{place}.bias", "mean": "bn{place}.running_mean", "variance": "bn{place}.running_var"}}"#
        )
    };
    let text = format!(
        r#"{{"input": [1, 6, 6], "layers": [{{"kind": "convolution", "weight": "conv1.weight"}}, {}, {{"kind": "relu"}},
        {{"kind": "convolution", "weight": "conv2.weight", "bias": "conv2.bias"}}, {}, {{"kind": "relu"}}, {{"kind": "flatten"}},
        {{"kind": "dense", "weight": "fc1.weight", "bias": "fc1.bias"}}, {{"kind": "relu"}}, {{"kind": "dense", "weight": "fc2.weight", "bias": "fc2.bias"}}]}}"#,
        batch(1),
        batch(2)
    );
    same_axes(&specification, &Layers::read(&text).unwrap().specification(&weights).unwrap());
    // Numbered parts of Sequentials, with dense layers in another of them.
    let (sizes, ..) = chain(&[
        ("features.0.weight", &[4, 3, 3, 3]),
        ("features.1.weight", &[4]),
        ("features.1.bias", &[4]),
        ("features.1.running_mean", &[4]),
        ("features.1.running_var", &[4]),
        ("features.3.weight", &[6, 4, 3, 3]),
        ("classifier.0.weight", &[8, 6]),
        ("classifier.2.weight", &[2, 8]),
    ]);
    assert_eq!(sizes, [4, 6, 8]);
}

#[test]
fn chains_that_are_not_clear() {
    let refused = |shapes: &[(&str, &[usize])], words: &str| {
        let found = Specification::found(&of(shapes), None).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    };
    refused(
        &[("0.weight", &[9, 4]), ("2.weight", &[3, 8])],
        "tensor \"2.weight\": it takes 8 inputs, but \"0.weight\"",
    );
    refused(&[("layer1.0.conv1.weight", &[4, 4, 3, 3]), ("fc.weight", &[2, 4])], "skip connections");
    refused(
        &[("conv1.weight", &[4, 4, 3, 3]), ("shortcut.weight", &[4, 4, 1, 1])],
        "\"shortcut.weight\": its name",
    );
    refused(
        &[("conv1.weight", &[4, 4, 3, 3]), ("norm1.weight", &[4]), ("fc.weight", &[2, 4])],
        "may be one of groups",
    );
    refused(
        &[("fc1.weight", &[4, 4]), ("norm.weight", &[5]), ("fc2.weight", &[2, 4])],
        "\"norm.weight\": it is not clear which layer's 5 outputs",
    );
    refused(
        &[("fc1.weight", &[4, 4]), ("fc1.bias", &[3]), ("fc2.weight", &[2, 4])],
        "\"fc1.bias\": its shape is [3], but the layer has 4 outputs",
    );
    refused(
        &[("fc1.weight", &[4, 4]), ("temperature", &[]), ("fc2.weight", &[2, 4])],
        "\"temperature\": no layer of a chain",
    );
    refused(&[("only.weight", &[4, 4])], "there is nothing to permute");
    refused(&[], "there is no tensor with the weights of a layer");
}

#[test]
fn specifications_that_do_not_fit() {
    let weights = of(&[("a", &[4, 4]), ("b", &[3, 4])]);
    let refused = |text: &str, words: &str| {
        let found = Specification::from_json(text, &weights).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    };
    refused(
        r#"{"tensors": {"a": ["h", "h"], "b": [null, "h"]}}"#,
        "tensor \"a\": permutation \"h\" stands on two of its axes",
    );
    refused(
        r#"{"tensors": {"a": ["h", null], "b": ["h", null]}}"#,
        "tensor \"b\": axis 0 has 3 numbers, but permutation \"h\" needs 4",
    );
    refused(r#"{"tensors": {"a": ["h", null]}}"#, "tensor \"b\": the specification says nothing about it");
    refused(
        r#"{"tensors": {"a": ["h"], "b": [null, null]}}"#,
        "its shape [4, 4] has 2 axes, but the specification 1",
    );
    refused(r#"{"tensors": {"c": ["h"]}}"#, "tensor \"c\": it is not in the file");
    refused(r#"{"tensors": {"a": [null, null], "b": [null, null]}}"#, "nothing to permute");
    refused(
        r#"{"tensors": {"a": [{"permutation": "h", "after": 3}, null], "b": [null, null]}}"#,
        "axis 0 has 4 numbers, which 1 × 3 do not divide",
    );
    refused(
        r#"{"tensors": {"a": [{"permutation": "h", "after": 0}, null], "b": [null, null]}}"#,
        "which 1 × 0 do not divide",
    );
    refused(
        r#"{"grouped": {"h": 3}, "tensors": {"a": ["h", null], "b": [null, "h"]}}"#,
        "4 units, which are no groups of 3",
    );
    refused(
        r#"{"grouped": {"x": 2}, "tensors": {"a": ["h", null], "b": [null, "h"]}}"#,
        "groups \"x\", but no tensor has it",
    );
    refused(
        r#"{"grouped": {"h": 0}, "tensors": {"a": [{"permutation": "h", "groups": true}, null], "b": [null, "h"]}}"#,
        "groups of 0 units for \"h\"",
    );
    refused("[]", "the specification cannot be read");
    let good =
        Specification::from_json(r#"{"tensors": {"a": ["h", null], "b": [null, "h"]}}"#, &weights).unwrap();
    for (order, words) in [
        (vec![0, 1, 2], "3 entries"),
        (vec![0, 1, 1, 2], "1 twice"),
        (vec![0, 1, 2, 4], "4 twice or out of range"),
    ] {
        let found = good.apply(&[order], &weights).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn networks_that_do_not_fit() {
    let one = of(&[("0.weight", &[4, 2]), ("1.weight", &[3, 4])]);
    let specification = Specification::found(&one, None).unwrap();
    let refused = |other: &Checkpoint, words: &str| {
        let found = method().weights(&specification, &one, other).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    };
    refused(
        &of(&[("0.weight", &[5, 2]), ("1.weight", &[3, 5])]),
        "\"0.weight\": its shape is [4, 2] in the first file and [5, 2]",
    );
    refused(&of(&[("0.weight", &[4, 2])]), "\"1.weight\": it is in the first file and not in the other");
    refused(
        &of(&[("0.weight", &[4, 2]), ("1.weight", &[3, 4]), ("x", &[1])]),
        "\"x\": it is in the other file and not in the first",
    );
    let mut broken = one.clone();
    let nan = broken.insert("0.weight", &[4, 2], vec![f64::NAN; 8]).unwrap_err().to_string();
    assert!(nan.contains("\"0.weight\": number 0 is NaN, but must be finite"), "{nan}");
    assert!(broken.insert("0.weight", &[4, 2], vec![0.0; 7]).is_err());
    assert!(Checkpoint::read(b"no weights").unwrap_err().to_string().contains("no whole safetensors file"));
    let layers = |text: &str| {
        Layers::read(text).and_then(|layers| layers.specification(&one)).unwrap_err().to_string()
    };
    let found = layers(r#"{"input": [3], "layers": [{"kind": "dense", "weight": "0.weight"}]}"#);
    assert!(
        found.contains("\"0.weight\": axis 1 of its shape [4, 2] does not fit the 3 units before it"),
        "{found}"
    );
    let found = layers(
        r#"{"input": [2], "layers": [{"kind": "dense", "weight": "0.weight"}, {"kind": "add", "name": "x"}]}"#,
    );
    assert!(found.contains("nothing of as many units is kept under that name"), "{found}");
}
