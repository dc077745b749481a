//! All integration tests of this crate, one binary.

mod topo;
mod topo_inputs;
mod topo_vectors;
