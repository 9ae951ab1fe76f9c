//! One case for each guard of the decision, and the arithmetic of widths.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use jiff::Timestamp;
use sluice_core::{
    Bounds, Checkpoint, Checkpoints, Choice, Combine, Decision, Flink, FlinkVersion, Hold, Job, JobState, Leadership,
    Member, Memory, Observation, Parallelism, Policy, PolicyOptions, Pool, Reading, Registered, Scheduler, Segments,
    Shortage, ShortageCause, Slots, Stream, StreamName, StreamShape, TaskManagers, Vertex, decide, turn,
};

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

const NOW: u64 = 1000;

fn stream(name: &str, segments: u32) -> Stream {
    let shape = StreamShape { segments: Segments(segments), epoch: None };
    let name = StreamName { scope: "dna".into(), stream: name.into() };
    Stream { name, shape: Some(Reading { at: at(NOW), value: shape }) }
}

/// A job that runs on `n` TaskManagers of one slot, and a stream of `segments`.
fn seen(segments: u32, n: u32) -> Observation {
    let job = Job {
        id: "a".repeat(32),
        name: "busy-reader".into(),
        state: JobState::Running,
        running_since: Some(at(0)),
        parallelism: Parallelism(n),
        max_parallelism: Parallelism(128),
        stopped: None,
        whole_since: None,
        all_subtasks_run: true,
        vertices: Vec::new(),
        slot_sharing_groups: 1,
        busy: None,
        rescale: None,
        checkpoints: Some(Checkpoints {
            last_completed: Some(Checkpoint { id: 9, triggered_at: at(NOW - 5) }),
            restored: 0,
            restored_from: None,
        }),
        pending_records: Some(0),
        records_per_second: None,
    };
    let task_managers = (0..n).map(|i| Registered { id: format!("tm-{i}"), slots: Slots(1) }).collect();
    let flink = Flink { version: FlinkVersion(1, 20), scheduler: Scheduler::Reactive, jobs: vec![job], task_managers };
    let pool = Pool { replicas: TaskManagers(n), ready: TaskManagers(n), ..Pool::default() };
    Observation {
        streams: vec![stream("reads", segments)],
        flink: Some(Reading { at: at(NOW), value: flink }),
        pool: Some(Reading { at: at(NOW), value: pool }),
        ..Observation::default()
    }
}

fn job(seen: &mut Observation) -> &mut Job {
    &mut seen.flink.as_mut().unwrap().value.jobs[0]
}

fn pool(seen: &mut Observation) -> &mut Pool {
    &mut seen.pool.as_mut().unwrap().value
}

/// A memory that has watched `seen` for longer than the scale-down window.
fn watched(seen: &Observation, policy: &Policy) -> Memory {
    let mut memory = Memory::default();
    for second in (NOW - 100)..=NOW {
        let mut then = seen.clone();
        for stream in &mut then.streams {
            if let Some(shape) = &mut stream.shape {
                shape.at = at(second);
            }
        }
        memory.note(at(second), &then, policy);
    }
    memory
}

fn decided(seen: &Observation, options: PolicyOptions) -> Decision {
    let policy = Policy::try_from(options).unwrap();
    decide(at(NOW), seen, &watched(seen, &policy), &policy)
}

fn reason(seen: &Observation) -> &'static str {
    decided(seen, PolicyOptions::default()).reason()
}

/// What the decision would have: (parallelism, TaskManagers).
fn width(decision: &Decision) -> Option<(u32, u32)> {
    match decision {
        Decision::Start(change) => Some((change.to.parallelism.0, change.to.task_managers.0)),
        _ => None,
    }
}

#[test]
fn grows_and_shrinks_to_the_segments() {
    assert_eq!(width(&decided(&seen(4, 1), PolicyOptions::default())), Some((4, 4)));
    assert_eq!(width(&decided(&seen(2, 5), PolicyOptions::default())), Some((2, 2)));
    assert_eq!(reason(&seen(3, 3)), "in_step");
}

