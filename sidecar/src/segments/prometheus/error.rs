//! What can go wrong with Prometheus as the source of segments, and what to do about it.

use std::time::Duration;

use sluice_core::StreamName;

use crate::{credentials::CredentialsError, http_peer::PeerError, mounted::FileError};

/// The options make no sense. Each message names the flag and what was seen.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error("--prometheus-url `{given}`: {problem}; give it as http://host:9090 or https://host:9090")]
    Url { given: String, problem: String },
    #[error(
        "--prometheus-url `{given}` is encrypted; name the file of the CA that signed its certificate with \
         --prometheus-ca (for a public CA that is the system's bundle, such as /etc/ssl/certs/ca-certificates.crt)"
    )]
    NoCertificate { given: String },
    #[error("--prometheus-url `{given}` is not encrypted although --prometheus-ca is given; write https:// instead")]
    NotEncrypted { given: String },
    #[error("--prometheus-tls-server-name `{given}` is not a host name")]
    ServerName { given: String },
    #[error("--prometheus-query is empty; leave it out for the gauge that Pravega's controllers export")]
    NoQuery,
    #[error(
        "--prometheus-query `{query}` asks the same for every stream of --stream: write $stream where the name of the \
         stream goes"
    )]
    SameQuery { query: String },
    #[error("--request-timeout must be longer than 0s")]
    Timeout,
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Prometheus did not say how the stream is split.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PrometheusError {
    #[error("Prometheus is not reached at {url}: {why}; check --prometheus-url")]
    Unreachable { url: String, why: String },
    #[error("Prometheus at {url} did not answer within {}; check --prometheus-url, and whether it is overloaded", humantime::format_duration(*timeout))]
    Timeout { url: String, timeout: Duration },
    #[error(
        "no encrypted connection to Prometheus at {url}: {why}; check --prometheus-ca and --prometheus-tls-server-name"
    )]
    Tls { url: String, why: String },
    #[error("Prometheus at {url} does not accept the credentials: {said}; {mend}")]
    Unauthenticated { url: String, said: String, mend: String },
    #[error("Prometheus at {url} does not let this user run queries: {said}; grant it that, or use another user")]
    PermissionDenied { url: String, said: String },
    #[error("Prometheus cannot run the query `{query}`: {said}; check --prometheus-query")]
    BadQuery { query: String, said: String },
    #[error("Prometheus at {url} answered {status}: {said}; check --prometheus-url if this is not Prometheus")]
    Status { url: String, status: u16, said: String },
    #[error("the answer of {url} is not one of Prometheus: {problem}; check --prometheus-url and --prometheus-query")]
    BadAnswer { url: String, problem: String },
    /// Unknown is not zero.
    #[error(
        "Prometheus has no sample for stream {stream} (query `{query}`): is the controller scraped, with its metrics on? \
         The gauge comes when the stream is created or scales, and is gone after a controller restarted; with \
         --pravega-controller no gauge is needed"
    )]
    NoSeries { stream: StreamName, query: String },
    /// A sum, or any one of them, would be a guess.
    #[error(
        "Prometheus has {count} series for stream {stream}, and which of them is right it cannot tell: {differ}; name one \
         in --prometheus-query, or ask the controllers themselves with --pravega-controller"
    )]
    SeveralSeries { stream: StreamName, count: usize, differ: String },
    #[error(
        "Prometheus says that stream {stream} has {value} segments, which no open stream has; check --prometheus-query"
    )]
    BadValue { stream: StreamName, value: String },
    #[error(transparent)]
    Credentials(#[from] FileError),
}

impl PrometheusError {
    /// Every value of [`Self::kind`].
    pub const KINDS: [&str; 12] = [
        "unreachable",
        "timeout",
        "tls",
        "unauthenticated",
        "permission_denied",
        "bad_query",
        "http_status",
        "bad_answer",
        "no_series",
        "several_series",
        "bad_value",
        "credentials",
    ];

    /// The kind of error, for metric labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Tls { .. } => "tls",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::PermissionDenied { .. } => "permission_denied",
            Self::BadQuery { .. } => "bad_query",
            Self::Status { .. } => "http_status",
            Self::BadAnswer { .. } => "bad_answer",
            Self::NoSeries { .. } => "no_series",
            Self::SeveralSeries { .. } => "several_series",
            Self::BadValue { .. } => "bad_value",
            Self::Credentials(_) => "credentials",
        }
    }
}
