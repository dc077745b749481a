//! Any bytes are read as an automaton that can be probed, or refused.
//!
//! Run with `cargo +nightly fuzz run automaton`.

#![no_main]

use std::path::Path;

use backstitch_sequence::negative_eigenvalues::Automaton;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Automaton::read_from(bytes, Path::new("automaton")) {
        Ok(automaton) if automaton.states.len() <= 6 => assert!(automaton.probe().actions > 0),
        Ok(_) => {}
        Err(error) => assert!(error.to_string().starts_with("automaton")),
    }
});
