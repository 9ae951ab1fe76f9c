//! The decision: a list of guards, each with its name, and at the end the one change to make.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    change::{Change, Direction, Ended, Outcome, Strategy},
    decision::{Decision, Hold, Source},
    memory::{HOUR, Memory},
    observation::{Flink, Job, JobState, Observation, Pool, Reading},
    policy::{Combine, Policy},
    units::{Parallelism, Segments, Slots, TaskManagers},
    width::{Wanted, Width},
};

/// What the streams ask for, before any bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub segments: Segments,
    pub parallelism: Parallelism,
}

/// Decides what to do about one observation.
///
/// Pure: the same arguments give the same decision. The guards stand in the order of
/// [`Hold::REASONS`] (a configuration that only what is read shows to be bad comes when it is read);
/// the first that applies is the answer.
///
/// ```
/// use jiff::Timestamp;
/// use sluice_core::{Decision, Hold, Memory, Observation, Policy, PolicyOptions, Stream, StreamName, decide};
///
/// let policy = Policy::try_from(PolicyOptions::default())?;
/// let name = StreamName { scope: "dna".into(), stream: "reads".into() };
/// let not_read_yet = Observation { streams: vec![Stream { name, shape: None }], ..Observation::default() };
/// let decision = decide(Timestamp::UNIX_EPOCH, &not_read_yet, &Memory::default(), &policy);
/// assert!(matches!(decision, Decision::Hold(Hold::Unreadable { .. })));
/// # Ok::<(), sluice_core::PolicyError>(())
/// ```
#[must_use]
pub fn decide(now: Timestamp, seen: &Observation, memory: &Memory, policy: &Policy) -> Decision {
    match decide_or_hold(now, seen, memory, policy) {
        Ok(decision) => decision,
        Err(hold) => Decision::Hold(hold),
    }
}

fn decide_or_hold(now: Timestamp, seen: &Observation, memory: &Memory, policy: &Policy) -> Result<Decision, Hold> {
    if let Some(problem) = &seen.config_problem {
        return Err(Hold::BadConfig { problem: problem.clone() });
    }
    if seen.follower {
        return Err(Hold::NotLeader);
    }
    if let Some(change) = &memory.change {
        let meanwhile = unknown(now, seen, policy).map(Box::new);
        let in_flight = Hold::RescaleInFlight { id: change.id, meanwhile };
        return reconsider(now, seen, memory, policy, change).ok_or(in_flight);
    }
    if let Some(by) = &seen.paused_by {
        return Err(Hold::Paused { by: by.clone() });
    }
    let demand = wanted_by_streams(now, seen, policy)?;
    let flink = fresh(now, seen.flink.as_ref(), || Source::Flink, policy)?;
    let pool = fresh(now, seen.pool.as_ref(), || Source::TaskManagers, policy)?;
    if let Some(name) = &pool.other_autoscaler {
        return Err(Hold::AnotherAutoscaler { name: name.clone() });
    }
    let job = the_job(flink)?;
    let strategy = strategy(flink, policy)?;
    if let Some(problem) = misnamed(strategy, flink, job, pool) {
        return Err(Hold::BadConfig { problem });
    }
    if let Some(other) = flink.task_managers.iter().find(|other| other.slots != policy.slots_per_task_manager()) {
        let problem = format!(
            "TaskManager {} has {} slots, but --slots-per-task-manager says {}",
            other.id,
            other.slots,
            policy.slots_per_task_manager()
        );
        return Err(Hold::BadConfig { problem });
    }
    if let Some(contest) = memory.contest.filter(|contest| contest.times > 1) {
        return Err(Hold::Contested { found: contest.found, until: contest.until });
    }

    let (now_wide, may_become) = widths(strategy, flink, job, pool)?;
    let wanted = bounded(demand.parallelism, policy, job, memory).width;
    let free = Wanted::new(demand.parallelism, policy, job.max_parallelism, None).width;
    let rank = |width| strategy.rank(width);
    let (direction, from, to) = if rank(wanted) > rank(now_wide) {
        may_grow(now, memory, policy, strategy, now_wide, wanted)?;
        // A wider job may need fewer TaskManagers than there are; they are not stopped on the way.
        let task_managers = wanted.task_managers.max(pool.replicas);
        (Direction::Up, now_wide, Width { task_managers, ..wanted })
    } else if rank(free) < rank(may_become) && has_something_to_stop(strategy, flink, pool, free, may_become) {
        (Direction::Down, may_become, may_shrink(now, memory, policy, strategy, may_become, job)?)
    } else {
        return Err(in_step_or_not(strategy, flink, job, pool, memory, free));
    };
    Ok(Decision::Start(Change {
        id: memory.changes + 1,
        strategy,
        direction,
        job: job.id.clone(),
        segments: demand.segments,
        from,
        to,
        started: now,
        target_since: now,
        registered_before: flink.registered(),
        restored_before: job.checkpoints.as_ref().map(|checkpoints| checkpoints.restored),
        pending_before: job.pending_records,
        expected_start: memory.start_time,
        savepoint: None,
        asked: None,
        requirements: None,
        replicas_set: None,
        first_arrival: None,
        slots_there: None,
        idle: None,
        stopped: Vec::new(),
        chosen: None,
        pinned: None,
        running: None,
    }))
}

