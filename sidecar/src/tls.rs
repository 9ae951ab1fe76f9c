//! What the agent trusts on an encrypted connection, how it shows who it is, and what a failed handshake
//! means. The files may be replaced while it runs.

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::mounted::{FileError, Mounted};

/// No bundle of certificates is larger.
const LONGEST: u64 = 8 * 1024 * 1024;

/// The files of a TLS client.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// What has signed the peer's certificate.
    pub ca: Mounted,
    /// The agent's own certificate and key, where the peer wants to know who asks.
    pub identity: Option<Identity>,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub certificate: Mounted,
    pub key: Mounted,
}

/// What was in the files at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsContents {
    ca: Vec<u8>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl TlsFiles {
    /// What is in the files now.
    pub fn read(&self) -> Result<TlsContents, FileError> {
        let identity = self.identity.as_ref().map(|Identity { certificate, key }| {
            Ok((certificate.read(LONGEST, "certificate")?, key.read(LONGEST, "key")?))
        });
        Ok(TlsContents { ca: self.ca.read(LONGEST, "certificate")?, identity: identity.transpose()? })
    }

    /// How to connect with that.
    pub fn config(&self, contents: &TlsContents) -> Result<ClientConfig, FileError> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.ca.unusable(error.to_string()))?
            .with_root_certificates(roots(&self.ca, &contents.ca)?);
        let (Some(Identity { certificate, key }), Some((chain, secret))) = (&self.identity, &contents.identity) else {
            return Ok(config.with_no_client_auth());
        };
        let chain = certificates(certificate, chain)?;
        let secret = PrivateKeyDer::from_pem_slice(secret)
            .map_err(|_| key.unusable("it holds no private key in PEM form that is not encrypted"))?;
        config.with_client_auth_cert(chain, secret).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                key.unusable(format!("it is not the key of {} {}", certificate.flag, certificate.file.display()))
            }
            error => key.unusable(error.to_string()),
        })
    }
}

/// For a peer that is spoken to without encryption.
pub(crate) fn trusts_nobody() -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Reads the CA certificates. They are looked at here because a transport may take whatever it is
/// given and complain only at the first handshake, about the wrong side.
pub(crate) fn ca_pem(mounted: &Mounted) -> Result<Vec<u8>, FileError> {
    let pem = mounted.read(LONGEST, "certificate")?;
    roots(mounted, &pem)?;
    Ok(pem)
}

fn roots(mounted: &Mounted, pem: &[u8]) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(mounted, pem)? {
        roots.add(certificate).map_err(|error| mounted.unusable(format!("it holds a broken certificate: {error}")))?;
    }
    Ok(roots)
}

fn certificates(mounted: &Mounted, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| mounted.unusable(format!("it is not a PEM file: {error}")))?;
    if all.is_empty() {
        return Err(mounted.unusable("it holds no certificate (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(all)
}

/// What the handshake failed of, if it was the handshake that failed.
pub(crate) fn handshake_failure(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error that wraps another leaves it out of the chain of sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = error
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()))
        {
            return Some(match tls {
                rustls::Error::InvalidMessage(_) => format!("the other side does not speak TLS ({tls})"),
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
