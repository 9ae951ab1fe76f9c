//! The events of one writer that Pravega has not acknowledged yet. Pure.

use crate::pace::Due;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::Instant;

/// A run of sequence numbers from the oldest unacknowledged event to the newest sent one, of bounded
/// length. Acknowledgements may come in any order.
#[derive(Debug)]
pub(super) struct Window {
    /// Sequence number of the first slot: everything before it is acknowledged.
    first: u64,
    slots: VecDeque<Slot>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: Duration,
    /// When it was first handed to the client; a retry does not move it.
    sent: Instant,
    acknowledged: bool,
}

impl Window {
    pub(super) fn new(capacity: usize) -> Self {
        Self { first: 0, slots: VecDeque::with_capacity(capacity.min(1 << 16)), capacity }
    }

    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < self.capacity
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Notes an event as sent. Events are sent in the order of their sequence numbers.
    pub(super) fn sent(&mut self, due: Due, now: Instant) {
        debug_assert_eq!(due.sequence, self.first + self.slots.len() as u64);
        self.slots.push_back(Slot { at: due.at, sent: now, acknowledged: false });
    }

    /// Notes an event as acknowledged and returns its intended time; `None` if it was before.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> Option<Duration> {
        let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        if slot.acknowledged {
            return None;
        }
        slot.acknowledged = true;
        let at = slot.at;
        while self.slots.front().is_some_and(|slot| slot.acknowledged) {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(at)
    }

    /// When the oldest unacknowledged event was first sent.
    pub(super) fn oldest_sent(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.sent)
    }

    /// The unacknowledged events, in order.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = Due> {
        self.slots
            .iter()
            .zip(self.first..)
            .filter(|(slot, _)| !slot.acknowledged)
            .map(|(slot, sequence)| Due { sequence, at: slot.at })
    }

    /// The unacknowledged events as runs of sequence numbers.
    pub(super) fn unacknowledged_runs(&self) -> Vec<RangeInclusive<u64>> {
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for Due { sequence, .. } in self.unacknowledged() {
            match runs.last_mut() {
                Some(run) if *run.end() + 1 == sequence => *run = *run.start()..=sequence,
                _ => runs.push(sequence..=sequence),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn filled(capacity: usize, events: u64) -> Window {
        let mut window = Window::new(capacity);
        let now = clock::now();
        for sequence in 0..events {
            let at = Duration::from_millis(sequence);
            window.sent(Due { sequence, at }, now + at);
        }
        window
    }

    #[test]
    fn the_oldest_unacknowledged_event_holds_the_window() {
        let mut window = filled(4, 4);
        assert!(!window.has_room());
        let oldest = window.oldest_sent();
        assert_eq!(window.acknowledge(2), Some(Duration::from_millis(2)));
        assert!(!window.has_room());
        assert_eq!(window.oldest_sent(), oldest);
        assert_eq!(window.unacknowledged_runs(), [0..=1, 3..=3]);
        assert_eq!(window.acknowledge(0), Some(Duration::ZERO));
        assert_eq!(window.first, 1);
        assert_eq!(window.acknowledge(1), Some(Duration::from_millis(1)));
        assert_eq!(window.first, 3);
        assert!(window.has_room());
    }

    #[test]
    fn an_event_is_acknowledged_once() {
        let mut window = filled(4, 3);
        assert!(window.acknowledge(1).is_some());
        assert!(window.acknowledge(1).is_none());
        assert!(window.acknowledge(0).is_some());
        assert!(window.acknowledge(0).is_none());
        assert!(window.acknowledge(3).is_none());
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_window_knows_what_is_missing(
            events in 1_u64..200,
            order in prop::collection::vec(0_u64..200, 0..300),
        ) {
            let mut window = filled(usize::MAX, events);
            let mut missing: BTreeSet<u64> = (0..events).collect();
            for sequence in order {
                let news = missing.remove(&sequence);
                prop_assert_eq!(window.acknowledge(sequence).is_some(), news);
            }
            let left: BTreeSet<u64> = window.unacknowledged().map(|due| due.sequence).collect();
            prop_assert_eq!(&left, &missing);
            let runs: BTreeSet<u64> = window.unacknowledged_runs().into_iter().flatten().collect();
            prop_assert_eq!(&runs, &missing);
            prop_assert_eq!(window.first, missing.first().copied().unwrap_or(events));
        }
    }
}
