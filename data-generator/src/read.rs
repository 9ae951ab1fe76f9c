//! `read`, the busy reader, from the plan to the summary: read [`run`] first.
//!
//! Each reader is a `member` of a `group` that is kept in Pravega (`group_table`). For each segment it
//! holds (`lease`) a `fetch` brings data over a connection of its own (`store`) to the reader's
//! `worker`, which processes it and counts (`checks`). Positions are saved by the member once what
//! they cover is in the `ledger`; `reconcile` compares the ledgers of all processes with what the
//! writers swear to have written.

mod checks;
mod fetch;
mod frames;
mod group;
mod group_table;
mod lease;
mod ledger;
mod member;
mod metrics;
mod progress;
pub mod reconcile;
mod shared;
mod slice;
mod store;
mod summary;
mod tails;
mod troubles;
mod watch;
mod worker;

use crate::args::ProgressMode;
use crate::clock;
use crate::exit::Failure;
use crate::metrics_server::MetricsServer;
use crate::pravega::{ClientRuntime, ControlError, Session, SessionOptions};
use crate::report;
use crate::signals::Signals;
use checks::{Checks, no_latencies};
use group_table::GroupTable;
use ledger::{Head, Ledger};
use member::Member;
use pravega_client_shared::ScopedStream;
use progress::{Newest, Progress, Sample};
use shared::Shared;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use store::{Store, StoreError, segment_of, table_of};
use summary::{Ending, Summary};
use thiserror::Error;
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Chunks that may wait for a reader's worker, of up to a mebibyte each.
const AHEAD: usize = 2;

/// How often what has been processed goes to the ledger.
const LEDGER_EVERY: Duration = Duration::from_millis(100);

/// Everything `read` needs to know, checked.
#[derive(Clone)]
pub struct ReadPlan {
    /// Which Pravega, and as whom.
    pub session: SessionOptions,
    /// Which stream.
    pub stream: ScopedStream,
    /// The group that shares the stream's segments.
    pub group: String,
    /// This process, unique among those of the group.
    pub name: String,
    /// How many readers of this process join the group.
    pub readers: u32,
    /// Where a group that is new begins: at the head of the stream, or at its tail.
    pub from_tail: bool,
    /// How often the bases of each event are counted.
    pub iterations: u64,
    /// How many routing keys each writer takes in turn, to check the order of each.
    pub keys: Option<NonZeroU32>,
    /// Ends after so many events.
    pub events: Option<u64>,
    /// Ends when there has been nothing to read for so long.
    pub until_idle: Option<Duration>,
    /// Ends after so long.
    pub duration: Option<Duration>,
    /// How often positions are saved, which is also the sign of life.
    pub save_every: Duration,
    /// A reader that shows no sign of life for so long is taken for dead.
    pub reader_timeout: Duration,
    /// How long Pravega may be away.
    pub give_up_after: Duration,
    /// How long leaving the group may take.
    pub leave_timeout: Duration,
    /// Folder for the ledger.
    pub ledger: Option<PathBuf>,
    /// How to show progress.
    pub progress: ProgressMode,
    /// Where to put the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
}

/// Why reading cannot go on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// There is nothing to read.
    #[error("--stream {0} does not exist")]
    Missing(String),
    /// There is nothing to read any more.
    #[error("--stream {0} was deleted while it was read")]
    Deleted(String),
    /// The group belongs to another stream.
    #[error("--reader-group {group} reads {other}: give this stream's readers a group of their own")]
    OtherStream {
        /// The group asked for.
        group: String,
        /// The stream that it reads.
        other: String,
    },
    /// Pravega stayed away for too long.
    #[error("given up after {limit:?} (--give-up-after): {reason}")]
    GaveUp {
        /// How long that was.
        limit: Duration,
        /// What did not work.
        reason: String,
    },
    /// The last positions could not be saved.
    #[error(
        "reader {reader} could not leave its group within {limit:?} (--leave-timeout): {reason}; what it read since it last saved its positions will be read again"
    )]
    NotSaved {
        /// Which reader.
        reader: String,
        /// The deadline.
        limit: Duration,
        /// What did not work.
        reason: String,
    },
    /// Events of another kind, or not events at all.
    #[error("segment {segment}: no event begins at offset {offset}; was it written by an event writer?")]
    NotAnEvent {
        /// Which segment.
        segment: String,
        /// Where in it.
        offset: i64,
    },
    /// The ledger cannot be written, so nothing more may be read.
    #[error("--ledger {}: {source}", path.display())]
    Ledger {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store did not do as asked.
    #[error(transparent)]
    #[expect(private_interfaces, reason = "nobody outside looks into it")]
    Store(StoreError),
    /// A fault of the client library or of ours.
    #[error("a fault in this program: {0}")]
    Fault(String),
}

