//! Damaged and foreign checkpoints give errors that name what is wrong.

use std::fs;
use std::path::Path;

use backstitch_nn::{Checkpoint, Decoder, DecoderConfig, Precision, Tokenizer, cpu, named_parameters};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::{model, shapes};

fn written(config: &DecoderConfig) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = Decoder::new(config, 3, &cpu()).unwrap();
    Checkpoint { model, tokenizer: None }.write(folder.path()).unwrap();
    folder
}

fn error(folder: &Path) -> String {
    Checkpoint::read(folder, &cpu()).unwrap_err().to_string()
}

/// Writes the weights again with some changes.
fn change(folder: &Path, edit: impl Fn(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    edit(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn every_shape_comes_back() {
    for config in shapes() {
        let folder = written(&config);
        let checkpoint = Checkpoint::read(folder.path(), &cpu()).unwrap();
        assert_eq!(checkpoint.model.config(), &config);
        let model = Decoder::new(&config, 3, &cpu()).unwrap();
        assert_eq!(
            backstitch_nn::named_parameters(&checkpoint.model),
            backstitch_nn::named_parameters(&model)
        );
    }
}

#[test]
fn a_missing_an_extra_and_a_wrongly_shaped_tensor_are_named() {
    let folder = written(&shapes()[0]);
    change(folder.path(), |tensors| tensors.retain(|(name, _, _)| name != "transformer.h.1.mlp.c_fc.weight"));
    assert!(error(folder.path()).contains("the tensor `transformer.h.1.mlp.c_fc.weight` is missing"));

    let folder = written(&shapes()[0]);
    change(folder.path(), |tensors| {
        tensors.push(("transformer.h.2.ln_1.weight".into(), vec![1], vec![0; 4]))
    });
    assert!(error(folder.path()).contains("the tensor `transformer.h.2.ln_1.weight` has no place"));

    let folder = written(&shapes()[1]);
    change(folder.path(), |tensors| {
        let tensor = tensors.iter_mut().find(|(name, _, _)| name == "model.norm.weight").unwrap();
        (tensor.1, tensor.2) = (vec![7], vec![0; 28]);
    });
    let message = error(folder.path());
    assert!(message.contains("`model.norm.weight` has shape [7], but config.json asks for [8]"), "{message}");
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = written(&shapes()[0]);
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 4, 100, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(error(folder.path()).contains("not a whole safetensors file"), "{length}");
    }
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    let folder = written(&shapes()[0]);
    fs::write(folder.path().join("tokenizer.json"), Tokenizer::bytes().unwrap().to_json().unwrap()).unwrap();
    let message = error(folder.path());
    assert!(message.contains("256 tokens, but the model knows 13"), "{message}");
}

#[test]
fn configurations_that_are_not_supported_say_so() {
    let folder = written(&shapes()[1]);
    let path = folder.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, says) in [
        ("\"llama\"", "\"mamba\"", "model_type \"mamba\" is not supported"),
        ("\"hidden_size\": 8", "\"hidden_size\": 0", "hidden_size is 0, but it must be a whole number"),
        ("\"hidden_size\": 8,", "", "the field hidden_size is missing"),
        ("\"hidden_act\": \"silu\"", "\"hidden_act\": \"sin\"", "hidden_act is Some(\"sin\")"),
        ("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"yarn\"}", "rope_type \"yarn\""),
        ("{", "", "not JSON"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&path, changed).unwrap();
        let message = error(folder.path());
        assert!(message.contains(says), "{message}");
    }
    fs::remove_file(&path).unwrap();
    assert!(error(folder.path()).contains("config.json"));
}

#[test]
fn a_shape_that_no_family_has_cannot_be_written() {
    let config = DecoderConfig { bias: true, ..shapes()[1].clone() };
    let model = Decoder::new(&config, 0, &cpu()).unwrap();
    let message = Checkpoint { model, tokenizer: None }.files().unwrap_err().to_string();
    assert!(message.contains("one of GPT-2, Llama and Qwen2"), "{message}");
}

#[test]
fn parts_with_an_index_are_read() {
    let folder = written(&shapes()[1]);
    let whole = Checkpoint::read(folder.path(), &cpu()).unwrap();
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut index = serde_json::Map::new();
    for part in 0..2 {
        let name = format!("model-{part}.safetensors");
        let views: Vec<(String, TensorView<'_>)> = file
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == part)
            .map(|(_, (n, view))| (n.to_owned(), view))
            .collect();
        index.extend(views.iter().map(|(tensor, _)| (tensor.clone(), name.clone().into())));
        fs::write(folder.path().join(&name), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = serde_json::json!({ "weight_map": index }).to_string();
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let again = Checkpoint::read(folder.path(), &cpu()).unwrap();
    assert_eq!(again.files().unwrap(), whole.files().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_bytes_never_panic(at in 0_usize..600, byte in any::<u8>()) {
        let folder = written(&DecoderConfig::gpt2(3, 2, 2, 1, 1));
        for name in ["model.safetensors", "config.json"] {
            let path = folder.path().join(name);
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            let place = at % bytes.len();
            bytes[place] = byte;
            fs::write(&path, &bytes).unwrap();
            let _ = Checkpoint::read(folder.path(), &cpu());
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn half_precision_is_the_nearest_and_half_the_size() {
    for (name, config) in [("gpt2", &shapes()[0]), ("llama", &shapes()[1])] {
        let checkpoint = Checkpoint { model: model(config, 5), tokenizer: None };
        let whole = checkpoint.files().unwrap();
        let half = checkpoint.files_in(Precision::Half).unwrap();
        assert!(half["model.safetensors"].len() * 10 < whole["model.safetensors"].len() * 8, "{name}");
        let read = |files: &std::collections::BTreeMap<&str, Vec<u8>>| {
            Checkpoint::parse(&files["config.json"], &files["model.safetensors"], &cpu()).unwrap()
        };
        let (rounded, exact) = (named_parameters(&read(&half)), named_parameters(&read(&whole)));
        for (tensor, exact) in &exact {
            for (&rounded, &exact) in rounded[tensor].values.iter().zip(&exact.values) {
                // 11 significant bits; below 2^-14 a fixed step of 2^-24.
                let bound = f32::max(exact.abs() / 2048.0, f32::powi(2.0, -25));
                assert!((rounded - exact).abs() <= bound, "{name} {tensor}: {exact} {rounded}");
            }
        }
        // Rounded weights are what they are.
        let again = Checkpoint { model: read(&half), tokenizer: None };
        assert_eq!(again.files_in(Precision::Half).unwrap(), half);
    }
}
