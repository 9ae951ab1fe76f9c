//! OBSERVE, first half: asks Pravega's controller how many segments a stream has.
//!
//! A small client of the controller's gRPC service that does one thing, cannot hang and cannot
//! panic. Every controller is tried when another is away; the one that answered last goes first, so
//! a dead one costs a single timeout and not one per look.

mod address;
mod error;
mod rpc;
mod tls;

#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use sluice_core::{StreamName, StreamShape};
use tonic::{Code, transport::Channel};

pub use self::error::{Attempt, ConfigError, ControllerError, Failure};
use self::{address::Address, rpc::Reply, tls::Trust};
use crate::credentials::{CredentialFlags, Credentials};

const FLAGS: CredentialFlags = CredentialFlags {
    username: "--pravega-username",
    password_file: "--pravega-password-file",
    token_file: "--pravega-token-file",
};

/// How to reach the controllers.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// The controllers: `tcp://host:port`, `tls://host:port` or `host:port`; `pravega://` and
    /// `pravegas://` mean the same as `tcp://` and `tls://`. An address without a scheme takes the
    /// scheme of the one before it, as in `tls://a:9090,b:9090`.
    pub addresses: Vec<String>,
    /// PEM file with the certificates that sign the controllers' own. Needed for `tls://`.
    pub ca_certificate: Option<PathBuf>,
    /// The name that the controllers' certificates carry, where it is not the host of the address.
    pub tls_server_name: Option<String>,
    /// Who the agent says it is.
    pub credentials: Credentials,
    /// The longest that one controller may take to answer.
    pub timeout: Duration,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            ca_certificate: None,
            tls_server_name: None,
            credentials: Credentials::None,
            timeout: Duration::from_secs(2),
        }
    }
}

/// The controllers of one Pravega cluster, taken as one.
#[derive(Debug)]
pub struct Controller {
    nodes: Vec<Node>,
    trust: Option<Trust>,
    credentials: Credentials,
    timeout: Duration,
    /// Index of the node that answered last.
    good: AtomicUsize,
}

#[derive(Debug)]
struct Node {
    address: Address,
    /// The connection, once there is one. Any failure below gRPC throws it away: a peer that went
    /// without a word would otherwise hold every later call for as long as TCP keeps trying.
    channel: Mutex<Option<Channel>>,
}

/// Why one controller gave no segments.
enum Refusal {
    /// This controller could not; another may.
    Here(Failure),
    /// Any controller would say the same.
    Everywhere(ControllerError),
}

impl Controller {
    /// Checks the options and reads the files that they name. Connects to nothing yet.
    pub fn new(options: ControllerOptions) -> Result<Self, ConfigError> {
        let ControllerOptions { addresses, ca_certificate, tls_server_name, credentials, timeout } = options;
        let addresses = address::parse_all(&addresses, ca_certificate.is_some())?;
        credentials.check(FLAGS)?;
        if timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let trust = ca_certificate.map(|file| Trust::new(file, tls_server_name)).transpose()?;
        for address in &addresses {
            rpc::endpoint(address, trust.as_ref())?;
            if !address.tls && !matches!(credentials, Credentials::None) {
                tracing::warn!(%address, "credentials go to this Pravega controller unencrypted; use tls:// and --pravega-ca");
            }
        }
        let nodes = addresses.into_iter().map(|address| Node { address, channel: Mutex::default() }).collect();
        Ok(Self { nodes, trust, credentials, timeout, good: AtomicUsize::new(0) })
    }

