//! Keys that live as long as a run: a certificate authority, and the stores that only Java's own tool writes.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::tools::Java;

/// Java's stores have to have one; what it guards dies with the run.
pub(crate) const STORE_PASSWORD: &str = "sluice-lab";

/// An authority of this name: what signs with it, and its certificate as PEM.
pub(crate) fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = authority.self_signed(&key)?.pem();
    Ok((Issuer::new(authority, key), certificate))
}

/// Does something to a store, by `keytool`.
pub(crate) fn keytool(java: &Java, store: &Path, arguments: &[&str]) -> io::Result<()> {
    // What stands on the path is often a link to a folder that has all the tools.
    let tool = fs::canonicalize(&java.program)?.with_file_name("keytool");
    let made = Command::new(&tool)
        .args(arguments)
        .args(["-storetype", "PKCS12", "-storepass", STORE_PASSWORD, "-keystore"])
        .arg(store)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", tool.display())))?;
    if made.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    Err(io::Error::other(format!("{}: {said}", tool.display())))
}
