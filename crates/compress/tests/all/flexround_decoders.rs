//! Decoders: blocks on grids, and folders of them.

use backstitch_compress::Error;
use backstitch_compress::flexround::{
    FlexRound, Granularity, Parameters, QuantisedDecoder, Rounding, nats_per_token,
};
use backstitch_nn::{
    Checkpoint, Decoder, DecoderConfig, Tokenizer, Visibility, cpu, named_parameters, with_parameters,
};
use backstitch_numerics::Stream;

/// GPT-2, Llama with shared keys, and one of a single block.
fn shapes() -> [DecoderConfig; 3] {
    [
        DecoderConfig::gpt2(60, 16, 16, 2, 2),
        DecoderConfig::llama(60, 16, 16, 2, 4, 2),
        DecoderConfig { tied: true, ..DecoderConfig::llama(60, 16, 8, 1, 2, 2) },
    ]
}

/// Initial weights are so small that blocks hardly matter; these do.
fn checkpoint(config: &DecoderConfig) -> Checkpoint {
    let model = Decoder::new(config, 3, &cpu()).unwrap();
    let mut values = named_parameters(&model);
    for (name, tensor) in &mut values {
        if name.contains("blocks") && tensor.shape.len() == 2 {
            tensor.values.iter_mut().for_each(|value| *value *= 12.0);
        }
    }
    Checkpoint { model: with_parameters(model, values).unwrap(), tokenizer: None }
}

fn sequences(count: usize, length: usize) -> Vec<Vec<u32>> {
    let mut stream = Stream::new(0, "decoder sequences");
    (0..count).map(|_| (0..length).map(|_| stream.below(60) as u32).collect()).collect()
}

fn quantised(config: &DecoderConfig, parameters: Parameters) -> QuantisedDecoder {
    let method = FlexRound::new(parameters).unwrap();
    method.quantise_decoder(&checkpoint(config), &sequences(12, 16), |_| ()).unwrap()
}

fn logits(model: &Decoder) -> Vec<f32> {
    let tokens = backstitch_nn::Tensor::from_data(
        backstitch_nn::TensorData::new(vec![1_i32, 5, 9, 2], [1, 4]),
        &cpu(),
    );
    model.forward(tokens, &Visibility::Causal).into_data().iter::<f32>().collect()
}

/// Mean squared distance of logits from those of the full model.
fn distance(config: &DecoderConfig, parameters: Parameters) -> f64 {
    let (full, found) =
        (logits(&checkpoint(config).model), logits(&quantised(config, parameters).checkpoint().model));
    full.iter().zip(&found).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / full.len() as f64
}

#[test]
fn more_bits_are_nearer_and_learning_helps() {
    for config in &shapes()[..2] {
        let of = |bits, rounding| {
            distance(config, Parameters { bits, rounding, steps: 300, ..Parameters::default() })
        };
        let nearest = [8, 4, 2].map(|bits| of(bits, Rounding::Nearest));
        assert!(nearest[0] < 0.1 * nearest[1] && nearest[1] < nearest[2], "{nearest:?}");
        assert!(of(3, Rounding::FlexRound) < of(3, Rounding::Nearest));
    }
}

#[test]
fn every_layer_of_every_block_is_reported() {
    for (config, per_block) in shapes().iter().zip([4, 5, 5]) {
        let found = quantised(config, Parameters { bits: 3, steps: 100, ..Parameters::default() });
        assert_eq!(found.reports().len(), per_block * config.layers);
        assert_eq!(found.reports()[0].name, "backbone.blocks.0.attention.qkv.weight");
        assert!(found.reports().iter().all(|report| report.after <= report.before && report.after < 0.5));
        assert_eq!(found.calibration().rows, 12);
        // What is not in a block is as it was.
        let (before, after) =
            (named_parameters(&checkpoint(config).model), named_parameters(&found.checkpoint().model));
        assert_eq!(before["backbone.tokens.weight"], after["backbone.tokens.weight"]);
        assert_ne!(before["backbone.blocks.0.feed.up.weight"], after["backbone.blocks.0.feed.up.weight"]);
    }
}

