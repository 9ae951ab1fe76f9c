//! A reader as a member of its group: shows signs of life, saves positions, takes and gives back
//! segments, and notices when another one is dead.

use super::ReadError;
use super::fetch::Fetch;
use super::group::{Evicted, Group, Outcome, Report};
use super::group_table::GroupTable;
use super::lease::Hold;
use super::shared::Shared;
use super::store::{StoreError, segment_of};
use super::watch::Watch;
use super::worker::Chunk;
use crate::clock;
use crate::pravega::ControlError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// What follows a segment: segments, each with all its predecessors.
type Followers = BTreeMap<i64, BTreeSet<i64>>;

/// How long one save may take before it counts as trouble; the next one tries again.
const SAVE_LIMIT: Duration = Duration::from_secs(5);

/// One reader of the group.
pub(super) struct Member {
    name: String,
    shared: Arc<Shared>,
    table: GroupTable,
    chunks: mpsc::Sender<Chunk>,
    held: BTreeMap<i64, Holding>,
    /// Questions to the controller that are under way, and their answers.
    asked: BTreeMap<i64, JoinHandle<Result<Followers, ControlError>>>,
    followers: BTreeMap<i64, Followers>,
    watch: Watch,
}

struct Holding {
    hold: Arc<Hold>,
    fetch: AbortHandle,
}

/// What came of telling the group.
enum Told {
    Outcome(Outcome, BTreeMap<i64, (u64, i64)>),
    /// The stream is read to its end.
    End,
}

impl Member {
    pub(super) fn new(name: String, shared: &Arc<Shared>, table: GroupTable, chunks: mpsc::Sender<Chunk>) -> Self {
        Self {
            name,
            watch: Watch::new(shared.plan.reader_timeout, shared.plan.save_every),
            shared: Arc::clone(shared),
            table,
            chunks,
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            followers: BTreeMap::new(),
        }
    }

    /// Joins the group, which begins at these offsets if it is new.
    pub(super) async fn join(&mut self, start: BTreeMap<i64, i64>, until: Instant) -> Result<(), ReadError> {
        let (name, stream) = (self.name.clone(), self.shared.stream.to_string());
        let joined = self
            .table
            .update(until, |state| {
                let group = state.get_or_insert_with(|| Group::starting_at(stream.clone(), start.clone()));
                if group.stream != stream {
                    return Err(group.stream.clone());
                }
                group.join(&name);
                Ok(group.is_at_the_end())
            })
            .await?;
        match joined {
            Ok(at_the_end) => {
                if at_the_end {
                    self.shared.ended();
                }
                Ok(())
            }
            Err(other) => Err(ReadError::OtherStream { group: self.shared.plan.group.clone(), other }),
        }
    }

    /// Reads until told to stop, and leaves the group.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), ReadError> {
        let shared = Arc::clone(&self.shared);
        let mut nudged = shared.nudged();
        let mut tick = interval(shared.plan.save_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow_and_update() {
            match self.step().await {
                Ok(()) => self.shared.troubles.over(&self.about()),
                Err(ReadError::Store(error)) => self.shared.troubles.note(&self.about(), &error.to_string()),
                Err(error) => {
                    self.shared.fail(error);
                    break;
                }
            }
            tokio::select! {
                _ = tick.tick() => {}
                _ = nudged.changed() => {}
                _ = stop.changed() => {}
            }
        }
        self.leave().await
    }

