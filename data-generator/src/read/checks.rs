//! Is anything missing, twice, or out of order? What one process can tell from the events it sees.
//!
//! An event is a *redelivery* when the same place of the same segment was processed before: its
//! reader had not saved its position. It is a *duplicate* when the same id was processed from another
//! place: then it is in the stream twice, because a writer sent it again. What other processes have
//! seen is in their ledgers, and `reconcile` applies the same rule over all of them.

use crate::report::Latencies;
use hdrhistogram::CreationError;
use roaring::RoaringTreemap;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// An empty histogram, to two digits; a longer latency than a day counts as a day. The bounds are valid ones, so it fails only if that changes.
pub(super) fn no_latencies() -> Result<Latencies, CreationError> {
    Latencies::new_with_bounds(1, 86_400_000_000, 2)
}

/// One event, as a worker has parsed and processed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) writer: u32,
    pub(super) sequence: u64,
    /// From the intended time to the end of its processing.
    pub(super) latency_us: u64,
    /// Where it stands in its segment.
    pub(super) offset: i64,
}

/// Everything seen by this process.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) counts: Counts,
    pub(super) writers: BTreeMap<u32, RoaringTreemap>,
    /// The end of what was processed of each segment.
    reached: HashMap<i64, i64>,
    keys: Option<NonZeroU32>,
    /// The last sequence number of each key, by writer.
    last_of_key: HashMap<(u32, u32), u64>,
    /// Of all events since the last take.
    latencies: Latencies,
    /// When the first events were processed, and when the last.
    busy: Option<(Instant, Instant)>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Events processed, with those that were so twice.
    pub(super) events: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Events processed again from the same place of the stream.
    pub(super) redelivered: u64,
    /// Events whose id was processed before from another place of the stream.
    pub(super) duplicates: u64,
    /// Events that came after a later one of the same routing key.
    pub(super) out_of_order: u64,
    /// Events that are not ours: not in the format.
    pub(super) foreign: u64,
}

impl Checks {
    /// `latencies` is an empty histogram; `keys`, how many routing keys each writer takes in turn.
    pub(super) fn new(latencies: Latencies, keys: Option<NonZeroU32>) -> Self {
        Self {
            counts: Counts::default(),
            writers: BTreeMap::new(),
            reached: HashMap::new(),
            keys,
            last_of_key: HashMap::new(),
            latencies,
            busy: None,
        }
    }

    /// Takes in events from one segment, in its order, up to this offset, processed by now.
    pub(super) fn note(&mut self, segment: i64, events: &[Seen], to: i64, now: Instant) {
        self.busy = Some((self.busy.map_or(now, |(first, _)| first), now));
        let reached = self.reached.entry(segment).or_insert(0);
        for event in events {
            self.latencies.saturating_record(event.latency_us);
            let again = event.offset < *reached;
            let first = self.writers.entry(event.writer).or_default().insert(event.sequence);
            if again {
                self.counts.redelivered += 1;
            } else if !first {
                self.counts.duplicates += 1;
            } else if let Some(keys) = self.keys {
                let key = u32::try_from(event.sequence % u64::from(keys.get())).unwrap_or(0);
                let last = self.last_of_key.entry((event.writer, key)).or_insert(event.sequence);
                self.counts.out_of_order += u64::from(event.sequence < *last);
                *last = event.sequence.max(*last);
            }
        }
        *reached = to.max(*reached);
    }

    /// From the first events to the last.
    pub(super) fn busy_for(&self) -> Duration {
        self.busy.map(|(first, last)| last - first).unwrap_or_default()
    }

    /// Latencies since the last call.
    pub(super) fn take_latencies(&mut self) -> Latencies {
        let empty = Latencies::new_from(&self.latencies);
        std::mem::replace(&mut self.latencies, empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn checks(keys: u32) -> Checks {
        Checks::new(no_latencies().expect("valid bounds"), NonZeroU32::new(keys))
    }

    fn seen(writer: u32, sequence: u64, offset: i64) -> Seen {
        Seen { writer, sequence, latency_us: 1_000, offset }
    }

    #[test]
    fn the_same_place_again_is_a_redelivery_and_another_place_a_duplicate() {
        let mut checks = checks(0);
        checks.note(1, &[seen(0, 0, 0), seen(0, 1, 228)], 456, clock::now());
        checks.note(1, &[seen(0, 1, 228)], 456, clock::now());
        checks.note(1, &[seen(0, 1, 456)], 684, clock::now());
        checks.note(2, &[seen(0, 0, 0)], 228, clock::now());
        assert_eq!((checks.counts.redelivered, checks.counts.duplicates), (1, 2));
        assert_eq!(checks.writers[&0].len(), 2);
    }

    #[test]
    fn order_is_checked_by_key_and_over_segments() {
        let mut checks = checks(2);
        checks.note(1, &[seen(0, 1, 0), seen(0, 0, 228), seen(0, 3, 456)], 684, clock::now());
        assert_eq!(checks.counts.out_of_order, 0);
        checks.note(2, &[seen(0, 5, 0), seen(0, 4, 228), seen(0, 2, 456)], 684, clock::now());
        assert_eq!(checks.counts.out_of_order, 1);
    }
}
