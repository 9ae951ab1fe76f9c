//! A server that speaks TLS and may want to know its clients, whose certificates and theirs change.

use std::{fs, path::Path, sync::Arc, time::Duration};

use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Body, HttpPeer, NoReply, PeerError};
use crate::{
    mounted::Mounted,
    tls::{Identity, TlsFiles},
};

/// Signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Answers every request with `ok`, to clients that the authority has signed.
async fn serve(authority: &Authority, name: &str, clients: &Authority) -> String {
    let (certificate, key) = authority.issue(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut asked = [0; 1024];
            if tls.read(&mut asked).await.is_ok_and(|n| n > 0) {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = tls.shutdown().await;
            }
        }
    });
    format!("https://{address}/")
}

fn files(folder: &Path) -> TlsFiles {
    let mounted = |flag, name: &str| Mounted { flag, file: folder.join(name) };
    let identity = Identity { certificate: mounted("--certificate", "tls.crt"), key: mounted("--key", "tls.key") };
    TlsFiles { ca: mounted("--ca", "ca.crt"), identity: Some(identity) }
}

fn write(folder: &Path, ca: &str, (certificate, key): &(String, String)) {
    for (name, text) in [("ca.crt", ca), ("tls.crt", certificate), ("tls.key", key)] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn peer(folder: &Path) -> Result<HttpPeer, PeerError> {
    let base = "https://127.0.0.1".parse().unwrap();
    HttpPeer::new(&base, Duration::from_secs(2), Some(files(folder)), Some("flink".into()))
}

async fn ask(peer: &HttpPeer, url: &str) -> Result<Vec<u8>, NoReply> {
    peer.send(Request::get(url).body(Body::default()).unwrap()).await.map(|reply| reply.body)
}

#[tokio::test]
async fn files_that_are_replaced_are_used_for_the_next_request() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let url = serve(&servers, "flink", &clients).await;
    let folder = tempfile::tempdir().unwrap();
    let known = clients.issue("sluice");

    write(folder.path(), &strangers.pem, &known);
    let peer = peer(folder.path()).unwrap();
    let refused = ask(&peer, &url).await.unwrap_err();
    assert!(matches!(&refused, NoReply::Tls(why) if why.contains("invalid peer certificate")), "{refused:?}");

    write(folder.path(), &servers.pem, &strangers.issue("sluice"));
    let refused = ask(&peer, &url).await.unwrap_err();
    assert!(matches!(&refused, NoReply::Tls(why) if why.contains("alert")), "{refused:?}");

    write(folder.path(), &servers.pem, &known);
    assert_eq!(ask(&peer, &url).await.unwrap(), b"ok");

    // A rotation that is half done: what was read before still holds.
    for half in ["tls.crt", "ca.crt", "tls.key"] {
        fs::write(folder.path().join(half), "half").unwrap();
        assert_eq!(ask(&peer, &url).await.unwrap(), b"ok", "{half}");
    }
    fs::remove_file(folder.path().join("ca.crt")).unwrap();
    assert_eq!(ask(&peer, &url).await.unwrap(), b"ok");
}

#[tokio::test]
async fn a_certificate_with_another_name_is_refused() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let url = serve(&servers, "elsewhere", &clients).await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &servers.pem, &clients.issue("sluice"));
    let refused = ask(&peer(folder.path()).unwrap(), &url).await.unwrap_err();
    assert!(matches!(&refused, NoReply::Tls(why) if why.contains("elsewhere")), "{refused:?}");
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named_with_its_flag() {
    let (one, other) = (Authority::new(), Authority::new());
    let (certificate, key) = one.issue("sluice");
    let folder = tempfile::tempdir().unwrap();
    for (name, text, flag, part) in [
        ("ca.crt", "", "--ca", "no certificate"),
        ("ca.crt", key.as_str(), "--ca", "no certificate"),
        ("tls.crt", "nothing", "--certificate", "no certificate"),
        ("tls.key", certificate.as_str(), "--key", "no private key"),
        ("tls.key", &other.issue("x").1, "--key", "not the key of --certificate"),
    ] {
        write(folder.path(), &one.pem, &(certificate.clone(), key.clone()));
        fs::write(folder.path().join(name), text).unwrap();
        let error = peer(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(flag) && error.contains(part) && error.contains(name), "{error}");
    }
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    assert!(peer(folder.path()).unwrap_err().to_string().contains("No such file"));
}
