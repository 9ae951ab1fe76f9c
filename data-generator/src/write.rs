//! `write`, from the plan to the summary: read [`run`] first.

mod metrics;
mod outlet;
mod progress;
mod routing;
mod segments;
mod stall;
mod summary;
mod tally;
mod window;
mod writer;

pub use routing::{Routing, Zipf};

use crate::args::ProgressMode;
use crate::clock;
use crate::event::EventSize;
use crate::exit::Failure;
use crate::metrics_server::MetricsServer;
use crate::pace::{Limits, Load};
use crate::pravega::{ClientRuntime, Session, SessionOptions};
use crate::report;
use crate::signals::Signals;
use crate::stream::{Found, StreamPlan};
use metrics::WriteMetrics;
use outlet::PravegaOutlet;
use progress::Progress;
use prometheus_client::registry::Registry;
use segments::SegmentWatch;
use stall::StallWatch;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use summary::{Ending, Summary};
use tally::{Tally, no_latencies};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use writer::{Ended, Start, WriteError, Writer};

/// Everything `write` needs to know, checked.
pub struct WritePlan {
    /// Which Pravega, and as whom.
    pub session: SessionOptions,
    /// Which stream.
    pub stream: StreamPlan,
    /// Which load.
    pub load: Arc<Load>,
    /// Where the load ends early.
    pub limits: Limits,
    /// How many writers share it.
    pub writers: u32,
    /// Id of the first.
    pub first_writer: u32,
    /// Size of each event.
    pub event_size: EventSize,
    /// How events choose their segment.
    pub routing: Routing,
    /// Events that a writer may have unacknowledged.
    pub window: u32,
    /// How long an event may stay unacknowledged.
    pub give_up_after: Duration,
    /// How long to wait for acknowledgements after a signal.
    pub flush_timeout: Duration,
    /// How to show progress.
    pub progress: ProgressMode,
    /// Where to put the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
}

/// Runs the whole command: connect, see to the stream, write, report.
pub(crate) async fn run(plan: WritePlan, client: &ClientRuntime) -> Result<(), Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::Internal(error.to_string());
    let mut signals = Signals::listen().map_err(|error| internal(&error))?;
    let plan = Arc::new(plan);
    let mut registry = Registry::with_prefix("data_generator");
    let metrics = WriteMetrics::register(&mut registry);
    let _server = match plan.metrics {
        Some(address) => Some(MetricsServer::start(address, registry).await?),
        None => None,
    };
    let session = tokio::select! {
        session = prepare(&plan, client) => Arc::new(session?),
        _ = signals.next() => return Err(Failure::Interrupted),
    };

    let latencies = no_latencies().map_err(|error| internal(&error))?;
    let tallies: Vec<Arc<Tally>> = (0..plan.writers).map(|_| Arc::new(Tally::new(latencies.clone()))).collect();
    let start = Start { steady: clock::now(), wall: clock::wall() };
    let mut progress = Progress::new(&plan, &tallies, start, latencies, metrics);
    let ending = write(&plan, &session, &tallies, start, &mut progress, &mut signals).await;
    let latencies = progress.into_latencies();

    let summary = Summary::new(&plan, &tallies, start, &latencies, &ending);
    report::conclude(&summary, &summary.text(), plan.progress, plan.summary.as_deref())?;
    let deleted = delete(&plan, &session, &mut signals).await;
    conclude(&tallies, ending).and(deleted)
}

/// Deletes the stream if that was asked for; a signal cuts it short.
async fn delete(plan: &WritePlan, session: &Session, signals: &mut Signals) -> Result<(), Failure> {
    if !plan.stream.delete_on_exit {
        return Ok(());
    }
    let stream = plan.stream.scoped();
    let deleted = tokio::select! {
        deleted = session.delete_stream(&stream) => deleted,
        _ = signals.next() => return Err(Failure::Interrupted),
    };
    match &deleted {
        Ok(true) => tracing::info!("deleted {stream}"),
        Ok(false) => tracing::info!("{stream} was deleted already"),
        Err(error) => tracing::error!("{stream} is not deleted: {error}"),
    }
    deleted.map(|_| ()).map_err(Failure::from)
}

