//! Readers, generators and the data directory of backstitch.

pub mod dag;
