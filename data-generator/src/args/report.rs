//! What a command tells while it runs, and at its end. Shared by `write` and `read`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to tell.
#[derive(Args, Debug)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    /// How to show progress.
    #[arg(long, env = "DATA_GENERATOR_PROGRESS", default_value = "auto", value_name = "HOW")]
    pub progress: ProgressMode,

    /// Address on which to serve /metrics for Prometheus, and /live for probes, while the command
    /// runs; for example 0.0.0.0:9090. Without it nothing is served.
    #[arg(long, env = "DATA_GENERATOR_METRICS_ADDRESS", value_name = "ADDRESS")]
    pub metrics_address: Option<SocketAddr>,

    /// Write the summary as JSON to this file, also when the run fails.
    #[arg(long, env = "DATA_GENERATOR_SUMMARY", value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// live on a terminal, plain otherwise.
    Auto,
    /// One line on standard error, kept up to date.
    Live,
    /// A log line every 10 s.
    Plain,
    /// A JSON object a second on standard output, and the summary as the last; text goes to standard
    /// error.
    Json,
    /// Nothing until the summary.
    None,
}
