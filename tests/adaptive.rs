//! The adaptive strategy in a closed loop with a simulated world, for each Flink that behaves in a
//! way of its own: one restart per change, none for idle TaskManagers, whatever happens in between.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod simulation;

use simulation::{Agent, World};
use sluice_core::{Choice, Decision, FlinkVersion, PolicyOptions, Scheduler, Slots, Step, Strategy, TaskManagers};

const VERSIONS: [FlinkVersion; 4] = [FlinkVersion(1, 18), FlinkVersion(1, 20), FlinkVersion(2, 0), FlinkVersion(2, 3)];

fn options(spares: u32) -> PolicyOptions {
    PolicyOptions { spare_task_managers: TaskManagers(spares), ..PolicyOptions::default() }
}

/// A world and an agent that has watched it, in step, for longer than the scale-down window.
fn in_step_with(segments: u32, version: FlinkVersion, options: PolicyOptions) -> (World, Agent) {
    let mut world = World::with(segments, segments, version, Scheduler::Adaptive);
    let mut agent = Agent::new(options);
    agent.run(&mut world, 120);
    assert_eq!(agent.last_reason(), "in_step");
    (world, agent)
}

fn in_step(segments: u32, version: FlinkVersion) -> (World, Agent) {
    in_step_with(segments, version, options(0))
}

fn outcome(agent: &Agent) -> &'static str {
    agent.memory.last.as_ref().map_or("none", |last| last.outcome.as_str())
}

#[test]
fn a_split_costs_one_restart_however_unevenly_the_task_managers_arrive() {
    for version in VERSIONS {
        let (mut world, mut agent) = in_step(1, version);
        world.pace.apart = 7;
        world.segments = 4;
        agent.look(&mut world);
        assert_eq!((world.replicas(), world.upper_bound()), (4, 1), "TaskManagers first");
        agent.run(&mut world, 90);
        assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (4, 1, "in_step"), "{version}");
        assert!(world.replayed[0] <= 2, "{version}: replayed {:?} s of input", world.replayed);
        let last = agent.memory.last.as_ref().unwrap();
        assert_eq!((last.change.strategy, last.cost.restarts), (Strategy::Adaptive, Some(1)));
        assert_eq!(last.cost.replayed.unwrap().as_secs(), world.replayed[0], "{version}: by Flink's own data");
        assert_eq!(last.cost.downtime.unwrap().as_secs(), world.pace.restart);
        assert!(last.recovered.is_some());
    }
}

#[test]
fn a_merge_costs_one_restart_and_stops_only_idle_task_managers() {
    for (version, choice) in VERSIONS.into_iter().flat_map(|v| [(v, Choice::ByName), (v, Choice::ByMark)]) {
        let (mut world, mut agent) = in_step(4, version);
        world.choice = choice;
        world.segments = 2;
        agent.run(&mut world, 150);
        assert_eq!((world.replicas(), world.parallelism(), world.restarts), (2, 2, 1), "{version} {choice:?}");
        assert!(world.replayed[0] <= 2, "{version}: replayed {:?} s of input", world.replayed);
        assert_eq!((agent.last_reason(), outcome(&agent), world.marked()), ("in_step", "done", 0));
    }
}

#[test]
fn an_empty_pool_is_filled_and_the_job_widened_when_it_runs() {
    for version in VERSIONS {
        let mut world = World::with(3, 0, version, Scheduler::Adaptive);
        let mut agent = Agent::new(options(0));
        agent.look(&mut world);
        assert_eq!(world.replicas(), 3);
        agent.run(&mut world, 120);
        assert_eq!((world.parallelism(), agent.last_reason()), (3, "in_step"), "{version}");
    }
}

#[test]
fn with_a_spare_a_split_is_followed_without_waiting_and_the_spare_is_refilled() {
    for version in VERSIONS {
        let (mut world, mut agent) = in_step_with(2, version, options(1));
        assert_eq!((world.replicas(), world.parallelism(), world.restarts), (3, 2, 0), "a spare restarts nothing");
        world.segments = 3;
        agent.run(&mut world, 7);
        assert_eq!((world.parallelism(), world.is_running()), (3, true), "{version}: faster than a start");
        agent.run(&mut world, 60);
        assert_eq!((world.replicas(), world.restarts, agent.last_reason()), (4, 1, "in_step"), "{version}");
        world.segments = 1;
        agent.run(&mut world, 200);
        assert_eq!((world.replicas(), world.parallelism(), world.restarts), (2, 1, 2), "{version}");
    }
}

#[test]
fn spares_need_the_adaptive_scheduler() {
    let mut world = World::new(2, 2);
    let mut agent = Agent::new(options(1));
    agent.run(&mut world, 5);
    assert_eq!((agent.last_reason(), world.replicas()), ("bad_config", 2));
}

