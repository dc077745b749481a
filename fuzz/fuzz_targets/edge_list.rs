//! Any bytes are read as a graph, and as an order, over four columns, or refused.
//!
//! Run with `cargo +nightly fuzz run edge_list`.

#![no_main]

use std::collections::HashSet;

use backstitch_data::edges::read_edges_from;
use backstitch_data::order::read_order_from;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let columns = ["raf", "mek", "erk", "a, b"].map(String::from);
    match read_edges_from(bytes, "input", &columns) {
        Ok(edges) => {
            assert!(edges.iter().all(|edge| edge.from < 4 && edge.to < 4 && edge.from != edge.to));
            assert!(edges.iter().all(|edge| edge.weight.is_none_or(f64::is_finite)));
            let distinct: HashSet<_> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
            assert_eq!(distinct.len(), edges.len());
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
    }
    match read_order_from(bytes, "input", &columns) {
        Ok(mut order) => {
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.hint().is_some()),
    }
});