    /// Tells the group what there is to tell, and does what comes of it.
    async fn step(&mut self) -> Result<(), ReadError> {
        self.ask_for_followers().await?;
        let mut released = BTreeSet::new();
        loop {
            let mut report = self.report()?;
            report.released.clone_from(&released);
            let (outcome, mine) = match self.tell(&report).await? {
                Ok(Told::Outcome(outcome, mine)) => (outcome, mine),
                Ok(Told::End) => {
                    self.shared.ended();
                    return Ok(());
                }
                Err(Evicted) => return self.rejoin().await,
            };
            self.shared.events.saves.fetch_add(1, Relaxed);
            for (reader, segments) in outcome.struck_off {
                self.shared.events.struck_off.fetch_add(1, Relaxed);
                tracing::warn!(
                    "reader {reader} has shown no sign of life for {:?} (--reader-timeout): struck off; its segments {} are free, from the positions it saved last",
                    self.shared.plan.reader_timeout,
                    list(&segments)
                );
            }
            self.follow(&mine).await?;
            if outcome.to_release.is_empty() {
                return Ok(());
            }
            for segment in outcome.to_release {
                if let Some(holding) = self.held.get(&segment) {
                    holding.stop().await;
                    self.shared.events.released.fetch_add(1, Relaxed);
                    released.insert(segment);
                }
            }
        }
    }

    async fn tell(&mut self, report: &Report) -> Result<Result<Told, Evicted>, ReadError> {
        let (name, watch) = (&self.name, &mut self.watch);
        let told = self
            .table
            .update(clock::now() + SAVE_LIMIT, |state| {
                let Some(group) = state else { return Err(Evicted) };
                let dead = watch.dead(&group.readers, name, clock::now());
                let report = Report { dead, ..report.clone() };
                let outcome = group.apply(name, &report)?;
                if group.is_at_the_end() {
                    return Ok(Told::End);
                }
                Ok(Told::Outcome(outcome, group.held_by(name)))
            })
            .await;
        Ok(told?)
    }

    /// Where we are, once that is in the ledger.
    fn report(&self) -> Result<Report, ReadError> {
        let positions = self.shared.record(self.held.values().map(|holding| &*holding.hold))?;
        Ok(Report { positions, finished: self.followers.clone(), ..Report::default() })
    }

    /// Holds what the group says is ours, and nothing else.
    async fn follow(&mut self, mine: &BTreeMap<i64, (u64, i64)>) -> Result<(), ReadError> {
        let gone: Vec<i64> = self
            .held
            .iter()
            .filter(|(segment, holding)| mine.get(segment).is_none_or(|(number, _)| *number != holding.hold.number))
            .map(|(segment, _)| *segment)
            .collect();
        for segment in gone {
            self.followers.remove(&segment);
            self.drop_segment(segment).await?;
        }
        for (segment, (number, offset)) in mine {
            if !self.held.contains_key(segment) {
                tracing::info!(reader = self.name, "reads segment {} from offset {offset}", self.full_name(*segment));
                let hold = Arc::new(Hold::new(*segment, *number, *offset));
                self.shared.acquired(&hold);
                let fetch = self.fetch(&hold);
                self.held.insert(*segment, Holding { hold, fetch });
            }
        }
        Ok(())
    }

    fn fetch(&self, hold: &Arc<Hold>) -> AbortHandle {
        let shared = Arc::clone(&self.shared);
        let fetch = Fetch { shared: Arc::clone(&shared), hold: Arc::clone(hold), chunks: self.chunks.clone() };
        let task = tokio::spawn(fetch.run());
        let handle = task.abort_handle();
        // The client library decodes the messages, and panics are in its nature.
        tokio::spawn(async move {
            if let Err(join) = task.await
                && join.is_panic()
            {
                shared.fail(ReadError::Fault(join.to_string()));
            }
        });
        handle
    }

    /// Segments read to their end: asks the controller what follows, without waiting for it.
    async fn ask_for_followers(&mut self) -> Result<(), ReadError> {
        let ended: Vec<i64> =
            self.held.iter().filter(|(_, holding)| holding.hold.has_ended()).map(|(segment, _)| *segment).collect();
        for segment in ended {
            if self.followers.contains_key(&segment) {
                continue;
            }
            match self.asked.remove(&segment) {
                None => {
                    let shared = Arc::clone(&self.shared);
                    let name = segment_of(&shared.stream, segment);
                    self.asked.insert(
                        segment,
                        tokio::spawn(async move {
                            let found = shared.store.session.successors(&name).await;
                            shared.nudge();
                            found
                        }),
                    );
                }
                Some(asked) if !asked.is_finished() => {
                    self.asked.insert(segment, asked);
                }
                Some(asked) => self.take_followers(segment, asked.await)?,
            }
        }
        Ok(())
    }

