//! The Deployment against a scripted API server.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sluice_core::{Choice, Member, Pool, TaskManagers};

use super::{Deployment, DeploymentOptions};
use crate::kubernetes::{
    ConnectOptions, KubernetesError,
    scripted::{Answer, Seen, Server, TIMEOUT, failure, list, ok, overloaded},
};

mod observing;
mod pods;
mod scaling;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/flink/deployments";
const WATCH: &str = "WATCH /apis/apps/v1/namespaces/flink/deployments";
const PODS: &str = "/api/v1/namespaces/flink/pods";
const SCALE: &str = "/apis/apps/v1/namespaces/flink/deployments/taskmanager/scale?&fieldManager=sluice";
const SCALE_READ: &str = "/apis/apps/v1/namespaces/flink/deployments/taskmanager/scale";
const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/flink/scaledobjects?";
const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/flink/horizontalpodautoscalers?";

/// A watch is begun anew so often.
const RENEW: Duration = Duration::from_secs(5);

/// The Deployment beside the scripted server.
fn start(script: &[(&'static str, Vec<Answer>)]) -> (Deployment, Server) {
    let (api, server) = Server::start(script);
    let cluster = ConnectOptions { namespace: None, kubeconfig: None, timeout: TIMEOUT };
    let options = DeploymentOptions { name: "taskmanager".to_owned(), cluster, staleness: RENEW * 3 };
    (Deployment::new(api, options).unwrap(), server)
}

/// The watches have been begun anew since.
async fn renewed() {
    tokio::time::sleep(RENEW + Duration::from_millis(10)).await;
}

/// The one Deployment that there is.
fn only(deployment: &Value) -> Answer {
    ok(&list("DeploymentList", &json!([deployment])))
}

/// A Deployment as the API server shows it, shortened.
fn deployment(replicas: u32, status: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "taskmanager", "namespace": "flink", "generation": 7, "resourceVersion": "5" },
        "spec": { "replicas": replicas, "selector": {}, "template": { "spec": { "containers": [] } } },
        "status": status
    })
}

fn none() -> Answer {
    ok(&list("List", &json!([])))
}

fn no_such_api() -> Answer {
    Answer::Reply(404, "404 page not found\n".to_owned())
}

/// What every call of the suite checks of an error.
fn assert_error(error: &KubernetesError, kind: &str, words: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    assert!(message.starts_with("Deployment flink/taskmanager"), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}
