//! Reading the replicas, and looking for other autoscalers.

use super::*;

/// An autoscaler of `kind` and name `x` for the target of that kind and name.
fn scaler(name: &str, target: &Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "scaleTargetRef": target, "maxReplicas": 9 } })
}

fn on_ours() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "taskmanager" })
}

fn script(deployment: Vec<Answer>, scaled_objects: Answer, autoscalers: Answer) -> Vec<(&'static str, Vec<Answer>)> {
    let pods = ok(&list("PodList", &json!([])));
    vec![
        (DEPLOYMENTS, deployment),
        (SCALED_OBJECTS, vec![scaled_objects]),
        (AUTOSCALERS, vec![autoscalers]),
        (PODS, vec![pods]),
    ]
}

fn of_three(ready: u32) -> Value {
    let status = json!({
        "observedGeneration": 7, "replicas": 3, "updatedReplicas": 3, "readyReplicas": ready
    });
    deployment(3, &status)
}

fn two_of_three() -> Answer {
    only(&of_three(2))
}

#[tokio::test(start_paused = true)]
async fn reads_wanted_and_ready_replicas() {
    let (deployment, server) = start(&script(vec![two_of_three()], no_such_api(), none()));
    let seen = deployment.observe(false).await.unwrap().value;
    let expected =
        Pool { replicas: TaskManagers(3), ready: TaskManagers(2), choice: Choice::ByMark, ..Pool::default() };
    assert_eq!(seen, expected);
    let asked = server.asked(DEPLOYMENTS).await;
    assert_eq!((asked.len(), &asked[0].method), (1, &Method::GET));
    assert!(asked[0].path.contains("fieldSelector=metadata.name%3Dtaskmanager"), "{}", asked[0].path);
    assert_eq!(deployment.describe(), "Deployment flink/taskmanager");
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_tells_is_known_without_asking() {
    let event = json!({ "type": "MODIFIED", "object": of_three(3) });
    let mut script = script(vec![two_of_three()], no_such_api(), none());
    script.push((WATCH, vec![Answer::Reply(200, format!("{event}\n")), Answer::Silence]));
    let (deployment, server) = start(&script);
    deployment.observe(false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(deployment.observe(false).await.unwrap().value.ready, TaskManagers(3));
    assert_eq!(server.asked(DEPLOYMENTS).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reading_is_as_old_as_the_last_word_of_the_server() {
    let answers = vec![two_of_three(), two_of_three(), Answer::Silence];
    let (deployment, _server) = start(&script(answers, no_such_api(), none()));
    let first = deployment.observe(false).await.unwrap().at;
    renewed().await;
    let second = deployment.observe(false).await.unwrap().at;
    assert!(second > first, "listed again");
    for _ in 0..5 {
        renewed().await;
        assert_eq!(deployment.observe(false).await.unwrap().at, second, "silence is no word");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pods_ready_is_told_from_a_deployment_that_is_not_there() {
    let scaled_to_zero = only(&deployment(0, &json!({ "observedGeneration": 7 })));
    let gone = ok(&list("DeploymentList", &json!([])));
    let (deployment, _server) = start(&script(vec![scaled_to_zero, gone], no_such_api(), none()));
    let seen = deployment.observe(false).await.unwrap().value;
    assert_eq!((seen.replicas, seen.ready), (TaskManagers(0), TaskManagers(0)));
    renewed().await;
    assert_error(&deployment.observe(false).await.unwrap_err(), "not_found", &["does not exist"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_json_is_named() {
    let page = Answer::Reply(200, "<html>log in first</html>".to_owned());
    let (deployment, _server) = start(&script(vec![page], no_such_api(), none()));
    assert_error(&deployment.observe(false).await.unwrap_err(), "malformed", &["list deployments", "expected value"]);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_hidden_or_cannot_be_reached_is_an_error_until_it_is_seen_again() {
    let hidden = failure(403, "Forbidden", "cannot list resource");
    let (deployment, _server) = start(&script(vec![hidden, two_of_three()], no_such_api(), none()));
    let error = deployment.observe(false).await.unwrap_err();
    assert_error(&error, "forbidden", &["verbs [list]", "resources [deployments]"]);
    renewed().await;
    assert_eq!(deployment.observe(false).await.unwrap().value.replicas, TaskManagers(3));
    let (deployment, _server) = start(&script(vec![two_of_three(), Answer::Cut], no_such_api(), none()));
    assert!(deployment.observe(false).await.is_ok());
    renewed().await;
    assert_error(&deployment.observe(false).await.unwrap_err(), "unreachable", &["connection reset"]);
}

#[tokio::test(start_paused = true)]
async fn silence_from_the_start_is_an_error() {
    let (deployment, _server) = start(&script(vec![Answer::Silence], no_such_api(), none()));
    assert_error(&deployment.observe(false).await.unwrap_err(), "timeout", &["list deployments"]);
}

#[tokio::test(start_paused = true)]
async fn annotations_of_a_person_are_read_as_text() {
    let mut annotated = of_three(3);
    annotated["metadata"]["annotations"] =
        json!({ "sluice.pravega.io/paused": "true", "sluice.pravega.io/max-task-managers": "x", "other": "1" });
    let (deployment, _server) = start(&script(vec![only(&annotated)], no_such_api(), none()));
    let annotations = deployment.observe(false).await.unwrap().value.annotations;
    assert_eq!(annotations.paused.as_deref(), Some("true"));
    assert_eq!((annotations.min_task_managers, annotations.max_task_managers.as_deref()), (None, Some("x")));
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
        let (deployment, _server) = start(&script(vec![two_of_three()], scaled_objects, autoscalers));
        let seen = deployment.observe(false).await.unwrap().value;
        assert_eq!(seen.other_autoscaler.as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn autoscalers_are_looked_for_every_30_seconds() {
    let found = ok(&list("List", &json!([scaler("late", &on_ours())])));
    let (deployment, server) = start(&[
        (DEPLOYMENTS, vec![two_of_three()]),
        (PODS, vec![ok(&list("PodList", &json!([])))]),
        (SCALED_OBJECTS, vec![no_such_api()]),
        (AUTOSCALERS, vec![none(), found]),
    ]);
    for _ in 0..30 {
        assert_eq!(deployment.observe(false).await.unwrap().value.other_autoscaler, None);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(server.asked(AUTOSCALERS).await.len(), 1);
    let seen = deployment.observe(false).await.unwrap().value;
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/late"));
    assert_eq!(server.asked(AUTOSCALERS).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whether_there_is_one_is_unknown_until_a_look_succeeds_and_then_remembered() {
    let found = ok(&list("List", &json!([scaler("flink", &on_ours())])));
    let broken = || failure(500, "InternalError", "etcd is away");
    let (deployment, server) = start(&[
        (DEPLOYMENTS, vec![two_of_three()]),
        (PODS, vec![ok(&list("PodList", &json!([])))]),
        (SCALED_OBJECTS, vec![none()]),
        // Three attempts each.
        (AUTOSCALERS, vec![broken(), broken(), broken(), found, broken(), broken(), broken(), none()]),
    ]);
    let error = deployment.observe(false).await.unwrap_err();
    assert_error(&error, "server", &["list horizontalpodautoscalers", "etcd is away"]);

    let seen = deployment.observe(false).await.unwrap().value;
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/flink"), "asked again at once");
    tokio::time::advance(Duration::from_secs(31)).await;
    let seen = deployment.observe(false).await.unwrap().value;
    assert_eq!(seen.other_autoscaler.as_deref(), Some("HorizontalPodAutoscaler/flink"), "the look failed");
    assert_eq!(deployment.observe(false).await.unwrap().value.other_autoscaler, None, "it is gone");
    assert_eq!(server.asked(AUTOSCALERS).await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_silent_look_for_autoscalers_costs_one_time_limit() {
    let (deployment, _server) = start(&[
        (DEPLOYMENTS, vec![two_of_three()]),
        (PODS, vec![ok(&list("PodList", &json!([])))]),
        (SCALED_OBJECTS, vec![Answer::Silence]),
        (AUTOSCALERS, vec![Answer::Silence]),
    ]);
    let began = tokio::time::Instant::now();
    assert_error(&deployment.observe(false).await.unwrap_err(), "timeout", &["list scaledobjects"]);
    assert_eq!(began.elapsed(), TIMEOUT);
}