#[test]
fn each_guard_has_its_name() {
    let case = |change: fn(&mut Observation)| {
        let mut seen = seen(4, 2);
        change(&mut seen);
        reason(&seen)
    };
    assert_eq!(case(|o| o.config_problem = Some("typo".into())), "bad_config");
    assert_eq!(case(|o| o.streams.clear()), "bad_config");
    assert_eq!(case(|o| o.flink.as_mut().unwrap().value.scheduler = Scheduler::Fixed), "bad_config");
    assert_eq!(case(|o| o.leadership = Leadership::Follower { leader: "b".into() }), "not_leader");
    assert_eq!(case(|o| o.leadership = Leadership::Unknown { problem: "gone".into() }), "no_lease");
    assert_eq!(case(|o| o.paused_by = Some("annotation".into())), "paused");
    assert_eq!(case(|o| o.streams[0].shape = None), "unreadable");
    assert_eq!(case(|o| o.flink = None), "unreadable");
    assert_eq!(case(|o| o.pool = None), "unreadable");
    assert_eq!(case(|o| o.streams[0].shape.as_mut().unwrap().at = at(NOW - 16)), "stale");
    assert_eq!(case(|o| o.flink.as_mut().unwrap().at = at(NOW - 16)), "stale");
    assert_eq!(case(|o| o.streams[0] = stream("reads", 0)), "sealed_stream");
    assert_eq!(case(|o| o.streams.push(stream("other", 0))), "sealed_stream");
    assert_eq!(case(|o| pool(o).other_autoscaler = Some("HorizontalPodAutoscaler/tm".into())), "another_autoscaler");
    assert_eq!(case(|o| job(o).state = JobState::Failed), "job_not_running");
    assert_eq!(case(|o| o.flink.as_mut().unwrap().value.jobs.clear()), "job_not_running");
    assert_eq!(
        case(|o| {
            let twin = job(o).clone();
            o.flink.as_mut().unwrap().value.jobs.push(twin);
        }),
        "job_not_running"
    );
    // Growing is also filling: it is allowed while the job restarts.
    assert_eq!(case(|o| job(o).state = JobState::Restarting), "up");
}

#[test]
fn shrinking_needs_more_than_growing() {
    let case = |change: fn(&mut Observation)| {
        let mut seen = seen(1, 3);
        change(&mut seen);
        reason(&seen)
    };
    assert_eq!(case(|_| ()), "down");
    assert_eq!(case(|o| job(o).state = JobState::Restarting), "job_not_running");
    assert_eq!(case(|o| job(o).all_subtasks_run = false), "job_not_running");
    assert_eq!(case(|o| job(o).pending_records = Some(100_001)), "catching_up");
    assert_eq!(case(|o| job(o).pending_records = None), "down");
    assert_eq!(
        case(|o| {
            let job = job(o);
            job.pending_records = None;
            job.running_since = Some(at(NOW - 1));
        }),
        "catching_up"
    );
    assert_eq!(
        case(|o| {
            let job = job(o);
            job.pending_records = None;
            job.checkpoints = None;
        }),
        "catching_up"
    );
    let policy = Policy::try_from(PolicyOptions::default()).unwrap();
    let decision = decide(at(NOW), &seen(1, 3), &Memory::default(), &policy);
    assert_eq!(decision.reason(), "scale_down_window", "an agent that has just started has no history");
}

#[test]
fn too_few_registered_task_managers_are_said() {
    let mut seen = seen(3, 3);
    seen.flink.as_mut().unwrap().value.task_managers.pop();
    assert_eq!(reason(&seen), "capacity_limited");
    let Decision::Hold(Hold::CapacityLimited { registered, .. }) = decided(&seen, PolicyOptions::default()) else {
        panic!("not limited")
    };
    assert_eq!(registered, TaskManagers(2));
}

#[test]
fn what_keeps_task_managers_away_is_said_while_they_are_waited_for_and_afterwards() {
    let mut seen = seen(3, 3);
    seen.flink.as_mut().unwrap().value.task_managers.pop();
    let shortage = Shortage { cause: ShortageCause::Unschedulable, message: "0/1 nodes are available".into() };
    seen.pool.as_mut().unwrap().value.shortage = Some(shortage);
    let decision = decided(&seen, PolicyOptions::default());
    assert_eq!(decision.reason(), "capacity_limited");
    assert!(decision.to_string().contains("no node has room for a pod: 0/1 nodes are available"), "{decision}");

    let policy = Policy::try_from(PolicyOptions::default()).unwrap();
    let mut memory = Memory::default();
    seen.streams = vec![stream("reads", 5)];
    assert!(turn(at(NOW), &seen, &mut memory, &policy).step.is_some());
    let decision = decide(at(NOW), &seen, &memory, &policy);
    assert_eq!(decision.reason(), "rescale_in_flight");
    assert!(decision.to_string().contains("0/1 nodes are available"), "{decision}");
}

#[test]
fn widths_follow_ratio_slots_bounds_and_streams() {
    let options = PolicyOptions::default;
    let to = |segments, options| width(&decided(&seen(segments, 1), options));
    let mut wide = seen(5, 1);
    wide.flink.as_mut().unwrap().value.task_managers[0].slots = Slots(4);
    let four = PolicyOptions { slots_per_task_manager: Slots(4), ..options() };
    assert_eq!(width(&decided(&wide, four)), Some((5, 2)));
    assert_eq!(reason(&wide), "bad_config", "the flag says 1 slot, Flink says 4");
    assert_eq!(to(5, PolicyOptions { ratio: "2".parse().unwrap(), ..options() }), Some((10, 10)));
    assert_eq!(to(7, PolicyOptions { ratio: "0.5".parse().unwrap(), ..options() }), Some((4, 4)));
    assert_eq!(to(50, options()), Some((32, 32)));
    assert_eq!(to(50, PolicyOptions { max_task_managers: TaskManagers(3), ..options() }), Some((3, 3)));
    assert_eq!(to(1, PolicyOptions { min_task_managers: TaskManagers(2), ..options() }), Some((1, 2)));

    let mut narrow = seen(50, 1);
    job(&mut narrow).max_parallelism = Parallelism(6);
    assert_eq!(width(&decided(&narrow, options())), Some((6, 6)));

    let mut two = seen(3, 1);
    two.streams.push(stream("other", 4));
    assert_eq!(width(&decided(&two, options())), Some((7, 7)));
    assert_eq!(width(&decided(&two, PolicyOptions { combine: Combine::Max, ..options() })), Some((4, 4)));
}

