//! What several wings need beyond dense linear algebra: seeded streams and interval statistics.

pub mod stream;

pub use stream::Stream;
