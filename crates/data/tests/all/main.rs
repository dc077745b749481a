//! All integration tests of this crate, one binary.

mod bm25;
mod catalogue;
mod corpus;
mod directory;
mod download;
mod graph;
mod graph_data;
mod hash;
mod libsvm;
mod memory;
mod passages;
mod server;
mod table;
