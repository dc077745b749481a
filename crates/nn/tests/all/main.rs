//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod checkpoint;
mod corpus;
mod gradients;
mod models;
mod sampling;
mod schedule;
mod tokenizer;
mod training;
mod vectors;

#[global_allocator]
static ALLOCATOR: backstitch_nn::MiMalloc = backstitch_nn::MiMalloc;

use backstitch_nn::{Decoder, DecoderConfig, Module, cpu};

/// A small model of each shape.
fn shapes() -> Vec<DecoderConfig> {
    let gpt2 = DecoderConfig::gpt2(13, 10, 8, 2, 2);
    let llama = DecoderConfig::llama(13, 10, 8, 2, 4, 2);
    let tied = DecoderConfig { tied: true, qkv_bias: true, ..llama.clone() };
    vec![gpt2, llama, tied]
}

/// A decoder whose weights are large enough to matter.
fn model(config: &DecoderConfig, seed: u64) -> Decoder {
    enlarge(Decoder::new(config, seed, &cpu()).unwrap(), seed)
}

/// The model with weights around 0.1 ± 0.4 in place of its small initial ones: norms, biases and all layers then show in what
/// it computes.
fn enlarge<M: Module>(model: M, seed: u64) -> M {
    let mut tensors = backstitch_nn::named_parameters(&model);
    for (name, tensor) in &mut tensors {
        let mut stream = backstitch_numerics::Stream::new(seed, name);
        for value in &mut tensor.values {
            *value = (0.1 + 0.4 * stream.normal()) as f32;
        }
    }
    backstitch_nn::with_parameters(model, tensors).unwrap()
}
