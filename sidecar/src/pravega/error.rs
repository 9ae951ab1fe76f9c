//! What can go wrong with the controllers, and what to do about it.

use std::{fmt, time::Duration};

use sluice_core::StreamName;
use tonic::Code;

use crate::{credentials::CredentialsError, mounted::FileError};

/// The options make no sense. Each message names the flag and what was seen.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no address at all.
    #[error("--pravega-controller names no controller; give at least one as tcp://host:9090")]
    NoAddress,
    /// One address cannot be read.
    #[error("--pravega-controller `{given}`: {problem}")]
    Address {
        /// As it was written.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A certificate was given for a connection that is not encrypted.
    #[error("--pravega-controller {address} is not encrypted although --pravega-ca is given; write tls:// instead")]
    NotEncrypted {
        /// The address.
        address: String,
    },
    /// An encrypted connection without anything to trust.
    #[error(
        "--pravega-controller {address} is encrypted; name the file of the CA that signed its certificate with --pravega-ca"
    )]
    NoCertificate {
        /// The address.
        address: String,
    },
    /// The certificate file cannot be used.
    #[error(transparent)]
    Certificate(#[from] FileError),
    /// The name to expect in the controllers' certificates is not a name.
    #[error("--pravega-tls-server-name `{given}` is not a host name")]
    ServerName {
        /// As it was written.
        given: String,
    },
    /// Credentials that cannot be sent.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A timeout of nothing.
    #[error("--request-timeout must be longer than 0s")]
    Timeout,
}

/// The controllers did not say how the stream is split.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// None of the controllers gave an answer that could be used.
    #[error("no Pravega controller gave the segments of {stream}: {} ({})", list(tried), mend(tried))]
    NoAnswer {
        /// The stream that was asked for.
        stream: StreamName,
        /// Each controller and why not, in the order tried.
        tried: Vec<Attempt>,
    },
    /// The controller wants to know who asks, or does not believe it.
    #[error("{address} does not accept the credentials: {message}; {mend}")]
    Unauthenticated {
        /// The controller.
        address: String,
        /// What it said.
        message: String,
        /// What to do about it.
        mend: String,
    },
    /// The user may not read the stream.
    #[error("{address} does not let this user read stream {stream}: {message}; grant READ on it or use another user")]
    PermissionDenied {
        /// The controller.
        address: String,
        /// The stream.
        stream: StreamName,
        /// What it said.
        message: String,
    },
    /// The scope is not there.
    #[error("Pravega has no scope `{0}`: check --scope {0}, or create the scope", stream.scope)]
    NoSuchScope {
        /// The stream that was asked for.
        stream: StreamName,
    },
    /// The scope is there, the stream is not.
    #[error("Pravega has no stream `{0}` in scope `{1}`: check --stream {0} and --scope {1}, or create the stream", stream.stream, stream.scope)]
    NoSuchStream {
        /// The stream that was asked for.
        stream: StreamName,
    },
    /// The file with the secret cannot be used.
    #[error(transparent)]
    Credentials(#[from] FileError),
}

impl ControllerError {
    /// Every value of [`Self::kind`].
    pub const KINDS: [&str; 10] = [
        "unreachable",
        "timeout",
        "tls",
        "internal",
        "bad_answer",
        "unauthenticated",
        "permission_denied",
        "no_such_scope",
        "no_such_stream",
        "credentials",
    ];

    /// The kind of error, for metric labels. Where the controllers failed in different ways, it is
    /// the one that tells most.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoAnswer { tried, .. } => most_telling(tried).map_or("unreachable", Failure::kind),
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::PermissionDenied { .. } => "permission_denied",
            Self::NoSuchScope { .. } => "no_such_scope",
            Self::NoSuchStream { .. } => "no_such_stream",
            Self::Credentials(_) => "credentials",
        }
    }
}

/// One controller that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The controller.
    pub address: String,
    /// Why it gave no answer.
    pub failure: Failure,
}

/// Why one controller gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// It answered that it cannot.
    #[error("{code:?}: {message}")]
    Refused {
        /// The gRPC code.
        code: Code,
        /// What it said.
        message: String,
    },
    /// The answer makes no sense.
    #[error("{0}")]
    BadAnswer(String),
    /// The two sides could not agree on an encrypted connection.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Refused { .. } => "internal",
            Self::BadAnswer(_) => "bad_answer",
            Self::Tls(_) => "tls",
        }
    }

    fn tells(&self) -> u8 {
        match self {
            Self::Unreachable(_) => 0,
            Self::Timeout(_) => 1,
            Self::Refused { .. } => 2,
            Self::BadAnswer(_) => 3,
            Self::Tls(_) => 4,
        }
    }
}

fn most_telling(tried: &[Attempt]) -> Option<&Failure> {
    tried.iter().map(|attempt| &attempt.failure).max_by_key(|failure| failure.tells())
}

fn mend(tried: &[Attempt]) -> &'static str {
    match most_telling(tried) {
        Some(Failure::Tls(_)) => "check --pravega-ca and --pravega-tls-server-name",
        Some(Failure::Timeout(_)) => "check --pravega-controller, and whether the controller is overloaded",
        Some(Failure::Refused { .. }) => "the controller's log says more",
        Some(Failure::Unreachable(_) | Failure::BadAnswer(_)) | None => "check --pravega-controller",
    }
}

fn list(tried: &[Attempt]) -> impl fmt::Display {
    tried.iter().map(|attempt| format!("{}: {}", attempt.address, attempt.failure)).collect::<Vec<_>>().join("; ")
}
