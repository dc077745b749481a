//! What several wings need beyond dense linear algebra: a plain and a sparse matrix, linear assignment, a small perceptron, seeded
//! streams and interval statistics.

pub mod assignment;
pub mod bootstrap;
pub mod interval;
pub mod matrix;
pub mod mlp;
pub mod sparse;
pub mod special;
pub mod stream;

pub use interval::Interval;
pub use matrix::Matrix;
pub use sparse::{SparseBuilder, SparseMatrix, SparseRow};
pub use stream::Stream;
