//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod fobar;
mod fobar_masks;
mod fobar_score;
mod fobar_vectors;
mod probtree;
mod probtree_mark;
mod probtree_recorded;
mod probtree_tree;
mod scripted;
mod spoken;
mod textgrad;
mod textgrad_corpus;
mod textgrad_transcripts;
