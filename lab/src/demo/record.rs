//! What is noted of the run, once a second: the numbers, what was said, and when the stream changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::admin::Admin;
use crate::clock;
use crate::rig::{AgentApi, Generator};

/// Between two looks at the stream.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// The numbers of one second. What is not known is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// Seconds since the start.
    pub at: f64,
    /// Events per second acknowledged by Pravega.
    pub rate: f64,
    /// Open segments, by the controller itself.
    pub segments: Option<u64>,
    /// TaskManagers that the agent wants.
    pub wanted: Option<u64>,
    /// TaskManagers registered at Flink.
    pub task_managers: Option<u64>,
    /// The job's parallelism; 0 while it does not run.
    pub parallelism: Option<u64>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Seconds since the start.
    pub at: f64,
    /// What.
    pub text: String,
}

/// The stream was first seen with another number of segments.
#[derive(Clone, Copy, Debug)]
pub struct SegmentChange {
    /// When.
    pub at: Timestamp,
    /// To how many.
    pub to: u64,
}

/// Everything noted so far.
#[derive(Debug)]
pub struct Record {
    begun: Instant,
    /// What the story is at.
    pub stage: String,
    /// The agent's last decision, in words.
    pub because: String,
    /// One for each second.
    pub samples: Vec<Sample>,
    /// In order.
    pub events: Vec<Event>,
    /// In order.
    pub segment_changes: Vec<SegmentChange>,
    /// The load that is being written.
    pub generator: Option<Generator>,
}

/// The record, shared by the story, the recorder and the screen.
#[derive(Clone, Debug)]
pub struct Board(Arc<Mutex<Record>>);

impl Board {
    /// Begins now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Record {
            begun: clock::now(),
            stage: String::new(),
            because: String::new(),
            samples: Vec::new(),
            events: Vec::new(),
            segment_changes: Vec::new(),
            generator: None,
        })))
    }

    /// The record; never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The story goes on.
    pub fn stage(&self, text: impl Into<String>) {
        let mut record = self.lock();
        record.stage = text.into();
        let text = record.stage.clone();
        record.event(text);
    }
}

impl Record {
    /// Seconds since the start.
    pub fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn event(&mut self, text: String) {
        let at = self.elapsed();
        self.events.push(Event { at, text });
    }
}

/// Looks at the stream often, and takes a sample every second. Ends when it is dropped.
pub async fn record(board: Board, admin: Admin, scope: &str, stream: &str, agent: AgentApi) {
    let mut last: Option<u64> = None;
    let mut decision = String::new();
    for look in 0_u64.. {
        let segments = admin.segments(scope, stream).await.ok().map(|segments| segments.len() as u64);
        if let (Some(from), Some(to)) = (last, segments)
            && from != to
        {
            let mut record = board.lock();
            record.segment_changes.push(SegmentChange { at: now(), to });
            record.event(format!("the stream has {to} segments instead of {from}"));
        }
        last = segments.or(last);
        if look % 5 == 0 {
            sample(&board, &agent, segments, &mut decision).await;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

async fn sample(board: &Board, agent: &AgentApi, segments: Option<u64>, decision: &mut String) {
    let look = agent.look().await.ok().flatten();
    let mut record = board.lock();
    let rate = record.generator.as_mut().map_or(0.0, Generator::rate);
    let mut sample = Sample { at: record.elapsed(), rate, segments, ..Sample::default() };
    if let Some(look) = look {
        sample.wanted = look.wanted();
        sample.task_managers = look.registered();
        let running = look.job_state() == Some("RUNNING");
        sample.parallelism = if running { look.parallelism() } else { look.job_state().map(|_| 0) };
        look.because().clone_into(&mut record.because);
        if look.reason() != decision {
            look.reason().clone_into(decision);
            record.event(format!("agent: {}", look.because()));
        }
    }
    record.samples.push(sample);
}

/// The wall clock, which the agent's history is stamped with too.
#[expect(clippy::disallowed_methods, reason = "the demo watches real time")]
fn now() -> Timestamp {
    Timestamp::now()
}
