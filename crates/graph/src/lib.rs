//! The graph wing of backstitch: forward-gnn.
//!
//! Numbers are kept in single precision. Every sum is taken in an order of its own, whatever the number of threads.

pub mod dense;
pub mod error;
pub mod forward_gnn;
pub mod rows;
pub mod structure;

pub use error::Error;
