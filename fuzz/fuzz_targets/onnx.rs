//! Any bytes are read as an ONNX network or refused in words, and what is read can be evaluated.
//!
//! Run with `cargo +nightly fuzz run onnx`.

#![no_main]

use backstitch_networks::lipschitz::Network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Network::from_onnx(bytes) {
        Ok(network) => {
            let outputs = network.evaluate(&vec![0.5; network.inputs()]);
            assert!(outputs.is_ok_and(|outputs| outputs.len() == network.outputs()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