    /// How the stream is split right now.
    ///
    /// Takes at most the timeout for each controller, and once more if the stream turns out to be
    /// missing; usually a few milliseconds.
    pub async fn shape(&self, name: &StreamName) -> Result<StreamShape, ControllerError> {
        let authorization = self.credentials.header(FLAGS)?;
        let first = self.good.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        for offset in 0..self.nodes.len() {
            let index = (first + offset) % self.nodes.len();
            let Some(node) = self.nodes.get(index) else { continue };
            match self.ask(node, name, authorization.as_ref()).await {
                Ok(shape) => {
                    self.good.store(index, Ordering::Relaxed);
                    return Ok(shape);
                }
                Err(Refusal::Everywhere(error)) => {
                    self.good.store(index, Ordering::Relaxed);
                    return Err(error);
                }
                Err(Refusal::Here(failure)) => {
                    tracing::debug!(address = %node.address, stream = %name, %failure, "a controller gave no segments");
                    tried.push(Attempt { address: node.address.to_string(), failure });
                }
            }
        }
        Err(ControllerError::NoAnswer { stream: name.clone(), tried })
    }

    /// Asks one controller, within the timeout.
    async fn ask(
        &self,
        node: &Node,
        name: &StreamName,
        authorization: Option<&HeaderValue>,
    ) -> Result<StreamShape, Refusal> {
        let reply =
            self.within_timeout(node, rpc::current_segments, name, authorization).await.map_err(Refusal::Here)?;
        match reply {
            Reply::Answer(ranges) => rpc::shape(&ranges).map_err(|why| Refusal::Here(Failure::BadAnswer(why))),
            Reply::Refused(Code::NotFound, _) => {
                // Only to say which of the two is missing; if that cannot be told, it is the stream.
                let scope = self.within_timeout(node, rpc::scope_exists, name, authorization).await;
                Err(Refusal::Everywhere(match scope {
                    Ok(Reply::Answer(answer)) if !answer.exists => {
                        ControllerError::NoSuchScope { stream: name.clone() }
                    }
                    _ => ControllerError::NoSuchStream { stream: name.clone() },
                }))
            }
            Reply::Refused(Code::Unauthenticated, message) => {
                Err(Refusal::Everywhere(ControllerError::Unauthenticated {
                    address: node.address.to_string(),
                    message,
                    mend: self.credentials.mend(FLAGS),
                }))
            }
            Reply::Refused(Code::PermissionDenied, message) => {
                Err(Refusal::Everywhere(ControllerError::PermissionDenied {
                    address: node.address.to_string(),
                    stream: name.clone(),
                    message,
                }))
            }
            Reply::Refused(Code::Unimplemented, _) => {
                Err(Refusal::Here(Failure::BadAnswer("it does not speak Pravega's controller service".into())))
            }
            Reply::Refused(code, message) => Err(Refusal::Here(Failure::Refused { code, message })),
        }
    }

    async fn within_timeout<A, F>(
        &self,
        node: &Node,
        call: impl Fn(Channel, StreamName, Option<HeaderValue>) -> F,
        name: &StreamName,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply<A>, Failure>
    where
        F: Future<Output = Result<Reply<A>, Failure>>,
    {
        let attempt = async {
            loop {
                let (channel, kept) = node.channel(self.trust.as_ref())?;
                match call(channel, name.clone(), authorization.cloned()).await {
                    // The connection from an earlier look may have been closed by a controller that
                    // restarted meanwhile, perhaps with a new certificate; that says nothing about the
                    // controller of now.
                    Err(Failure::Unreachable(_) | Failure::Tls(_)) if kept => node.forget(),
                    outcome => return outcome,
                }
            }
        };
        let outcome = tokio::time::timeout(self.timeout, attempt).await.unwrap_or(Err(Failure::Timeout(self.timeout)));
        if outcome.is_err() {
            node.forget();
        }
        outcome
    }
}

impl Node {
    /// The connection, and whether it was there already. The certificate file is read anew for each
    /// new connection, so a renewed certificate needs no restart.
    fn channel(&self, trust: Option<&Trust>) -> Result<(Channel, bool), Failure> {
        let mut held = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = &*held {
            return Ok((channel.clone(), true));
        }
        let endpoint = rpc::endpoint(&self.address, trust).map_err(|error| Failure::Tls(error.to_string()))?;
        let channel = endpoint.connect_lazy();
        *held = Some(channel.clone());
        Ok((channel, false))
    }

    fn forget(&self) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
