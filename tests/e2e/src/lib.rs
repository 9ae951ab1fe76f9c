//! What the lab tests and the benchmarks share.

pub mod fake_cluster;
pub mod percentile;
pub mod scene;
