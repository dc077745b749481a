//! The reason wing of backstitch: probtree, fobar, textgrad.

pub mod error;
pub mod fobar;
mod options;
pub mod probtree;
pub mod textgrad;

pub use error::Error;
pub use options::with_options;
