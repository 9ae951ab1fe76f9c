//! The client against recorded replies of real Flinks.

mod adaptive;
mod any_text;
mod recorded;
mod strangers;

use std::time::Duration;

use self::recorded::Recorded;
use super::{Client, FlinkOptions, replies};
use sluice_core::{
    Checkpoint, Checkpoints, Flink, FlinkVersion, Job, JobState, Operation, Parallelism, Scheduler, Slots, TaskManagers,
};

const VERSIONS: [&str; 3] = ["1.17.2", "1.20.5", "2.3.0"];

fn client(url: &str) -> Client {
    Client::new(&FlinkOptions { url: url.into(), tls: None, timeout: Duration::from_secs(2) }).unwrap()
}

async fn observe(version: &str, moment: &str) -> (Recorded, Flink) {
    let recorded = Recorded::serve(version, moment).await;
    let seen = client(&recorded.url()).observe(false).await.unwrap();
    (recorded, seen)
}

fn only(seen: &Flink) -> &Job {
    seen.job().unwrap()
}

fn checkpoints(job: &Job) -> Option<(Option<u64>, u64)> {
    let checkpoints = job.checkpoints.as_ref()?;
    Some((checkpoints.last_completed.map(|checkpoint| checkpoint.id), checkpoints.restored))
}

#[tokio::test]
async fn a_job_that_runs() {
    for version in VERSIONS {
        let (_, seen) = observe(version, "running").await;
        assert_eq!(seen.version.to_string(), version.rsplit_once('.').unwrap().0);
        assert_eq!(seen.scheduler, Scheduler::Reactive);
        assert_eq!((seen.registered(), seen.slots()), (TaskManagers(1), Slots(1)));
        assert_eq!(seen.task_managers[0].id, "tm0");
        let job = only(&seen);
        assert_eq!((job.state, job.name.as_str()), (JobState::Running, "segjob"));
        assert_eq!((job.parallelism, job.max_parallelism), (Parallelism(1), Parallelism(128)));
        assert!(job.all_subtasks_run, "{version}");
        assert!(job.runs_on(seen.slots()), "{version}");
        let (last, restored) = checkpoints(job).unwrap();
        assert!(last.is_some_and(|id| id >= 2) && restored == 0, "{version}: {job:?}");
        assert!(job.running_since.unwrap() < job.checkpoints.as_ref().unwrap().last_completed.unwrap().triggered_at);
        assert!(job.pending_records.is_some_and(|pending| pending < 100), "{version}: {job:?}");
    }
}

#[tokio::test]
async fn a_job_after_a_rescale() {
    for version in VERSIONS {
        let (_, seen) = observe(version, "running-wider").await;
        let job = only(&seen);
        assert_eq!((seen.registered(), job.parallelism), (TaskManagers(2), Parallelism(2)), "{version}");
        assert!(job.all_subtasks_run, "{version}");
        assert_eq!(checkpoints(job).unwrap().1, 1, "{version}: a rescale restores a checkpoint");
        assert_eq!(job.pending_records, None, "{version}: the metrics may still be those from before");
    }
}

#[tokio::test]
async fn before_there_is_a_job() {
    for version in VERSIONS {
        let (_, seen) = observe(version, "no-job").await;
        assert_eq!((seen.jobs.len(), seen.registered()), (0, TaskManagers(0)));
    }
}

#[tokio::test]
async fn a_job_that_is_being_set_up_is_known_without_its_checkpoints() {
    for version in ["1.17.2", "2.3.0"] {
        let (_, seen) = observe(version, "initializing").await;
        let job = only(&seen);
        assert_eq!((job.state, job.parallelism), (JobState::Initializing, Parallelism(0)));
        assert_eq!(job.max_parallelism, replies::UNBOUNDED, "unknown is not zero");
        assert_eq!((&job.checkpoints, job.running_since, job.all_subtasks_run), (&None, None, false));
    }
}

