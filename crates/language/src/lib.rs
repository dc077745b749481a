//! The language wing of backstitch: reversal-curse, spt, locality.
//!
//! A room here asks without a network: it makes and checks texts, asks questions and scores answers. [`locality`] can also train one
//! ([`locality::learn`]). What it has to know of a
//! model comes through a closure (log-probabilities, or a completed prompt), so that a network in process, an endpoint,
//! a recording or a table of counts can stand behind it:
//!
//! | room | asks a model by | for |
//! |---|---|---|
//! | [`reversal_curse::evaluate`] | `FnMut(&[String]) -> Result<Vec<String>, Error>` | greedy completions of all prompts |
//! | | `FnMut(&str, &[String]) -> Result<Vec<Score>, Error>` | log p(candidate given prompt) of all candidates of one prompt |
//! | [`locality::Estimator`] | `FnMut(&[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error>` | log-probabilities of the next token after each prompt |
//! | [`spt::Spt`] | nothing | |
//!
//! [`train`] trains a small decoder on sentences and puts any checkpoint behind these closures. [`facts`] makes, reads and checks the facts that reversal-curse, spt and later rooms share.

pub mod error;
pub mod facts;
pub mod locality;
pub mod reversal_curse;
pub mod spt;
pub mod train;

pub use error::Error;
