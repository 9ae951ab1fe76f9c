//! The whole of a simulation: a core that is really driven, in step with what the models say.

use clap::Parser;
use proptest::prelude::*;
use sluice_core::{FlinkVersion, PolicyOptions, TaskManagers};

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: SimulateArgs,
}

fn simulated(flags: &str) -> Simulation {
    let words = shell_words::split(flags).unwrap();
    run(&Line::try_parse_from(std::iter::once("simulate".to_owned()).chain(words)).unwrap().args).unwrap()
}

fn cluster(scheduler: Scheduler) -> Cluster {
    Cluster { version: FlinkVersion(1, 20), scheduler, pace: Pace { start: 20, restart: 3, ..Pace::default() } }
}

fn policy(options: PolicyOptions) -> Policy {
    options.try_into().unwrap()
}

fn sluice(policy: &Policy) -> Autoscaler {
    Autoscaler::Sluice(Box::new(policy.clone()))
}

fn hpa(policy: &Policy) -> Autoscaler {
    let rules = Rules {
        min: policy.min_task_managers().0,
        max: policy.max_task_managers().0,
        per_pod: 1.0,
        tolerance: 0.1,
        stabilization: 300,
        behavior: Behavior::Absent,
    };
    Autoscaler::Hpa(Periods { scrape: 30, polling: None, sync: 15 }, rules)
}

#[test]
fn one_split_takes_sluice_a_start_and_the_hpa_its_pipeline_besides() {
    let stream = Segmented { points: vec![(0, 1), (600, 4), (1800, 2)], length: 3600 };
    let policy = policy(PolicyOptions::default());
    let follow = |autoscaler| replay(&stream, &policy, &cluster(Scheduler::Reactive), &autoscaler).score;
    let (sluice, hpa) = (follow(sluice(&policy)), follow(hpa(&policy)));
    assert_eq!((sluice.changes_up, sluice.changes_down, sluice.restarts), (1, 1, 2));
    assert_eq!((hpa.changes_up, hpa.changes_down, hpa.restarts), (1, 1, 2));
    assert_eq!(sluice.splits.mean_seconds, Some(23.0), "20 s to start, 3 s to restart");
    assert_eq!(hpa.splits.mean_seconds, Some(45.0), "and 22 s until the HPA has noticed");
    assert!((60.0..70.0).contains(&sluice.merges.mean_seconds.unwrap()), "its window is 60 s");
    assert!((300.0..350.0).contains(&hpa.merges.mean_seconds.unwrap()), "its window is 300 s");
    assert!(sluice.task_manager_seconds < hpa.task_manager_seconds);
}

#[test]
fn a_stream_that_rests_is_left_alone() {
    let stream = Segmented { points: vec![(0, 7)], length: 6 * 3600 };
    let policy = policy(PolicyOptions::default());
    for scheduler in [Scheduler::Reactive, Scheduler::Adaptive] {
        for autoscaler in [sluice(&policy), hpa(&policy)] {
            let Outcome { score, steps, .. } = replay(&stream, &policy, &cluster(scheduler), &autoscaler);
            assert_eq!(steps, [(0, 7, 7)]);
            assert_eq!((score.restarts, score.under_seconds, score.over_seconds), (0, 0, 0));
            assert_eq!(score.task_manager_seconds, 7 * 6 * 3600);
        }
    }
}

#[test]
fn spares_cost_task_managers_and_save_the_start() {
    let stream = Segmented { points: vec![(0, 2), (600, 3)], length: 1200 };
    let with = |spares| {
        let spare_task_managers = TaskManagers(spares);
        let policy = policy(PolicyOptions { spare_task_managers, ..PolicyOptions::default() });
        replay(&stream, &policy, &cluster(Scheduler::Adaptive), &sluice(&policy)).score
    };
    let (without, with) = (with(0), with(1));
    assert!(without.splits.mean_seconds > Some(20.0) && with.splits.mean_seconds < Some(10.0), "{without:?} {with:?}");
    assert!(with.over_seconds > 1190, "{with:?}");
}

#[test]
fn what_never_comes_is_not_followed() {
    let stream = Segmented { points: vec![(0, 30), (600, 32), (1200, 30)], length: 1800 };
    let policy = policy(PolicyOptions::default());
    let score = replay(&stream, &policy, &cluster(Scheduler::Reactive), &hpa(&policy)).score;
    assert_eq!((score.splits.all, score.splits.followed), (1, 0), "30 and 32 are equal to an HPA");
    assert_eq!((score.longest_under_seconds, score.under_task_manager_seconds), (600, 1200));
}

