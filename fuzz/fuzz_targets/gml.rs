//! Any text is read as a graph in GML, or refused with its line.
//!
//! Run with `cargo +nightly fuzz run gml`.

#![no_main]

use backstitch_statistics::causal_minimax::read_gml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match read_gml(text) {
        Ok(graph) => {
            let nodes = graph.names.len();
            assert!(graph.edges.iter().all(|&(from, to)| from < nodes && to < nodes));
        }
        Err(error) => assert!(error.line >= 1 && !error.problem.is_empty()),
    }
});
