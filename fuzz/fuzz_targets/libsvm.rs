//! Any bytes are read as sparse rows with labels or refused, and what is read is what the reader promises.
//!
//! Run with `cargo +nightly fuzz run libsvm`.

#![no_main]

use backstitch_data::{LibsvmData, LibsvmOptions, read_libsvm_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small limits, so that the engine can reach them.
    let counted_from_one = LibsvmOptions {
        max_features: 1 << 10,
        max_bytes: 1 << 16,
        max_line_bytes: 1 << 12,
        ..LibsvmOptions::default()
    };
    let known = LibsvmOptions { zero_based: true, features: Some(7), ..counted_from_one.clone() };
    for options in [counted_from_one, known] {
        match read_libsvm_from(bytes, "input", &options) {
            Ok(data) => check(&data, &options),
            Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
        }
    }
});

fn check(data: &LibsvmData, options: &LibsvmOptions) {
    assert!(!data.labels.is_empty() && data.labels.len() == data.features.rows());
    assert!(data.labels.iter().all(|label| label.is_finite()));
    match options.features {
        Some(features) => assert_eq!(data.features.columns(), features),
        None => assert!(data.features.columns() <= options.max_features),
    }
    for row in 0..data.features.rows() {
        let entries: Vec<(usize, f64)> = data.features.row(row).iter().collect();
        assert!(entries.iter().all(|(_, value)| value.is_finite() && *value != 0.0));
        assert!(entries.iter().all(|(column, _)| *column < data.features.columns()));
        assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
