//! What happened lately, for the page, `/history` and `sluice history`: decisions that differ from the one
//! before and changes that ended, newest last. Bounded in number and in age.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_core::{Change, Cost, Decision, Ended, Outcome, Savepoint};

use crate::report::redact::redact;

/// One line of history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another decision than the one before.
    Decision {
        /// `hold`, `start`, `retarget` or `abandon`.
        decision: Cow<'static, str>,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// A change ended.
    Ended {
        /// The change.
        change: Box<Change>,
        /// How it ended.
        outcome: Outcome,
        /// What it cost the job.
        cost: Cost,
        /// When the job had caught up again; `None` until then, or if that cannot be read.
        recovered: Option<Timestamp>,
    },
}

impl Event {
    /// `hold`, `start`, `retarget`, `abandon` or `ended`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Decision { decision, .. } => decision,
            Self::Ended { .. } => "ended",
        }
    }

    /// The reason of a decision, or the outcome of a change.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Decision { reason, .. } => reason,
            Self::Ended { outcome, .. } => outcome.as_str(),
        }
    }
}

/// Nothing older is kept.
const OLDEST: Duration = Duration::from_hours(30 * 24);

/// A ring of the last events.
#[derive(Debug)]
pub struct History {
    entries: VecDeque<Entry>,
    limit: usize,
    /// How many there have been in all: what a copy elsewhere has seen of them.
    count: u64,
}

impl History {
    /// Keeps at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit, count: 0 }
    }

    /// Puts what an earlier agent left before what there is.
    pub fn restore(&mut self, earlier: Vec<Entry>) {
        let room = self.limit.saturating_sub(self.entries.len());
        for entry in earlier.into_iter().rev().take(room) {
            self.entries.push_front(entry);
        }
    }

    /// Adds a decision, unless the last one was the same for the same reason.
    pub fn decision(&mut self, at: Timestamp, decision: &Decision) -> bool {
        let (kind, why) = (decision.kind(), decision.reason());
        let last = self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Decision { decision, reason } => Some((decision.as_ref(), reason.as_ref())),
            Event::Ended { .. } => None,
        });
        if last == Some((kind, why)) {
            return false;
        }
        let event = Event::Decision { decision: kind.into(), reason: why.into() };
        self.push(Entry { at, event, text: redact(&decision.to_string()) });
        true
    }

    /// Adds the end of a change.
    pub fn ended(&mut self, ended: &Ended) {
        let Ended { mut change, at, outcome, cost, recovered } = ended.clone();
        let text = redact(&in_words(ended));
        if let Some(location) = change.savepoint.as_mut().and_then(|savepoint| savepoint.location.as_mut()) {
            *location = redact(location);
        }
        self.push(Entry { at, event: Event::Ended { change: Box::new(change), outcome, cost, recovered }, text });
    }

    /// Notes when the job had caught up after the change that ended last.
    pub fn recovered(&mut self, ended: &Ended) {
        let of_the_change = self.entries.iter_mut().rev().find_map(|entry| match &mut entry.event {
            Event::Ended { change, recovered, .. } if change.id == ended.change.id => Some(recovered),
            _ => None,
        });
        if let Some(recovered) = of_the_change {
            *recovered = ended.recovered;
        }
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many there have been in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    fn push(&mut self, entry: Entry) {
        while self.entries.len() >= self.limit || self.entries.front().is_some_and(|old| old.at + OLDEST < entry.at) {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count += 1;
    }
}

/// The end of a change as a sentence.
#[must_use]
pub fn in_words(ended: &Ended) -> String {
    let change = &ended.change;
    let took = ended.at.duration_since(change.started).as_secs_f64();
    let cost = &ended.cost;
    let restarts = match cost.restarts {
        None => "an unknown number of restarts".to_owned(),
        Some(1) => "1 restart".to_owned(),
        Some(n) => format!("{n} restarts"),
    };
    let seconds = |what: Option<Duration>, then: &str| {
        what.map_or_else(String::new, |what| format!(", {:.1} s {then}", what.as_secs_f64()))
    };
    let backup = match change.savepoint.as_ref() {
        Some(Savepoint { location: Some(location), .. }) => format!(", backup in {location}"),
        Some(Savepoint { failed: Some(why), .. }) => format!(", no backup: {why}"),
        _ => String::new(),
    };
    format!(
        "change {} {} from parallelism {} on {} TaskManagers to {} on {} ended after {took:.1} s: {}, \
         {restarts}{}{}{backup}",
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

#[cfg(test)]
mod tests {
    use sluice_core::Hold;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn holds(n: u64) -> Decision {
        Decision::Hold(if n.is_multiple_of(2) { Hold::InStep } else { Hold::NotLeader { leader: "b".into() } })
    }

    #[test]
    fn it_is_bounded_in_number_and_age_and_repeats_nothing() {
        let mut history = History::new(3);
        assert!(history.decision(at(0), &holds(0)) && !history.decision(at(1), &holds(0)));
        for second in 1..10 {
            assert!(history.decision(at(second), &holds(second)));
        }
        assert_eq!((history.entries().count(), history.count()), (3, 10));
        assert!(history.decision(at(9) + OLDEST, &holds(10)));
        assert_eq!(history.entries().map(|entry| entry.at).collect::<Vec<_>>(), [at(9), at(9) + OLDEST]);
    }

    #[test]
    fn what_an_earlier_agent_left_comes_first_and_never_drives_out_what_is_new() {
        let mut earlier = History::new(5);
        (0..5).for_each(|n| assert!(earlier.decision(at(n), &holds(n))));
        let mut history = History::new(3);
        assert!(history.decision(at(10), &holds(1)));
        history.restore(earlier.entries().cloned().collect());
        assert_eq!(history.entries().map(|entry| entry.at).collect::<Vec<_>>(), [at(3), at(4), at(10)]);
    }
}