#[test]
fn flink_before_1_18_cannot_be_asked() {
    let mut world = World::with(3, 2, FlinkVersion(1, 17), Scheduler::Adaptive);
    let mut agent = Agent::new(options(0));
    agent.run(&mut world, 5);
    assert_eq!((agent.last_reason(), world.replicas()), ("bad_config", 2));
}

#[test]
fn task_managers_that_never_come_leave_the_job_as_wide_as_there_are_slots() {
    for version in VERSIONS {
        let (mut world, mut agent) = in_step(2, version);
        world.faults.capacity = Some(3);
        world.segments = 5;
        agent.run(&mut world, 250);
        assert_eq!((outcome(&agent), world.parallelism(), world.restarts), ("limited", 3, 1), "{version}");
        agent.run(&mut world, 100);
        assert_eq!((world.replicas(), world.restarts, agent.last_reason()), (5, 1, "capacity_limited"));
        world.faults.capacity = None;
        agent.run(&mut world, 120);
        assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (5, 2, "in_step"), "{version}");
    }
}

#[test]
fn nothing_to_gain_from_what_came_is_no_restart() {
    let (mut world, mut agent) = in_step(2, FlinkVersion(1, 20));
    world.faults.capacity = Some(2);
    world.segments = 5;
    agent.run(&mut world, 400);
    assert_eq!((outcome(&agent), world.parallelism(), world.restarts), ("limited", 2, 0));
}

#[test]
fn a_checkpoint_that_fails_holds_a_merge_and_not_a_split() {
    for version in VERSIONS {
        let (mut world, mut agent) = in_step(4, version);
        world.faults.checkpoints_fail = true;
        world.segments = 2;
        agent.run(&mut world, 200);
        assert_eq!((world.upper_bound(), world.restarts, outcome(&agent)), (4, 0, "checkpoint_failed"), "{version}");
        assert!(world.checkpoints_triggered <= 9, "{version}: tried {} times", world.checkpoints_triggered);
        world.segments = 6;
        agent.run(&mut world, 250);
        assert_eq!((world.parallelism(), world.restarts), (6, 1), "{version}");
    }
}

#[test]
fn a_savepoint_before_each_change_is_a_backup_with_its_place_on_record() {
    let with_savepoints = PolicyOptions { savepoint_before_change: true, ..PolicyOptions::default() };
    for version in VERSIONS {
        let (mut world, mut agent) = in_step_with(4, version, with_savepoints.clone());
        world.segments = 2;
        agent.run(&mut world, 150);
        let last = agent.memory.last.as_ref().unwrap();
        let location = last.change.savepoint.as_ref().unwrap().location.as_deref();
        assert_eq!((location, world.parallelism()), (Some("file:/savepoint-1"), 2), "{version}");
        assert!(world.replayed[0] <= 2, "{version}: a checkpoint still comes last: {:?}", world.replayed);
    }
    let (mut world, mut agent) = in_step_with(4, FlinkVersion(1, 20), with_savepoints);
    world.faults.savepoints_fail = true;
    world.segments = 2;
    agent.run(&mut world, 150);
    assert_eq!((outcome(&agent), world.parallelism()), ("savepoint_failed", 4));
    world.segments = 5;
    agent.run(&mut world, 150);
    let savepoint = agent.memory.last.as_ref().unwrap().change.savepoint.clone().unwrap();
    assert_eq!((savepoint.failed.as_deref(), world.parallelism()), (Some("simulated"), 5));
}

#[test]
fn a_person_s_requirements_are_overruled_once_and_then_left_alone() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(1, 20));
    world.set_requirements(2);
    agent.run(&mut world, 100);
    assert_eq!((world.upper_bound(), world.parallelism(), agent.last_reason()), (4, 4, "in_step"));
    world.set_requirements(2);
    agent.run(&mut world, 200);
    assert_eq!((world.upper_bound(), agent.last_reason()), (2, "contested"));
    assert!(agent.turns.last().unwrap().decision.to_string().contains("upper bound of the job's parallelism to 2"));
}

#[test]
fn a_job_manager_that_forgot_the_requirements_is_reconciled() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(2, 3));
    world.replace_job();
    agent.run(&mut world, 150);
    assert_eq!((world.upper_bound(), world.parallelism(), agent.last_reason()), (4, 4, "in_step"));
    assert!(agent.memory.contest.is_none());
}

#[test]
fn a_wider_target_is_taken_up_until_the_restart_is_triggered() {
    let (mut world, mut agent) = in_step(1, FlinkVersion(1, 20));
    world.segments = 2;
    agent.run(&mut world, 5);
    world.segments = 5;
    agent.run(&mut world, 60);
    assert!(agent.turns.iter().any(|turn| matches!(turn.decision, Decision::Retarget(_))));
    assert_eq!((world.parallelism(), world.restarts), (5, 1));
}

