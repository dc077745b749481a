//! All integration tests of this crate, one binary.

mod catalogue;
mod corpus;
mod directory;
mod download;
mod graph;
mod hash;
mod libsvm;
mod memory;
mod server;
mod table;
