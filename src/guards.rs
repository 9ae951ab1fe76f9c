//! The guards of time: what a change waits for although it is wanted.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    change::{Change, Direction, Strategy},
    decision::Hold,
    memory::{HOUR, Memory},
    observation::{Job, JobState},
    outcome::{Ended, Outcome},
    policy::Policy,
    units::TaskManagers,
    width::{Wanted, Width},
};

/// Whether a change restarts the job: in reactive mode each does, otherwise another parallelism.
fn restarts_the_job(strategy: Strategy, from: Width, to: Width) -> bool {
    strategy.disturbs_always() || from.parallelism != to.parallelism
}

/// Growing needs only patience: filling an empty pool is how a job that waits for slots comes to run.
pub(crate) fn may_grow(
    now: Timestamp,
    memory: &Memory,
    policy: &Policy,
    strategy: Strategy,
    from: Width,
    to: Width,
) -> Result<(), Hold> {
    if from.task_managers == TaskManagers(0) {
        return Ok(());
    }
    if let Some(since) = memory.history.stands_since()
        && now < since + policy.settle()
    {
        return Err(Hold::Settling { until: since + policy.settle() });
    }
    let restarts = restarts_the_job(strategy, from, to);
    rested(now, memory, Direction::Up, policy.cooldown_up(), restarts)?;
    if restarts { within_budget(memory, policy.restarts_per_hour()) } else { Ok(()) }
}

/// Shrinking stops TaskManagers: it needs a job that runs, keeps up, and has wanted less for a while.
/// Answers the width to shrink to: the widest wanted within the window.
pub(crate) fn may_shrink(
    now: Timestamp,
    memory: &Memory,
    policy: &Policy,
    strategy: Strategy,
    from: Width,
    job: &Job,
) -> Result<Width, Hold> {
    if job.state != JobState::Running || !job.all_subtasks_run {
        return Err(Hold::JobNotRunning { jobs: 1, state: Some(job.state) });
    }
    let window = policy.scale_down_window();
    let whole = memory.history.whole_at(window).unwrap_or(now + window);
    if now < whole {
        return Err(Hold::ScaleDownWindow { until: whole });
    }
    let Some((widest, until)) = memory.history.widest(now, window) else {
        return Err(Hold::ScaleDownWindow { until: now + window });
    };
    // What earlier changes learned about the cluster only stops growth: surplus that may still come
    // is no reason to make a job narrower than its streams.
    let to = Wanted::new(widest, policy, job.max_parallelism, None).width;
    if strategy.rank(to) >= strategy.rank(from) {
        return Err(Hold::ScaleDownWindow { until });
    }
    // A narrower job may need more TaskManagers than there are (spares): those come afterwards.
    let to = Width { task_managers: to.task_managers.min(from.task_managers), ..to };
    if !restarts_the_job(strategy, from, to) {
        rested(now, memory, Direction::Down, policy.cooldown_down(), false)?;
        return Ok(to);
    }
    match job.pending_records {
        Some(pending) if pending > policy.max_pending_records() => {
            return Err(Hold::CatchingUp { pending: Some(pending) });
        }
        None if strategy != Strategy::Readers && !checkpointed_since_restart(job) => {
            return Err(Hold::CatchingUp { pending: None });
        }
        _ => {}
    }
    rested(now, memory, Direction::Down, policy.cooldown_down(), true)?;
    within_budget(memory, policy.restarts_per_hour_to_shrink())?;
    Ok(to)
}

fn checkpointed_since_restart(job: &Job) -> bool {
    let (Some(since), Some(checkpoints)) = (job.running_since, &job.checkpoints) else { return false };
    checkpoints.last_completed.is_some_and(|checkpoint| checkpoint.triggered_at >= since)
}

/// What restarts the job rests after what restarted it; and no change follows at once on one in the same
/// direction that failed, or it would be tried again for ever.
fn rested(
    now: Timestamp,
    memory: &Memory,
    direction: Direction,
    cooldown: Duration,
    restarts: bool,
) -> Result<(), Hold> {
    // Filling an empty pool starts a job and restarts none, and so does what touches only idle
    // TaskManagers: nothing has to cool down after it.
    let restarted = |change: &Change| {
        change.registered_before > TaskManagers(0)
            && (change.strategy.disturbs_always() || change.has_triggered_a_restart())
    };
    let counts = |last: &&Ended| match last.outcome {
        Outcome::Failed(_) if !restarts || !restarted(&last.change) => {
            last.change.registered_before > TaskManagers(0) && last.change.direction == direction
        }
        Outcome::Failed(_) => true,
        Outcome::Done | Outcome::Limited { .. } => restarts && restarted(&last.change),
    };
    match memory.last.as_ref().filter(counts).map(|last| last.at + cooldown) {
        Some(until) if now < until => Err(Hold::CoolingDown { until }),
        _ => Ok(()),
    }
}

/// Until when a change in this direction that restarts the job waits for the last one to be over for long
/// enough; `None` if it need not. What is shown beside a decision.
#[must_use]
pub fn cooling_until(now: Timestamp, memory: &Memory, policy: &Policy, direction: Direction) -> Option<Timestamp> {
    let cooldown = match direction {
        Direction::Up => policy.cooldown_up(),
        Direction::Down => policy.cooldown_down(),
    };
    rested(now, memory, direction, cooldown, true).err().and_then(|hold| hold.until())
}

/// Fewer restarts than the budget within the last hour, or else when enough of them will be an hour ago.
fn within_budget(memory: &Memory, budget: u32) -> Result<(), Hold> {
    let newer = usize::try_from(budget).unwrap_or(usize::MAX).saturating_sub(1);
    // They stand in the order of time.
    match memory.restarts.iter().rev().nth(newer) {
        Some(last_to_go) => Err(Hold::RestartBudgetSpent { until: *last_to_go + HOUR }),
        None => Ok(()),
    }
}
