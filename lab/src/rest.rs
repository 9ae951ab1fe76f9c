//! Small HTTP requests to the products under test, each with a limit.

use std::time::Duration;

use reqwest::Client;

/// A client for the loopback: no proxy, and no request longer than five seconds.
#[must_use]
pub fn client() -> Client {
    Client::builder()
        .no_proxy()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(5))
        .build()
        // Fails only if a TLS backend cannot be set up, and none is compiled in.
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