/// Runs the whole command: connect, join, read, leave, report.
pub(crate) async fn run(plan: ReadPlan, client: &ClientRuntime) -> Result<(), Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::Internal(error.to_string());
    let mut signals = Signals::listen().map_err(|error| internal(&error))?;
    let plan = Arc::new(plan);
    let started = clock::wall();
    let latencies = no_latencies().map_err(|error| internal(&error))?;
    let newest = Arc::new(Newest::new(latencies.clone()));
    let _metrics = match plan.metrics {
        Some(address) => Some(MetricsServer::start(address, metrics::registry(&newest)).await?),
        None => None,
    };
    let (shared, members) = tokio::select! {
        ready = prepare(&plan, client, Checks::new(latencies.clone(), plan.keys)) => ready?,
        _ = signals.next() => return Err(Failure::Interrupted),
    };
    let mut progress = Progress::new(&shared, &newest, latencies);
    let (by, errors, saved) = read(&shared, members, &mut progress, &mut signals).await;

    let (sample, latencies, took) = progress.finish();
    let errors_said = errors.iter().map(ToString::to_string).collect();
    let ending = Ending { started, ended: clock::wall(), by, errors: errors_said, positions_saved: saved };
    let summary = Summary::new(&shared, &sample, &latencies, took, &ending);
    report::conclude(&summary, &summary.text(), plan.progress, plan.summary.as_deref())?;
    match errors.into_iter().next() {
        Some(error) => Err(Failure::Read(error)),
        None if !saved => Err(Failure::Interrupted),
        None => Ok(()),
    }
}

/// The readers of this process, in the group, and their workers, not yet at work.
type Members = Vec<Member>;

/// Opens the session, looks at the stream, and lets every reader join.
async fn prepare(
    plan: &Arc<ReadPlan>,
    client: &ClientRuntime,
    checks: Checks,
) -> Result<(Arc<Shared>, Members), Failure> {
    let session = Arc::new(Session::open(plan.session.clone(), client).await?);
    let start = match start(&session, plan).await {
        Err(ReadError::Store(StoreError::Control(error))) => return Err(error.into()),
        other => other?,
    };
    let ledger = match &plan.ledger {
        Some(folder) => {
            let head = Head {
                stream: plan.stream.to_string(),
                group: plan.group.clone(),
                name: plan.name.clone(),
                started: clock::wall().to_string(),
            };
            let created = Ledger::create(folder, &head);
            Some(created.map_err(|source| ReadError::Ledger { path: folder.clone(), source })?)
        }
        None => None,
    };
    let store = Arc::new(Store::new(session));
    let table = || GroupTable::new(Arc::clone(&store), table_of(&plan.stream.scope.name, &plan.group));
    table().create(plan.session.call_timeout).await.map_err(ReadError::Store)?;
    let shared = Arc::new(Shared::new(plan, Arc::clone(&store), checks, ledger));
    let mut members = Vec::new();
    for index in 0..plan.readers {
        let (chunks, to_do) = mpsc::channel(AHEAD);
        let mut member = Member::new(format!("{}-{index}", plan.name), &shared, table(), chunks);
        member.join(start.clone(), clock::now() + plan.session.call_timeout).await?;
        let of_worker = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("reader-{index}"))
            .spawn(move || worker::work(&of_worker, to_do))
            .map_err(|error| Failure::Internal(format!("cannot start a reader's thread: {error}")))?;
        members.push(member);
    }
    tracing::info!(
        "reading {} as {} reader(s) of group {}, counting bases {} time(s) an event",
        plan.stream,
        plan.readers,
        plan.group,
        plan.iterations
    );
    Ok((shared, members))
}

