//! What can go wrong with Flink's REST API, and what to do about it.

use std::time::Duration;

use crate::http_peer::PeerError;

/// The options make no sense. Each message names the flag and what was seen.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL.
    #[error("--flink-url `{given}`: {problem}; give it as http://host:8081 or https://host:8081")]
    Url {
        /// As it was written.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An encrypted connection without anything to trust.
    #[error("--flink-url `{given}` is encrypted; name the file of the CA that signed its certificate with --flink-ca")]
    NoCertificate {
        /// As it was written.
        given: String,
    },
    /// Certificates were given for a connection that is not encrypted.
    #[error("--flink-url `{given}` is not encrypted although --flink-ca is given; write https:// instead")]
    NotEncrypted {
        /// As it was written.
        given: String,
    },
    /// The name to expect in Flink's certificate is not a name.
    #[error("--flink-tls-server-name `{given}` is not a host name")]
    ServerName {
        /// As it was written.
        given: String,
    },
    /// One of the files cannot be used.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A timeout of nothing.
    #[error("--request-timeout must be longer than 0s")]
    Timeout,
}

/// Flink did not answer as it should. Each message names the request and what was seen.
#[derive(Debug, thiserror::Error)]
pub enum FlinkError {
    /// No connection, or it broke.
    #[error("Flink is not reached at {url}: {why}; check --flink-url, and whether the JobManager runs")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// It took too long.
    #[error("Flink at {url} did not answer within {}; check --flink-url, and whether the JobManager is overloaded", humantime::format_duration(*timeout))]
    Timeout {
        /// What was asked.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The two sides could not agree on an encrypted connection.
    #[error("no encrypted connection to Flink at {url}: {why}; {mend}")]
    Tls {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// The JobManager is starting, or choosing its leader.
    #[error("Flink at {url} is not ready (503): {said}")]
    Unavailable {
        /// What was asked.
        url: String,
        /// What it said.
        said: String,
    },
    /// Any other status that is no success.
    #[error("Flink at {url} answered {status}: {said}; check --flink-url if this is not Flink")]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// The answer cannot be read.
    #[error("the answer of {url} is not Flink's: {problem}; check --flink-url")]
    BadAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl FlinkError {
    /// Every value of [`Self::kind`].
    pub const KINDS: [&str; 6] = ["unreachable", "timeout", "tls", "unavailable", "http_status", "bad_answer"];

    /// What to do about a handshake that failed of `why`.
    pub(super) fn mend_of_tls(why: &str) -> &'static str {
        if why.contains("HandshakeFailure") {
            "the two have no cipher suite in common: set security.ssl.algorithms: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
             TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 in Flink's configuration, for an EC key those with ECDSA in place of RSA (the \
             default of older versions is an obsolete one)"
        } else {
            "check --flink-ca and --flink-tls-server-name, and where Flink wants to know its clients \
             --flink-client-certificate"
        }
    }

    /// The kind of error, for metric labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Tls { .. } => "tls",
            Self::Unavailable { .. } => "unavailable",
            Self::Status { .. } => "http_status",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }
}
