//! The pods of the Deployment: reading them, and choosing which go first.

use super::*;

const POD: &str = "/api/v1/namespaces/flink/pods/tm-a?&fieldManager=sluice";
const GONE: &str = "/api/v1/namespaces/flink/pods/tm-gone?&fieldManager=sluice";

fn selected(generation: i64, status: &Value) -> Answer {
    let labels = json!({ "app": "flink", "component": "taskmanager" });
    only(&json!({
        "metadata": { "name": "taskmanager", "namespace": "flink", "generation": generation },
        "spec": { "replicas": 3, "selector": { "matchLabels": labels }, "template": {} },
        "status": status
    }))
}

fn pod(name: &str, metadata: &Value, phase: &str, ready: &str) -> Value {
    let mut pod = json!({
        "metadata": { "name": name, "namespace": "flink", "creationTimestamp": "2026-11-22T10:00:00Z" },
        "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] }
    });
    pod["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    pod
}

async fn observed(generation: i64, status: Value, pods: &Value) -> Pool {
    let (deployment, server) = start(&[
        (DEPLOYMENTS, vec![selected(generation, &status)]),
        (SCALED_OBJECTS, vec![no_such_api()]),
        (AUTOSCALERS, vec![none()]),
        (PODS, vec![ok(&list("PodList", pods))]),
    ]);
    let pool = deployment.observe(true).await.unwrap().value;
    let path = &server.asked(PODS).await[0].path;
    assert!(path.contains("labelSelector=app%3Dflink%2Ccomponent%3Dtaskmanager"), "{path}");
    pool
}

#[tokio::test(start_paused = true)]
async fn pods_that_stay_are_members_with_their_marks() {
    let lowest = json!({ "annotations": { "controller.kubernetes.io/pod-deletion-cost": "-2147483648" } });
    let other = json!({ "annotations": { "controller.kubernetes.io/pod-deletion-cost": "7" } });
    let pods = json!([
        pod("tm-a", &json!({}), "Running", "True"),
        pod("tm-b", &lowest, "Running", "True"),
        pod("tm-c", &other, "Pending", "False"),
        pod("tm-leaving", &json!({ "deletionTimestamp": "2026-11-22T11:00:00Z" }), "Running", "True"),
        pod("tm-evicted", &json!({}), "Failed", "False"),
    ]);
    let status = json!({ "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "observedGeneration": 7 });
    let seen = observed(7, status, &pods).await;
    let started_at = "2026-11-22T10:00:00Z".parse().unwrap();
    let member = |id: &str, ready, marked| Member { id: id.into(), started_at, ready, marked };
    assert_eq!(
        seen.members.unwrap(),
        [member("tm-a", true, false), member("tm-b", true, true), member("tm-c", false, false)]
    );
    assert_eq!((seen.choice, seen.replacing), (Choice::ByMark, false));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_is_noticed() {
    for (generation, status) in [
        (7, json!({ "replicas": 4, "updatedReplicas": 1, "observedGeneration": 7 })),
        (8, json!({ "replicas": 3, "updatedReplicas": 3, "observedGeneration": 7 })),
    ] {
        assert!(observed(generation, status, &json!([])).await.replacing);
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_may_not_be_listed_are_an_error_only_where_their_names_are_needed() {
    let (deployment, _server) = start(&[
        (DEPLOYMENTS, vec![selected(7, &json!({ "replicas": 3, "readyReplicas": 3 }))]),
        (SCALED_OBJECTS, vec![no_such_api()]),
        (AUTOSCALERS, vec![none()]),
        (PODS, vec![failure(403, "Forbidden", "cannot list")]),
    ]);
    let seen = deployment.observe(false).await.unwrap().value;
    assert_eq!((seen.members, seen.shortage, seen.ready), (None, None, TaskManagers(3)));
    assert_error(&deployment.observe(true).await.unwrap_err(), "forbidden", &["may not list pods"]);
}

#[tokio::test(start_paused = true)]
async fn idle_pods_get_the_lowest_deletion_cost_and_lose_it_again() {
    let gone = failure(404, "NotFound", "pods \"tm-gone\" not found");
    let (deployment, server) = start(&[(POD, vec![ok(&json!({}))]), (GONE, vec![gone])]);
    let pods = ["tm-gone".to_owned(), "tm-a".to_owned()];
    deployment.mark(&pods, true).await.unwrap();
    deployment.mark(&pods, false).await.unwrap();
    let asked: Vec<_> = server.asked(POD).await.into_iter().map(|seen| (seen.method, seen.body.unwrap())).collect();
    let body = |cost: Value| {
        let annotations = json!({ "controller.kubernetes.io/pod-deletion-cost": cost });
        json!({ "metadata": { "annotations": annotations } })
    };
    assert_eq!(asked, [(Method::PATCH, body(json!("-2147483648"))), (Method::PATCH, body(Value::Null))]);
}

#[tokio::test(start_paused = true)]
async fn a_role_without_the_pods_says_what_to_put_into_it() {
    let (deployment, _server) = start(&[(POD, vec![failure(403, "Forbidden", "cannot patch")])]);
    let error = deployment.mark(&["tm-a".to_owned()], true).await.unwrap_err();
    assert_error(&error, "forbidden", &["may not patch pods", "resources [pods], verbs [patch]"]);
}
