//! The experiments of backstitch: one file per method.
