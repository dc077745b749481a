//! The corpora of the fuzz targets, replayed: what fuzzing starts from, and what it found, stays found.
//!
//! A name that starts with `reads-` or `refused-` says what must happen to the file; other files (orders among the edge
//! lists, findings) must only be answered. Limits are those of the targets in `fuzz/fuzz_targets/`.

use std::fs;
use std::path::Path;

use backstitch_data::edges::read_edges_from;
use backstitch_data::graph::read_graph_from;
use backstitch_data::idx::read_idx_from;
use backstitch_data::order::read_order_from;
use backstitch_data::{LibsvmOptions, TableOptions, read_libsvm_from, read_table_from};

/// Reads every file of a corpus; `read` gives the error with its hint, if there is one.
fn replay(target: &str, read: impl Fn(&[u8], &str) -> Option<(String, Option<String>)>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let error = read(&fs::read(&path).expect("a file"), &name);
        if let Some((message, hint)) = &error {
            assert!(message.starts_with(&name) && hint.is_some(), "{message} {hint:?}");
        }
        assert!(!name.starts_with("reads-") || error.is_none(), "{error:?}");
        assert!(!name.starts_with("refused-") || error.is_some(), "{name} was read");
        replayed += 1;
    }
    assert!(replayed >= 20, "{} has {replayed} files", folder.display());
}

#[test]
fn tables() {
    let options = TableOptions { max_bytes: 1 << 16, max_line_bytes: 1 << 12, ..TableOptions::default() };
    replay("table_reader", |bytes, name| {
        let error = read_table_from(bytes, name, &options).err()?;
        Some((error.to_string(), error.hint()))
    });
}

#[test]
fn graphs_and_orders() {
    let columns = ["raf", "mek", "erk", "a, b"].map(String::from);
    replay("edge_list", |bytes, name| {
        if let Err(error) = read_order_from(bytes, name, &columns) {
            assert!(!error.to_string().is_empty());
        }
        let error = read_edges_from(bytes, name, &columns).err()?;
        Some((error.to_string(), error.hint()))
    });
}

#[test]
fn sparse_rows() {
    let options = LibsvmOptions {
        max_features: 1 << 10,
        max_bytes: 1 << 16,
        max_line_bytes: 1 << 12,
        ..LibsvmOptions::default()
    };
    replay("libsvm", |bytes, name| {
        let error = read_libsvm_from(bytes, name, &options).err()?;
        Some((error.to_string(), error.hint()))
    });
}

#[test]
fn arrays_of_bytes() {
    replay("idx", |bytes, name| {
        let error = read_idx_from(bytes, name).err()?;
        Some((error.to_string(), error.hint()))
    });
}

#[test]
fn graphs_with_features() {
    replay("graph_npz", |bytes, name| {
        let error = read_graph_from(bytes, name, 1 << 16).err()?;
        Some((error.to_string(), error.hint()))
    });
}
