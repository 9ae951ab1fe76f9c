//! One writer: sends its schedule on time, counts every acknowledgement, and replaces the Pravega
//! client's writer when that dies.

mod receipts;

use super::WritePlan;
use super::outlet::{Closed, Outlet, Reopen};
use super::tally::Tally;
use super::window::Window;
use crate::clock;
use crate::event::{self, Identity};
use crate::pace::{Due, Load, Schedule};
use receipts::{Receipt, Receipts};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout, timeout_at};

/// Events sent, or acknowledgements taken, before the writer looks at anything else.
const BATCH: usize = 256;
/// How often patience is checked while nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// After the client's writer died, for the acknowledgements it had already passed on.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The moment the run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) steady: Instant,
    pub(super) wall: jiff::Timestamp,
}

impl Start {
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.steady)
    }

    /// What the wall clock would say, had nobody set it since the start.
    pub(super) fn wall_at(&self, now: Instant) -> jiff::Timestamp {
        self.wall.checked_add(self.elapsed(now)).unwrap_or(self.wall)
    }

    /// An intended time, microseconds since the epoch.
    fn epoch_us(&self, at: Duration) -> u64 {
        let start = u64::try_from(self.wall.as_microsecond()).unwrap_or(0);
        start + u64::try_from(at.as_micros()).unwrap_or(u64::MAX / 2)
    }
}

/// Why a writer ended with events that are not acknowledged.
#[derive(Clone, Debug, Error)]
pub(super) enum WriteError {
    #[error(
        "writer {writer}: no acknowledgement from {stream} for {waited:.0?} (--give-up-after); last cause: {cause}"
    )]
    GaveUp { writer: u32, stream: String, waited: Duration, cause: String },
    #[error("writer {writer}: {stream} did not acknowledge everything within --flush-timeout {limit:?}")]
    NotFlushed { writer: u32, stream: String, limit: Duration },
    #[error("writer {writer}: {closed}")]
    Closed { writer: u32, closed: Closed },
}

/// How a writer ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) writer: u32,
    pub(super) unacknowledged: Vec<RangeInclusive<u64>>,
    pub(super) error: Option<WriteError>,
}

/// A writer on its way.
pub(super) struct Writer<O> {
    id: u32,
    plan: Arc<WritePlan>,
    stream: String,
    schedule: Schedule,
    tally: Arc<Tally>,
    start: Start,
    stop: watch::Receiver<bool>,
    window: Window,
    outlet: O,
    receipts: Receipts,
    /// Why the outlet is thought dead, until it is replaced.
    lost: Option<String>,
    /// The last such reason, for the message if it comes to giving up.
    last_cause: String,
    /// Grows with every replacement that did not lead to an acknowledgement.
    pause: Duration,
    flush_until: Option<Instant>,
}

