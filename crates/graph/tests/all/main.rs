//! All integration tests of this crate, one binary.

mod forward_gnn;
mod forward_gnn_refusals;
