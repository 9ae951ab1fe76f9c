//! What must hold of every decision, written apart from `decide` so that neither can hide the
//! other's mistake. The property tests, the closed loop and the simulator check it each turn.

use jiff::Timestamp;

use crate::{
    change::{Change, Direction, Strategy},
    decide::wanted_by_streams,
    decision::Decision,
    memory::Memory,
    observation::{Choice, JobState, Observation, Scheduler},
    policy::Policy,
    step::Step,
    width::{Wanted, Width},
};

/// Names the first rule that a decision breaks; `Ok` if it breaks none.
///
/// `memory` is the one that the decision was taken with.
pub fn check(
    now: Timestamp,
    seen: &Observation,
    memory: &Memory,
    policy: &Policy,
    decision: &Decision,
) -> Result<(), &'static str> {
    let (change, fresh_start) = match decision {
        Decision::Hold(_) => return Ok(()),
        Decision::Start(change) => (change, true),
        Decision::Retarget(change) | Decision::Abandon(change) => (change, false),
    };
    let rules = [
        (!seen.leadership.may_act(), "an agent that does not lead acted"),
        (seen.config_problem.is_some(), "acted on a bad configuration"),
        (fresh_start == memory.change.is_some(), "started a second change, or touched one that is not in flight"),
        (fresh_start && seen.paused_by.is_some(), "started a change while paused"),
        (!everything_is_known(now, seen, policy), "acted on an unknown, stale or sealed reading"),
        (job_is_gone(seen), "changed a job that is not there or has ended"),
        (out_of_bounds(change, policy), "left the bounds"),
        (fresh_start && change.to == change.from, "changed nothing"),
        (moves_both_ways(change), "widened the job and took TaskManagers from it, or the reverse"),
        (
            seen.pool.as_ref().is_some_and(|pool| pool.value.other_autoscaler.is_some()) && fresh_start,
            "acted beside another autoscaler",
        ),
    ];
    if let Some((_, broken)) = rules.into_iter().find(|(broken, _)| *broken) {
        return Err(broken);
    }
    if matches!(decision, Decision::Retarget(_)) {
        if narrower_than_in_flight(memory, change.to) {
            return Err("a change in flight was given a narrower target");
        }
        if change.requirements.is_some() {
            return Err("a change whose restart is triggered was given another target");
        }
    }
    if fresh_start && change.direction == Direction::Down {
        return may_shrink(now, seen, memory, policy, change);
    }
    Ok(())
}

fn everything_is_known(now: Timestamp, seen: &Observation, policy: &Policy) -> bool {
    let fresh = |at: Timestamp| now.duration_since(at).as_secs_f64() <= policy.staleness().as_secs_f64();
    let streams = seen
        .streams
        .iter()
        .all(|stream| stream.shape.as_ref().is_some_and(|shape| fresh(shape.at) && shape.value.segments.0 > 0));
    let flink = seen.flink.as_ref().is_some_and(|flink| fresh(flink.at) && flink.value.scheduler != Scheduler::Fixed);
    let pool = seen.pool.as_ref().is_some_and(|pool| fresh(pool.at));
    !seen.streams.is_empty() && streams && flink && pool
}

fn job_is_gone(seen: &Observation) -> bool {
    let job = seen.flink.as_ref().and_then(|flink| flink.value.job());
    job.is_none_or(|job| job.state.is_over())
}

/// More than the bounds allow may be there already; a wider job does not take them away.
fn out_of_bounds(change: &Change, policy: &Policy) -> bool {
    let most = policy.max_task_managers().max(change.from.task_managers);
    change.to.task_managers < policy.min_task_managers().min(change.from.task_managers)
        || change.to.task_managers > most
}

/// Names the first rule that a step of the adaptive strategy breaks: no TaskManager that works is
/// stopped, none is stopped unnamed, and no mark is left on one that stays.
pub fn check_step(seen: &Observation, change: &Change, step: &Step) -> Result<(), &'static str> {
    let (Step::SetReplicas { replicas, stop }, Strategy::Adaptive) = (step, change.strategy) else { return Ok(()) };
    let (Some(flink), Some(pool)) = (&seen.flink, &seen.pool) else { return Err("set replicas unseen") };
    let (flink, pool) = (&flink.value, &pool.value);
    let fewer = pool.replicas.0.saturating_sub(replicas.0) as usize;
    if fewer == 0 {
        return Ok(());
    }
    let (Some(members), Some(busy)) = (&pool.members, flink.busy()) else {
        return Err("stopped TaskManagers without knowing which are idle");
    };
    let missing = (pool.replicas.0 as usize).saturating_sub(members.len());
    let rules = [
        (stop.iter().any(|id| busy.contains(&id.as_str())), "stopped a TaskManager that works"),
        (stop.len() + missing < fewer, "stopped more TaskManagers than it named"),
        (
            pool.choice == Choice::ByMark && members.iter().any(|member| member.marked != stop.contains(&member.id)),
            "marked others than those that go",
        ),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, rule)| Err(rule))
}

fn narrower_than_in_flight(memory: &Memory, to: Width) -> bool {
    memory.change.as_ref().is_some_and(|change| {
        to == change.to || to.task_managers < change.to.task_managers || to.parallelism < change.to.parallelism
    })
}

fn moves_both_ways(change: &Change) -> bool {
    if change.strategy.disturbs_always() {
        return false; // The parallelism that is read may lag behind the TaskManagers.
    }
    let (from, to) = (change.from, change.to);
    match change.direction {
        Direction::Up => to.parallelism < from.parallelism || to.task_managers < from.task_managers,
        Direction::Down => to.parallelism > from.parallelism || to.task_managers > from.task_managers,
    }
}

fn may_shrink(
    now: Timestamp,
    seen: &Observation,
    memory: &Memory,
    policy: &Policy,
    change: &Change,
) -> Result<(), &'static str> {
    let job = seen.flink.as_ref().and_then(|flink| flink.value.job());
    let window = policy.scale_down_window();
    if job.is_none_or(|job| job.state != JobState::Running) {
        return Err("shrank a job that does not run");
    }
    if memory.history.whole_at(window).is_none_or(|whole| now < whole) {
        return Err("shrank on a history shorter than the window");
    }
    let restarts = change.strategy.disturbs_always() || change.to.parallelism < change.from.parallelism;
    if restarts && job.and_then(|job| job.pending_records).is_some_and(|pending| pending > policy.max_pending_records())
    {
        return Err("shrank a job that is behind");
    }
    let wanted = wanted_by_streams(now, seen, policy).ok().zip(job);
    let floor = wanted.map(|(demand, job)| Wanted::new(demand.parallelism, policy, job.max_parallelism, None).width);
    let below = |floor: Width| match change.strategy {
        Strategy::Reactive | Strategy::Readers => change.to.task_managers < floor.task_managers,
        Strategy::Adaptive => change.to.parallelism < floor.parallelism,
    };
    if floor.is_none_or(below) {
        return Err("shrank below what the streams ask for");
    }
    let rescaled = memory.last.as_ref().filter(|last| {
        last.change.registered_before.0 > 0
            && (last.change.strategy.disturbs_always() || last.change.requirements.is_some())
    });
    if restarts && rescaled.is_some_and(|last| now < last.at + policy.cooldown_down()) {
        return Err("shrank within the cooldown");
    }
    Ok(())
}
