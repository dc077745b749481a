//! Any bytes are read as a tokenizer file, which then reads a text, or refused.
//!
//! Run with `cargo +nightly fuzz run tokenizer`.

#![no_main]

use backstitch_nn::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Tokenizer::parse(bytes) {
        Ok(tokenizer) => {
            if let Ok(tokens) = tokenizer.encode("a b, c") {
                assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.size()));
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
