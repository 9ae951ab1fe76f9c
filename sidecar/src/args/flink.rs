//! The flags of the Flink side.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::duration;
use crate::flink::FlinkTls;

/// The Flink side.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Flink")]
pub struct FlinkArgs {
    /// Flink's REST API; in the JobManager pod the default is right.
    #[arg(long, env = "SLUICE_FLINK_URL", value_name = "URL", default_value = "http://localhost:8081")]
    pub flink_url: String,

    /// The certificate (PEM) that Flink's own is signed with, for an https URL (security.ssl.rest.enabled). This
    /// and the next two files are read again when they change.
    #[arg(long, env = "SLUICE_FLINK_CA", value_name = "FILE")]
    pub flink_ca: Option<PathBuf>,

    /// The agent's own certificate (PEM), where Flink wants to know its clients
    /// (security.ssl.rest.authentication-enabled).
    #[arg(
        long,
        env = "SLUICE_FLINK_CLIENT_CERTIFICATE",
        value_name = "FILE",
        requires = "flink_ca",
        requires = "flink_client_key"
    )]
    pub flink_client_certificate: Option<PathBuf>,

    /// Its key (PEM, not encrypted).
    #[arg(long, env = "SLUICE_FLINK_CLIENT_KEY", value_name = "FILE", requires = "flink_client_certificate")]
    pub flink_client_key: Option<PathBuf>,

    /// The name that Flink's certificate must bear, if not the host name of its URL: in the JobManager pod
    /// the URL says localhost, and the certificate usually bears the name of a Service.
    #[arg(long, env = "SLUICE_FLINK_TLS_SERVER_NAME", value_name = "NAME", requires = "flink_ca")]
    pub flink_tls_server_name: Option<String>,

    /// There is no Flink: the members of the Deployment or the process pool are themselves readers of
    /// one reader group, such as `data-generator read`, and there is to be one per segment. What else is
    /// said of Flink is passed over then.
    #[arg(long, env = "SLUICE_NO_FLINK", conflicts_with = "savepoint_before_change")]
    pub no_flink: bool,

    /// Id or name of the job, where the cluster has more than one.
    #[arg(long, env = "SLUICE_FLINK_JOB", value_name = "JOB")]
    pub flink_job: Option<String>,

    /// How long one request to Flink, Pravega or Kubernetes may take.
    #[arg(long, env = "SLUICE_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub request_timeout: Duration,
}

impl FlinkArgs {
    /// What an encrypted connection is made with; `None` without `--flink-ca`.
    #[must_use]
    pub fn tls(&self) -> Option<FlinkTls> {
        Some(FlinkTls {
            ca: self.flink_ca.clone()?,
            identity: self.flink_client_certificate.clone().zip(self.flink_client_key.clone()),
            server_name: self.flink_tls_server_name.clone(),
        })
    }
}