#[test]
fn idle_task_managers_stay_if_the_stream_widens_before_they_are_stopped() {
    for version in VERSIONS {
        let (mut world, mut agent) = in_step(4, version);
        world.segments = 1;
        while world.upper_bound() == 4 {
            agent.look(&mut world);
        }
        world.segments = 4;
        agent.run(&mut world, 30);
        assert_eq!((world.replicas(), world.parallelism(), outcome(&agent)), (4, 1, "done"), "{version}");
        agent.run(&mut world, 40);
        assert_eq!((world.replicas(), world.parallelism(), world.restarts), (4, 4, 2), "{version}");
    }
}

#[test]
fn an_owner_that_stops_busy_task_managers_is_found_out() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(1, 20));
    world.choice = Choice::ByMark;
    world.faults.ignores_marks = true;
    world.segments = 2;
    agent.run(&mut world, 90);
    let named = agent.turns.iter().filter_map(|turn| turn.ended.as_ref()).map(|ended| ended.outcome.as_str());
    let named: Vec<_> = named.collect();
    // Which were idle is arbitrary: the owner may have hit just these.
    assert!(named == ["wrong_task_managers_stopped"] || world.restarts == 1, "{named:?}");
    assert_eq!((world.replicas(), world.parallelism(), world.marked()), (2, 2, 0));
}

#[test]
fn parallelism_and_task_managers_differ_where_slots_do() {
    let options = PolicyOptions { slots_per_task_manager: Slots(4), ..PolicyOptions::default() };
    let policy = sluice_core::Policy::try_from(options).unwrap();
    let wanted = sluice_core::Wanted::new(sluice_core::Parallelism(5), &policy, sluice_core::Parallelism(128), None);
    assert_eq!((wanted.width.parallelism.0, wanted.width.task_managers.0), (5, 2));
}

#[test]
fn task_managers_that_are_not_called_as_their_pods_are_left_alone() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(1, 20));
    (world.choice, world.faults.other_ids) = (Choice::ByMark, true);
    world.segments = 2;
    agent.run(&mut world, 300);
    assert_eq!((world.replicas(), world.restarts, world.marked(), agent.last_reason()), (4, 0, 0, "bad_config"));
    assert!(agent.turns.last().unwrap().decision.to_string().contains("taskmanager.resource-id"));
}

#[test]
fn a_mark_is_taken_back_when_its_task_manager_stays() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(1, 20));
    world.choice = Choice::ByMark;
    world.segments = 2;
    while world.marked() == 0 {
        agent.look(&mut world);
    }
    world.segments = 4;
    agent.run(&mut world, 100);
    assert_eq!((world.replicas(), world.marked(), agent.last_reason()), (4, 0, "in_step"));
    let before = world.restarts;
    for segments in [3, 4, 2, 4, 3, 4, 2] {
        world.segments = segments;
        agent.run(&mut world, 900);
    }
    assert_eq!((world.replicas(), world.marked(), world.restarts - before), (2, 0, 7));
}

#[test]
fn surplus_that_never_registered_is_removed_without_a_restart() {
    let (mut world, mut agent) = in_step(2, FlinkVersion(1, 20));
    world.faults.capacity = Some(3);
    world.segments = 5;
    agent.run(&mut world, 250);
    world.segments = 3;
    agent.run(&mut world, 200);
    assert_eq!((world.replicas(), world.parallelism(), world.restarts), (3, 3, 1));
    assert_eq!(agent.last_reason(), "in_step");
}

#[test]
fn a_narrowing_that_cannot_be_made_is_tried_at_the_pace_of_the_cooldown() {
    let options = PolicyOptions { savepoint_before_change: true, ..PolicyOptions::default() };
    for (checkpoints_fail, savepoints_fail) in [(true, false), (false, true)] {
        let (mut world, mut agent) = in_step_with(4, FlinkVersion(1, 20), options.clone());
        (world.faults.checkpoints_fail, world.faults.savepoints_fail) = (checkpoints_fail, savepoints_fail);
        world.segments = 2;
        agent.run(&mut world, 3600);
        assert!(world.checkpoints_triggered <= 200, "{} checkpoints in an hour", world.checkpoints_triggered);
        assert!(!checkpoints_fail || world.savepoints_triggered == 0, "none is kept for a change that cannot go on");
        // It does not hold up a split.
        world.segments = 6;
        agent.run(&mut world, 2);
        assert_eq!(world.replicas(), 6);
    }
}

