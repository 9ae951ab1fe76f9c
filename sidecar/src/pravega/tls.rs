//! What the agent trusts on an encrypted connection, and what a failed handshake means.

use std::{error::Error, fs, io, path::PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tonic::transport::{Certificate, ClientTlsConfig};

use super::ConfigError;

/// No bundle of certificates is larger.
const LONGEST: u64 = 8 * 1024 * 1024;

/// The CA file and the name that is expected.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    file: PathBuf,
    server_name: Option<String>,
}

impl Trust {
    pub(super) fn new(file: PathBuf, server_name: Option<String>) -> Result<Self, ConfigError> {
        if let Some(given) = &server_name
            && ServerName::try_from(given.as_str()).is_err()
        {
            return Err(ConfigError::ServerName { given: given.clone() });
        }
        Ok(Self { file, server_name })
    }

    /// Reads the file. The certificates are looked at here because the transport takes whatever it
    /// is given and would complain only at the first handshake, about the wrong side.
    pub(super) fn config(&self) -> Result<ClientTlsConfig, ConfigError> {
        let unusable = |problem: String| ConfigError::Certificate { file: self.file.clone(), problem };
        let about = fs::metadata(&self.file).map_err(|error| unusable(error.to_string()))?;
        if !about.is_file() {
            return Err(unusable("it is not a regular file".into()));
        }
        if about.len() > LONGEST {
            return Err(unusable(format!("it has {} bytes, which is no certificate", about.len())));
        }
        let pem = fs::read(&self.file).map_err(|error| unusable(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unusable(format!("it is not a PEM file: {error}")))?;
            roots.add(certificate).map_err(|error| unusable(format!("it holds a broken certificate: {error}")))?;
        }
        if roots.is_empty() {
            return Err(unusable("it holds no certificate (`-----BEGIN CERTIFICATE-----`)".into()));
        }
        let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        Ok(match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

/// What the handshake failed of, if it was the handshake that failed.
pub(super) fn handshake_failure(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error that wraps another leaves it out of the chain of sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = error
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()))
        {
            return Some(match tls {
                rustls::Error::InvalidMessage(_) => format!("the controller does not speak TLS ({tls})"),
                _ => tls.to_string(),
            });
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
