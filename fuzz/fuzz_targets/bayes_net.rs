//! Any bytes are read as a Bayes net or refused.
//!
//! Run with `cargo +nightly fuzz run bayes_net`.

#![no_main]

use std::path::Path;

use backstitch_language::locality::Network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Network::read_from(bytes, Path::new("input")) {
        Ok(net) => {
            assert_eq!(net.order().len(), net.len());
            let again = Network::from_variables(&net.to_variables()).expect("a net that was read once");
            assert_eq!(again, net);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
