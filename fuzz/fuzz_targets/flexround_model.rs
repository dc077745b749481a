//! Any bytes are read as a quantised network, and written again as they were, or refused.
//!
//! Run with `cargo +nightly fuzz run flexround_model`.

#![no_main]

use backstitch_compress::flexround::QuantisedNetwork;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match QuantisedNetwork::from_bytes(bytes) {
    Ok(network) => {
        let again = QuantisedNetwork::from_bytes(&network.to_bytes().expect("it was read")).expect("it was written");
        assert_eq!(again.layers(), network.layers());
    }
    Err(reason) => assert!(!reason.to_string().is_empty()),
});
