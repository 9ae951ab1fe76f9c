//! What the lab tests and the benchmarks share.

pub mod adaptive;
pub mod dashboards;
pub mod fake_cluster;
pub mod fake_controller;
pub mod generator;
pub mod kubernetes;
pub mod lab;
pub mod peers;
pub mod percentile;
pub mod process_cost;
pub mod promtool;
pub mod reading;
pub mod rescale;
pub mod scene;
pub mod watched;
pub mod writing;
