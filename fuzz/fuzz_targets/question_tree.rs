//! Any reply is read as the tree of a question or refused.
//!
//! Run with `cargo +nightly fuzz run question_tree`.

#![no_main]

use backstitch_reason::probtree::{Caps, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &str| {
    match Tree::parse(reply, "Q?", Caps { levels: 3, nodes: 12 }) {
        Ok(tree) => {
            assert!((1..=12).contains(&tree.nodes.len()));
            for (place, node) in tree.nodes.iter().enumerate() {
                assert!(node.children.iter().all(|child| *child < place));
                assert!(node.list.is_none_or(|(start, end)| reply.get(start..end).is_some()));
                let _ = tree.filled(place, |sibling| (sibling < place).then(|| "answer".to_owned()));
            }
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
});
