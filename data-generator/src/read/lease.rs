//! A segment that one of our readers holds: how far it is, and what has been delivered from it.
//!
//! Shared by three: `fetch` brings data, `worker` processes it, `member` saves the position and takes
//! the segment away. What the worker has counted goes to the ledger first (`take_entry`), and only
//! what is in the ledger counts as processed when the position is saved.

use super::checks::Seen;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs of sequence numbers, first and last of each, in the order of arrival.
pub(super) type Runs = Vec<(u64, u64)>;

/// What has been delivered between two offsets of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) events: u64,
    /// By writer.
    pub(super) ids: BTreeMap<u32, Runs>,
}

/// One lease of a segment.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) segment: i64,
    /// The lease's number.
    pub(super) number: u64,
    progress: Mutex<Progress>,
    /// Where the segment ends, as far as is known; -1 when it is not.
    tail: AtomicI64,
    /// Bytes that retention had cut off before they could be read.
    pub(super) cut_off: AtomicU64,
}

#[derive(Debug)]
struct Progress {
    /// Everything before this offset has been processed.
    next: i64,
    /// Processed and not in the ledger yet.
    entry: Entry,
    /// Nothing more may be processed.
    revoked: bool,
    /// The worker has events in hand.
    busy: bool,
    /// All data up to the segment's end has been processed.
    ended: bool,
}

impl Hold {
    pub(super) fn new(segment: i64, number: u64, start: i64) -> Self {
        let entry = Entry { from: start, to: start, ..Entry::default() };
        let progress = Progress { next: start, entry, revoked: false, busy: false, ended: false };
        Self { segment, number, progress: Mutex::new(progress), tail: AtomicI64::new(-1), cut_off: AtomicU64::new(0) }
    }

    /// The worker is about to process some events; false if it may not any more.
    pub(super) fn begin(&self) -> bool {
        let mut progress = self.progress();
        progress.busy = !progress.revoked;
        progress.busy
    }

    /// The worker has processed these events, up to this offset.
    /// Those in `seen` are put down by their ids.
    pub(super) fn done(&self, next: i64, events: u64, seen: &[Seen]) {
        let mut progress = self.progress();
        progress.busy = false;
        progress.next = next;
        let entry = &mut progress.entry;
        entry.to = next;
        entry.events += events;
        for Seen { writer, sequence, .. } in seen {
            let runs = entry.ids.entry(*writer).or_default();
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *sequence => *last = *sequence,
                _ => runs.push((*sequence, *sequence)),
            }
        }
    }

    /// There is nothing before this offset: retention has cut it off.
    pub(super) fn skip_to(&self, start: i64) {
        let mut progress = self.progress();
        let skipped = start.saturating_sub(progress.next);
        self.cut_off.fetch_add(u64::try_from(skipped).unwrap_or(0), Relaxed);
        progress.next = progress.next.max(start);
        progress.entry.to = progress.next;
    }

    /// The worker has processed everything up to the segment's end.
    pub(super) fn end(&self) {
        self.progress().ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.progress().ended
    }

    /// Stops the worker at its next event; true once it has none in hand.
    pub(super) fn revoke(&self) -> bool {
        let mut progress = self.progress();
        progress.revoked = true;
        !progress.busy
    }

    /// What has been processed since the last call, for the ledger; `None` if nothing.
    pub(super) fn take_entry(&self) -> Option<Entry> {
        let mut progress = self.progress();
        let fresh = Entry { from: progress.next, to: progress.next, ..Entry::default() };
        (progress.entry.to > progress.entry.from).then(|| std::mem::replace(&mut progress.entry, fresh))
    }

    /// Everything before this offset has been processed and is in the ledger.
    pub(super) fn recorded(&self) -> i64 {
        self.progress().entry.from
    }

    /// Everything before this offset has been processed.
    pub(super) fn next(&self) -> i64 {
        self.progress().next
    }

    pub(super) fn note_tail(&self, tail: i64) {
        self.tail.store(tail, Relaxed);
    }

    /// Bytes that are in the segment and not processed; `None` while that is unknown.
    pub(super) fn behind(&self) -> Option<u64> {
        let tail = self.tail.load(Relaxed);
        (tail >= 0).then(|| u64::try_from(tail.saturating_sub(self.next())).unwrap_or(0))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(writer: u32, sequence: u64) -> Seen {
        Seen { writer, sequence, latency_us: 0, offset: 0 }
    }

    #[test]
    fn what_is_done_is_taken_once_and_only_then_recorded() {
        let hold = Hold::new(0, 1, 100);
        assert!(hold.begin());
        hold.done(328, 1, &[seen(0, 5)]);
        assert!(hold.begin());
        hold.done(784, 2, &[seen(0, 6), seen(1, 0)]);
        assert_eq!((hold.recorded(), hold.next()), (100, 784));
        let ids = BTreeMap::from([(0, vec![(5, 6)]), (1, vec![(0, 0)])]);
        assert_eq!(hold.take_entry(), Some(Entry { from: 100, to: 784, events: 3, ids }));
        assert_eq!(hold.take_entry(), None);
        assert_eq!(hold.recorded(), 784);
    }

    #[test]
    fn a_revoked_lease_is_free_once_the_event_in_hand_is_done() {
        let hold = Hold::new(0, 1, 0);
        assert!(hold.begin());
        assert!(!hold.revoke());
        hold.done(228, 1, &[seen(0, 0)]);
        assert!(hold.revoke());
        assert!(!hold.begin());
    }

    #[test]
    fn how_far_behind_is_unknown_until_the_tail_is() {
        let hold = Hold::new(0, 1, 100);
        assert_eq!(hold.behind(), None);
        hold.note_tail(700);
        assert_eq!(hold.behind(), Some(600));
        hold.skip_to(650);
        assert_eq!((hold.behind(), hold.cut_off.load(Relaxed)), (Some(50), 550));
    }
}
