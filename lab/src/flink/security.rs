//! TLS for Flink's REST API, made afresh for each run: a keystore for Flink, and a certificate by which
//! it knows its clients.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::certificates::{STORE_PASSWORD, authority, keytool};
use crate::tools::Java;

const CIPHER_SUITES: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";

/// What a client needs in order to speak to a Flink whose REST API is encrypted and asks who is there.
#[derive(Debug, Clone)]
pub struct RestSecurity {
    folder: PathBuf,
}

impl RestSecurity {
    /// A name that Flink's certificate bears beside `localhost`.
    pub const NAME: &str = "flink-jobmanager";

    /// What signs Flink's certificate, a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("flink.pem")
    }

    /// The certificate of a client, a PEM file.
    #[must_use]
    pub fn client_certificate_file(&self) -> PathBuf {
        self.folder.join("client.pem")
    }

    /// Its key, a PEM file.
    #[must_use]
    pub fn client_key_file(&self) -> PathBuf {
        self.folder.join("client.key")
    }

    /// Makes keys and certificates in this folder.
    pub(super) fn create(folder: &Path, java: &Java) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let security = Self { folder: folder.to_owned() };
        let (ca, certificate, key) = client().map_err(io::Error::other)?;
        for (name, text) in [("client-ca.pem", ca), ("client.pem", certificate), ("client.key", key)] {
            fs::write(folder.join(name), text)?;
        }
        let names = format!("san=dns:localhost,dns:{}", Self::NAME);
        let tool = |store: &str, arguments: &[&str]| keytool(java, &folder.join(store), arguments);
        tool(
            "rest.keystore",
            &["-genkeypair", "-alias", "rest", "-keyalg", "RSA", "-dname", "CN=flink", "-ext", &names],
        )?;
        let certificate = security.ca_file().display().to_string();
        tool("rest.keystore", &["-exportcert", "-rfc", "-alias", "rest", "-file", &certificate])?;
        let authority = folder.join("client-ca.pem").display().to_string();
        tool("rest.truststore", &["-importcert", "-noprompt", "-alias", "client", "-file", &authority])?;
        Ok(security)
    }

    /// What goes into Flink's configuration.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut options = vec![
            ("enabled", "true".to_owned()),
            ("authentication-enabled", "true".to_owned()),
            ("keystore", file("rest.keystore")),
            ("truststore", file("rest.truststore")),
        ];
        let password = || STORE_PASSWORD.to_owned();
        options.extend(["keystore-password", "key-password", "truststore-password"].map(|name| (name, password())));
        let mut options: Vec<_> =
            options.into_iter().map(|(name, value)| (format!("security.ssl.rest.{name}"), value)).collect();
        // What old versions of Flink offer by themselves is one cipher suite that nobody else takes any more.
        options.push(("security.ssl.algorithms".to_owned(), CIPHER_SUITES.to_owned()));
        options
    }

    /// How the lab itself connects.
    pub(super) fn client_config(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let read = |file: PathBuf| CertificateDer::from_pem_file(file).map_err(io::Error::other);
        roots.add(read(self.ca_file())?).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(self.client_key_file()).map_err(io::Error::other)?;
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![read(self.client_certificate_file())?], key)
            .map_err(io::Error::other)
    }
}

/// Authority, certificate and key of a client, as PEM.
fn client() -> Result<(String, String, String), rcgen::Error> {
    let (issuer, ca) = authority("sluice lab clients")?;
    let mut client = CertificateParams::new(Vec::new())?;
    client.distinguished_name.push(DnType::CommonName, "sluice");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    Ok((ca, client.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}
