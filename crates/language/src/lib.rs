//! The language wing of backstitch: reversal-curse, spt, locality.
//!
//! A room here needs no network: it makes and checks texts, asks questions and scores answers. What it has to know of a
//! model comes through a closure (log-probabilities, or a completed prompt), so that a network in process, an endpoint,
//! a recording or a table of counts can stand behind it.

pub mod error;
pub mod facts;
pub mod jsonl;
pub mod locality;
pub mod reversal_curse;
pub mod spt;

pub use error::Error;
