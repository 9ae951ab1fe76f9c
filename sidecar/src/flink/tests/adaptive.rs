//! The parts of the client that only the adaptive strategy needs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_core::{Bounds, Strategy};

use super::*;

const SOURCE: &str = "f362c87ffabe89c8a91fa7d0a523ba6c";
const COUNT: &str = "b71731f1c0df9c3076c4a455334d0ad6";

fn bounds(upper: u32) -> Bounds {
    Bounds { lower: Parallelism(1), upper: Parallelism(upper) }
}

/// A third TaskManager has come, and is idle.
fn with_an_idle_one(exchange: &mut recorded::Exchange) {
    if exchange.request == "GET /taskmanagers" {
        let mut third = exchange.response["taskmanagers"][0].clone();
        third["id"] = "tm2".into();
        exchange.response["taskmanagers"].as_array_mut().unwrap().push(third);
    }
}

#[tokio::test]
async fn requirements_are_read_vertex_by_vertex() {
    let (_, seen) = observe("2.3.0", "adaptive").await;
    assert_eq!((seen.scheduler, Strategy::of(seen.scheduler)), (Scheduler::Adaptive, Some(Strategy::Adaptive)));
    let job = only(&seen);
    assert_eq!((job.upper_bound(), job.parallelism), (Some(Parallelism(2)), Parallelism(2)));
    let found: Vec<_> = job.vertices.iter().map(|vertex| (vertex.id.as_str(), vertex.bounds)).collect();
    assert_eq!(found, [(SOURCE, Some(bounds(2))), (COUNT, Some(bounds(2)))]);
    // Max parallelism is 16 in the recording; Flink refuses requirements above it.
    assert_eq!(
        job.bounds_for(Parallelism(99)),
        BTreeMap::from([(SOURCE.into(), bounds(16)), (COUNT.into(), bounds(16))])
    );
}

#[tokio::test]
async fn a_job_that_shows_no_requirements_yet_is_known_without_them() {
    for status in [404, 500] {
        let recorded = Recorded::serve("2.3.0", "adaptive").await;
        recorded.play_with("2.3.0", "adaptive", |exchange| {
            if exchange.request.ends_with("resource-requirements") {
                exchange.status = status;
                exchange.response = json!({ "errors": ["Internal server error.", "FlinkJobNotFoundException: no"] });
            }
        });
        let seen = client(&recorded.url()).observe(false).await.unwrap();
        assert_eq!(only(&seen).upper_bound(), None, "{status}");
    }
}

#[tokio::test]
async fn which_task_managers_are_busy_is_asked_only_where_one_may_be_idle() {
    let (recorded, seen) = observe("2.3.0", "adaptive").await;
    assert_eq!((only(&seen).busy.as_ref(), seen.idle()), (None, Some(TaskManagers(0))));
    assert!(
        !recorded.asked().await.iter().any(|asked| asked.ends_with("/taskmanagers") && asked.contains("/vertices/"))
    );
    recorded.play_with("2.3.0", "adaptive", with_an_idle_one);
    let seen = client(&recorded.url()).observe(false).await.unwrap();
    assert_eq!(only(&seen).busy, Some(vec!["tm0".to_owned(), "tm1".to_owned()]));
    assert_eq!(seen.idle(), Some(TaskManagers(1)));
}

#[tokio::test]
async fn an_answer_that_disagrees_with_the_details_tells_no_task_manager_idle() {
    let subtasks = |status: &'static str, n: u32| {
        move |exchange: &mut recorded::Exchange| {
            with_an_idle_one(exchange);
            if exchange.request.contains(SOURCE) {
                let counts = &mut exchange.response["taskmanagers"][0]["status-counts"];
                counts["RUNNING"] = 0.into();
                counts[status] = n.into();
            }
        }
    };
    for (status, n, known) in
        [("RUNNING", 1, true), ("RUNNING", 2, false), ("SCHEDULED", 1, false), ("CREATED", 1, false)]
    {
        let recorded = Recorded::serve("2.3.0", "adaptive").await;
        recorded.play_with("2.3.0", "adaptive", subtasks(status, n));
        let seen = client(&recorded.url()).observe(false).await.unwrap();
        assert_eq!(only(&seen).busy.is_some(), known, "{n} {status}");
    }
}

#[tokio::test]
async fn all_vertices_are_sent_with_their_bounds() {
    let recorded = Recorded::serve("2.3.0", "adaptive").await;
    let asked = BTreeMap::from([(SOURCE.to_owned(), bounds(1)), (COUNT.to_owned(), bounds(1))]);
    client(&recorded.url()).set_requirements(&recorded.job(), &asked).await.unwrap();
    let bodies = recorded.bodies().await;
    let sent: Value = serde_json::from_str(&bodies[0]).unwrap();
    let one = json!({ "parallelism": { "lowerBound": 1, "upperBound": 1 } });
    assert_eq!(sent, json!({ SOURCE: one, COUNT: one }));
}

#[tokio::test]
async fn requirements_that_flink_refuses_are_an_error_with_its_reason() {
    let recorded = Recorded::serve("2.3.0", "adaptive").await;
    recorded.play_with("2.3.0", "adaptive", |exchange| {
        if exchange.request.starts_with("PUT") && exchange.status == 200 {
            exchange.request.clear(); // The recording holds one that is taken and one that is not.
        }
    });
    let asked = BTreeMap::from([(SOURCE.to_owned(), bounds(99))]);
    let error = client(&recorded.url()).set_requirements(&recorded.job(), &asked).await.unwrap_err();
    assert_eq!(error.kind(), "http_status");
    assert!(error.to_string().contains("maximum parallelism"), "{error}");
}

#[tokio::test]
async fn savepoints_that_were_asked_for() {
    let recorded = Recorded::serve("2.3.0", "adaptive").await;
    let (client, job) = (client(&recorded.url()), recorded.job());
    let stored = client.savepoint(&job, "79821fb5df7e8a9fd443120ea5f2b292").await.unwrap();
    assert_eq!(stored, Operation::Stored { location: "file:/data/sp/savepoint-afa6ee-004d0fd38c59".into() });
    let failed = client.savepoint(&job, "4b8243907ae4aa60c16b35f097905e12").await.unwrap();
    assert!(matches!(&failed, Operation::Failed { cause } if !cause.is_empty()), "{failed:?}");
    recorded.play_with("2.3.0", "adaptive", |exchange| {
        exchange.request = format!("POST /jobs/{}/savepoints", "afa6eeda90467914d55cbeed29bbb7da");
        exchange.status = 202;
    });
    client.trigger_savepoint(&job, "0123456789abcdef0123456789abcdef", Some("file:/backup")).await.unwrap();
    let sent: Value = serde_json::from_str(&recorded.bodies().await[0]).unwrap();
    let expected = json!({
        "triggerId": "0123456789abcdef0123456789abcdef", "cancel-job": false, "target-directory": "file:/backup"
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn flink_2_3_tells_its_last_rescale_while_a_change_is_in_flight() {
    let (recorded, quiet) = observe("2.3.0", "adaptive").await;
    assert_eq!(only(&quiet).rescale, None);
    let seen = client(&recorded.url()).observe(true).await.unwrap();
    let rescale = only(&seen).rescale.unwrap();
    assert_eq!(rescale.ended.duration_since(rescale.started).as_millis(), 2782);
}
