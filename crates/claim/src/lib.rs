//! Shelf, study, claim, verdict, run directory and report of backstitch.
