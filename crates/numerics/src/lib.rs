//! What several wings need beyond dense linear algebra: a plain matrix, seeded streams and interval statistics.

pub mod bootstrap;
pub mod interval;
pub mod matrix;
pub mod special;
pub mod stream;

pub use interval::Interval;
pub use matrix::Matrix;
pub use stream::Stream;
