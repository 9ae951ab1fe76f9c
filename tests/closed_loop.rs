//! The core in a closed loop with a simulated world: every path of the state machine in
//! milliseconds, and an agent that is killed after every single step.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod simulation;

use proptest::prelude::*;
use simulation::{Agent, World};
use sluice_core::{Choice, FlinkVersion, Outcome, PolicyOptions, Scheduler, Step, TaskManagers};

fn agent() -> Agent {
    Agent::new(PolicyOptions::default())
}

/// A world and an agent that has watched it, in step, for longer than the scale-down window.
fn in_step(segments: u32) -> (World, Agent) {
    let mut world = World::new(segments, segments);
    let mut agent = agent();
    agent.run(&mut world, 120);
    assert_eq!(agent.last_reason(), "in_step");
    (world, agent)
}

#[test]
fn a_split_is_followed_at_once_with_one_patch_and_one_restart() {
    let (mut world, mut agent) = in_step(1);
    world.segments = 4;
    agent.look(&mut world);
    assert_eq!(world.replicas(), 4, "acted on at the first look");
    agent.run(&mut world, 60);
    assert_eq!((world.parallelism(), world.restarts), (4, 1));
    assert_eq!(agent.last_reason(), "in_step");
    assert_eq!(agent.memory.last.as_ref().unwrap().outcome, Outcome::Done);
    assert_eq!(agent.memory.last.as_ref().unwrap().cost.restarts, Some(1));
}

#[test]
fn a_checkpoint_is_taken_when_task_managers_are_about_to_come() {
    let (mut world, mut agent) = in_step(1);
    for segments in 2..=4 {
        world.segments = segments;
        agent.run(&mut world, 117); // Not in step with the periodic checkpoints.
    }
    assert_eq!((world.parallelism(), world.restarts), (4, 3));
    // How long they take is learned from the first time.
    assert!(world.replayed[1..].iter().all(|seconds| *seconds <= 3), "replayed {:?} s of input", world.replayed);
}

#[test]
fn from_2_0_on_a_checkpoint_releases_the_rescale_once_all_task_managers_are_there() {
    let mut world = World::with(1, 1, FlinkVersion(2, 3), Scheduler::Reactive);
    let mut agent = agent();
    agent.run(&mut world, 121);
    (world.segments, world.pace.apart) = (4, 2);
    agent.run(&mut world, 25);
    assert_eq!((world.parallelism(), world.restarts, world.is_running()), (4, 1, true));
    assert!(world.replayed[0] <= 2, "replayed {:?} s of input", world.replayed);
}

#[test]
fn a_merge_is_followed_after_the_window_with_a_checkpoint_just_before() {
    let (mut world, mut agent) = in_step(4);
    world.segments = 2;
    agent.run(&mut world, 55);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "scale_down_window"));
    agent.run(&mut world, 60);
    assert_eq!((world.parallelism(), world.restarts), (2, 1));
    assert!(world.replayed[0] <= 3, "replayed {:?} s of input", world.replayed);
    assert_eq!(agent.memory.last.as_ref().unwrap().outcome, Outcome::Done);
}

#[test]
fn a_merge_within_the_window_of_a_split_shrinks_to_the_widest_wanted() {
    let (mut world, mut agent) = in_step(4);
    world.segments = 2;
    agent.run(&mut world, 30);
    world.segments = 3;
    agent.run(&mut world, 20);
    world.segments = 1;
    agent.run(&mut world, 45);
    assert_eq!(world.replicas(), 3, "3 segments were there less than 60 s ago");
    agent.run(&mut world, 200);
    assert_eq!((world.replicas(), world.parallelism()), (1, 1));
}

#[test]
fn a_burst_costs_one_restart_per_cooldown() {
    let (mut world, mut agent) = in_step(1);
    for segments in 2..=9 {
        world.segments = segments; // One hot segment splits every two seconds.
        agent.run(&mut world, 2);
    }
    agent.run(&mut world, 120);
    assert_eq!(world.parallelism(), 9);
    assert!(world.restarts <= 6, "{} restarts for eight splits", world.restarts);
    let starts = agent.turns.iter().filter(|turn| turn.decision.kind() == "start").count();
    assert!(starts <= 2, "{starts} changes");
}

