//! Any bytes are read as sentences whose units give them back in every order of theirs, or refused.
//!
//! Run with `cargo +nightly fuzz run sentences`.

#![no_main]

use std::path::Path;

use backstitch_language::spt::{Parameters, Spt, read_sentences_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read_sentences_from(bytes, Path::new("sentences")) {
        Ok(sentences) => {
            if let Ok(method) = Spt::new(Parameters::default()) {
                // Units that are not the sentence are reported, nothing is lost.
                if let Ok(all) = method.augment_all(&sentences, 1, 0) {
                    assert!(all.reports.len() <= sentences.len());
                }
            }
        }
        Err(error) => assert!(error.to_string().starts_with("sentences")),
    }
});