    fn take_followers(
        &mut self,
        segment: i64,
        answer: Result<Result<Followers, ControlError>, JoinError>,
    ) -> Result<(), ReadError> {
        let about = format!("what follows segment {}", self.full_name(segment));
        let error = match answer {
            Ok(Ok(followers)) => {
                self.shared.troubles.over(&about);
                let next: Vec<i64> = followers.keys().copied().collect();
                let next = if next.is_empty() {
                    "the stream ends there".to_owned()
                } else {
                    format!("followed by {}", list(&next))
                };
                tracing::info!(reader = self.name, "segment {} is read to its end; {next}", self.full_name(segment));
                self.shared.events.finished.fetch_add(1, Relaxed);
                self.followers.insert(segment, followers);
                return Ok(());
            }
            Ok(Err(ControlError::Missing { .. })) => return Err(ReadError::Deleted(self.shared.stream.to_string())),
            Ok(Err(error)) => error.to_string(),
            Err(join) => join.to_string(),
        };
        self.shared.troubles.note(&about, &error);
        Ok(())
    }

    /// The group has struck us off: what we hold is somebody else's by now.
    async fn rejoin(&mut self) -> Result<(), ReadError> {
        self.shared.events.evicted.fetch_add(1, Relaxed);
        tracing::warn!(
            reader = self.name,
            "the others have struck this reader off: they saw no sign of life for --reader-timeout; what it has read since it last saved its positions is read again by others. It joins again"
        );
        for segment in self.held.keys().copied().collect::<Vec<_>>() {
            self.drop_segment(segment).await?;
        }
        self.followers.clear();
        let until = clock::now() + SAVE_LIMIT;
        self.join(BTreeMap::new(), until).await
    }

    async fn drop_segment(&mut self, segment: i64) -> Result<(), ReadError> {
        if let Some(holding) = self.held.remove(&segment) {
            holding.stop().await;
            // What was processed last is in the ledger, too.
            self.shared.record(std::iter::empty())?;
            self.shared.dropped(&holding.hold);
            self.shared.troubles.forget(&format!("segment {}", self.full_name(segment)));
        }
        Ok(())
    }

    /// Hands everything over to the others, at the last event that was processed.
    async fn leave(mut self) -> Result<(), ReadError> {
        for holding in self.held.values() {
            holding.stop().await;
        }
        let report = self.report()?;
        for segment in self.held.keys().copied().collect::<Vec<_>>() {
            self.drop_segment(segment).await?;
        }
        let name = &self.name;
        let until = clock::now() + self.shared.plan.leave_timeout;
        let left = self
            .table
            .update(until, |state| {
                if let Some(group) = state {
                    group.leave(name, &report);
                }
                Ok::<(), Evicted>(())
            })
            .await;
        match left {
            Ok(_) => {
                tracing::info!(reader = self.name, "has left the group; positions are saved");
                Ok(())
            }
            Err(error) => Err(ReadError::NotSaved {
                reader: self.name.clone(),
                limit: self.shared.plan.leave_timeout,
                reason: error.to_string(),
            }),
        }
    }

    fn about(&self) -> String {
        format!("saving the positions of reader {}", self.name)
    }

    fn full_name(&self, segment: i64) -> String {
        segment_of(&self.shared.stream, segment).to_string()
    }
}

impl Holding {
    /// Stops the worker at its next event, and waits for the one it has in hand.
    async fn stop(&self) {
        self.fetch.abort();
        while !self.hold.revoke() {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

fn list(segments: &[i64]) -> String {
    let names: Vec<String> = segments.iter().map(|id| format!("{}.#epoch.{}", id & 0xFFFF_FFFF, id >> 32)).collect();
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
