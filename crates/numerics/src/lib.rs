//! What several wings need beyond dense linear algebra: a plain and a sparse matrix, seeded streams and interval statistics.

pub mod bootstrap;
pub mod interval;
pub mod matrix;
pub mod sparse;
pub mod special;
pub mod stream;

pub use interval::Interval;
pub use matrix::Matrix;
pub use sparse::{SparseBuilder, SparseMatrix, SparseRow};
pub use stream::Stream;
