//! Small HTTP requests to the products under test, each with a limit.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

/// A client for the loopback: no proxy, and no request longer than five seconds.
#[must_use]
pub fn client() -> Client {
    let config =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let trusts_nobody = |config: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>| {
        config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    config.map(trusts_nobody).map(client_with).unwrap_or_default()
}

/// The same for a server that is spoken to like this.
#[must_use]
pub fn client_with(config: ClientConfig) -> Client {
    Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(5))
        .build()
        // Fails only if the TLS backend cannot be set up, and it is given.
        .unwrap_or_default()
}

/// Whether a GET answers with success.
pub async fn answers(client: &Client, url: &str) -> bool {
    client.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// Whether something takes connections on the port.
pub async fn is_open(port: u16) -> bool {
    let connecting = tokio::net::TcpStream::connect(("127.0.0.1", port));
    matches!(tokio::time::timeout(Duration::from_secs(1), connecting).await, Ok(Ok(_)))
}
