//! The Deployment against a scripted API server: which requests are made, and what becomes of each
//! kind of answer. No sockets are involved, so the clock may be paused.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use sluice_core::{Choice, Member, Pool, TaskManagers};
use tokio::{sync::Mutex, task::JoinHandle};
use tower_test::mock;

use super::{Deployment, DeploymentError, DeploymentOptions};

mod observing;
mod pods;
mod scaling;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/flink/deployments/taskmanager";
const SCALE: &str = "/apis/apps/v1/namespaces/flink/deployments/taskmanager/scale?&fieldManager=sluice";
const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/flink/scaledobjects?";
const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/flink/horizontalpodautoscalers?";

const TIMEOUT: Duration = Duration::from_secs(2);

/// What the server does with one request.
#[derive(Clone, Debug)]
enum Answer {
    /// A status and a body.
    Reply(u16, String),
    /// The connection breaks.
    Cut,
    /// Nothing, for ever.
    Silence,
}

fn ok(body: &Value) -> Answer {
    Answer::Reply(200, body.to_string())
}

/// A failure as the API server words it.
fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code
    });
    Answer::Reply(code, body.to_string())
}

/// The API server asks to come back later.
fn overloaded(seconds: u32) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too many requests", "reason": "TooManyRequests", "code": 429,
        "details": { "retryAfterSeconds": seconds }
    });
    Answer::Reply(429, body.to_string())
}

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: Method,
    path: String,
    content_type: Option<String>,
    body: Option<Value>,
}

/// The scripted server: each path has its answers, the last of which is given again and again.
struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(script: &[(&'static str, Vec<Answer>)]) -> (Deployment, Self) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let mut script: Vec<_> =
            script.iter().map(|(path, answers)| (*path, VecDeque::from(answers.clone()))).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Some((request, send)) = handle.next_request().await {
                let request = read(request).await;
                let (_, answers) = script
                    .iter_mut()
                    .find(|(path, _)| *path == request.path)
                    .unwrap_or_else(|| panic!("not in the script: {request:?}"));
                let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
                log.lock().await.push(request);
                match answer {
                    Answer::Reply(code, body) => {
                        let reply = Response::builder().status(StatusCode::from_u16(code).unwrap());
                        send.send_response(reply.body(Body::from(body.into_bytes())).unwrap());
                    }
                    Answer::Cut => send.send_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                    Answer::Silence => silent.push(send),
                }
            }
        });
        let options =
            DeploymentOptions { name: "taskmanager".to_owned(), namespace: None, kubeconfig: None, timeout: TIMEOUT };
        let deployment = Deployment::new(Client::new(service, "flink"), options).unwrap();
        (deployment, Self { seen, task })
    }

    /// The requests so far, by path.
    async fn asked(&self, path: &str) -> Vec<Seen> {
        assert!(!self.task.is_finished(), "the scripted server met a request that it did not expect");
        self.seen.lock().await.iter().filter(|seen| seen.path == path).cloned().collect()
    }
}

async fn read(request: Request<Body>) -> Seen {
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await.unwrap();
    Seen {
        method: head.method,
        path: head.uri.to_string(),
        content_type: head.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()),
        body: (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap()),
    }
}

/// A Deployment as the API server shows it, shortened.
fn deployment(replicas: u32, status: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "taskmanager", "namespace": "flink", "generation": 7 },
        "spec": { "replicas": replicas, "selector": {}, "template": { "spec": { "containers": [] } } },
        "status": status
    })
}

fn list(kind: &str, items: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items })
}

fn none() -> Answer {
    ok(&list("List", &json!([])))
}

fn no_such_api() -> Answer {
    Answer::Reply(404, "404 page not found\n".to_owned())
}

/// What every call of the suite checks of an error.
fn assert_error(error: &DeploymentError, kind: &str, words: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    assert!(message.starts_with("Deployment flink/taskmanager"), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}
