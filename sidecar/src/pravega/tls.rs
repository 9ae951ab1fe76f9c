//! What the agent trusts on an encrypted connection to a controller.

use std::path::PathBuf;

use rustls::pki_types::ServerName;
use tonic::transport::{Certificate, ClientTlsConfig};

use super::ConfigError;
use crate::{mounted::Mounted, tls::ca_pem};

/// The CA file and the name that is expected.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    ca: Mounted,
    server_name: Option<String>,
}

impl Trust {
    pub(super) fn new(file: PathBuf, server_name: Option<String>) -> Result<Self, ConfigError> {
        if let Some(given) = &server_name
            && ServerName::try_from(given.as_str()).is_err()
        {
            return Err(ConfigError::ServerName { given: given.clone() });
        }
        Ok(Self { ca: Mounted { flag: "--pravega-ca", file }, server_name })
    }

    /// Reads the file.
    pub(super) fn config(&self) -> Result<ClientTlsConfig, ConfigError> {
        let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca_pem(&self.ca)?));
        Ok(match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}
