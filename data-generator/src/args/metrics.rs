//! The flag that serves metrics. Shared by every command.

use clap::Args;
use std::net::SocketAddr;

/// Where to serve metrics.
#[derive(Args, Debug)]
#[command(next_help_heading = "Report")]
pub struct MetricsArgs {
    /// Address on which to serve /metrics for Prometheus, and /live for probes, while the command
    /// runs; for example 0.0.0.0:9090. Without it nothing is served.
    #[arg(long, env = "DATA_GENERATOR_METRICS_ADDRESS", value_name = "ADDRESS")]
    pub metrics_address: Option<SocketAddr>,
}
