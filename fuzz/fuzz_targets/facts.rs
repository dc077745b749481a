//! Any bytes are read as facts that can be asked about, or refused.
//!
//! Run with `cargo +nightly fuzz run facts`.

#![no_main]

use std::path::Path;

use backstitch_language::facts::{FactSet, people_templates, read_facts_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read_facts_from(bytes, Path::new("facts.jsonl")) {
        Ok(facts) => {
            assert!(facts.iter().all(|fact| !fact.name.is_empty() && !fact.description.is_empty()));
            if let Ok(templates) = people_templates() {
                let _ = FactSet::new(facts, &templates).check();
            }
        }
        Err(error) => assert!(error.to_string().starts_with("facts.jsonl")),
    }
});