/// How wide the job is, and how wide it becomes by itself if slots come. In reactive mode the
/// TaskManagers that are asked for say both.
fn widths(strategy: Strategy, flink: &Flink, job: &Job, pool: &Pool) -> Result<(Width, Width), Hold> {
    let width = |parallelism| Width { parallelism, task_managers: pool.replicas };
    match strategy {
        Strategy::Reactive | Strategy::Readers => Ok((width(job.parallelism), width(job.parallelism))),
        Strategy::Adaptive => {
            let upper_bound = job.upper_bound().ok_or(Hold::Unreadable { source: Source::Requirements })?;
            Ok((width(upper_bound.min(Parallelism(flink.slots().0))), width(upper_bound)))
        }
    }
}

/// How this job can be rescaled, or why it cannot.
fn strategy(flink: &Flink, policy: &Policy) -> Result<Strategy, Hold> {
    let bad = |problem: String| Err(Hold::BadConfig { problem });
    match Strategy::of(flink.scheduler) {
        Some(Strategy::Reactive | Strategy::Readers) if policy.spare_task_managers() > TaskManagers(0) => bad(format!(
            "--spare-task-managers {}: in reactive mode the job takes every slot, so none can be spare: \
             leave scheduler-mode out of Flink's configuration and set jobmanager.scheduler: adaptive",
            policy.spare_task_managers()
        )),
        Some(Strategy::Adaptive) if !flink.version.has_resource_requirements() => bad(format!(
            "Flink {} cannot be asked for another parallelism (1.18 can): set scheduler-mode: reactive in Flink's \
             configuration",
            flink.version
        )),
        Some(strategy) => Ok(strategy),
        None => bad("the job's parallelism is fixed when it starts: set jobmanager.scheduler: adaptive, or \
             scheduler-mode: reactive, in Flink's configuration"
            .into()),
    }
}

/// What only the readings show to be wrong with how TaskManagers are set up.
fn misnamed(strategy: Strategy, flink: &Flink, job: &Job, pool: &Pool) -> Option<String> {
    if job.slot_sharing_groups > 1 {
        return Some(format!(
            "the job has {} slot sharing groups, each with slots of its own, and Sluice counts one: leave slotSharingGroup \
             out of the job",
            job.slot_sharing_groups
        ));
    }
    let members = pool.members.as_ref().filter(|_| strategy == Strategy::Adaptive)?;
    let known = |id: &str| members.iter().any(|member| member.id == id);
    let strangers = !flink.task_managers.is_empty() && !flink.task_managers.iter().any(|tm| known(&tm.id));
    (strangers && !members.is_empty()).then(|| {
        format!(
            "TaskManager {} is none of those that are scaled, such as {}: set taskmanager.resource-id to the name of the \
             pod or process",
            flink.task_managers[0].id, members[0].id
        )
    })
}