#[tokio::test]
async fn a_job_that_waits_for_its_first_slots() {
    for version in VERSIONS {
        let (_, seen) = observe(version, "no-task-managers").await;
        let job = only(&seen);
        assert_eq!((job.state, job.parallelism), (JobState::Created, Parallelism(0)), "{version}");
        assert!(job.max_parallelism >= Parallelism(128) && !job.all_subtasks_run, "{version}");
        assert_eq!((&job.checkpoints, job.pending_records), (&None, None), "{version}");
    }
}

#[tokio::test]
async fn a_restart_shows_although_the_details_are_from_before() {
    for version in VERSIONS {
        let (recorded, seen) = observe(version, "restarting").await;
        let job = only(&seen);
        assert_eq!((job.state, job.all_subtasks_run), (JobState::Restarting, false), "{version}");
        assert_eq!(job.pending_records, None);
        let asked = recorded.asked().await;
        assert!(!asked.iter().any(|request| request.contains("metrics")), "{version}: {asked:?}");
    }
}

#[tokio::test]
async fn what_flink_forgets_while_it_waits_for_slots_is_unknown_and_not_zero() {
    for version in VERSIONS {
        let recorded = Recorded::serve(version, "running-wider").await;
        let client = client(&recorded.url());
        let before = client.observe(false).await.unwrap();
        recorded.play(version, "waiting-for-slots-again");
        let waiting = client.observe(false).await.unwrap();
        let job = only(&waiting);
        assert_eq!((job.state, &job.checkpoints), (JobState::Created, &None), "{version}");
        assert_eq!(job.max_parallelism, Parallelism(128), "{version}: known from before");
        recorded.play(version, "running-again");
        let again = client.observe(false).await.unwrap();
        let job = only(&again);
        assert!(job.all_subtasks_run, "{version}");
        assert_eq!(checkpoints(job).unwrap().1, 2, "{version}");
        assert!(job.running_since > only(&before).running_since);
    }
}

#[tokio::test]
async fn a_restart_to_the_same_width_is_waited_for_until_the_details_show_it() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    let client = client(&recorded.url());
    assert!(only(&client.observe(false).await.unwrap()).all_subtasks_run);
    // Only the time at which a subtask last changed its state tells of it.
    recorded.play_with("1.20.5", "running", |exchange| {
        if exchange.request == "GET /jobs/overview" {
            exchange.response["jobs"][0]["last-modification"] = 1_999_999_999_999_i64.into();
        }
    });
    let doubtful = client.observe(false).await.unwrap();
    assert!(!only(&doubtful).all_subtasks_run);
    assert_eq!(only(&doubtful).pending_records, None);
}

#[tokio::test]
async fn a_job_that_never_took_a_checkpoint() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    let client = client(&recorded.url());
    recorded.play_with("1.20.5", "running", |exchange| {
        if exchange.request.ends_with("/checkpoints") {
            exchange.response["counts"]["total"] = 0.into();
            exchange.response["latest"]["completed"] = serde_json::Value::Null;
        }
    });
    let seen = client.observe(false).await.unwrap();
    assert_eq!(only(&seen).checkpoints, Some(Checkpoints::default()), "it has run for long enough to know");
    recorded.play_with("1.20.5", "running", |exchange| {
        if exchange.request.ends_with("/checkpoints") {
            exchange.status = 404;
            exchange.response = serde_json::json!({"errors": ["x.RestHandlerException: Checkpointing was not enabled for job 1.\n\tat x"]});
        }
    });
    assert_eq!(only(&client.observe(false).await.unwrap()).checkpoints, None);
}

#[tokio::test]
async fn a_savepoint_is_no_checkpoint() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    recorded.add("1.20.5", "savepoint-newer-than-checkpoint", |exchange| {
        // The recording is of another cluster.
        exchange.request = exchange.request.replace("2a058f8fda242372731f0ee00b226262", &recorded.job());
    });
    let seen = client(&recorded.url()).observe(false).await.unwrap();
    let last = only(&seen).checkpoints.as_ref().unwrap().last_completed.unwrap();
    assert_eq!(last, Checkpoint { id: 3, triggered_at: "2026-11-22T11:07:42.579Z".parse().unwrap() });
}