/// Opens the session and sees to the stream.
async fn prepare(plan: &WritePlan, client: &ClientRuntime) -> Result<Session, Failure> {
    let session = Session::open(plan.session.clone(), client).await?;
    let name = plan.stream.scoped();
    match plan.stream.ensure(&session).await? {
        Found::Created => tracing::info!("created {name}: {}", plan.stream),
        Found::Existing { policies } => tracing::info!("{name} exists: {policies}"),
        Found::Updated { from, to } => tracing::info!("{name} exists and is updated: it had {from}; now {to}"),
    }
    tracing::info!("writing {} with {} writer(s), {} bytes an event", plan.load, plan.writers, plan.event_size.bytes());
    Ok(session)
}

/// Runs the writers until all have ended: with their schedule, after a signal, or because one failed.
async fn write(
    plan: &Arc<WritePlan>,
    session: &Arc<Session>,
    tallies: &[Arc<Tally>],
    start: Start,
    progress: &mut Progress,
    signals: &mut Signals,
) -> Ending {
    let stop = watch::Sender::new(false);
    let mut writers = JoinSet::new();
    for (index, tally) in (0..plan.writers).zip(tallies) {
        let outlet = PravegaOutlet::new(session, plan.stream.scoped());
        let writer = Writer::new(index, plan, outlet, tally, start, stop.subscribe());
        writers.spawn(writer.run());
    }
    let mut watch = SegmentWatch::start(Arc::clone(session), plan.stream.scoped(), start);
    let mut stall = StallWatch::new(Arc::clone(session), plan.stream.scoped(), plan.give_up_after);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second.tick().await;

    let mut ended: Vec<Ended> = Vec::new();
    let mut errors: Vec<String> = Vec::new();
    let mut stopped = None;
    let mut left = false;
    loop {
        tokio::select! {
            outcome = writers.join_next() => {
                let error = match outcome {
                    None => break,
                    Some(Ok(writer)) => {
                        let error = writer.error.as_ref().map(ToString::to_string);
                        ended.push(writer);
                        error
                    }
                    Some(Err(join)) if join.is_cancelled() => None,
                    Some(Err(join)) => Some(format!("a writer ended by a fault in this program: {join}")),
                };
                if let Some(error) = error {
                    tracing::error!("{error}");
                    errors.push(error);
                    // The load is no longer the one asked for; the others finish what they began.
                    stop.send_replace(true);
                }
            }
            _ = second.tick() => {
                let now = clock::now();
                progress.sample(now, *stop.borrow(), &watch.seen());
                stall.observe(now, progress.waiting(now));
            }
            // The writers find out by themselves, unless they have nothing to send just then.
            () = watch.closed(), if !*stop.borrow() => {
                stop.send_replace(true);
            }
            name = signals.next() => {
                if stopped.is_some() {
                    errors.push(format!("{name} again: left without waiting for acknowledgements"));
                    left = true;
                    writers.abort_all();
                } else {
                    stopped = Some(start.elapsed(clock::now()));
                    tracing::info!(
                        "{name}: no more events; waiting up to {:?} for acknowledgements",
                        plan.flush_timeout
                    );
                    stop.send_replace(true);
                }
            }
        }
    }
    let now = clock::now();
    let seen = watch.seen();
    if let (Some(closed), true) = (&seen.closed, errors.is_empty()) {
        errors.push(closed.to_string());
    }
    Ending { now, stopped, left, writers: ended, errors, seen }
}

/// The exit: well only if every event written was acknowledged.
fn conclude(tallies: &[Arc<Tally>], ending: Ending) -> Result<(), Failure> {
    let written: u64 = tallies.iter().map(|tally| tally.written.load(Relaxed)).sum();
    let acknowledged: u64 = tallies.iter().map(|tally| tally.acknowledged.load(Relaxed)).sum();
    let failed = written - acknowledged;
    let closed = ending.writers.iter().any(|writer| matches!(writer.error, Some(WriteError::Closed { .. })));
    let closed = closed || ending.seen.closed.is_some();
    match ending.errors.into_iter().next() {
        _ if ending.left => Err(Failure::Interrupted),
        _ if failed > 0 => Err(Failure::Lost { failed }),
        Some(error) if closed => Err(Failure::Closed(error)),
        Some(error) => Err(Failure::Internal(error)),
        None => Ok(()),
    }
}