/// Where a new group would begin; an error if there is no such stream.
async fn start(session: &Arc<Session>, plan: &ReadPlan) -> Result<BTreeMap<i64, i64>, ReadError> {
    let missing = |error| match error {
        ControlError::Missing { .. } => ReadError::Missing(plan.stream.to_string()),
        error => ReadError::Store(error.into()),
    };
    session.stream_configuration(&plan.stream).await.map_err(missing)?;
    if !plan.from_tail {
        return session.head(&plan.stream).await.map_err(missing);
    }
    let mut start = BTreeMap::new();
    let store = Store::new(Arc::clone(session));
    for segment in session.tail(&plan.stream).await.map_err(missing)? {
        let tail = store.line(segment_of(&plan.stream, segment)).await?.tail().await?;
        start.insert(segment, tail);
    }
    Ok(start)
}

/// Runs the readers until one of the ends is there, and lets them leave. Returns what ended it, what
/// went wrong, and whether all positions are saved.
async fn read(
    shared: &Arc<Shared>,
    members: Members,
    progress: &mut Progress,
    signals: &mut Signals,
) -> (&'static str, Vec<ReadError>, bool) {
    let stop = tokio_watch::Sender::new(false);
    let mut readers = JoinSet::new();
    for member in members {
        readers.spawn(member.run(stop.subscribe()));
    }
    let tails = tokio::spawn(tails::watch_tails(Arc::clone(shared)));
    let by = tokio::select! {
        by = until_an_end(shared, progress) => by,
        name = signals.next() => {
            tracing::info!("{name}: handing the segments over to the others");
            "signal"
        }
        () = shared.failed() => "failure",
    };
    stop.send_replace(true);
    let mut leaving = Vec::new();
    let saved = tokio::select! {
        // A worker with an event in hand that takes long is not in this deadline.
        all = timeout(shared.plan.leave_timeout * 2, leave(&mut readers, &mut leaving)) => all.is_ok(),
        name = signals.next() => {
            tracing::warn!("{name} again: left without saving the last positions");
            false
        }
    };
    tails.abort();
    let saved = saved && leaving.is_empty();
    let errors = shared.take_failure().into_iter().chain(leaving).collect();
    (by, errors, saved)
}

async fn leave(readers: &mut JoinSet<Result<(), ReadError>>, errors: &mut Vec<ReadError>) {
    while let Some(left) = readers.join_next().await {
        let error = match left {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(join) => ReadError::Fault(join.to_string()),
        };
        errors.push(error);
    }
}

/// Shows progress, and keeps the ledger, until there is a reason to end.
async fn until_an_end(shared: &Arc<Shared>, progress: &mut Progress) -> &'static str {
    let plan = &shared.plan;
    let begun = clock::now();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second.tick().await;
    let mut often = interval(LEDGER_EVERY);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.at_the_end() => return "end of stream",
            _ = often.tick() => {
                if let Err(error) = shared.record(std::iter::empty()) {
                    shared.fail(error);
                }
                if plan.events.is_some_and(|limit| shared.counts().events >= limit) {
                    return "events";
                }
                if plan.duration.is_some_and(|limit| clock::now() - begun >= limit) {
                    return "duration";
                }
            }
            _ = second.tick() => {
                let sample = progress.sample();
                if is_idle(plan, &sample, progress.quiet_for()) {
                    return "idle";
                }
                if let Some((lasting, reason)) = shared.troubles.longest()
                    && lasting >= plan.give_up_after
                {
                    shared.fail(ReadError::GaveUp { limit: plan.give_up_after, reason });
                }
            }
        }
    }
}

fn is_idle(plan: &ReadPlan, sample: &Sample, quiet_for: Duration) -> bool {
    plan.until_idle.is_some_and(|limit| sample.has_caught_up() && quiet_for >= limit)
}
