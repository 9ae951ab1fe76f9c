//! What the agent knows and does at this moment, shared between the loop that writes it and the
//! endpoints that show it.

use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use serde::Serialize;
use sluice_core::{Capacity, Change, Decision, Ended, Memory, Observation, Policy, Replaced, Step, Wanted};

use crate::report::history::History;

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
    /// Changes that may still restart the job within this hour.
    pub restart_budget_left: u32,
    /// Everything the agent reads is known and fresh, and there is a job to follow the streams with.
    pub ready: bool,
    /// Nothing is carried out (`--dry-run`).
    pub dry_run: bool,
}

impl Status {
    /// Puts one look together.
    #[must_use]
    pub fn new(
        at: Timestamp,
        observation: Observation,
        decision: Decision,
        step: Option<Step>,
        memory: &Memory,
        policy: &Policy,
    ) -> Self {
        let spent = u32::try_from(memory.restarts.len()).unwrap_or(u32::MAX);
        let until = match &decision {
            Decision::Hold(hold) => hold.until(),
            _ => None,
        };
        Self {
            at,
            because: decision.to_string(),
            next_change_possible: until,
            wanted: sluice_core::wanted(at, &observation, memory, policy),
            ready: sluice_core::unknown(at, &observation, policy).is_none() && has_job(&observation),
            observation,
            decision,
            change: memory.change.clone(),
            step,
            last: memory.last.clone(),
            replaced: memory.replaced.clone(),
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
}

/// How many lines of history are kept in memory.
const HISTORY: usize = 500;

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Inner { status: None, history: History::new(HISTORY) })))
    }
}

impl Shared {
    /// The newest status, if there has been a look.
    #[must_use]
    pub fn status(&self) -> Option<Arc<Status>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).status.clone()
    }

    /// Replaces the status.
    pub fn set_status(&self, status: Status) {
        self.write(|inner| inner.status = Some(Arc::new(status)));
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

    /// The history as JSON, oldest first.
    #[must_use]
    pub fn history_json(&self) -> serde_json::Value {
        let inner = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        serde_json::to_value(inner.history.entries().collect::<Vec<_>>()).unwrap_or_default()
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