#[test]
fn an_empty_pool_is_filled_though_the_job_does_not_run() {
    let mut world = World::new(3, 0);
    assert!(!world.is_running());
    let mut agent = agent();
    agent.look(&mut world);
    assert_eq!(world.replicas(), 3);
    agent.run(&mut world, 60);
    assert_eq!((world.parallelism(), agent.last_reason()), (3, "in_step"));
}

#[test]
fn nothing_shrinks_while_the_controller_is_away() {
    let (mut world, mut agent) = in_step(4);
    world.faults.controller_away = true;
    world.segments = 1;
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "stale"));
    world.faults.controller_away = false;
    agent.run(&mut world, 50);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "scale_down_window"), "a whole window must pass again");
    agent.run(&mut world, 100);
    assert_eq!(world.parallelism(), 1);
}

#[test]
fn a_sealed_stream_is_a_named_hold_and_not_a_width() {
    let (mut world, mut agent) = in_step(3);
    world.segments = 0;
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), agent.last_reason()), (3, "sealed_stream"));
}

#[test]
fn a_checkpoint_that_fails_holds_the_shrink() {
    let (mut world, mut agent) = in_step(4);
    world.faults.checkpoints_fail = true;
    world.segments = 2;
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), world.restarts), (4, 0));
    assert_eq!(agent.memory.last.as_ref().unwrap().outcome.as_str(), "checkpoint_failed");
    world.faults.checkpoints_fail = false;
    agent.run(&mut world, 120);
    assert_eq!((world.parallelism(), world.restarts), (2, 1));
}

#[test]
fn flink_before_1_17_waits_for_the_next_periodic_checkpoint() {
    let (mut world, mut agent) = in_step(4);
    world.version = FlinkVersion(1, 16);
    world.segments = 2;
    agent.run(&mut world, 240);
    assert_eq!((world.parallelism(), world.restarts, world.checkpoints_triggered), (2, 1, 0));
    assert!(world.replayed[0] <= 5, "replayed {:?} s of input", world.replayed);
}

#[test]
fn task_managers_that_never_come_end_as_capacity_and_are_asked_for_again_later() {
    let (mut world, mut agent) = in_step(2);
    world.faults.capacity = Some(3);
    world.segments = 5;
    agent.run(&mut world, 200);
    assert_eq!(agent.memory.last.as_ref().unwrap().outcome.as_str(), "limited");
    assert_eq!(world.parallelism(), 3);
    agent.run(&mut world, 200);
    // What was asked for stays asked for: it may still come, and is no reason to shrink.
    assert_eq!((world.replicas(), world.restarts, agent.last_reason()), (5, 1, "capacity_limited"));
    world.faults.capacity = None;
    agent.run(&mut world, 300);
    assert_eq!((world.parallelism(), agent.last_reason()), (5, "in_step"));
}

#[test]
fn task_managers_that_come_late_are_no_reason_to_shrink() {
    let (mut world, mut agent) = in_step(2);
    world.faults.capacity = Some(4);
    world.segments = 5;
    agent.run(&mut world, 200);
    assert_eq!(agent.memory.last.as_ref().unwrap().outcome.as_str(), "limited");
    world.faults.capacity = None;
    agent.run(&mut world, 900);
    assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (5, 2, "in_step"));
}

#[test]
fn a_shrink_stops_short_when_the_stream_becomes_unknown() {
    let (mut world, mut agent) = in_step(4);
    world.pace.checkpoint = 40;
    world.segments = 1;
    agent.run(&mut world, 65);
    assert!(agent.memory.change.is_some(), "waiting for the checkpoint");
    world.segments = 4;
    world.faults.controller_away = true;
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), world.restarts), (4, 0));
    world.faults.controller_away = false;
    agent.run(&mut world, 60);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "in_step"));
}

#[test]
fn a_change_whose_job_vanishes_ends() {
    let (mut world, mut agent) = in_step(1);
    world.segments = 3;
    agent.look(&mut world);
    world.faults.job_gone = true;
    agent.run(&mut world, 400);
    assert_eq!((agent.memory.change.is_none(), agent.last_reason()), (true, "job_not_running"));
}

