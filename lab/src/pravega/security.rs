//! TLS and users for a Pravega, made afresh for each run: a certificate authority, one certificate for
//! `localhost`, and the accounts. Nothing of it is kept or shared: the keys go with the run's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use ring::pbkdf2;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::PravegaError;
use crate::certificates::{STORE_PASSWORD, authority, keytool};
use crate::java::JavaProcess;
use crate::tools::Java;

/// The user who may do everything; Pravega's own processes are this one, too.
pub const ADMIN: &str = "admin";
/// A user who may look at everything and change nothing.
pub const GUEST: &str = "guest";

/// Rounds of the password hash: the accounts live for minutes, and on a busy machine at that.
const ROUNDS: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(999);

/// What a client needs in order to speak to a Pravega with TLS and users.
#[derive(Debug, Clone)]
pub struct Security {
    folder: PathBuf,
    ca: String,
    admin_password: String,
}

impl Security {
    /// The certificate authority to trust, a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A file with the password of [`ADMIN`] or [`GUEST`].
    #[must_use]
    pub fn password_file(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.password"))
    }

    /// The certificate authority as PEM text.
    pub(crate) fn ca(&self) -> &str {
        &self.ca
    }

    /// What the administrator sends as `authorization`, without the scheme.
    pub(crate) fn admin_token(&self) -> String {
        BASE64_STANDARD.encode(format!("{ADMIN}:{}", self.admin_password))
    }

    /// Makes keys, certificates and accounts beneath this folder.
    pub(super) fn create(folder: &Path, java: &Java) -> Result<Self, PravegaError> {
        let written = Self::write(folder).and_then(|security| {
            key_store(java, &folder.join("rest.keystore"))?;
            Ok(security)
        });
        written.map_err(|source| PravegaError::Io {
            doing: format!("make certificates and accounts in {}", folder.display()),
            source,
        })
    }

    fn write(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let (ca, certificate, key) = certificates().map_err(io::Error::other)?;
        for (name, text) in [("ca.pem", &ca), ("server.pem", &certificate), ("server.key", &key)] {
            fs::write(folder.join(name), text)?;
        }
        fs::write(folder.join("store.password"), STORE_PASSWORD)?;
        let random = SystemRandom::new();
        let mut accounts = String::new();
        let mut admin_password = String::new();
        for (user, rights) in [(ADMIN, "prn::*,READ_UPDATE;"), (GUEST, "prn::*,READ;")] {
            let password = hex(&bytes::<12>(&random)?);
            fs::write(folder.join(format!("{user}.password")), &password)?;
            let hash = account_hash(&password, bytes::<32>(&random)?);
            accounts.extend([user, ":", &hash, ":", rights, "\n"]);
            if user == ADMIN {
                admin_password = password;
            }
        }
        fs::write(folder.join("accounts"), accounts)?;
        Ok(Self { folder: folder.to_owned(), ca, admin_password })
    }

    /// The settings of a controller.
    pub(super) fn of_controller(&self, java: JavaProcess) -> JavaProcess {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let java = java
            .property("controller.security.tls.enable", true)
            .property("controller.security.tls.server.certificate.location", file("server.pem"))
            .property("controller.security.tls.server.privateKey.location", file("server.key"))
            .property("controller.security.tls.trustStore.location", file("ca.pem"))
            .property("controller.security.tls.server.keyStore.location", file("rest.keystore"))
            .property("controller.security.tls.server.keyStore.pwd.location", file("store.password"))
            .property("controller.segmentstore.connect.channel.tls", true)
            .property("controller.security.auth.enable", true)
            .property("controller.security.pwdAuthHandler.accountsDb.location", file("accounts"))
            .property("controller.security.auth.delegationToken.signingKey.basis", &self.admin_password);
        self.as_admin(java)
    }

    /// The settings of a segment store, whose auto-scaler is a client of the controllers.
    pub(super) fn of_segment_store(&self, java: JavaProcess) -> JavaProcess {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let java = java
            .property("pravegaservice.security.tls.enable", true)
            .property("pravegaservice.security.tls.server.certificate.location", file("server.pem"))
            .property("pravegaservice.security.tls.server.privateKey.location", file("server.key"))
            // Insisted on although its REST API is off.
            .property("pravegaservice.security.tls.server.keyStore.location", file("rest.keystore"))
            .property("pravegaservice.security.tls.server.keyStore.pwd.location", file("store.password"))
            .property("autoScale.controller.connect.security.tls.enable", true)
            .property("autoScale.controller.connect.security.tls.truststore.location", file("ca.pem"))
            .property("autoScale.controller.connect.security.auth.enable", true)
            .property("autoScale.security.auth.token.signingKey.basis", &self.admin_password);
        self.as_admin(java)
    }

    fn as_admin(&self, java: JavaProcess) -> JavaProcess {
        java.property("pravega.client.auth.method", "Basic").property("pravega.client.auth.token", self.admin_token())
    }
}

/// Authority, certificate and key of the server, as PEM. The certificate is for the name `localhost`:
/// Pravega's Rust client does not take an address of a server with TLS.
fn certificates() -> Result<(String, String, String), rcgen::Error> {
    let (issuer, ca) = authority("sluice lab")?;

    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &issuer)?.pem();
    Ok((ca, certificate, server_key.serialize_pem()))
}

/// The REST API reads a keystore and nothing else; it gets a certificate of its own, which nobody
/// verifies, because only Java's own tool writes that format.
fn key_store(java: &Java, file: &Path) -> io::Result<()> {
    let pair = ["-genkeypair", "-alias", "rest", "-keyalg", "EC", "-dname", "CN=localhost", "-validity", "30"];
    keytool(java, file, &[&pair[..], &["-keypass", STORE_PASSWORD]].concat())
}

/// Pravega's own form: rounds, salt and hash in hexadecimal, and all of that in hexadecimal again.
fn account_hash(password: &str, salt: [u8; 32]) -> String {
    let mut hash = [0; 64];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
    hex(format!("{ROUNDS}:{}:{}", hex(&salt), hex(&hash)).as_bytes())
}

fn bytes<const N: usize>(random: &SystemRandom) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
