//! Any bytes are read as the weights, and as the configuration, of a checkpoint whose other file is whole, or refused.
//!
//! Run with `cargo +nightly fuzz run checkpoint`.

#![no_main]

use backstitch_nn::{Checkpoint, cpu};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../corpus/checkpoint/reads-config.json");
const WEIGHTS: &[u8] = include_bytes!("../corpus/checkpoint/reads-model.safetensors");

fuzz_target!(|bytes: &[u8]| {
    for (config, weights) in [(CONFIG, bytes), (bytes, WEIGHTS)] {
        match Checkpoint::parse(config, weights, &cpu()) {
            Ok(model) => assert!(model.config().validate().is_ok()),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
});
