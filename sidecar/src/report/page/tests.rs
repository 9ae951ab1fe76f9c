//! What is on the page, and what never is.

use std::time::Duration;

use sluice_core::{
    Decision, Flink, FlinkVersion, Hold, Job, JobState, Memory, Observation, Parallelism, Policy, PolicyOptions, Pool,
    Reading, Registered, Scheduler, Segments, Slots, Source, Stream, StreamName, StreamShape, TaskManagers,
};

use super::*;
use crate::observe::Trouble;

const HOSTILE: &str = "<script>alert('\"&')</script>";

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(second)
}

fn seen(name: &str) -> Observation {
    let at = at(100);
    let job = Job {
        id: "a".repeat(32),
        name: name.into(),
        state: JobState::Running,
        running_since: Some(at),
        parallelism: Parallelism(2),
        max_parallelism: Parallelism(128),
        stopped: None,
        whole_since: None,
        all_subtasks_run: true,
        vertices: Vec::new(),
        slot_sharing_groups: 1,
        busy: None,
        rescale: None,
        checkpoints: None,
        pending_records: Some(17),
        records_per_second: Some(1234),
    };
    let registered = Registered { id: name.into(), slots: Slots(1) };
    let flink = Flink {
        version: FlinkVersion(1, 20),
        scheduler: Scheduler::Adaptive,
        jobs: vec![job],
        task_managers: vec![registered],
    };
    let pool = Pool { replicas: TaskManagers(2), ready: TaskManagers(2), ..Pool::default() };
    let shape = Some(Reading { at, value: StreamShape { segments: Segments(2), epoch: Some(0) } });
    Observation {
        streams: vec![Stream { name: StreamName { scope: name.into(), stream: name.into() }, shape }],
        flink: Some(Reading { at, value: flink }),
        pool: Some(Reading { at, value: pool }),
        ..Observation::default()
    }
}

fn shown(seen: Observation, decision: &Decision) -> Shared {
    let shared = Shared::default();
    let policy = Policy::try_from(PolicyOptions::default()).unwrap();
    let mut status = Status::new(at(100), seen, decision.clone(), None, &Memory::default(), &policy);
    status.next_look = Some(at(101));
    assert!(shared.decided(at(100), decision));
    shared.set_status(status);
    shared
}

fn html(shared: &Shared) -> String {
    page(at(100), shared).into_string()
}

#[test]
fn the_state_stands_in_words_with_the_guard_and_what_would_change_it() {
    let shared = shown(seen("job"), &Decision::Hold(Hold::Settling { until: at(112) }));
    let page = html(&shared);
    for text in [
        "holding: settling after a change of the stream",
        "Next look in 1.0 s.",
        "Ends by itself in <strong>12.0 s</strong>",
        "<code>settling</code>",
        "a shorter --settle",
        "1234",
        "17 waiting",
        "<title>Sluice: holding: settling",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[test]
fn hostile_names_are_escaped_wherever_they_appear() {
    let hold = Hold::Unreadable { source: Source::Stream(StreamName { scope: HOSTILE.into(), stream: "x".into() }) };
    let shared = shown(seen(HOSTILE), &Decision::Hold(hold));
    shared.set_troubles(vec![Trouble::new("flink", "status", &HOSTILE), Trouble::new("history", "file", &HOSTILE)]);
    let page = html(&shared);
    assert!(!page.contains(HOSTILE) && !page.contains("<script>"), "{page}");
    assert!(page.matches("&lt;script&gt;alert(").count() >= 6, "{page}");
    let plot = serde_json::to_value(plot(at(100), &shared)).unwrap();
    assert!(plot["marks"][0]["text"].as_str().unwrap().contains(HOSTILE), "the script sets it as text");
    assert!(!SCRIPT.contains("insertAdjacentHTML") && !SCRIPT.contains("innerHTML ="), "and as nothing else");
}

#[test]
fn passwords_in_addresses_are_not_shown() {
    let problem = "--flink-url 'https://me:sesame@flink:1': no".to_owned();
    let seen = Observation { config_problem: Some(problem.clone()), ..seen("job") };
    let shared = shown(seen, &Decision::Hold(Hold::BadConfig { problem }));
    shared.set_troubles(vec![Trouble::new("flink", "status", &"tls://me:sesame@c:9090 is away")]);
    let state = serde_json::to_string(&*shared.status().unwrap()).unwrap();
    let history = serde_json::to_string(&shared.history_since(0)).unwrap();
    for text in [html(&shared), state, history] {
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[test]
fn the_page_asks_no_other_host_and_runs_nothing_inline() {
    let page = html(&shown(seen("job"), &Decision::Hold(Hold::InStep)));
    for text in ["http://", "https://", "<script>", "<style", "style=", "onclick", "onload", "javascript:"] {
        assert!(!page.contains(text), "{text} is in {page}");
    }
    let weight = page.len() + SCRIPT.len() + STYLE.len() + PLOTTING.len() + ICON.len();
    assert!(weight < 100_000, "{weight}");
}

#[test]
fn before_the_first_look_it_says_so() {
    assert!(html(&Shared::default()).contains("The first look is not finished."));
}