#[test]
fn folders_are_read_back_bit_for_bit() {
    for config in shapes() {
        for granularity in [Granularity::Channel, Granularity::Tensor] {
            for bits in [3, 8] {
                let parameters = Parameters { bits, granularity, steps: 20, ..Parameters::default() };
                let mut found = quantised(&config, parameters);
                if bits == 8 {
                    let words: Vec<String> = (0..60).map(|word| format!("w{word}")).collect();
                    found = with_tokenizer(&found, Tokenizer::words(&words[..50], &[]).unwrap());
                }
                let files = found.files().unwrap();
                let folder = tempfile::tempdir().unwrap();
                for (name, bytes) in &files {
                    std::fs::write(folder.path().join(name), bytes).unwrap();
                }
                let again = QuantisedDecoder::read(folder.path()).unwrap();
                assert_eq!(logits(&again.checkpoint().model), logits(&found.checkpoint().model));
                assert_eq!(again.files().unwrap(), files);
                assert_eq!(again.parameters(), found.parameters());
                let error = Checkpoint::read(folder.path(), &cpu()).unwrap_err().to_string();
                assert!(error.contains("model.safetensors"), "{error}");
            }
        }
    }
}

fn with_tokenizer(found: &QuantisedDecoder, tokenizer: Tokenizer) -> QuantisedDecoder {
    let files = found.files().unwrap();
    QuantisedDecoder::parse(&files["config.json"], &files["model.safetensors"], Some(tokenizer)).unwrap()
}

#[test]
fn what_cannot_be_quantised_is_refused() {
    let checkpoint = checkpoint(&shapes()[0]);
    let refused = |parameters: Parameters, sequences: &[Vec<u32>]| -> Error {
        FlexRound::new(parameters).unwrap().quantise_decoder(&checkpoint, sequences, |_| ()).unwrap_err()
    };
    let plain = || Parameters { steps: 10, ..Parameters::default() };
    let said = |error: Error, part: &str| assert!(error.to_string().contains(part), "{error}");
    said(refused(plain(), &[]), "there are no sequences");
    said(refused(plain(), &[vec![1, 2], vec![1]]), "sequence 2 has 1 tokens");
    said(refused(plain(), &[vec![1, 60]]), "60");
    said(refused(plain(), &[vec![1; 17]]), "sequence 1: ");
    said(
        refused(Parameters { block: 2, ..plain() }, &sequences(1, 4)),
        "block is 2, but must be 1 for a decoder",
    );
    let few = Parameters { activation_bits: Some(8), ..plain() };
    said(refused(few, &sequences(1, 4)), "activation_bits is 8, but must be left out for a decoder");
    let mut values = named_parameters(&checkpoint.model);
    values.get_mut("backbone.blocks.1.feed.up.weight").unwrap().values[3] = f32::NAN;
    let broken = Checkpoint { model: with_parameters(checkpoint.model, values).unwrap(), tokenizer: None };
    let error =
        FlexRound::new(plain()).unwrap().quantise_decoder(&broken, &sequences(2, 8), |_| ()).unwrap_err();
    said(error, "block 1, feed.up");
}

#[test]
fn damaged_folders_are_answered() {
    let found = quantised(&shapes()[2], Parameters { steps: 10, ..Parameters::default() });
    let files = found.files().unwrap();
    let (config, weights) = (&files["config.json"], &files["model.safetensors"]);
    for at in (0..weights.len()).step_by(37) {
        let mut bytes = weights.clone();
        bytes[at] ^= 0x41;
        if let Ok(read) = QuantisedDecoder::parse(config, &bytes, None) {
            let _ = read.files();
        }
        let _ = QuantisedDecoder::parse(config, &weights[..at], None);
    }
    let error = QuantisedDecoder::parse(config, b"text", None).unwrap_err().to_string();
    assert!(error.contains("safetensors"), "{error}");
}

#[test]
fn perplexity_of_a_uniform_guess_is_the_vocabulary() {
    let config = &shapes()[0];
    let model = Decoder::new(config, 0, &cpu()).unwrap();
    let mut values = named_parameters(&model);
    values.get_mut("head.weight").unwrap().values.fill(0.0);
    let model = with_parameters(model, values).unwrap();
    let nats = nats_per_token(&model, &sequences(11, 7)).unwrap();
    assert!((nats.exp() - 60.0).abs() < 1e-2, "{nats}");
    assert!(nats_per_token(&model, &[]).is_err() && nats_per_token(&model, &[vec![1]]).is_err());
}
