//! All integration tests of this crate, one binary.

mod table;
