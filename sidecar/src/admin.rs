//! What people, probes and Prometheus ask the agent. Read-only.

use std::{
    future::{Ready, ready as ready_with},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use crate::{
    clock,
    report::{metrics::Metrics, page, status::Shared},
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
        .route("/plot.json", get(plot))
        .route("/page.js", get(asset("text/javascript; charset=utf-8", page::SCRIPT)))
        .route("/uplot.js", get(asset("text/javascript; charset=utf-8", page::PLOTTING)))
        .route("/page.css", get(asset("text/css; charset=utf-8", page::STYLE)))
        .route("/icon.svg", get(asset("image/svg+xml", page::ICON)))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/state", get(state))
        .route("/history", get(history))
        .layer(middleware::map_response(guarded))
        .with_state(admin);
    axum::serve(listener, router).await
}

/// What is said with each answer: take it for what it says it is, tell nobody of it, frame it nowhere, and
/// keep nothing that changes.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_SECURITY_POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn index(State(admin): State<Admin>) -> Response {
    let page = page::page(clock::now(), &admin.shared).into_string();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn plot(State(admin): State<Admin>) -> Response {
    Json(page::plot(clock::now(), &admin.shared)).into_response()
}

/// The page asks for these under their version, so that a browser need not ask again.
fn asset(kind: &'static str, text: &'static str) -> impl Fn() -> Ready<Response> + Clone {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=86400, immutable")];
    move || ready_with((headers.clone(), text).into_response())
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

async fn history(State(admin): State<Admin>) -> Response {
    Json(admin.shared.history_since(0)).into_response()
}