#[test]
fn every_reason_is_in_the_closed_set() {
    let labels: Vec<_> = Decision::labels().collect();
    assert_eq!(labels.len(), Hold::REASONS.len() + 6);
    let mut unique = labels.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), labels.len());
}

/// The same job under the adaptive scheduler, with requirements of its own.
fn adaptive(segments: u32, n: u32, upper: u32) -> Observation {
    let mut seen = seen(segments, n);
    seen.flink.as_mut().unwrap().value.scheduler = Scheduler::Adaptive;
    let vertex = |id: &str, max, upper| Vertex {
        id: id.into(),
        parallelism: Parallelism(n.min(upper)),
        max_parallelism: Parallelism(max),
        bounds: Some(Bounds { lower: Parallelism(1), upper: Parallelism(upper) }),
    };
    let job = job(&mut seen);
    job.parallelism = Parallelism(n.min(upper));
    job.vertices = vec![vertex("source", 128, upper), vertex("sink", 4, upper.min(4)), vertex("count", 1, 1)];
    seen
}

#[test]
fn a_scheduler_that_cannot_rescale_is_a_bad_configuration() {
    let mut fixed = seen(2, 1);
    fixed.flink.as_mut().unwrap().value.scheduler = Scheduler::Fixed;
    assert_eq!(reason(&fixed), "bad_config");
    let mut old = adaptive(2, 1, 1);
    old.flink.as_mut().unwrap().value.version = FlinkVersion(1, 17);
    assert_eq!(reason(&old), "bad_config");
}

#[test]
fn requirements_that_cannot_be_read_hold() {
    let mut unknown = adaptive(2, 1, 1);
    for vertex in &mut job(&mut unknown).vertices {
        vertex.bounds = None;
    }
    assert_eq!(reason(&unknown), "unreadable");
}

#[test]
fn each_vertex_is_asked_for_what_it_can_be() {
    let mut seen = adaptive(9, 2, 2);
    let job = job(&mut seen);
    job.vertices[0].bounds = Some(Bounds { lower: Parallelism(8), upper: Parallelism(8) });
    let bounds = job.bounds_for(Parallelism(6));
    let of = |id: &str| (bounds[id].lower.0, bounds[id].upper.0);
    assert_eq!(of("source"), (6, 6), "a lower bound above the upper is lowered");
    assert_eq!(of("sink"), (1, 4), "no wider than its max parallelism, and no lower bound raised");
    assert_eq!(of("count"), (1, 1), "not data-parallel");
}

#[test]
fn a_wider_job_that_needs_no_more_task_managers_keeps_those_it_has() {
    let options = PolicyOptions { slots_per_task_manager: Slots(4), ..PolicyOptions::default() };
    let mut seen = adaptive(7, 3, 5);
    for task_manager in &mut seen.flink.as_mut().unwrap().value.task_managers {
        task_manager.slots = Slots(4);
    }
    job(&mut seen).parallelism = Parallelism(5);
    let Decision::Start(change) = decided(&seen, options) else { panic!("no change") };
    assert_eq!((change.direction.as_str(), change.to.parallelism.0, change.to.task_managers.0), ("up", 7, 3));
}

#[test]
fn surplus_that_is_all_at_work_is_left_alone() {
    let options = PolicyOptions { slots_per_task_manager: Slots(4), ..PolicyOptions::default() };
    let spread = |busy: &[&str]| {
        let mut seen = adaptive(5, 3, 5);
        for task_manager in &mut seen.flink.as_mut().unwrap().value.task_managers {
            task_manager.slots = Slots(4);
        }
        let member = |n| Member { id: format!("tm-{n}"), started_at: at(0), ready: true, marked: false };
        let pool = pool(&mut seen);
        (pool.members, pool.choice) = (Some((0..3).map(member).collect()), Choice::ByName);
        let job = job(&mut seen);
        job.parallelism = Parallelism(5);
        job.busy = Some(busy.iter().map(|id| (*id).to_owned()).collect());
        decided(&seen, options.clone())
    };
    assert_eq!(spread(&["tm-0", "tm-1", "tm-2"]).reason(), "in_step");
    assert_eq!(spread(&["tm-0", "tm-2"]).reason(), "down");
}
