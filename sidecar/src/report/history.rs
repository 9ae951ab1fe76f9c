//! The last things that happened, for /history and /state: bounded, newest last.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use sluice_core::{Decision, Ended, Savepoint};

/// One line of history.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What: a decision that differs from the one before, or a change that ended.
    #[serde(flatten)]
    pub event: Event,
    /// The same in words.
    pub text: String,
}

/// What a line of history is about.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another decision than the one before.
    Decision {
        /// `hold`, `start`, `retarget` or `abandon`.
        decision: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A change ended.
    Ended {
        /// The change and how it ended.
        #[serde(flatten)]
        ended: Box<Ended>,
    },
}

/// A ring of the last events.
#[derive(Debug)]
pub struct History {
    entries: VecDeque<Entry>,
    limit: usize,
}

impl History {
    /// Keeps at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { entries: VecDeque::with_capacity(limit), limit }
    }

    /// Adds a decision, unless the last one was the same for the same reason.
    pub fn decision(&mut self, at: Timestamp, decision: &Decision) -> bool {
        let (kind, why) = (decision.kind(), decision.reason());
        let last = self.entries.iter().rev().find_map(|entry| match entry.event {
            Event::Decision { decision, reason } => Some((decision, reason)),
            Event::Ended { .. } => None,
        });
        if last == Some((kind, why)) {
            return false;
        }
        self.push(Entry { at, event: Event::Decision { decision: kind, reason: why }, text: decision.to_string() });
        true
    }

    /// Adds the end of a change.
    pub fn ended(&mut self, ended: &Ended) {
        let text = in_words(ended);
        self.push(Entry { at: ended.at, event: Event::Ended { ended: Box::new(ended.clone()) }, text });
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.limit {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

/// The end of a change as a sentence.
#[must_use]
pub fn in_words(ended: &Ended) -> String {
    let change = &ended.change;
    let took = ended.at.duration_since(change.started).as_secs_f64();
    let cost = &ended.cost;
    let restarts = cost.restarts.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
    let seconds = |what: Option<Duration>, then: &str| {
        what.map_or_else(String::new, |what| format!(", {:.1} s {then}", what.as_secs_f64()))
    };
    let backup = match change.savepoint.as_ref() {
        Some(Savepoint { location: Some(location), .. }) => format!(", backup in {location}"),
        Some(Savepoint { failed: Some(why), .. }) => format!(", no backup: {why}"),
        _ => String::new(),
    };
    format!(
        "change {} {} from parallelism {} on {} TaskManagers to {} on {} ended after {took:.1} s: {}, {restarts} \
         restarts{}{}{backup}",
        change.id,
        change.direction.as_str(),
        change.from.parallelism,
        change.from.task_managers,
        change.to.parallelism,
        change.to.task_managers,
        ended.outcome.as_str(),
        seconds(cost.downtime, "not running"),
        seconds(cost.replayed, "of input read twice"),
    )
}