#[test]
fn a_clock_set_back_does_not_freeze_the_agent() {
    let (mut world, mut agent) = in_step(1);
    world.segments = 2;
    agent.run(&mut world, 60);
    world.second -= 3600;
    world.settle_clock();
    world.segments = 3;
    agent.run(&mut world, 120);
    assert_eq!(world.parallelism(), 3);
}

#[test]
fn a_person_is_overruled_once_and_then_left_alone() {
    let (mut world, mut agent) = in_step(2);
    world.set_replicas(4, &[]);
    agent.run(&mut world, 200);
    assert_eq!(world.replicas(), 2, "set again once");
    world.set_replicas(4, &[]);
    agent.run(&mut world, 200);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "contested"));
}

#[test]
fn a_new_job_id_forbids_shrinking_for_a_window() {
    let (mut world, mut agent) = in_step(4);
    world.segments = 1;
    agent.run(&mut world, 50);
    world.replace_job();
    agent.run(&mut world, 50);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "scale_down_window"));
}

/// The stream shrinks meanwhile: whatever is not known of the job is no reason to make it narrower.
#[test]
fn a_job_manager_that_comes_back_finds_its_task_managers() {
    for (high_availability, scheduler) in [
        (false, Scheduler::Reactive),
        (true, Scheduler::Reactive),
        (false, Scheduler::Adaptive),
        (true, Scheduler::Adaptive),
    ] {
        let case = format!("{scheduler:?}, high availability: {high_availability}");
        let mut world = World::with(4, 4, FlinkVersion(1, 20), scheduler);
        let mut agent = agent();
        agent.run(&mut world, 120);
        world.segments = 2;
        agent.run(&mut world, 30);
        world.kill_job_manager(100, high_availability);
        world.faults.flink_away = true;
        agent.run(&mut world, 100);
        assert_eq!((world.replicas(), agent.last_reason()), (4, "stale"), "{case}");
        // It answers, and knows no TaskManagers yet; then some, then all.
        world.faults.flink_away = false;
        for _ in 0..15 {
            agent.run(&mut world, 1);
            assert_eq!(world.replicas(), 4, "{case}: {}", agent.last_reason());
        }
        assert_eq!(agent.memory.replaced.is_some(), !high_availability, "{case}");
        assert_eq!(agent.memory.contest, None, "{case}: lost requirements are nobody's doing");
        agent.run(&mut world, 300);
        assert_eq!((world.replicas(), world.parallelism(), agent.last_reason()), (2, 2, "in_step"), "{case}");
    }
}

#[test]
fn requirements_that_a_new_job_manager_does_not_know_are_asked_for_again() {
    let mut world = World::with(4, 4, FlinkVersion(1, 20), Scheduler::Adaptive);
    let mut agent = agent();
    agent.run(&mut world, 120);
    for _ in 0..3 {
        world.kill_job_manager(5, false);
        agent.run(&mut world, 20);
        assert_eq!((world.replicas(), world.upper_bound() == 4), (4, world.parallelism() == 4));
        agent.run(&mut world, 100);
        assert_eq!((world.replicas(), world.parallelism(), agent.last_reason()), (4, 4, "in_step"));
    }
}

#[test]
fn a_job_manager_that_dies_in_the_middle_of_a_change_ends_it_and_the_next_one_goes_on() {
    for high_availability in [false, true] {
        let (mut world, mut agent) = in_step(1);
        world.segments = 3;
        agent.look(&mut world);
        agent.run(&mut world, 3);
        world.kill_job_manager(30, high_availability);
        world.faults.flink_away = true;
        agent.run(&mut world, 30);
        world.faults.flink_away = false;
        agent.run(&mut world, 5);
        assert_eq!((world.replicas(), agent.memory.change.is_some()), (3, high_availability));
        agent.run(&mut world, 200);
        assert_eq!((world.replicas(), world.parallelism(), agent.last_reason()), (3, 3, "in_step"));
    }
}

