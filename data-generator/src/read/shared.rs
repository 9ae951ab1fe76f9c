//! What the readers of one process share.

use super::checks::{Checks, Counts, Seen};
use super::lease::Hold;
use super::ledger::{Ledger, Line};
use super::store::Store;
use super::troubles::Troubles;
use super::{ReadError, ReadPlan};
use crate::clock;
use crate::event::ParseError;
use crate::report::Latencies;
use pravega_client_shared::ScopedStream;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Events that are not ours are named in the log up to this many.
const FOREIGN_SHOWN: u64 = 5;

/// What the readers of one process share.
pub(super) struct Shared {
    pub(super) plan: Arc<ReadPlan>,
    pub(super) stream: ScopedStream,
    pub(super) store: Arc<Store>,
    pub(super) troubles: Troubles,
    pub(super) events: GroupEvents,
    checks: Mutex<Checks>,
    ledger: Mutex<Option<Ledger>>,
    /// The leases that the readers of this process hold.
    holds: Mutex<BTreeMap<u64, Arc<Hold>>>,
    /// Something happened that a reader should tell its group now.
    nudge: watch::Sender<()>,
    /// Why everything has to end.
    failure: Mutex<Option<ReadError>>,
    failed: watch::Sender<bool>,
    /// The stream is sealed and read to its end.
    end: watch::Sender<bool>,
}

/// What happened to the group, as far as this process took part in it.
#[derive(Debug, Default)]
pub(super) struct GroupEvents {
    /// Readers of other processes that this one struck off.
    pub(super) struck_off: AtomicU64,
    /// Readers of this process that others struck off.
    pub(super) evicted: AtomicU64,
    /// Segments taken.
    pub(super) acquired: AtomicU64,
    /// Segments given to others.
    pub(super) released: AtomicU64,
    /// Segments read to their end.
    pub(super) finished: AtomicU64,
    /// Times that positions were saved.
    pub(super) saves: AtomicU64,
    /// Bytes that retention had cut off before they could be read.
    pub(super) cut_off: AtomicU64,
}

impl Shared {
    pub(super) fn new(plan: &Arc<ReadPlan>, store: Arc<Store>, checks: Checks, ledger: Option<Ledger>) -> Self {
        Self {
            plan: Arc::clone(plan),
            stream: plan.stream.clone(),
            store,
            troubles: Troubles::default(),
            events: GroupEvents::default(),
            checks: Mutex::new(checks),
            ledger: Mutex::new(ledger),
            holds: Mutex::default(),
            nudge: watch::Sender::new(()),
            failure: Mutex::new(None),
            failed: watch::Sender::new(false),
            end: watch::Sender::new(false),
        }
    }

    /// Takes in events of a segment, up to this offset, and what else there is to count.
    pub(super) fn note(&self, segment: i64, seen: &[Seen], to: i64, count: impl FnOnce(&mut Counts)) {
        let mut checks = self.checks();
        count(&mut checks.counts);
        checks.note(segment, seen, to, clock::now());
    }

    /// An event that is not in our format.
    pub(super) fn note_foreign(&self, segment: i64, offset: i64, error: ParseError) {
        if self.checks().counts.foreign < FOREIGN_SHOWN {
            tracing::warn!(segment, offset, "not an event of ours: {error}");
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.checks().counts
    }

    pub(super) fn take_latencies(&self) -> Latencies {
        self.checks().take_latencies()
    }

    pub(super) fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ids of events have to be kept until they are put down.
    pub(super) fn keeps_ledger(&self) -> bool {
        self.plan.ledger.is_some()
    }

    /// Puts down in the ledger what has been processed, and returns how far each of these leases has
    /// been by then.
    pub(super) fn record<'a>(&self, of: impl Iterator<Item = &'a Hold>) -> Result<BTreeMap<i64, i64>, ReadError> {
        // Held to the end: nobody may learn a position before it is in the file.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let holds: Vec<Arc<Hold>> = self.holds().values().cloned().collect();
        let lines: Vec<Line> = holds.iter().filter_map(|hold| Some(Line::new(hold, &hold.take_entry()?))).collect();
        if let Some(ledger) = ledger.as_mut().filter(|_| !lines.is_empty()) {
            ledger.append(&lines).map_err(|source| ReadError::Ledger { path: ledger.path().to_owned(), source })?;
        }
        Ok(of.map(|hold| (hold.segment, hold.recorded())).collect())
    }

    /// A reader holds another segment.
    pub(super) fn acquired(&self, hold: &Arc<Hold>) {
        self.events.acquired.fetch_add(1, Relaxed);
        self.holds().insert(hold.number, Arc::clone(hold));
    }

    /// A reader no longer holds a segment.
    pub(super) fn dropped(&self, hold: &Hold) {
        self.events.cut_off.fetch_add(hold.cut_off.load(Relaxed), Relaxed);
        self.holds().remove(&hold.number);
    }

    /// The leases that the readers of this process hold, by lease number.
    pub(super) fn holds(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Hold>>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that a reader should tell its group now.
    pub(super) fn nudge(&self) {
        self.nudge.send_replace(());
    }

    /// Changes with every nudge from now on.
    pub(super) fn nudged(&self) -> watch::Receiver<()> {
        self.nudge.subscribe()
    }

    /// Ends everything; the first reason counts.
    pub(super) fn fail(&self, error: ReadError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.send_replace(true);
    }

    /// Waits until everything has to end.
    pub(super) async fn failed(&self) {
        self.failed.subscribe().wait_for(|failed| *failed).await.map(drop).unwrap_or_default();
    }

    /// Why everything has to end, if it has to.
    pub(super) fn take_failure(&self) -> Option<ReadError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The stream is read to its end.
    pub(super) fn ended(&self) {
        self.end.send_replace(true);
    }

    /// Waits until the stream is read to its end.
    pub(super) async fn at_the_end(&self) {
        self.end.subscribe().wait_for(|end| *end).await.map(drop).unwrap_or_default();
    }
}
