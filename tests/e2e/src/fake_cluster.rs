//! A Flink and a Kubernetes that do at once whatever they are asked: then the agent's own time is all
//! that is measured. Both speak as much of the real APIs as the agent uses.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use axum::{
    Json, Router,
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::process_cost::instant;

const JOB: &str = "0123456789abcdef0123456789abcdef";

/// A cluster with one job that always runs on all its TaskManagers.
#[derive(Debug)]
pub struct FakeCluster {
    url: String,
    world: World,
    task: JoinHandle<()>,
}

type World = Arc<Mutex<Inner>>;

#[derive(Debug)]
struct Inner {
    replicas: u64,
    /// Tells the watches of it.
    changes: watch::Sender<u64>,
    patches: Vec<(Instant, u64)>,
    checkpoints: u64,
    checkpointed_at: u128,
    running_since: u128,
}

impl FakeCluster {
    /// Starts with so many TaskManagers.
    pub async fn start(replicas: u64) -> Result<Self> {
        let now = milliseconds();
        let (changes, patches) = (watch::Sender::new(replicas), Vec::new());
        let inner =
            Inner { replicas, changes, patches, checkpoints: 1, checkpointed_at: now, running_since: now - 1000 };
        let world = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = router(world.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, world, task })
    }

    /// Flink's REST API and the Kubernetes API, both at this address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a kubeconfig that leads here.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": { "server": self.url } }],
            "users": [{ "name": "fake", "user": {} }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake", "namespace": "default" } }],
        });
        Ok(std::fs::write(path, config.to_string())?)
    }

    /// When each number of replicas was asked for.
    #[must_use]
    pub fn patches(&self) -> Vec<(Instant, u64)> {
        lock(&self.world).patches.clone()
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(world: &World) -> std::sync::MutexGuard<'_, Inner> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's clock")]
fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn router(world: World) -> Router {
    Router::new()
        .route("/config", get(|| async { Json(json!({ "flink-version": "1.20.5" })) }))
        .route("/jobmanager/config", get(|| async { Json(json!([{ "key": "scheduler-mode", "value": "reactive" }])) }))
        .route("/jobs/overview", get(overview))
        .route("/taskmanagers", get(task_managers))
        .route("/jobs/{job}", get(job))
        .route("/jobs/{job}/vertices/{vertex}/subtasks/metrics", get(metrics))
        .route("/jobs/{job}/checkpoints", get(checkpoints).post(trigger))
        .route("/jobs/{job}/checkpoints/{trigger}", get(triggered))
        .route("/apis/apps/v1/namespaces/default/deployments", get(deployments))
        .route("/api/v1/namespaces/default/pods", get(pods))
        .route("/apis/apps/v1/namespaces/default/deployments/taskmanager/scale", patch(scale))
        .route("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", get(nothing))
        .route("/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects", get(nothing))
        .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({ "errors": ["not found"] }))) })
        .with_state(world)
}

async fn overview(State(world): State<World>) -> Json<Value> {
    let n = lock(&world).replicas;
    Json(json!({ "jobs": [{
        "jid": JOB, "name": "fake", "state": "RUNNING", "start-time": 1, "last-modification": 1,
        "tasks": { "total": n, "running": n, "finished": 0 },
    }] }))
}

async fn task_managers(State(world): State<World>) -> Json<Value> {
    let n = lock(&world).replicas;
    let each = |i| json!({ "id": format!("taskmanager-{i}"), "slotsNumber": 1, "freeSlots": 0 });
    Json(json!({ "taskmanagers": (0..n).map(each).collect::<Vec<_>>() }))
}

async fn job(State(world): State<World>) -> Json<Value> {
    let world = lock(&world);
    let n = world.replicas;
    Json(json!({
        "now": milliseconds(), "timestamps": { "RUNNING": world.running_since },
        "vertices": [{ "id": JOB, "parallelism": n, "maxParallelism": 128, "tasks": { "RUNNING": n, "FINISHED": 0 } }],
        "plan": { "nodes": [{ "id": JOB }] },
    }))
}

/// A source that reads as much on each TaskManager as on any other.
async fn metrics(State(world): State<World>, RawQuery(query): RawQuery) -> Json<Value> {
    let rate = 640 * lock(&world).replicas;
    let values = [("Source__fake.pendingRecords", 12), ("Source__fake.numRecordsOutPerSecond", rate)];
    let asked = |name: &str| query.as_ref().is_none_or(|query| query.contains(name));
    Json(values.into_iter().filter(|(name, _)| asked(name)).map(|(id, sum)| json!({ "id": id, "sum": sum })).collect())
}

async fn checkpoints(State(world): State<World>) -> Json<Value> {
    let world = lock(&world);
    Json(json!({
        "counts": { "restored": 0, "total": world.checkpoints },
        "latest": { "completed": {
            "id": world.checkpoints, "is_savepoint": false, "trigger_timestamp": world.checkpointed_at,
        } },
    }))
}

async fn trigger(State(world): State<World>) -> (StatusCode, Json<Value>) {
    let mut world = lock(&world);
    world.checkpoints += 1;
    world.checkpointed_at = milliseconds();
    (StatusCode::ACCEPTED, Json(json!({ "request-id": "x" })))
}

async fn triggered(State(world): State<World>) -> Json<Value> {
    let id = lock(&world).checkpoints;
    Json(json!({ "status": { "id": "COMPLETED" }, "operation": { "checkpointId": id } }))
}

/// The one Deployment: as a list, or as a watch that tells of each change.
async fn deployments(State(world): State<World>, RawQuery(query): RawQuery) -> Response {
    if !is_watch(query.as_ref()) {
        return Json(list("DeploymentList", &json!([deployment(lock(&world).replicas)]))).into_response();
    }
    let changes = lock(&world).changes.subscribe();
    let events = stream::unfold(changes, |mut changes| async move {
        changes.changed().await.ok()?;
        let replicas = *changes.borrow_and_update();
        let event = json!({ "type": "MODIFIED", "object": deployment(replicas) });
        Some((Ok::<_, Infallible>(format!("{event}\n")), changes))
    });
    Body::from_stream(events).into_response()
}

/// There are none to be seen; nothing is ever said of them.
async fn pods(RawQuery(query): RawQuery) -> Response {
    if is_watch(query.as_ref()) {
        return Body::from_stream(stream::pending::<Result<String, Infallible>>()).into_response();
    }
    Json(list("PodList", &json!([]))).into_response()
}

fn deployment(replicas: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "taskmanager", "namespace": "default", "resourceVersion": "1" },
        "spec": { "replicas": replicas, "selector": {}, "template": {} }, "status": { "readyReplicas": replicas },
    })
}

fn is_watch(query: Option<&String>) -> bool {
    query.is_some_and(|query| query.contains("watch=true"))
}

fn list(kind: &str, items: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items })
}

async fn scale(State(world): State<World>, Json(patch): Json<Value>) -> Json<Value> {
    let now = instant();
    let mut world = lock(&world);
    if let Some(replicas) = patch.pointer("/spec/replicas").and_then(Value::as_u64) {
        world.replicas = replicas;
        world.patches.push((now, replicas));
        world.changes.send_replace(replicas);
        world.running_since = milliseconds();
    }
    Json(
        json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {}, "spec": { "replicas": world.replicas } }),
    )
}

async fn nothing() -> Json<Value> {
    Json(json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": [] }))
}
