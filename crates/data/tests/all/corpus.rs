//! The corpora of the fuzz targets, replayed: what fuzzing starts from, and what it found, stays found.
