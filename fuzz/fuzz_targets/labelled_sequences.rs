//! Any bytes are read as labelled sequences that can be put in numbers, or refused.
//!
//! Run with `cargo +nightly fuzz run labelled_sequences`.

#![no_main]

use std::path::Path;

use backstitch_sequence::negative_eigenvalues::sequences::{Vocabulary, read_sequences_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read_sequences_from(bytes, Path::new("sequences")) {
        Ok(sequences) => {
            assert!(sequences.iter().all(|sequence| !sequence.tokens.is_empty()));
            if let Ok(vocabulary) = Vocabulary::of(&sequences) {
                assert!(sequences.iter().all(|sequence| vocabulary.encode(sequence).is_ok()));
            }
        }
        Err(error) => assert!(error.to_string().starts_with("sequences")),
    }
});
