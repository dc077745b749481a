//! The reason wing of backstitch: fobar.

pub mod error;
pub mod fobar;

pub use error::Error;
