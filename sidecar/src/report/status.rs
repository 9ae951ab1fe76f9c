//! What the agent knows and does at this moment, shared between the loop that writes it and the
//! endpoints that show it.

use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use serde::Serialize;
use sluice_core::{
    Capacity, Change, Decision, Direction, Ended, Explanation, Hold, Memory, Observation, Policy, Replaced, Step,
    Wanted,
};

use crate::{
    observe::Trouble,
    report::{
        history::{Entry, History},
        history_file::Kept,
        redact::redact,
        samples::{Sample, Samples},
    },
};

/// The newest look and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// When the look was decided on.
    pub at: Timestamp,
    /// What was seen.
    pub observation: Observation,
    /// What was decided.
    pub decision: Decision,
    /// The same in words.
    pub because: String,
    /// Which guard decided, what that means and what would change it.
    pub explanation: Explanation,
    /// When the agent looks again.
    pub next_look: Option<Timestamp>,
    /// When time alone may change it, if it may.
    pub next_change_possible: Option<Timestamp>,
    /// The width that the segments ask for, if they are known.
    pub wanted: Option<Wanted>,
    /// The change in flight.
    pub change: Option<Change>,
    /// The step that the change in flight is at.
    pub step: Option<Step>,
    /// The change that ended last.
    pub last: Option<Ended>,
    /// The job that the present one has taken the place of, and since when: a JobManager without high
    /// availability came back.
    pub replaced: Option<Replaced>,
    /// What an earlier change learned about the cluster.
    pub capacity: Option<Capacity>,
    /// Until when changes that restart the job rest after the last one.
    pub cooldown_until: Cooldowns,
    /// Changes that may still restart the job within this hour.
    pub restart_budget_left: u32,
    /// Everything the agent reads is known and fresh, and there is a job to follow the streams with.
    pub ready: bool,
    /// Nothing is carried out (`--dry-run`).
    pub dry_run: bool,
}

/// Until when changes that restart the job rest, by direction; `None` if they need not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cooldowns {
    /// Growth.
    pub up: Option<Timestamp>,
    /// Shrinking.
    pub down: Option<Timestamp>,
}

impl Status {
    /// Puts one look together. What it tells in words holds no password.
    #[must_use]
    pub fn new(
        at: Timestamp,
        mut observation: Observation,
        mut decision: Decision,
        step: Option<Step>,
        memory: &Memory,
        policy: &Policy,
    ) -> Self {
        let spent = u32::try_from(memory.restarts.len()).unwrap_or(u32::MAX);
        observation.config_problem = observation.config_problem.map(|problem| redact(&problem));
        if let Decision::Hold(Hold::BadConfig { problem }) = &mut decision {
            *problem = redact(problem);
        }
        let cooling = |direction| sluice_core::cooling_until(at, memory, policy, direction);
        let mut last = memory.last.clone();
        let mut change = memory.change.clone();
        for change in last.as_mut().map(|last| &mut last.change).into_iter().chain(&mut change) {
            if let Some(location) = change.savepoint.as_mut().and_then(|savepoint| savepoint.location.as_mut()) {
                *location = redact(location);
            }
        }
        let explanation = decision.explain();
        Self {
            at,
            because: decision.to_string(),
            next_look: None,
            next_change_possible: explanation.until,
            explanation,
            cooldown_until: Cooldowns { up: cooling(Direction::Up), down: cooling(Direction::Down) },
            wanted: sluice_core::wanted(at, &observation, memory, policy),
            ready: sluice_core::unknown(at, &observation, policy).is_none() && has_job(&observation),
            observation,
            decision,
            change,
            step,
            replaced: memory.replaced.clone(),
            last,
            capacity: memory.capacity,
            restart_budget_left: policy.restarts_per_hour().saturating_sub(spent),
            dry_run: false,
        }
    }
}

fn has_job(seen: &Observation) -> bool {
    seen.flink.as_ref().is_some_and(|flink| flink.value.job().is_some_and(|job| !job.state.is_over()))
}

/// The shared state: cheap to clone, never held across an await.
#[derive(Clone, Debug)]
pub struct Shared(Arc<RwLock<Inner>>);

#[derive(Debug)]
struct Inner {
    status: Option<Arc<Status>>,
    history: History,
    samples: Samples,
    troubles: Vec<Trouble>,
}

/// How many lines of history are kept in memory.
const HISTORY: usize = 500;

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Inner {
            status: None,
            history: History::new(HISTORY),
            samples: Samples::default(),
            troubles: Vec::new(),
        })))
    }
}

impl Shared {
    /// The newest status, if there has been a look.
    #[must_use]
    pub fn status(&self) -> Option<Arc<Status>> {
        self.read(|inner| inner.status.clone())
    }

    /// Replaces the status.
    pub fn set_status(&self, status: Status) {
        self.write(|inner| {
            inner.samples.note(status.at, Sample::of(&status));
            inner.status = Some(Arc::new(status));
        });
    }

    /// What went wrong in the newest look.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.read(|inner| inner.troubles.clone())
    }

    /// Replaces what went wrong.
    pub fn set_troubles(&self, mut troubles: Vec<Trouble>) {
        for trouble in &mut troubles {
            trouble.message = redact(&trouble.message);
        }
        self.write(|inner| inner.troubles = troubles);
    }

    /// Adds a decision to the history; true if it is news.
    #[must_use]
    pub fn decided(&self, at: Timestamp, decision: &Decision) -> bool {
        self.write(|inner| inner.history.decision(at, decision))
    }

    /// Adds the end of a change to the history.
    pub fn ended(&self, ended: &Ended) {
        self.write(|inner| inner.history.ended(ended));
    }

    /// Notes that the job has caught up after a change.
    pub fn recovered(&self, ended: &Ended) {
        self.write(|inner| inner.history.recovered(ended));
    }

    /// How many entries of history there have been in all.
    #[must_use]
    pub fn history_count(&self) -> u64 {
        self.read(|inner| inner.history.count())
    }

    /// The entries from this one on, oldest first, as far as they are still kept; 0 for all.
    #[must_use]
    pub fn history_since(&self, count: u64) -> Vec<Entry> {
        self.read(|inner| {
            let new = if count == 0 { u64::MAX } else { inner.history.count().saturating_sub(count) };
            let new = usize::try_from(new).unwrap_or(usize::MAX);
            let mut entries: Vec<_> = inner.history.entries().rev().take(new).cloned().collect();
            entries.reverse();
            entries
        })
    }

    /// The numbers of the plot.
    #[must_use]
    pub fn samples(&self) -> Samples {
        self.read(|inner| inner.samples.clone())
    }

    /// All that is kept beyond the agent's end.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { entries: self.history_since(0), samples: self.samples() }
    }

    /// Goes on with what an earlier agent left.
    pub fn restore(&self, kept: Kept) {
        self.write(|inner| {
            inner.history.restore(kept.entries);
            inner.samples = kept.samples;
        });
    }

    fn read<T>(&self, of: impl FnOnce(&Inner) -> T) -> T {
        of(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
