//! The flags of the second source of segments.

use std::path::PathBuf;

use clap::Args;

use crate::segments::prometheus::DEFAULT_QUERY;

/// Prometheus instead of Pravega's controller.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prometheus (only where the controller cannot be reached)")]
pub struct PrometheusArgs {
    /// Read the segments from a Prometheus that scrapes Pravega's controllers, instead of from a controller:
    /// `http://host:9090` or `https://host:9090`, with a path if it stands behind one. It is the lesser source:
    /// a controller sets its gauge only when it creates or scales a stream, so the gauge is missing after the
    /// controller restarted and may go when another stream is created; two controllers each have one, and
    /// they may differ; that a stream is sealed, and its epoch, no gauge tells; and how long ago the gauge was
    /// set nobody knows. What is missing, old or ambiguous is held, never guessed. Set --staleness to three
    /// times the scrape interval.
    #[arg(long, env = "SLUICE_PROMETHEUS_URL", value_name = "URL")]
    pub prometheus_url: Option<String>,

    /// The query for one stream, with $scope and $stream where its names go. It must make one series: more
    /// than one is ambiguous, and none is unknown. With anything but a plain selector the age of the sample
    /// is lost, and with it the check against --staleness.
    #[arg(long, env = "SLUICE_PROMETHEUS_QUERY", value_name = "PROMQL", default_value = DEFAULT_QUERY)]
    pub prometheus_query: String,

    /// The certificate (PEM) that Prometheus' own is signed with; read again when it changes.
    #[arg(long, env = "SLUICE_PROMETHEUS_CA", value_name = "FILE", requires = "prometheus_url")]
    pub prometheus_ca: Option<PathBuf>,

    /// The name that Prometheus' certificate must bear, if not the host name of its URL.
    #[arg(long, env = "SLUICE_PROMETHEUS_TLS_SERVER_NAME", value_name = "NAME", requires = "prometheus_ca")]
    pub prometheus_tls_server_name: Option<String>,

    /// User name for Basic authentication at Prometheus.
    #[arg(long, env = "SLUICE_PROMETHEUS_USERNAME", value_name = "NAME", requires = "prometheus_password_file")]
    pub prometheus_username: Option<String>,

    /// File with the password; read again when it changes.
    #[arg(long, env = "SLUICE_PROMETHEUS_PASSWORD_FILE", value_name = "FILE", requires = "prometheus_username")]
    pub prometheus_password_file: Option<PathBuf>,

    /// File with a bearer token; read again when it changes.
    #[arg(long, env = "SLUICE_PROMETHEUS_TOKEN_FILE", value_name = "FILE", conflicts_with = "prometheus_username")]
    pub prometheus_token_file: Option<PathBuf>,
}
