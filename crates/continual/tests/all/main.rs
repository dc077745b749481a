//! Tests of the continual wing.

mod cuber;
mod cuber_files;
