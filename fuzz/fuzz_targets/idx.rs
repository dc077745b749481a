//! Any bytes are read as an array with its shape or refused, and what is read fills the shape.
//!
//! Run with `cargo +nightly fuzz run idx`.

#![no_main]

use backstitch_data::idx::read_idx_from;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match read_idx_from(bytes, "input") {
    Ok(found) => assert_eq!(found.shape.iter().product::<usize>(), found.values.len()),
    Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
});
