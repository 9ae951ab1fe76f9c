//! Reading the replicas, and looking for other autoscalers.

use super::*;

/// An autoscaler of `kind` and name `x` for the target of that kind and name.
fn scaler(name: &str, target: &Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "scaleTargetRef": target, "maxReplicas": 9 } })
}

fn on_ours() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "taskmanager" })
}

fn script(deployment: Vec<Answer>, scaled_objects: Answer, autoscalers: Answer) -> [(&'static str, Vec<Answer>); 3] {
    [(DEPLOYMENT, deployment), (SCALED_OBJECTS, vec![scaled_objects]), (AUTOSCALERS, vec![autoscalers])]
}

fn two_of_three() -> Answer {
    ok(&deployment(
        3,
        &json!({ "observedGeneration": 7, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "unavailableReplicas": 1 }),
    ))
}

#[tokio::test(start_paused = true)]
async fn reads_wanted_and_ready_replicas() {
    let (deployment, server) = Server::start(&script(vec![two_of_three()], no_such_api(), none()));
    let seen = deployment.observe(false).await.unwrap();
    let expected =
        Pool { replicas: TaskManagers(3), ready: TaskManagers(2), choice: Choice::ByMark, ..Pool::default() };
    assert_eq!(seen, expected);
    let asked = server.asked(DEPLOYMENT).await;
    assert_eq!((asked.len(), &asked[0].method, &asked[0].body), (1, &Method::GET, &None));
    assert_eq!(deployment.describe(), "Deployment flink/taskmanager");
}

#[tokio::test(start_paused = true)]
async fn no_pods_ready_is_told_from_a_reply_without_replicas() {
    let scaled_to_zero = ok(&deployment(0, &json!({ "observedGeneration": 7 })));
    let not_a_deployment = ok(&json!({ "kind": "Deployment", "metadata": {}, "spec": {} }));
    let (deployment, _server) = Server::start(&script(vec![scaled_to_zero, not_a_deployment], no_such_api(), none()));
    let seen = deployment.observe(false).await.unwrap();
    assert_eq!((seen.replicas, seen.ready), (TaskManagers(0), TaskManagers(0)));
    assert_error(&deployment.observe(false).await.unwrap_err(), "malformed", &["get deployments", "replicas"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_json_is_named() {
    let page = Answer::Reply(200, "<html>log in first</html>".to_owned());
    let (deployment, _server) = Server::start(&script(vec![page], no_such_api(), none()));
    assert_error(&deployment.observe(false).await.unwrap_err(), "malformed", &["get deployments", "expected value"]);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_missing_or_hidden_is_an_error_not_an_empty_pool() {
    let missing = failure(404, "NotFound", "deployments.apps \"taskmanager\" not found");
    let hidden = failure(403, "Forbidden", "cannot get resource");
    let (deployment, _server) = Server::start(&script(vec![missing, hidden, Answer::Silence], no_such_api(), none()));
    assert_error(&deployment.observe(false).await.unwrap_err(), "not_found", &["does not exist", "--deployment"]);
    assert_error(
        &deployment.observe(false).await.unwrap_err(),
        "forbidden",
        &["verbs [get]", "resources [deployments]"],
    );
    assert_error(&deployment.observe(false).await.unwrap_err(), "timeout", &["get deployments"]);
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_the_same_deployment_is_named() {
    let others = json!([
        scaler("web", &json!({ "kind": "Deployment", "name": "web" })),
        scaler("set", &json!({ "kind": "StatefulSet", "name": "taskmanager" })),
    ]);
    let hpa = json!([others[0], others[1], scaler("keda-hpa-flink", &on_ours())]);
    let scaled_object = json!([scaler("flink", &json!({ "name": "taskmanager" }))]);
    let cases = [
        (no_such_api(), ok(&list("HorizontalPodAutoscalerList", &others)), None),
        (no_such_api(), ok(&list("HorizontalPodAutoscalerList", &hpa)), Some("HorizontalPodAutoscaler/keda-hpa-flink")),
        // KEDA made the other one itself, and would make it again.
        (ok(&list("ScaledObjectList", &scaled_object)), ok(&list("List", &hpa)), Some("ScaledObject/flink")),
        (failure(403, "Forbidden", "no"), ok(&list("List", &hpa)), Some("HorizontalPodAutoscaler/keda-hpa-flink")),
        (failure(403, "Forbidden", "no"), failure(403, "Forbidden", "no"), None),
    ];
    for (scaled_objects, autoscalers, expected) in cases {
        let (deployment, _server) = Server::start(&script(vec![two_of_three()], scaled_objects, autoscalers));
        let seen = deployment.observe(false).await.unwrap();
        assert_eq!(seen.other_autoscaler.as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn autoscalers_are_looked_for_every_30_seconds() {
    let found = ok(&list("List", &json!([scaler("late", &on_ours())])));
    let (deployment, server) = Server::start(&[
        (DEPLOYMENT, vec![two_of_three()]),
        (SCALED_OBJECTS, vec![no_such_api()]),
        (AUTOSCALERS, vec![none(), found]),
    ]);
    for _ in 0..30 {
        assert_eq!(deployment.observe(false).await.unwrap().other_autoscaler, None);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(server.asked(AUTOSCALERS).await.len(), 1);
    let seen = deployment.observe(false).await.unwrap();
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/late"));
    assert_eq!((server.asked(AUTOSCALERS).await.len(), server.asked(DEPLOYMENT).await.len()), (2, 31));
}

#[tokio::test(start_paused = true)]
async fn whether_there_is_one_is_unknown_until_a_look_succeeds_and_then_remembered() {
    let found = ok(&list("List", &json!([scaler("flink", &on_ours())])));
    let broken = || failure(500, "InternalError", "etcd is away");
    let (deployment, server) = Server::start(&[
        (DEPLOYMENT, vec![two_of_three()]),
        (SCALED_OBJECTS, vec![none()]),
        // Three attempts each.
        (AUTOSCALERS, vec![broken(), broken(), broken(), found, broken(), broken(), broken(), none()]),
    ]);
    let error = deployment.observe(false).await.unwrap_err();
    assert_error(&error, "server", &["list horizontalpodautoscalers", "etcd is away"]);

    let seen = deployment.observe(false).await.unwrap();
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/flink"), "asked again at once");
    tokio::time::advance(Duration::from_secs(31)).await;
    let seen = deployment.observe(false).await.unwrap();
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/flink"), "the look failed");
    assert_eq!(deployment.observe(false).await.unwrap().other_autoscaler, None, "it is gone");
    assert_eq!(server.asked(AUTOSCALERS).await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_silent_look_for_autoscalers_costs_one_time_limit() {
    let (deployment, _server) = Server::start(&[
        (DEPLOYMENT, vec![two_of_three()]),
        (SCALED_OBJECTS, vec![Answer::Silence]),
        (AUTOSCALERS, vec![Answer::Silence]),
    ]);
    let began = tokio::time::Instant::now();
    assert_error(&deployment.observe(false).await.unwrap_err(), "timeout", &["list scaledobjects"]);
    assert_eq!(began.elapsed(), TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_cannot_be_read_does_not_hide_behind_autoscalers() {
    let (deployment, server) = Server::start(&script(vec![Answer::Cut], no_such_api(), none()));
    assert_error(&deployment.observe(false).await.unwrap_err(), "unreachable", &["connection reset"]);
    assert_eq!(server.asked(DEPLOYMENT).await.len(), 3);
}
