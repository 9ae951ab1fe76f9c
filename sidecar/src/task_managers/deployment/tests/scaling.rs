//! Setting the replicas.

use super::*;

fn scale(replicas: u32) -> Answer {
    ok(&json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": { "name": "taskmanager", "namespace": "flink" }, "spec": { "replicas": replicas }
    }))
}

async fn set(answers: Vec<Answer>) -> (Result<(), KubernetesError>, Vec<Seen>) {
    let (deployment, server) = start(&[(SCALE, answers)]);
    let result = deployment.set_replicas(TaskManagers(4)).await;
    (result, server.asked(SCALE).await)
}

#[tokio::test(start_paused = true)]
async fn patches_the_scale_subresource_and_nothing_else() {
    let (result, asked) = set(vec![scale(4)]).await;
    result.unwrap();
    let expected = Seen {
        method: Method::PATCH,
        path: SCALE.to_owned(),
        content_type: Some("application/merge-patch+json".to_owned()),
        body: Some(json!({ "spec": { "replicas": 4 } })),
    };
    assert_eq!(asked, [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_put_into_the_role() {
    let said = "deployments.apps \"taskmanager\" is forbidden: User \"system:serviceaccount:flink:sluice\" cannot patch \
                resource \"deployments/scale\" in API group \"apps\" in the namespace \"flink\"";
    let (result, asked) = set(vec![failure(403, "Forbidden", said)]).await;
    let words =
        ["may not patch deployments/scale", said, "apiGroups [apps], resources [deployments/scale], verbs [patch]"];
    assert_error(&result.unwrap_err(), "forbidden", &words);
    assert_eq!(asked.len(), 1, "asking again would not help");
}

#[tokio::test(start_paused = true)]
async fn answers_that_asking_again_would_not_change_are_told_at_once() {
    let cases = [
        (failure(401, "Unauthorized", "Unauthorized"), "unauthorized", "credentials"),
        (failure(404, "NotFound", "deployments.apps \"taskmanager\" not found"), "not_found", "does not exist"),
        (failure(409, "Conflict", "the object has been modified"), "conflict", "the object has been modified"),
        (failure(422, "Invalid", "spec.replicas: must be >= 0"), "rejected", "`patch deployments/scale` with 422"),
    ];
    for (answer, kind, words) in cases {
        let (result, asked) = set(vec![answer]).await;
        assert_error(&result.unwrap_err(), kind, &[words]);
        assert_eq!(asked.len(), 1, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_is_tried_again_twice() {
    let failures = [
        overloaded(0),
        failure(500, "InternalError", "etcd: leader changed"),
        failure(503, "", "starting"),
        Answer::Cut,
    ];
    for passing in failures {
        let (result, asked) = set(vec![passing.clone(), passing.clone(), scale(4)]).await;
        result.unwrap();
        assert_eq!(asked.len(), 3, "{passing:?}");
    }
    let cases = [
        (overloaded(0), "throttled", "come back later"),
        (failure(503, "ServiceUnavailable", "starting"), "server", "with 503 (starting)"),
        (Answer::Reply(502, "<html>bad gateway</html>".to_owned()), "server", "with 502"),
        (Answer::Cut, "unreachable", "connection reset"),
    ];
    for (lasting, kind, words) in cases {
        let (result, asked) = set(vec![lasting]).await;
        assert_error(&result.unwrap_err(), kind, &[words]);
        assert_eq!(asked.len(), 3, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_how_long_to_stay_away_is_left_alone() {
    let (result, asked) = set(vec![overloaded(5)]).await;
    assert_error(&result.unwrap_err(), "throttled", &["too many requests"]);
    assert_eq!(asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_time_limit() {
    let began = tokio::time::Instant::now();
    let (result, asked) = set(vec![Answer::Silence]).await;
    assert_error(&result.unwrap_err(), "timeout", &["did not answer `patch deployments/scale` within 2s"]);
    assert_eq!((asked.len(), began.elapsed()), (1, TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_holds_for_all_attempts_together_and_tells_what_came_before() {
    let began = tokio::time::Instant::now();
    let (result, asked) = set(vec![failure(500, "InternalError", "etcd is slow"), Answer::Silence]).await;
    assert_error(&result.unwrap_err(), "timeout", &["before that", "etcd is slow"]);
    assert_eq!((asked.len(), began.elapsed()), (2, TIMEOUT));
}

/// What was observed, which a change of the scale then carries.
fn observed() -> [(&'static str, Vec<Answer>); 4] {
    let seen = deployment(3, &json!({}));
    let pods = ok(&list("PodList", &json!([])));
    [
        (DEPLOYMENTS, vec![only(&seen)]),
        (SCALED_OBJECTS, vec![no_such_api()]),
        (AUTOSCALERS, vec![none()]),
        (PODS, vec![pods]),
    ]
}

fn conflict() -> Answer {
    failure(409, "Conflict", "the object has been modified")
}

/// The scale as it is read again after a conflict.
fn reread(replicas: u32) -> Answer {
    ok(&json!({ "metadata": { "resourceVersion": "9" }, "spec": { "replicas": replicas } }))
}

#[tokio::test(start_paused = true)]
async fn a_conflict_about_anything_else_than_the_replicas_is_passed_over() {
    let mut script = observed().to_vec();
    script.extend([(SCALE, vec![conflict(), scale(4)]), (SCALE_READ, vec![reread(3)])]);
    let (deployment, server) = start(&script);
    deployment.observe(false).await.unwrap();
    deployment.set_replicas(TaskManagers(4)).await.unwrap();
    let versions: Vec<_> =
        server.asked(SCALE).await.into_iter().map(|seen| seen.body.unwrap()["metadata"].clone()).collect();
    assert_eq!(versions, [json!({ "resourceVersion": "5" }), json!({ "resourceVersion": "9" })]);
}

#[tokio::test(start_paused = true)]
async fn replicas_that_somebody_else_has_just_changed_are_left_alone() {
    let mut script = observed().to_vec();
    script.extend([(SCALE, vec![conflict()]), (SCALE_READ, vec![reread(2)])]);
    let (deployment, server) = start(&script);
    deployment.observe(false).await.unwrap();
    let error = deployment.set_replicas(TaskManagers(4)).await.unwrap_err();
    assert_error(&error, "conflict", &["somebody else changed it"]);
    assert_eq!(server.asked(SCALE).await.len(), 1);
}

#[test]
fn names_that_would_change_the_path_are_refused() {
    use crate::kubernetes::check_name;
    assert!(check_name("--deployment", "taskmanager-1.a").is_ok());
    for name in ["", "../secrets", "a/b", "A", "a?x", "-a", "a-", &"a".repeat(254)] {
        let error = check_name("--deployment", name).unwrap_err();
        assert_eq!(error.kind(), "config");
        assert!(error.to_string().starts_with("--deployment: "), "{error}");
    }
}
