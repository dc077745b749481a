//! The statistics wing of backstitch: topo.
