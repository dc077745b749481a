//! The optimize wing of backstitch: ef21-w, penalty-bilevel, block-descent, schedule-refinement.
//!
//! What its methods share is in [`objective`]: losses over sparse rows, their gradients and their smoothness constants.

pub mod block_descent;
pub mod ef21_w;
pub mod error;
pub mod objective;
pub mod penalty_bilevel;
pub mod schedule_refinement;

pub use error::Error;