/// Surplus TaskManagers alone are a change only if one of them is without work. The subtasks of a job
/// may be spread over more TaskManagers than would hold them, and moving them costs a restart.
fn has_something_to_stop(strategy: Strategy, flink: &Flink, pool: &Pool, to: Width, from: Width) -> bool {
    strategy.disturbs_always()
        || to.parallelism < from.parallelism
        || Change::idle_members(pool, flink).is_some_and(|idle| !idle.is_empty())
}

/// The first thing that is not known, if anything is not: never read, stale, or a sealed stream.
#[must_use]
pub fn unknown(now: Timestamp, seen: &Observation, policy: &Policy) -> Option<Hold> {
    let streams = wanted_by_streams(now, seen, policy).err();
    let flink = || fresh(now, seen.flink.as_ref(), || Source::Flink, policy).err();
    let pool = || fresh(now, seen.pool.as_ref(), || Source::TaskManagers, policy).err();
    streams.or_else(flink).or_else(pool)
}

/// The segments of all streams as one number, or why there is none.
pub(crate) fn wanted_by_streams(now: Timestamp, seen: &Observation, policy: &Policy) -> Result<Demand, Hold> {
    let mut total = Segments(0);
    if seen.streams.is_empty() {
        return Err(Hold::BadConfig { problem: "no stream is configured: give --scope and --stream".into() });
    }
    for stream in &seen.streams {
        let source = || Source::Stream(stream.name.clone());
        let shape = fresh(now, stream.shape.as_ref(), source, policy)?;
        if shape.segments.0 == 0 {
            return Err(Hold::SealedStream { stream: stream.name.clone() });
        }
        total = match policy.combine() {
            Combine::Sum => Segments(total.0.saturating_add(shape.segments.0)),
            Combine::Max => total.max(shape.segments),
        };
    }
    Ok(Demand { segments: total, parallelism: policy.ratio().of(total) })
}

/// The width that the streams ask for now, within all bounds; `None` while they or the job are not
/// known. What is shown beside a decision.
#[must_use]
pub fn wanted(now: Timestamp, seen: &Observation, memory: &Memory, policy: &Policy) -> Option<Wanted> {
    let demand = wanted_by_streams(now, seen, policy).ok()?;
    let job = seen.flink.as_ref()?.value.job()?;
    Some(bounded(demand.parallelism, policy, job, memory))
}

fn fresh<'a, T>(
    now: Timestamp,
    reading: Option<&'a Reading<T>>,
    source: impl Fn() -> Source,
    policy: &Policy,
) -> Result<&'a T, Hold> {
    let reading = reading.ok_or_else(|| Hold::Unreadable { source: source() })?;
    let age = reading.age(now);
    if age > policy.staleness() {
        return Err(Hold::Stale { source: source(), age });
    }
    Ok(&reading.value)
}

fn the_job(flink: &Flink) -> Result<&Job, Hold> {
    match flink.job() {
        Some(job) if !job.state.is_over() => Ok(job),
        other => Err(Hold::JobNotRunning { jobs: flink.jobs.len(), state: other.map(|job| job.state) }),
    }
}

fn bounded(parallelism: Parallelism, policy: &Policy, job: &Job, memory: &Memory) -> Wanted {
    let capacity = memory.capacity.map(|capacity| capacity.task_managers);
    Wanted::new(parallelism, policy, job.max_parallelism, capacity)
}

/// Whether a change restarts the job: in reactive mode each does, otherwise another parallelism.
fn restarts_the_job(strategy: Strategy, from: Width, to: Width) -> bool {
    strategy.disturbs_always() || from.parallelism != to.parallelism
}

/// Growing needs only patience: filling an empty pool is how a job that waits for slots comes to run.
fn may_grow(
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
    if restarts { within_budget(now, memory, policy) } else { Ok(()) }
}