#[test]
fn a_job_that_is_behind_is_not_narrowed() {
    let (mut world, mut agent) = in_step(4);
    world.segments = 1;
    world.pending = Some(10_000_000);
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), agent.last_reason()), (4, "catching_up"));
    world.pending = Some(10);
    agent.run(&mut world, 60);
    assert_eq!(world.parallelism(), 1);
}

#[test]
fn the_restart_budget_bounds_changes_per_hour() {
    let mut world = World::new(1, 1);
    let mut agent = Agent::new(PolicyOptions { restarts_per_hour: 3, ..PolicyOptions::default() });
    for segments in 2..=8 {
        world.segments = segments;
        agent.run(&mut world, 120);
    }
    assert_eq!((world.replicas(), agent.last_reason()), (4, "restart_budget_spent"));
    agent.run(&mut world, 3600);
    assert_eq!(world.replicas(), 8);
}

#[test]
fn half_of_the_restart_budget_is_kept_for_growing() {
    let mut world = World::new(8, 8);
    let mut agent = Agent::new(PolicyOptions { restarts_per_hour: 4, ..PolicyOptions::default() });
    agent.run(&mut world, 400);
    for segments in [7, 6, 5] {
        world.segments = segments;
        agent.run(&mut world, 400);
    }
    assert_eq!((world.replicas(), agent.last_reason()), (6, "restart_budget_spent"));
    for segments in [7, 8, 9] {
        world.segments = segments;
        agent.run(&mut world, 120);
    }
    assert_eq!((world.replicas(), agent.last_reason()), (8, "restart_budget_spent"));
    agent.run(&mut world, 3600);
    assert_eq!((world.replicas(), agent.last_reason()), (9, "in_step"));
}

#[test]
fn flink_away_in_the_middle_of_a_change_ends_in_step() {
    let (mut world, mut agent) = in_step(1);
    world.segments = 3;
    agent.look(&mut world);
    world.faults.flink_away = true;
    agent.run(&mut world, 400);
    world.faults.flink_away = false;
    agent.run(&mut world, 30);
    assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (3, 1, "in_step"));
}

#[test]
fn without_flink_the_owner_is_asked_for_as_many_readers_as_there_are_segments() {
    let mut world = World::with(2, 2, FlinkVersion(0, 0), Scheduler::NoFlink);
    world.pace.rest_cache = 1;
    let mut agent = agent();
    agent.run(&mut world, 120);
    assert_eq!(agent.last_reason(), "in_step");
    world.segments = 5;
    agent.run(&mut world, 30);
    assert_eq!((world.replicas(), agent.last_reason()), (5, "in_step"));
    world.segments = 1;
    agent.run(&mut world, 150);
    assert_eq!((world.replicas(), agent.last_reason(), world.checkpoints_triggered), (1, "in_step", 0));
    let last = agent.memory.last.as_ref().unwrap();
    assert_eq!((last.change.strategy.as_str(), last.outcome.as_str()), ("readers", "done"));
}

