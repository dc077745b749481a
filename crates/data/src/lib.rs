//! Readers, generators and the data directory of backstitch.
//!
//! What a user brings is read by [`table`] (a numeric table), [`libsvm`] (sparse rows with labels), [`edges`] (a known
//! graph over columns), [`graph`] (nodes with features, labels and edges), [`order`] (a known order of the columns), [`jsonl`] (one JSON
//! value per line), [`passages`] (texts, which [`bm25`] searches) and [`idx`] (images as MNIST has them). Small public tables are part of the program
//! ([`embedded`]). What is published elsewhere is listed in [`catalogue`], fetched by [`download`] and found again
//! by [`directory`]; [`hash`] says whether it is still the same. Every error names the file and the place in it, and
//! offers a way out where there is one.

pub mod bm25;
pub mod catalogue;
pub mod dag;
pub mod directory;
pub mod download;
pub mod edges;
pub mod embedded;
mod fields;
pub mod graph;
pub mod hash;
pub mod idx;
pub mod input;
pub mod jsonl;
pub mod libsvm;
mod names;
pub mod npz;
pub mod order;
pub mod passages;
pub mod table;
mod table_error;

pub use directory::DataDirectory;
pub use libsvm::{LibsvmData, LibsvmError, LibsvmOptions, read_libsvm, read_libsvm_from};
pub use table::{Table, TableError, TableOptions, read_table, read_table_from};
