//! The compress wing of backstitch: flexround.

pub mod error;
pub mod flexround;
mod numbers;
mod rows;

pub use error::Error;
pub use rows::Rows;
