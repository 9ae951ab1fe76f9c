//! The decision: a list of guards, each with its name, and at the end the one change to make.

use jiff::Timestamp;

use crate::{
    change::{Change, Direction, Strategy},
    decision::{Decision, Hold, Source},
    guards::{may_grow, may_shrink},
    memory::Memory,
    observation::{Flink, Job, JobState, Leadership, Observation, Pool, Reading},
    policy::{Combine, Policy},
    setup::strategy,
    units::{Parallelism, Segments, TaskManagers},
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
    match &seen.leadership {
        Leadership::Alone | Leadership::Leader { .. } => {}
        Leadership::Follower { leader } => return Err(Hold::NotLeader { leader: leader.clone() }),
        Leadership::Unknown { problem } => return Err(Hold::NoLease { problem: problem.clone() }),
    }
    if let Some(change) = &memory.change {
        let meanwhile = unknown(now, seen, policy).or_else(|| short_of(seen, change)).map(Box::new);
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
    let strategy = strategy(flink, pool, policy)?;
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
        rate_before: job.records_per_second,
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

/// Surplus TaskManagers alone are a change only if one of them is without work. The subtasks of a job
/// may be spread over more TaskManagers than would hold them, and moving them costs a restart.
fn has_something_to_stop(strategy: Strategy, flink: &Flink, pool: &Pool, to: Width, from: Width) -> bool {
    strategy.disturbs_always()
        || to.parallelism < from.parallelism
        || Change::idle_members(pool, flink).is_some_and(|idle| !idle.is_empty())
}

/// What keeps the TaskManagers away that a change waits for, if their owner says so.
fn short_of(seen: &Observation, change: &Change) -> Option<Hold> {
    let (flink, pool) = (seen.flink.as_ref()?, seen.pool.as_ref()?);
    let waits = change.direction == Direction::Up && change.slots_there.is_none();
    let shortage = pool.value.shortage.clone().filter(|_| waits)?;
    Some(Hold::CapacityLimited { registered: flink.value.registered(), until: None, shortage: Some(shortage) })
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

fn in_step_or_not(strategy: Strategy, flink: &Flink, job: &Job, pool: &Pool, memory: &Memory, free: Width) -> Hold {
    if let Some(capacity) = memory.capacity
        && free.task_managers > capacity.task_managers
    {
        let shortage = pool.shortage.clone();
        return Hold::CapacityLimited { registered: flink.registered(), until: Some(capacity.until), shortage };
    }
    let (short, runs) = match strategy {
        Strategy::Reactive | Strategy::Readers => (flink.registered() < pool.replicas, job.runs_on(flink.slots())),
        // Spares that are still to come are nothing that the job lacks.
        Strategy::Adaptive => (flink.slots().0 < free.parallelism.0, job.runs_at(free.parallelism)),
    };
    if short {
        return Hold::CapacityLimited { registered: flink.registered(), until: None, shortage: pool.shortage.clone() };
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
