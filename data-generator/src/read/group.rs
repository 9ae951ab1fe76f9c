//! What the readers of a group agree on: who reads which segment, and how far it has been read.
//!
//! Pure: a reader takes the newest state, applies a [`Report`] to it and puts the result in its place
//! only if nobody else was quicker (`group_table`). So every change is made by a reader for itself,
//! with two exceptions: a reader that shows no sign of life is struck off by whoever notices, and its
//! segments are free again from where it last saved its position.

use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The state of a reader group. Segments are named by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// The stream that the group reads, as `scope/stream`.
    pub(super) stream: String,
    /// Number of the next lease.
    next_lease: u64,
    /// The readers, each with its sign of life: a number that changes as long as it lives.
    pub(super) readers: BTreeMap<String, u64>,
    /// The segments that can be read now.
    pub(super) segments: BTreeMap<i64, Held>,
    /// Segments that follow others: each with those of its predecessors that are not read to the end.
    waiting: BTreeMap<i64, BTreeSet<i64>>,
}

/// A segment that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Everything before this offset has been processed.
    pub(super) offset: i64,
    /// Who reads it; `None` while it is free.
    pub(super) lease: Option<Lease>,
}

/// The right to read a segment, from its offset at the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) reader: String,
    /// Counts up over the whole group: of two leases of a segment the later has the higher number.
    pub(super) number: u64,
}

/// What a reader tells of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// How far it has processed the segments it holds.
    pub(super) positions: BTreeMap<i64, i64>,
    /// Segments it has stopped reading, to be given to others.
    pub(super) released: BTreeSet<i64>,
    /// Segments that it has read to their end, each with what follows: segments and all their
    /// predecessors.
    pub(super) finished: BTreeMap<i64, BTreeMap<i64, BTreeSet<i64>>>,
    /// Readers without a sign of life, each with the last one.
    pub(super) dead: Vec<(String, u64)>,
}

/// What came of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Segments that the reader should stop reading and report as released.
    pub(super) to_release: Vec<i64>,
    /// Readers that were struck off, each with its segments.
    pub(super) struck_off: Vec<(String, Vec<i64>)>,
}

/// The group no longer knows this reader: another one has struck it off.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the group does not know this reader any more")]
pub(super) struct Evicted;

impl Group {
    /// A group that begins to read at these offsets.
    pub(super) fn starting_at(stream: String, offsets: BTreeMap<i64, i64>) -> Self {
        let held = |(segment, offset)| (segment, Held { offset, lease: None });
        Self { stream, segments: offsets.into_iter().map(held).collect(), ..Self::default() }
    }

    /// Lets a reader in. It gets segments with its first report.
    pub(super) fn join(&mut self, reader: &str) {
        self.readers.entry(reader.to_owned()).or_default();
    }

    /// Takes in what a reader tells and deals it its share of the segments.
    pub(super) fn apply(&mut self, reader: &str, report: &Report) -> Result<Outcome, Evicted> {
        let beat = self.readers.get_mut(reader).ok_or(Evicted)?;
        *beat += 1;
        self.take_in(reader, report);
        let mut outcome = Outcome::default();
        for (dead, last_beat) in &report.dead {
            if dead != reader && self.readers.get(dead) == Some(last_beat) {
                let segments = self.remove(dead);
                outcome.struck_off.push((dead.clone(), segments));
            }
        }
        outcome.to_release = self.balance(reader);
        Ok(outcome)
    }

    /// Lets a reader out, with its last positions.
    pub(super) fn leave(&mut self, reader: &str, report: &Report) {
        if self.readers.contains_key(reader) {
            self.take_in(reader, report);
            self.remove(reader);
        }
    }

    /// The segments a reader holds: lease number and offset of each.
    pub(super) fn held_by(&self, reader: &str) -> BTreeMap<i64, (u64, i64)> {
        let of_reader = |(segment, held): (&i64, &Held)| {
            let lease = held.lease.as_ref().filter(|lease| lease.reader == reader)?;
            Some((*segment, (lease.number, held.offset)))
        };
        self.segments.iter().filter_map(of_reader).collect()
    }

    /// Whether everything is read: the stream is sealed, and no segment is left.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.segments.is_empty() && self.waiting.is_empty()
    }

    fn take_in(&mut self, reader: &str, report: &Report) {
        let is_its_own = |held: &Held| held.lease.as_ref().is_some_and(|lease| lease.reader == reader);
        for (segment, offset) in &report.positions {
            if let Some(held) = self.segments.get_mut(segment).filter(|held| is_its_own(held)) {
                held.offset = held.offset.max(*offset);
            }
        }
        for segment in &report.released {
            if let Some(held) = self.segments.get_mut(segment).filter(|held| is_its_own(held)) {
                held.lease = None;
            }
        }
        for (segment, followers) in &report.finished {
            if self.segments.get(segment).is_some_and(is_its_own) {
                self.segments.remove(segment);
                self.follow(*segment, followers);
            }
        }
    }

    /// A successor can be read once all its predecessors are read to the end.
    fn follow(&mut self, finished: i64, followers: &BTreeMap<i64, BTreeSet<i64>>) {
        for (successor, predecessors) in followers {
            self.waiting.entry(*successor).or_insert_with(|| predecessors.clone());
        }
        for predecessors in self.waiting.values_mut() {
            predecessors.remove(&finished);
        }
        let ready: Vec<i64> = self.waiting.iter().filter(|(_, left)| left.is_empty()).map(|(id, _)| *id).collect();
        for successor in ready {
            self.waiting.remove(&successor);
            self.segments.insert(successor, Held { offset: 0, lease: None });
        }
    }

    fn remove(&mut self, reader: &str) -> Vec<i64> {
        self.readers.remove(reader);
        let segments: Vec<i64> = self.held_by(reader).into_keys().collect();
        for segment in &segments {
            if let Some(held) = self.segments.get_mut(segment) {
                held.lease = None;
            }
        }
        segments
    }

    /// Gives a reader what is free up to its share; returns what it holds beyond it.
    fn balance(&mut self, reader: &str) -> Vec<i64> {
        let share = self.share(reader);
        let held: Vec<i64> = self.held_by(reader).into_keys().collect();
        let free = self.segments.iter_mut().filter(|(_, held)| held.lease.is_none());
        for (_, held) in free.take(share.saturating_sub(held.len())) {
            held.lease = Some(Lease { reader: reader.to_owned(), number: self.next_lease });
            self.next_lease += 1;
        }
        // The youngest segments go: they are likely to have the least read ahead.
        held.into_iter().rev().take(self.held_by(reader).len().saturating_sub(share)).collect()
    }

    /// As even as can be; what does not divide evenly goes to those who hold the most already, so
    /// that nothing moves without need.
    fn share(&self, reader: &str) -> usize {
        let (segments, readers) = (self.segments.len(), self.readers.len().max(1));
        let mut order: Vec<(Reverse<usize>, &str)> =
            self.readers.keys().map(|name| (Reverse(self.held_by(name).len()), name.as_str())).collect();
        order.sort_unstable();
        let place = order.iter().position(|(_, name)| *name == reader).unwrap_or(readers);
        segments / readers + usize::from(place < segments % readers)
    }
}

#[cfg(test)]
mod tests;
