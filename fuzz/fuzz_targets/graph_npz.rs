//! Any bytes are read as a graph in `.npz` form or refused, and what is read is what the reader promises.
//!
//! Run with `cargo +nightly fuzz run graph_npz`.

#![no_main]

use backstitch_data::graph::read_graph_from;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read_graph_from(bytes, "input", 1 << 16) {
        Ok(graph) => {
            let nodes = graph.features.rows();
            assert!(graph.edges.iter().all(|&(from, to)| from < nodes && to < nodes));
            assert!(graph.labels.is_none_or(|labels| labels.len() == nodes));
            for node in 0..nodes {
                assert!(graph.features.row(node).iter().all(|(_, value)| value.is_finite()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
    }
});
