//! Any bytes are read as a table or refused, and what is read is what the reader promises.
//!
//! Run with `cargo +nightly fuzz run table_reader`.

#![no_main]

use std::collections::HashSet;

use backstitch_data::{TableOptions, read_table_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small limits, so that the engine can reach them.
    let options = TableOptions { max_bytes: 1 << 16, max_line_bytes: 1 << 12, ..TableOptions::default() };
    match read_table_from(bytes, "input", &options) {
        Ok(table) => {
            assert!(table.values.rows() > 0);
            assert_eq!(table.values.columns(), table.columns.len());
            assert!(table.values.values().iter().all(|value| value.is_finite()));
            assert!(table.values.values().len() * 8 <= 1 << 16);
            assert_eq!(table.columns.iter().collect::<HashSet<_>>().len(), table.columns.len());
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
    }
});
