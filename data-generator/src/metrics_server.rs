//! What Prometheus and probes ask a command that runs: `/metrics` and `/live`, when `--metrics-address`
//! is given.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The address cannot be listened on.
#[derive(Debug, Error)]
#[error("--metrics-address {address}: {source}")]
pub struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    serving: AbortHandle,
}

impl MetricsServer {
    /// Binds the address at once, so that a taken port is an error at the start, and serves the
    /// metrics of this registry from then on. Must be called on a runtime.
    pub async fn start(address: SocketAddr, registry: Registry) -> Result<Self, MetricsError> {
        let failed = |source| MetricsError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/live", get(|| async { "live\n" }))
            .with_state(Arc::new(registry));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "metrics are no longer served");
            }
        });
        tracing::info!("metrics at http://{address}/metrics");
        Ok(Self { address, serving: serving.abort_handle() })
    }

    /// Where it listens: with port 0 the one the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("takes the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        answer
    }

    #[tokio::test]
    async fn metrics_are_served_as_open_metrics() {
        let mut registry = Registry::with_prefix("data_generator");
        let events: Counter = Counter::default();
        registry.register("events", "Events", events.clone());
        let server = MetricsServer::start(([127, 0, 0, 1], 0).into(), registry).await.expect("starts");
        events.inc_by(3);
        let answer = ask(server.address(), "/metrics").await;
        assert!(answer.contains("application/openmetrics-text"), "{answer}");
        assert!(answer.contains("\ndata_generator_events_total 3\n"), "{answer}");
        assert!(answer.contains("# EOF\n"), "{answer}");
        assert!(ask(server.address(), "/live").await.ends_with("live\n"));
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = MetricsServer::start(([127, 0, 0, 1], 0).into(), Registry::default()).await.expect("starts");
        let second = MetricsServer::start(first.address(), Registry::default()).await;
        let error = second.expect_err("taken").to_string();
        assert!(error.starts_with(&format!("--metrics-address {}:", first.address())), "{error}");
    }
}