/// Stops the agent before or after the n-th call to the outside, for every n, starts another with
/// what was saved, and expects the same end with no more restarts of the job.
#[test]
fn an_agent_killed_at_any_step_is_continued_by_the_next() {
    for (from, to) in [(1, 4), (4, 2), (4, 1)] {
        for away in [1, 30] {
            for (n, step_was_done) in (0..6).flat_map(|n| [(n, false), (n, true)]) {
                let (mut world, mut agent) = in_step(from);
                world.segments = to;
                let mut calls = 0;
                for _ in 0..400 {
                    let turn = agent.decide(&mut world);
                    let call =
                        turn.step.filter(|s| matches!(s, Step::TriggerCheckpoint { .. } | Step::SetReplicas { .. }));
                    if let Some(step) = &call {
                        let killed = calls == n;
                        calls += 1;
                        if !killed || step_was_done {
                            world.act(step, &agent.memory);
                        }
                        if killed {
                            world.advance(away);
                            agent.restart();
                        }
                    }
                    world.advance(1);
                }
                let case = format!("{from}→{to}, killed at call {n} (done: {step_was_done}), away {away} s");
                assert_eq!((world.replicas(), world.parallelism(), world.restarts), (to, to, 1), "{case}");
                assert_eq!(agent.last_reason(), "in_step", "{case}");
                // A fresh checkpoint right before the restart, unless the agent was away in between.
                if to < from && away == 1 {
                    assert!(world.replayed[0] <= 4, "{case}: replayed {:?} s", world.replayed);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Segments(u32),
    ControllerAway(bool),
    FlinkAway(bool),
    PoolAway(bool),
    CheckpointsFail(bool),
    Pending(Option<u64>),
    Person(u32),
    PersonsRequirements(u32),
    TaskManagerDies(usize),
    AgentRestarts,
    JobReplaced,
    JobManagerAway { seconds: u64, high_availability: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u32..9).prop_map(Event::Segments),
        1 => any::<bool>().prop_map(Event::ControllerAway),
        1 => any::<bool>().prop_map(Event::FlinkAway),
        1 => any::<bool>().prop_map(Event::PoolAway),
        1 => any::<bool>().prop_map(Event::CheckpointsFail),
        1 => proptest::option::of(0_u64..300_000).prop_map(Event::Pending),
        1 => (0_u32..9).prop_map(Event::Person),
        1 => (1_u32..9).prop_map(Event::PersonsRequirements),
        1 => (0_usize..9).prop_map(Event::TaskManagerDies),
        2 => Just(Event::AgentRestarts),
        1 => Just(Event::JobReplaced),
        1 => (1_u64..120, any::<bool>())
            .prop_map(|(seconds, high_availability)| Event::JobManagerAway { seconds, high_availability }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever happens, in whatever order: no decision breaks an invariant (checked at each look),
    /// and once the world is whole again the job is as wide as the stream.
    #[test]
    fn any_history_ends_in_step(
        events in proptest::collection::vec((event(), 1_u64..90), 1..25),
        apart in 0_u64..4,
        end in 1_u32..9,
        version in proptest::sample::select(vec![FlinkVersion(1, 18), FlinkVersion(1, 20), FlinkVersion(2, 3)]),
        scheduler in proptest::sample::select(vec![Scheduler::Reactive, Scheduler::Adaptive]),
        choice in proptest::sample::select(vec![Choice::ByName, Choice::ByMark]),
        spares in 0_u32..3,
        savepoint_before_change in any::<bool>(),
        leave in 0_u64..20,
    ) {
        let spares = if scheduler == Scheduler::Adaptive { spares } else { 0 };
        let spare_task_managers = TaskManagers(spares);
        let mut world = World::with(2, 2, version, scheduler);
        (world.pace.apart, world.pace.leave, world.choice) = (apart, leave, choice);
        let mut agent = Agent::new(PolicyOptions { spare_task_managers, savepoint_before_change, ..PolicyOptions::default() });
        for (event, seconds) in events {
            match event {
                Event::Segments(segments) => world.segments = segments,
                Event::ControllerAway(away) => world.faults.controller_away = away,
                Event::FlinkAway(away) => world.faults.flink_away = away,
                Event::PoolAway(away) => world.faults.pool_away = away,
                Event::CheckpointsFail(fail) => world.faults.checkpoints_fail = fail,
                Event::Pending(pending) => world.pending = pending,
                Event::Person(replicas) => world.set_replicas(replicas, &[]),
                Event::PersonsRequirements(upper_bound) => world.set_requirements(upper_bound),
                Event::TaskManagerDies(n) => world.kill(n),
                Event::AgentRestarts => {
                    agent.restart();
                    world.forget_names();
                }
                Event::JobReplaced => world.replace_job(),
                Event::JobManagerAway { seconds, high_availability } => {
                    world.kill_job_manager(seconds, high_availability);
                    let before = std::mem::replace(&mut world.faults.flink_away, true);
                    agent.run(&mut world, seconds);
                    world.faults.flink_away = before;
                }
            }
            agent.run(&mut world, seconds);
        }
        world.faults = simulation::Faults::default();
        world.pending = Some(0);
        world.segments = end;
        // Long enough for every expiry: a contest, a capacity, an hour's restart budget.
        agent.run(&mut world, 5000);
        prop_assert_eq!((world.replicas(), world.parallelism()), (end + spares, end), "{}", agent.turns.last().unwrap().decision);
        prop_assert_eq!(agent.last_reason(), "in_step");
    }
}
