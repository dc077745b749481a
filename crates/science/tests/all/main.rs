//! All integration tests of this crate, one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

mod deep_xva;
mod deep_xva_input;
mod deep_xva_names;
mod deep_xva_sensitivity;