#[tokio::test]
async fn the_default_scheduler_keeps_the_parallelism() {
    for version in ["1.20.5", "2.3.0"] {
        assert_eq!(observe(version, "default-scheduler").await.1.scheduler, Scheduler::Fixed, "{version}");
    }
    // A batch job does not run under the adaptive scheduler, whatever the configuration says.
    let recorded = Recorded::serve("2.3.0", "running").await;
    recorded.play_with("2.3.0", "running", |exchange| {
        if exchange.request == "GET /jobs/overview" {
            exchange.response["jobs"][0]["schedulerType"] = "AdaptiveBatch".into();
        }
    });
    assert_eq!(client(&recorded.url()).observe(false).await.unwrap().scheduler, Scheduler::Fixed);
}

#[tokio::test]
async fn jobs_that_are_over_are_left_out_unless_all_are() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    let client = client(&recorded.url());
    let with = |states: &'static [(&'static str, i64)]| {
        recorded.play_with("1.20.5", "running", move |exchange| {
            if exchange.request == "GET /jobs/overview" {
                let template = exchange.response["jobs"][0].clone();
                let job = |(state, start): &(&str, i64)| {
                    let mut job = template.clone();
                    job["state"] = (*state).into();
                    job["start-time"] = (*start).into();
                    job
                };
                exchange.response["jobs"] = states.iter().map(job).collect();
            }
        });
    };
    let states = |seen: &Flink| seen.jobs.iter().map(|job| job.state.as_str()).collect::<Vec<_>>().join(" ");
    with(&[("FINISHED", 9), ("RUNNING", 1), ("FAILED", 3)]);
    assert_eq!(states(&client.observe(false).await.unwrap()), "RUNNING");
    with(&[("FINISHED", 1), ("CANCELED", 2)]);
    assert_eq!(states(&client.observe(false).await.unwrap()), "CANCELED");
    with(&[("SLEEPING", 1)]);
    assert_eq!(states(&client.observe(false).await.unwrap()), "UNKNOWN");
    with(&[("RUNNING", 1), ("RESTARTING", 2)]);
    let seen = client.observe(false).await.unwrap();
    assert_eq!((states(&seen).as_str(), seen.job().is_none()), ("RUNNING RESTARTING", true));
}

#[tokio::test]
async fn a_vertex_of_one_subtask_does_not_count_unless_there_is_no_other() {
    let recorded = Recorded::serve("1.20.5", "running-wider").await;
    let narrow = |vertices: usize| {
        recorded.play_with("1.20.5", "running-wider", move |exchange| {
            let all = exchange.response.get_mut("vertices").and_then(serde_json::Value::as_array_mut);
            for vertex in all.into_iter().flatten().take(vertices) {
                vertex["maxParallelism"] = 1.into();
            }
        });
    };
    let client = client(&recorded.url());
    narrow(1);
    assert_eq!(only(&client.observe(false).await.unwrap()).max_parallelism, Parallelism(128));
    narrow(2);
    assert_eq!(only(&client.observe(false).await.unwrap()).max_parallelism, Parallelism(1));
}

#[tokio::test]
async fn a_quiet_look_is_four_requests() {
    let recorded = Recorded::serve("2.3.0", "running").await;
    let client = client(&recorded.url());
    client.observe(false).await.unwrap();
    let first = recorded.asked().await;
    assert_eq!(first.len(), 9, "{first:?}");
    client.observe(false).await.unwrap();
    let second = recorded.asked().await.split_off(first.len());
    let job = recorded.job();
    let mut expected = vec![
        "/jobs/overview".into(),
        "/taskmanagers".into(),
        format!("/jobs/{job}"),
        format!("/jobs/{job}/checkpoints"),
    ];
    let mut second: Vec<_> = second.into_iter().map(|request| request.replace("GET ", "")).collect();
    expected.sort();
    second.sort();
    assert_eq!(second, expected);
}

