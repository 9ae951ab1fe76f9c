//! The Lease against a scripted API server, with the clock paused.

use serde_json::{Value, json};

use super::*;
use crate::kubernetes::scripted::{Answer, Seen, Server, failure, ok};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/flink/leases/sluice-tm";

/// The Lease as the API server shows it.
fn lease(holder: Option<&str>, renewed: &str, state: Option<&str>) -> Value {
    let annotations = state.map(|state| json!({ STATE: state }));
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "sluice-tm", "resourceVersion": "7", "annotations": annotations },
        "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed, "leaseTransitions": 3 }
    })
}

const EARLY: &str = "2026-01-01T00:00:00.000000Z";

fn free() -> Answer {
    ok(&json!({ "metadata": { "name": "sluice-tm", "resourceVersion": "1" } }))
}

fn held_by(holder: &str) -> Answer {
    ok(&lease(Some(holder), EARLY, None))
}

fn conflict() -> Answer {
    failure(409, "Conflict", "the object has been modified")
}

async fn open(answers: Vec<Answer>) -> (Lease, Server) {
    let (api, server) = Server::start(&[(LEASE, answers)]);
    let (duration, renew) = (Duration::from_secs(15), Duration::from_secs(3));
    let options =
        LeaseOptions { name: "sluice-tm".to_owned(), identity: "me".to_owned(), before: None, duration, renew };
    (Lease::open(api, options).await.unwrap(), server)
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// What was written, in order.
async fn written(server: &Server) -> Vec<Value> {
    let puts = |seen: Seen| seen.body.filter(|_| seen.method == "PUT");
    server.asked(LEASE).await.into_iter().filter_map(puts).collect()
}

fn problem(lease: &Lease) -> String {
    match lease.leadership() {
        Leadership::Unknown { problem } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_with_what_the_last_leader_saved() {
    let left = ok(&lease(None, EARLY, Some("saved")));
    let (lease, server) = open(vec![left, held_by("me")]).await;
    assert_eq!(lease.leadership(), Leadership::Leader { identity: "me".to_owned() });
    assert_eq!((lease.restored(), lease.restored()), (Some("saved".to_owned()), None), "told once");
    let put = &written(&server).await[0];
    assert_eq!(put["metadata"]["resourceVersion"], "7", "guarded");
    assert_eq!((&put["spec"]["holderIdentity"], &put["spec"]["leaseTransitions"]), (&json!("me"), &json!(4)));
    assert_eq!(put["metadata"]["annotations"][STATE], "saved");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_holds_is_taken_only_when_it_has_run_out_here() {
    let held = || held_by("other");
    let (lease, server) = open(vec![held(), held(), held(), held_by("me")]).await;
    assert_eq!(lease.leadership(), Leadership::Follower { leader: "other".to_owned() });
    seconds(14).await;
    lease.renew().await;
    assert!(!lease.leadership().may_act(), "its renewTime is long ago by the clock, and says nothing");
    assert_eq!(written(&server).await.len(), 0);
    seconds(1).await;
    lease.renew().await;
    assert!(lease.leadership().may_act());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_faster_leads() {
    let (lease, _server) = open(vec![free(), conflict(), held_by("other")]).await;
    assert!(matches!(lease.leadership(), Leadership::Follower { .. }));
    assert_eq!(lease.restored(), None);
    lease.renew().await;
    assert_eq!(lease.leadership(), Leadership::Follower { leader: "other".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn the_own_term_ends_early_if_it_is_not_renewed() {
    let (lease, _server) = open(vec![free(), held_by("me"), Answer::Silence]).await;
    seconds(8).await;
    lease.renew().await;
    assert!(
        lease.leadership().may_act() && !lease.has_time_for_a_call(),
        "2 s of 12 are left, and a call may take as long"
    );
    let before = Instant::now();
    lease.lost().await;
    assert!(before.elapsed() <= Duration::from_millis(2050), "{:?}", before.elapsed());
    assert!(problem(&lease).contains("did not answer `update leases`"));
    let error = lease.save("state".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), "not_held");
}

#[tokio::test(start_paused = true)]
async fn the_state_is_saved_and_the_term_renewed_in_one_guarded_write() {
    let (lease, server) = open(vec![free(), held_by("me")]).await;
    seconds(11).await;
    lease.save("state".to_owned()).await.unwrap();
    seconds(11).await;
    assert!(lease.leadership().may_act());
    let put = &written(&server).await[1];
    assert_eq!(
        (&put["metadata"]["annotations"][STATE], &put["metadata"]["resourceVersion"]),
        (&json!("state"), &json!("7"))
    );
    let error = lease.save("x".repeat(LARGEST + 1)).await.unwrap_err();
    assert_eq!(error.kind(), "too_large");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_stolen_ends_the_term_before_anything_is_done() {
    let (lease, server) = open(vec![free(), held_by("me"), conflict(), held_by("thief")]).await;
    let error = lease.save("state".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), "taken");
    assert!(error.to_string().contains("taken by thief"), "{error}");
    assert_eq!(lease.leadership(), Leadership::Follower { leader: "thief".to_owned() });
    assert_eq!(written(&server).await.len(), 2, "not written over");
}

#[tokio::test(start_paused = true)]
async fn whoever_labels_the_lease_is_no_other_leader() {
    let (lease, server) = open(vec![free(), held_by("me"), conflict(), held_by("me"), held_by("me")]).await;
    lease.save("state".to_owned()).await.unwrap();
    let puts = written(&server).await;
    assert_eq!((puts.len(), &puts[2]["metadata"]["annotations"][STATE]), (3, &json!("state")));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_lease_is_said_with_its_mend() {
    let (lease, _server) = open(vec![failure(404, "NotFound", "leases \"sluice-tm\" not found")]).await;
    let missing = problem(&lease);
    assert!(
        ["Lease flink/sluice-tm does not exist", "--lease", "--no-lease"].iter().all(|word| missing.contains(word)),
        "{missing}"
    );
    let (lease, _server) = open(vec![failure(403, "Forbidden", "cannot get")]).await;
    let hidden = problem(&lease);
    assert!(hidden.contains("apiGroups [coordination.k8s.io], resources [leases], verbs [get]"), "{hidden}");
    let (lease, _server) = open(vec![free(), failure(403, "Forbidden", "cannot update")]).await;
    assert!(problem(&lease).contains("verbs [update]"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_ends_the_term_at_once() {
    let gone = failure(404, "NotFound", "gone");
    let (lease, _server) = open(vec![free(), held_by("me"), gone]).await;
    lease.renew().await;
    assert!(problem(&lease).contains("does not exist"));
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_given_back_with_the_state_on_it() {
    let saved = ok(&lease(Some("me"), EARLY, Some("state")));
    let (lease, server) = open(vec![free(), saved.clone(), saved]).await;
    lease.release().await;
    assert!(!lease.leadership().may_act());
    let put = written(&server).await.pop().unwrap();
    assert_eq!(put["spec"].get("holderIdentity"), None);
    assert_eq!(put["metadata"]["annotations"][STATE], "state");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_is_kept_under_another_name() {
    let saved = ok(&lease(Some("me"), EARLY, Some("of another version")));
    let (lease, server) = open(vec![saved]).await;
    lease.set_aside().await;
    lease.save("new".to_owned()).await.unwrap();
    let put = written(&server).await.pop().unwrap();
    assert_eq!(put["metadata"]["annotations"], json!({ STATE: "new", SET_ASIDE: "of another version" }));
}
