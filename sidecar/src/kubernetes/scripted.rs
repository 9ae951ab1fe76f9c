//! A scripted API server for tests: which requests are made, and what becomes of each kind of answer.
//! No sockets are involved, so the clock may be paused.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};
use tower_test::mock;

use super::{Api, ConnectOptions};

/// The time limit of each call.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status and a body.
    Reply(u16, String),
    /// The connection breaks.
    Cut,
    /// Nothing, for ever.
    Silence,
}

pub(crate) fn ok(body: &Value) -> Answer {
    Answer::Reply(200, body.to_string())
}

/// A failure as the API server words it.
pub(crate) fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code
    });
    Answer::Reply(code, body.to_string())
}

/// The API server asks to come back later.
pub(crate) fn overloaded(seconds: u32) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too many requests", "reason": "TooManyRequests", "code": 429,
        "details": { "retryAfterSeconds": seconds }
    });
    Answer::Reply(429, body.to_string())
}

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub method: Method,
    pub path: String,
    pub content_type: Option<String>,
    pub body: Option<Value>,
}

/// The scripted server: each path has its answers, the last of which is given again and again.
///
/// A path may be given without its query, and a watch is `WATCH` and the path. Where the script says
/// nothing of a watch, or of what is only watched, there is silence.
pub(crate) struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub fn start(script: &[(&'static str, Vec<Answer>)]) -> (Api, Self) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let mut script: Vec<_> =
            script.iter().map(|(path, answers)| (*path, VecDeque::from(answers.clone()))).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Some((request, send)) = handle.next_request().await {
                let request = read(request).await;
                let without_query = request.path.split('?').next().unwrap_or_default().to_owned();
                let watched = format!("WATCH {without_query}");
                let is_watch = request.path.contains("watch=true");
                let is_meant = |path: &str| {
                    if is_watch { path == watched } else { path == request.path || path == without_query }
                };
                let answers = script.iter_mut().find(|(path, _)| is_meant(path)).map(|(_, answers)| answers);
                let only_watched = ["/deployments", "/pods"].iter().any(|kind| without_query.ends_with(kind));
                let answer = match answers {
                    Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
                    Some(answers) => answers[0].clone(),
                    None if is_watch || only_watched => Answer::Silence,
                    None => panic!("not in the script: {request:?}"),
                };
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
        let options = ConnectOptions { namespace: None, kubeconfig: None, timeout: TIMEOUT };
        (Api::new(Client::new(service, "flink"), &options).unwrap(), Self { seen, task })
    }

    /// The requests so far, by path with or without its query; watches only as `WATCH` and the path.
    pub async fn asked(&self, path: &str) -> Vec<Seen> {
        assert!(!self.task.is_finished(), "the scripted server met a request that it did not expect");
        let is_meant = |seen: &&Seen| {
            let without_query = seen.path.split('?').next().unwrap_or_default();
            if seen.path.contains("watch=true") {
                path == format!("WATCH {without_query}")
            } else {
                path == seen.path || path == without_query
            }
        };
        self.seen.lock().await.iter().filter(is_meant).cloned().collect()
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

pub(crate) fn list(kind: &str, items: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items })
}