#[test]
fn a_bound_above_the_width_is_lowered_to_it_before_task_managers_are_asked_for() {
    for version in VERSIONS {
        let mut world = World::with(1, 1, version, Scheduler::Adaptive);
        let mut agent = Agent::new(options(0));
        agent.run(&mut world, 30);
        world.set_requirements(128);
        (world.segments, world.pace.apart) = (4, 7);
        agent.run(&mut world, 120);
        assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (4, 1, "in_step"), "{version}");
        assert!(world.replayed[0] <= 2, "{version}: replayed {:?} s of input", world.replayed);
    }
}

#[test]
fn what_is_no_longer_wanted_is_given_up_before_it_restarts_the_job() {
    let (mut world, mut agent) = in_step(2, FlinkVersion(1, 20));
    world.faults.capacity = Some(3);
    world.segments = 5;
    agent.run(&mut world, 20);
    world.segments = 2;
    agent.run(&mut world, 400);
    assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (2, 0, "in_step"));
    assert_eq!(world.replicas(), 2, "and what came for it goes again");
}

#[test]
fn requirements_that_flink_refuses_are_nobody_else_s() {
    let (mut world, mut agent) = in_step(2, FlinkVersion(1, 20));
    world.faults.requirements_refused = true;
    world.segments = 3;
    agent.run(&mut world, 1500);
    assert_eq!((outcome(&agent), agent.memory.contest.is_none()), ("requirements_not_set", true));
    assert_eq!(agent.memory.restarts.len(), 0, "nothing was restarted, so nothing is spent");
}

#[test]
fn slots_of_task_managers_on_their_way_out_do_not_count() {
    let (mut world, mut agent) = in_step(4, FlinkVersion(1, 20));
    world.pace.leave = 45;
    world.segments = 2;
    agent.run(&mut world, 80);
    world.segments = 4;
    agent.run(&mut world, 120);
    assert_eq!((world.parallelism(), world.restarts, agent.last_reason()), (4, 2, "in_step"));
}

#[test]
fn a_task_manager_that_dies_in_mid_change_is_no_dead_end() {
    for (version, target) in VERSIONS.into_iter().flat_map(|version| [(version, 1), (version, 5)]) {
        for second in 1..25 {
            let (mut world, mut agent) = in_step(3, version);
            world.segments = target;
            agent.run(&mut world, if target == 1 { 58 + second } else { second });
            world.kill(0);
            agent.run(&mut world, 600);
            let case = format!("{version}, 3→{target}, after {second} s");
            assert_eq!((world.replicas(), world.parallelism()), (target, target), "{case}");
            assert_eq!(agent.last_reason(), "in_step", "{case}");
        }
    }
}

fn is_call(step: &Step) -> bool {
    !matches!(step, Step::Wait(_) | Step::End(_))
}

/// Stops the agent before or after the n-th call to the outside, for every n, starts another with
/// what was saved, and expects the same end with no second restart of the job.
#[test]
fn an_agent_killed_at_any_step_is_continued_with_no_second_restart() {
    for version in [FlinkVersion(1, 20), FlinkVersion(2, 3)] {
        for (choice, savepoint_before_change, spares) in
            [(Choice::ByName, false, 0), (Choice::ByMark, false, 0), (Choice::ByMark, true, 1)]
        {
            for (from, to) in [(1, 4), (4, 2), (4, 1)] {
                for away in [1, 30] {
                    for (n, step_was_done) in (0..9).flat_map(|n| [(n, false), (n, true)]) {
                        let options = PolicyOptions { savepoint_before_change, ..options(spares) };
                        let (mut world, mut agent) = in_step_with(from, version, options);
                        (world.choice, world.segments) = (choice, to);
                        let mut calls = 0;
                        for _ in 0..300 {
                            let turn = agent.decide(&mut world);
                            if let Some(step) = turn.step.filter(is_call) {
                                let killed = calls == n;
                                calls += 1;
                                if !killed || step_was_done {
                                    world.act(&step, &agent.memory);
                                }
                                if killed {
                                    world.advance(away);
                                    agent.restart();
                                    world.forget_names();
                                }
                            }
                            world.advance(1);
                        }
                        let case = format!(
                            "Flink {version}, {choice:?}, {spares} spares, {from}→{to}, killed at call {n} (done: \
                             {step_was_done}), away {away} s"
                        );
                        assert_eq!((world.replicas(), world.parallelism()), (to + spares, to), "{case}");
                        assert_eq!((world.restarts, agent.last_reason(), world.marked()), (1, "in_step", 0), "{case}");
                        if away == 1 {
                            assert!(world.replayed[0] <= 4, "{case}: replayed {:?} s", world.replayed);
                        }
                    }
                }
            }
        }
    }
}