/// Shrinking stops TaskManagers: it needs a job that runs, keeps up, and has wanted less for a while.
/// Answers the width to shrink to: the widest wanted within the window.
fn may_shrink(
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
    within_budget(now, memory, policy)?;
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

fn within_budget(now: Timestamp, memory: &Memory, policy: &Policy) -> Result<(), Hold> {
    let budget = usize::try_from(policy.restarts_per_hour()).unwrap_or(usize::MAX);
    if memory.restarts.len() < budget {
        return Ok(());
    }
    let oldest = memory.restarts.iter().min().copied().unwrap_or(now);
    Err(Hold::RestartBudgetSpent { until: oldest + HOUR })
}

fn in_step_or_not(strategy: Strategy, flink: &Flink, job: &Job, pool: &Pool, memory: &Memory, free: Width) -> Hold {
    if let Some(capacity) = memory.capacity
        && free.task_managers > capacity.task_managers
    {
        return Hold::CapacityLimited { registered: flink.registered(), until: Some(capacity.until) };
    }
    let (short, runs) = match strategy {
        Strategy::Reactive | Strategy::Readers => (flink.registered() < pool.replicas, job.runs_on(flink.slots())),
        // Spares that are still to come are nothing that the job lacks.
        Strategy::Adaptive => (flink.slots().0 < free.parallelism.0, job.runs_at(free.parallelism)),
    };
    if short {
        return Hold::CapacityLimited { registered: flink.registered(), until: None };
    }
    if !runs {
        return Hold::JobNotRunning { jobs: 1, state: Some(job.state) };
    }
    Hold::InStep
}

/// What becomes of the change in flight when the streams ask for something wider, as long as
/// nothing has restarted the job for it yet. Something narrower would have to wait for the
/// scale-down window anyway.
fn reconsider(
    now: Timestamp,
    seen: &Observation,
    memory: &Memory,
    policy: &Policy,
    change: &Change,
) -> Option<Decision> {
    let demand = wanted_by_streams(now, seen, policy).ok()?;
    let flink = fresh(now, seen.flink.as_ref(), || Source::Flink, policy).ok()?;
    let pool = fresh(now, seen.pool.as_ref(), || Source::TaskManagers, policy).ok()?;
    let job = the_job(flink).ok().filter(|job| job.id == change.job)?;
    let to = bounded(demand.parallelism, policy, job, memory).width;
    let rank = |width| change.strategy.rank(width);
    if restart_triggered(change, flink, pool) {
        return None;
    }
    if change.direction == Direction::Down && rank(to) >= rank(change.from) {
        return Some(Decision::Abandon(change.clone()));
    }
    if change.strategy == Strategy::Adaptive && change.direction == Direction::Up {
        // What was asked for has not stood for a whole window: the TaskManagers that came for it go
        // again as idle ones.
        let widest = memory.history.widest(now, policy.scale_down_window())?.0;
        let widest = bounded(widest, policy, job, memory).width;
        if rank(widest) <= rank(change.from) && rank(to) <= rank(change.from) {
            return Some(Decision::Abandon(change.clone()));
        }
    }
    let to = match change.direction {
        Direction::Up => Width { task_managers: to.task_managers.max(change.to.task_managers), ..to },
        Direction::Down => Width { task_managers: to.task_managers.min(change.from.task_managers), ..to },
    };
    if rank(to) <= rank(change.to) {
        return None;
    }
    Some(Decision::Retarget(Change {
        to,
        segments: demand.segments,
        target_since: now,
        replicas_set: None,
        slots_there: None,
        ..change.clone()
    }))
}

fn restart_triggered(change: &Change, flink: &Flink, pool: &Pool) -> bool {
    if change.strategy == Strategy::Adaptive {
        return change.requirements.is_some() || !change.stopped.is_empty();
    }
    match change.direction {
        // Nothing ran before: what comes until the job runs is part of the start.
        Direction::Up if change.registered_before == TaskManagers(0) => {
            flink.job().is_none_or(|job| job.state == JobState::Running)
        }
        Direction::Up => flink.registered() != change.registered_before,
        Direction::Down => pool.replicas < change.from.task_managers,
    }
}

impl Job {
    /// The job runs, whole, on all of these slots or as wide as it can ever be: what reactive mode
    /// makes of the slots it has.
    #[must_use]
    pub fn runs_on(&self, slots: Slots) -> bool {
        self.state == JobState::Running
            && self.all_subtasks_run
            && self.parallelism == Parallelism(slots.0).min(self.max_parallelism)
    }

    /// The job runs, whole, at this parallelism or as wide as it can ever be.
    #[must_use]
    pub fn runs_at(&self, parallelism: Parallelism) -> bool {
        self.runs_on(Slots(parallelism.0))
    }
}