#[tokio::test]
async fn a_metric_that_vanished_makes_the_pending_records_unknown() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    recorded.play_with("1.20.5", "running", |exchange| {
        if exchange.request.contains("?get=") {
            exchange.response = serde_json::json!([]);
        }
    });
    let seen = client(&recorded.url()).observe(false).await.unwrap();
    assert_eq!(only(&seen).pending_records, None);
    recorded.play_with("1.20.5", "running", |exchange| {
        if exchange.request.contains("metrics") {
            exchange.status = 500;
        }
    });
    let seen = client(&recorded.url()).observe(false).await.unwrap();
    assert_eq!(only(&seen).pending_records, None, "and the rest of the look stands");
}

#[tokio::test]
async fn checkpoints_that_were_asked_for() {
    for version in VERSIONS {
        let recorded = Recorded::serve(version, "checkpoints-asked-for").await;
        let (client, job) = (client(&recorded.url()), recorded.job());
        let completed = client.checkpoint(&job, "00000000000000aa0000000000000001").await.unwrap();
        assert!(matches!(completed, Operation::Completed { checkpoint: 5..=6 }), "{completed:?}");
        let unknown = client.checkpoint(&job, "00000000000000aa00000000000000ff").await.unwrap();
        assert_eq!(unknown, Operation::NotTriggered);
        let failed = client.checkpoint(&job, "00000000000000aa0000000000000002").await.unwrap();
        let cause = "The Flink job is currently not executing. Failure reason: Trigger checkpoint failure.";
        assert_eq!(failed, Operation::Failed { cause: cause.into() });
    }
    let recorded = Recorded::serve("1.20.5", "savepoint-newer-than-checkpoint").await;
    // The recording polls the same operation twice; the first answer was that it goes on.
    let (job, trigger) = ("2a058f8fda242372731f0ee00b226262", "42b1b9c15ec3a513fd1b85e0da18a9ca");
    assert_eq!(client(&recorded.url()).checkpoint(job, trigger).await.unwrap(), Operation::InProgress);
}

#[tokio::test]
async fn the_trigger_id_is_sent_and_the_job_need_not_exist() {
    let recorded = Recorded::serve("1.20.5", "unknown-job").await;
    let client = client(&recorded.url());
    let job = "00000000000000000000000000000000";
    client.trigger_checkpoint(job, "0123456789abcdef0123456789abcdef").await.unwrap();
    assert_eq!(recorded.bodies().await, [r#"{"triggerId":"0123456789abcdef0123456789abcdef"}"#]);
    let poll = client.checkpoint(job, "d4e0514e41493d41dc23670e9a4428f8").await.unwrap();
    let cause = format!("FlinkJobNotFoundException: Could not find Flink job ({job})");
    assert_eq!(poll, Operation::Failed { cause });
}

#[tokio::test]
async fn settings() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    let settings = client(&recorded.url()).settings().await.unwrap();
    assert_eq!(settings.get("scheduler-mode"), Some("reactive"));
    assert_eq!(settings.get("no.such.key"), None);
}

#[tokio::test]
async fn the_version_is_asked_again_after_a_look_that_failed() {
    let recorded = Recorded::serve("1.20.5", "running").await;
    let client = client(&recorded.url());
    assert_eq!(client.observe(false).await.unwrap().version, FlinkVersion(1, 20));
    recorded.play_with("1.20.5", "running", |exchange| exchange.status = 503);
    assert_eq!(client.observe(false).await.unwrap_err().kind(), "unavailable");
    recorded.play("2.3.0", "running");
    assert_eq!(client.observe(false).await.unwrap().version, FlinkVersion(2, 3));
}
