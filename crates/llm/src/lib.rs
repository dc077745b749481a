//! Language models behind one small interface.
//!
//! A method puts a [`Request`] for every question of a stage and calls [`Model::complete`] once: an endpoint then sees bounded
//! concurrency, a model in process full batches, and the result does not depend on timing. What answers is an
//! [`Endpoint`] (any server that speaks the chat or completions interface of OpenAI), a model in this process (`InProcess`, with the feature
//! `in-process`: a folder or an embedded model, which [`corpus`] taught), a recording ([`Replay`]), or whatever else implements the trait.
//! [`Stored`] puts a [`Cache`] or a [`Recording`] before a model, so that nothing is asked, or paid, twice; a
//! [`Budget`] holds an endpoint to hard limits; [`question`] reads questions, and [`answer`] finds the answer in a reply.
//!
//! # Example
//! ```no_run
//! use backstitch_llm::{ApiKey, Budget, Cache, Endpoint, EndpointOptions, Limits, Model, Request, Stored};
//! let options = EndpointOptions::new("http://localhost:8000/v1", "Qwen/Qwen2.5-1.5B-Instruct");
//! let key = ApiKey::from_environment("BACKSTITCH_API_KEY")?;
//! let budget = Budget::new(Limits { requests: Some(1000), ..Limits::default() }, None)?;
//! let endpoint = Endpoint::new(options, key, budget.into())?;
//! let model = Stored::new(endpoint, Cache::open("replies.sqlite".as_ref())?);
//! let request = Request { samples: 10, temperature: 0.7, ..Request::user("What is 17 + 25? Think step by step.") };
//! for reply in model.complete(&[request]) {
//!     for sample in reply?.samples {
//!         println!("{}", sample.text);
//!     }
//! }
//! # Ok::<(), backstitch_llm::Error>(())
//! ```

pub mod answer;
mod budget;
mod cache;
pub mod corpus;
mod endpoint;
mod error;
#[cfg(feature = "in-process")]
mod in_process;
mod key;
mod model;
pub mod question;
mod recording;
mod reply;
mod request;
mod stored;

pub use budget::{Budget, Estimate, Limits, Prices, Spent, estimate};
pub use cache::{Cache, CacheEntry, Pruning};
pub use endpoint::{ApiKey, Capabilities, Endpoint, EndpointKind, EndpointOptions};
pub use error::Error;
#[cfg(feature = "in-process")]
pub use in_process::{EMBEDDED_SEEDS, InProcess, embedded_files, training};
pub use key::{Identity, Key};
pub use model::Model;
pub use recording::{Recording, Replay};
pub use reply::{Alternative, FinishReason, Reply, Sample, Token, Usage};
pub use request::{Message, Prompt, Request, Role};
pub use stored::{Store, Stored};
