//! All integration tests of this crate, one binary.

mod coverage;
mod degenerate;
mod vectors;