impl<O: Outlet> Writer<O> {
    /// `index` counts the writers of the run from 0.
    pub(super) fn new(
        index: u32,
        plan: &Arc<WritePlan>,
        outlet: O,
        tally: &Arc<Tally>,
        start: Start,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            id: plan.first_writer + index,
            schedule: Schedule::new(Arc::clone(&plan.load), plan.limits, index, plan.writers),
            plan: Arc::clone(plan),
            stream: plan.stream.scoped().to_string(),
            outlet,
            tally: Arc::clone(tally),
            start,
            stop,
            window: Window::new(plan.window as usize),
            receipts: Receipts::new(),
            lost: None,
            last_cause: "Pravega does not answer".to_owned(),
            pause: FIRST_PAUSE,
            flush_until: None,
        }
    }

    /// Sends until the schedule is over or a stop is asked for, then waits for what is outstanding.
    pub(super) async fn run(mut self) -> Ended {
        let error = self.send_all().await.err();
        let failed = self.window.unacknowledged().count() as u64;
        self.tally.failed.store(failed, Relaxed);
        self.tally.set_oldest_sent(None);
        Ended { writer: self.id, unacknowledged: self.window.unacknowledged_runs(), error }
    }

    async fn send_all(&mut self) -> Result<(), WriteError> {
        let mut tick = interval(TICK);
        loop {
            self.check(clock::now())?;
            if let Some(cause) = self.lost.take() {
                self.replace_outlet(cause).await?;
                continue;
            }
            let next = self.schedule.peek();
            // An event that is due when there is room for it is never late.
            self.tally.set_next_due(next.filter(|_| *self.plan.load != Load::Max).map(|due| due.at));
            if next.is_none() && self.window.is_empty() {
                return Ok(());
            }
            let next = next.filter(|_| self.window.has_room());
            let due = next.map_or(self.start.steady, |due| self.start.steady + due.at);
            tokio::select! {
                Some(receipt) = self.receipts.next() => self.take_receipts(receipt),
                () = sleep_until(due), if next.is_some() => self.send_due().await,
                _ = tick.tick() => {}
                Ok(()) = self.stop.changed() => {}
            }
        }
    }

    /// Ends the schedule if a stop was asked for, and the run if patience is at its end.
    fn check(&mut self, now: Instant) -> Result<(), WriteError> {
        let oldest = self.window.oldest_sent();
        let oldest_since_start = oldest.map(|sent| self.start.elapsed(sent));
        self.tally.set_oldest_sent(oldest_since_start);
        let over = self.plan.limits.duration.is_some_and(|duration| self.start.elapsed(now) >= duration);
        if over && *self.plan.load == Load::Max {
            self.schedule.stop();
        }
        if *self.stop.borrow() {
            self.schedule.stop();
            let until = *self.flush_until.get_or_insert(now + self.plan.flush_timeout);
            if now >= until && !self.window.is_empty() {
                return Err(WriteError::NotFlushed {
                    writer: self.id,
                    stream: self.stream.clone(),
                    limit: self.plan.flush_timeout,
                });
            }
        }
        let waited = oldest.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent));
        if waited >= self.plan.give_up_after {
            return Err(WriteError::GaveUp {
                writer: self.id,
                stream: self.stream.clone(),
                waited,
                cause: self.last_cause.clone(),
            });
        }
        Ok(())
    }

    /// Sends what is due by now, as far as the window and the batch allow.
    async fn send_due(&mut self) {
        let now = clock::now();
        let patience = now + self.plan.give_up_after;
        for _ in 0..BATCH {
            let Some(due) = self.schedule.peek() else { break };
            let at = self.start.steady + due.at;
            if at > now || !self.window.has_room() || self.lost.is_some() {
                break;
            }
            self.schedule.next();
            let (due, at) = match *self.plan.load {
                Load::Shape(_) => (due, at),
                Load::Max => (Due { at: self.start.elapsed(now), ..due }, now),
            };
            self.tally.note_written(self.start.elapsed(now), now - at);
            self.window.sent(due, now);
            self.hand_over(due, patience).await;
        }
    }

    /// Gives one event to the outlet. Pravega's client holds the sender back when 16 MiB are queued, which the
    /// window does not allow; the deadline is for the day it does so for another reason.
    async fn hand_over(&mut self, due: Due, patience: Instant) {
        let identity = Identity { writer: self.id, sequence: due.sequence, time_us: self.start.epoch_us(due.at) };
        let bytes = event::encode(identity, self.plan.event_size);
        let key = self.plan.routing.key(self.id, due);
        match timeout_at(patience, self.outlet.send(key, bytes)).await {
            Ok(answer) => self.receipts.push(due.sequence, answer),
            Err(_) => self.lost = Some("the client takes no more events".to_owned()),
        }
    }

    /// Takes this receipt and those that are ready besides.
    fn take_receipts(&mut self, first: Receipt) {
        let now = self.start.elapsed(clock::now());
        let mut latencies = Vec::with_capacity(BATCH);
        let mut next = Some(first);
        while let Some((sequence, outcome)) = next {
            match outcome {
                Ok(()) => latencies.extend(self.window.acknowledge(sequence)),
                Err(cause) => self.lost = Some(cause),
            }
            if latencies.len() >= BATCH {
                break;
            }
            next = self.receipts.take_ready();
        }
        if !latencies.is_empty() {
            self.pause = FIRST_PAUSE;
        }
        let count = latencies.len() as u64;
        self.tally.acknowledged.fetch_add(count, Relaxed);
        let since = |at: Duration| now.saturating_sub(at);
        self.tally.note_latencies(latencies.into_iter().map(since));
    }

    /// The client's writer is dead: its task ended, and with it all knowledge of what is under way.
    /// Starts another and gives it everything unacknowledged again, in order. Some of it may have
    /// arrived the first time, which is why retries are counted and told.
    async fn replace_outlet(&mut self, cause: String) -> Result<(), WriteError> {
        let cause = self.outlet.cause_of_death().unwrap_or(cause);
        self.last_cause.clone_from(&cause);
        let _ = timeout(LAST_WORDS, async {
            while let Some(receipt) = self.receipts.next().await {
                self.take_receipts(receipt);
            }
        })
        .await;
        self.receipts = Receipts::new();
        let outstanding = self.window.unacknowledged().count();
        tracing::warn!(
            writer = self.id,
            outstanding,
            %cause,
            "the Pravega client's writer died; starting another and sending what is unacknowledged again"
        );
        loop {
            self.check(clock::now())?;
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            match self.outlet.reopen().await {
                Ok(()) => break,
                Err(Reopen::Never(closed)) => return Err(WriteError::Closed { writer: self.id, closed }),
                Err(Reopen::Later(reason)) => {
                    tracing::warn!(writer = self.id, %reason, "cannot start another writer yet");
                    self.last_cause = reason;
                }
            }
        }
        let again: Vec<Due> = self.window.unacknowledged().collect();
        self.tally.retries.fetch_add(again.len() as u64, Relaxed);
        let patience = clock::now() + self.plan.give_up_after;
        self.lost = None;
        for due in again {
            self.hand_over(due, patience).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