#[test]
fn slots_and_ratio_are_needed_in_whole_task_managers() {
    let stream = Segmented { points: vec![(0, 4), (600, 9)], length: 1200 };
    let options = PolicyOptions { slots_per_task_manager: sluice_core::Slots(4), ..PolicyOptions::default() };
    let policy = policy(options);
    for scheduler in [Scheduler::Reactive, Scheduler::Adaptive] {
        let Outcome { score, steps, .. } = replay(&stream, &policy, &cluster(scheduler), &sluice(&policy));
        assert_eq!((steps[0].1, steps.last().unwrap().1, score.splits.followed), (1, 3, 1), "{scheduler:?} {steps:?}");
    }
}

#[test]
fn the_names_and_flags_of_other_policies_are_taken() {
    let simulation = simulated(
        "--duration 2h --against keda --max-task-managers 3 --also 'two=--max-task-managers 2' --also 'calm=--cooldown-up 5m'",
    );
    let names: Vec<_> = simulation.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["sluice", "two", "calm", "keda"]);
    let most = |run: &Run| run.outcome.steps.iter().map(|(_, replicas, _)| *replicas).max();
    let most: Vec<_> = simulation.runs.iter().map(most).collect();
    assert_eq!(most, [Some(3), Some(2), Some(3), Some(3)], "what is not named stays as it is outside");
}

#[test]
fn it_is_the_same_each_time_and_can_be_read_as_json() {
    let (once, again) = (simulated("--duration 2h"), simulated("--duration 2h"));
    let json = serde_json::to_value(&once).unwrap();
    assert_eq!(json, serde_json::to_value(&again).unwrap());
    assert_eq!(json["runs"][0]["name"], "sluice");
    let replayed = |run: usize| json["runs"][run]["score"]["replayed_seconds"].as_u64();
    assert!(replayed(0) < replayed(1), "a checkpoint is taken just before");
    assert!(json["runs"][0]["score"]["task_manager_seconds"].as_u64().unwrap() > 7200);
    assert_eq!(json["segments"][0], serde_json::json!([0, 1]));
}

#[test]
fn a_picture_has_a_panel_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.svg");
    picture::draw(&simulated("--duration 2h"), &file).unwrap();
    let svg = std::fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg") && ["sluice", "hpa", "keda"].iter().all(|name| svg.contains(name)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever the stream does: no bound is broken, and what is counted adds up. The looks that an
    /// agent in step leaves out change nothing: how many they are depends on the staleness alone.
    #[test]
    fn bounds_hold_and_figures_add_up(
        changes in proptest::collection::vec((1_u64..900, 0_u32..40), 0..12),
        first in 1_u32..20, min in 1_u32..4, more in 0_u32..20, adaptive in any::<bool>(),
    ) {
        let mut points = vec![(0, first)];
        for (after, segments) in changes {
            points.push((points.last().unwrap().0 + after, segments));
        }
        let stream = Segmented { length: points.last().unwrap().0 + 600, points };
        let with = |staleness| policy(PolicyOptions {
            min_task_managers: TaskManagers(min),
            max_task_managers: TaskManagers(min + more),
            staleness: std::time::Duration::from_secs(staleness),
            ..PolicyOptions::default()
        });
        let scheduler = if adaptive { Scheduler::Adaptive } else { Scheduler::Reactive };
        let policy = with(15);
        let ours = replay(&stream, &policy, &cluster(scheduler), &sluice(&policy));
        for outcome in [&ours, &replay(&stream, &policy, &cluster(scheduler), &hpa(&policy))] {
            prop_assert!(outcome.steps.iter().all(|(_, replicas, _)| (min..=min + more).contains(replicas)));
            let ends = outcome.steps.iter().skip(1).map(|(at, ..)| *at).chain([stream.length]);
            let area: u64 = outcome.steps.iter().zip(ends).map(|(step, end)| u64::from(step.1) * (end - step.0)).sum();
            prop_assert_eq!(area, outcome.score.task_manager_seconds);
            prop_assert!(outcome.score.longest_under_seconds <= outcome.score.under_seconds);
            prop_assert!(outcome.score.splits.followed <= outcome.score.splits.all);
        }
        let attentive = with(5);
        let attentive = replay(&stream, &attentive, &cluster(scheduler), &sluice(&attentive));
        prop_assert_eq!(ours, attentive);
    }
}
