//! The contract of backstitch: from the claim of a paper to a verdict.
//!
//! The way of the data: a [`Study`] declares arms, metrics and claims, and lists cells. [`Run::resolve`] fixes what
//! exactly is run, [`RunDirectory`] is where, [`harness::run_cells`] runs each cell in a process of its own,
//! [`RunDirectory::conclude`] judges the observations ([`judge`]) and [`report`] shows them.

pub mod bench;
pub mod card;
pub mod context;
pub mod directory;
pub mod harness;
pub mod judge;
mod observations;
pub mod picture;
pub mod report;
pub mod results;
pub mod run;
pub mod shelf;
pub mod statement;
pub mod study;
pub mod write;

pub use card::{Card, OfficialCode};
pub use context::{CellContext, CellError, Throughput};
pub use directory::{CellTiming, RunDirectory, VerdictFile};
pub use judge::{Judgement, Observation, Verdict};
pub use run::{Choices, DataSource, Provenance, Run, RunError};
pub use statement::{Claim, Effect, Precondition, Scope, Statistic};
pub use study::{Arm, Better, Cell, Metric, OWN_DATA, Role, Scale, Study};
