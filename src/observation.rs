//! What one look at the world saw. Every reading carries its time; what could not be read is
//! `None`, never zero.

mod flink;
mod leadership;
mod pool;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use flink::{
    Bounds, Checkpoint, Checkpoints, Flink, FlinkVersion, Job, JobState, Registered, Rescale, Scheduler, Vertex,
};
pub use leadership::Leadership;
pub use pool::{Annotations, Choice, Member, Pool, Shortage, ShortageCause};

use crate::units::Segments;

/// A value and when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading<T> {
    /// When the answer arrived.
    pub at: Timestamp,
    /// What it said.
    pub value: T,
}

impl<T> Reading<T> {
    /// How old the reading is. One from the future is of unknown age, since the clock was set back
    /// meanwhile: older than anything. A second of disagreement is nothing.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        const JITTER: Duration = Duration::from_secs(1);
        match Duration::try_from(now.duration_since(self.at)) {
            Ok(age) => age,
            Err(_) if self.at <= now + JITTER => Duration::ZERO,
            Err(_) => Duration::MAX,
        }
    }
}

/// All that is known at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The streams that the job reads, in the order of the configuration.
    pub streams: Vec<Stream>,
    /// Flink's REST API.
    pub flink: Option<Reading<Flink>>,
    /// The owner of the TaskManagers: a Deployment or the local process pool.
    pub pool: Option<Reading<Pool>>,
    /// The checkpoint that the change in flight asked for; `None` when there is no such change or
    /// Flink could not be asked.
    pub checkpoint: Option<Operation>,
    /// The savepoint that the change in flight asked for, likewise.
    pub savepoint: Option<Operation>,
    /// Who paused the agent, if anybody did.
    pub paused_by: Option<String>,
    /// Whether this agent is the one that may act.
    pub leadership: Leadership,
    /// The configuration cannot be acted on, and why.
    pub config_problem: Option<String>,
}

/// A Pravega stream by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamName {
    /// The scope the stream lives in.
    pub scope: String,
    /// Its name in that scope.
    pub stream: String,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope, self.stream)
    }
}

/// One stream and its last good reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Which stream.
    pub name: StreamName,
    /// Its shape, if it has ever been read.
    pub shape: Option<Reading<StreamShape>>,
}

/// How a stream is split at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamShape {
    /// Open segments. A sealed stream has none.
    pub segments: Segments,
    /// The newest epoch in which one of them was created: it rises with every scale of the stream. `None` if
    /// the source does not tell.
    pub epoch: Option<u32>,
}

impl fmt::Display for StreamShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} segments", self.segments)?;
        self.epoch.map_or(Ok(()), |epoch| write!(f, ", epoch {epoch}"))
    }
}

/// How an operation that was triggered over REST stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Flink has never heard of the trigger id: it was not triggered, or the JobManager is new.
    NotTriggered,
    /// Flink is at it.
    InProgress,
    /// The checkpoint completed.
    Completed {
        /// Flink's number for the checkpoint.
        checkpoint: u64,
    },
    /// The savepoint completed.
    Stored {
        /// Where it is.
        location: String,
    },
    /// It failed. Flink reports this as `COMPLETED` with a cause.
    Failed {
        /// The first line of the cause.
        cause: String,
    },
}
