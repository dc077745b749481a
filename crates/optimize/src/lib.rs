//! The optimize wing of backstitch: ef21-w, block-descent.
//!
//! What its methods share is in [`objective`]: losses over sparse rows, their gradients and their smoothness constants.

pub mod block_descent;
pub mod ef21_w;
pub mod error;
pub mod objective;

pub use error::Error;
