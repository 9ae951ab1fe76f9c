//! What people, probes and Prometheus ask the agent. Read-only.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use crate::{
    clock,
    report::{metrics::Metrics, status::Shared},
};

/// What the endpoints show.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The newest status and the history.
    pub shared: Shared,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// A loop that has not looked for so long is taken to be stuck: then `/live` fails.
    pub stuck_after: Duration,
}

/// The endpoints cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("--listen {address}: {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Binds the address at once, so that a taken port is an error at start.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<()> {
    let router = Router::new()
        .route("/", get(index))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/state", get(state))
        .route("/history", get(history))
        .with_state(admin);
    axum::serve(listener, router).await
}

async fn index() -> &'static str {
    "Sluice keeps the TaskManagers of a Flink job in step with the segments of a Pravega stream.\n\
     \n\
     /state    the newest observation, the decision and its reason, as JSON\n\
     /history  decisions and changes, oldest first, as JSON\n\
     /metrics  for Prometheus\n\
     /ready    200 when everything the agent reads is known and fresh, and there is a job\n\
     /live     200 while the agent looks\n"
}

/// Depends on no peer: a sidecar must not be killed because Pravega is away.
async fn live(State(admin): State<Admin>) -> Response {
    let age = admin.shared.status().map(|status| clock::now().duration_since(status.at));
    match age.and_then(|age| Duration::try_from(age).ok()) {
        Some(age) if age > admin.stuck_after => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("no look for {} s\n", age.as_secs())).into_response()
        }
        _ => "live\n".into_response(),
    }
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.shared.status() {
        Some(status) if status.ready => "ready\n".into_response(),
        Some(status) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", status.because)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the first look is not finished\n").into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn state(State(admin): State<Admin>) -> Response {
    match admin.shared.status() {
        Some(status) => Json(&*status).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the first look is not finished\n").into_response(),
    }
}

async fn history(State(admin): State<Admin>) -> Json<serde_json::Value> {
    Json(admin.shared.history_json())
}
