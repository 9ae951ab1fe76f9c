//! What was decided, complete enough to carry out, print, count and replay.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Direction},
    memory::Edit,
    observation::{JobState, Shortage, StreamName},
    units::TaskManagers,
};

/// The outcome of one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Leave everything as it is.
    Hold(Hold),
    /// Begin this change.
    Start(Change),
    /// Give the change in flight, whose restart is not yet triggered, this new target.
    Retarget(Change),
    /// Drop the change in flight: it has touched nothing yet, and is no longer wanted.
    Abandon(Change),
}

impl Decision {
    /// The kind of decision in logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Start(_) => "start",
            Self::Retarget(_) => "retarget",
            Self::Abandon(_) => "abandon",
        }
    }

    /// Why: the reason to hold, or the direction of the change.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Hold(hold) => hold.as_str(),
            Self::Start(change) | Self::Retarget(change) | Self::Abandon(change) => change.direction.as_str(),
        }
    }

    /// Every kind with every reason it can have: the closed set of labels.
    pub fn labels() -> impl Iterator<Item = (&'static str, &'static str)> {
        let holds = Hold::REASONS.iter().map(|reason| ("hold", *reason));
        let changes = ["start", "retarget", "abandon"].into_iter().flat_map(|kind| [(kind, "up"), (kind, "down")]);
        holds.chain(changes)
    }
}

impl Decision {
    /// Why, in words and without a moment of the clock.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Hold(hold) => hold.in_words(),
            Self::Abandon(change) => {
                let then = if change.direction == Direction::Down { "widened" } else { "narrowed" };
                format!("change {} is dropped: the stream {then} again", change.id)
            }
            Self::Start(change) | Self::Retarget(change) => format!(
                "{} segments want parallelism {} on {} TaskManagers (now {} on {})",
                change.segments,
                change.to.parallelism,
                change.to.task_managers,
                change.from.parallelism,
                change.from.task_managers,
            ),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(hold) => write!(f, "hold: {hold}"),
            Self::Abandon(_) => write!(f, "abandon: {}", self.in_words()),
            Self::Start(_) | Self::Retarget(_) => write!(f, "{} {}: {}", self.kind(), self.reason(), self.in_words()),
        }
    }
}

/// Something that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The segments of one stream, from the Pravega controller.
    Stream(StreamName),
    /// Flink's REST API.
    Flink,
    /// The job's resource requirements, from Flink's REST API.
    Requirements,
    /// The owner of the TaskManagers.
    TaskManagers,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(name) => write!(f, "the segments of stream {name}"),
            Self::Flink => f.write_str("Flink's REST API"),
            Self::Requirements => f.write_str("the resource requirements of the job"),
            Self::TaskManagers => f.write_str("the owner of the TaskManagers"),
        }
    }
}

/// Why nothing is changed. The set is closed: each reason is a label value, an Event reason and a
/// chapter of the operations guide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[allow(missing_docs)] // The fields are what `Display` puts into words, right below.
pub enum Hold {
    /// Something has never been read, or not since the agent started.
    Unreadable { source: Source },
    /// The last good reading is too old to act on.
    Stale { source: Source, age: Duration },
    /// A sealed stream reports 0 segments: that is not a width.
    SealedStream { stream: StreamName },
    /// Both widths match and the job runs.
    InStep,
    /// A person paused the agent.
    Paused { by: String },
    /// Another agent holds the lead.
    NotLeader { leader: String },
    /// Which agent leads cannot be told.
    NoLease { problem: String },
    /// There is no job that could be changed.
    JobNotRunning { jobs: usize, state: Option<JobState> },
    /// A change is being carried out.
    RescaleInFlight { id: u64, meanwhile: Option<Box<Hold>> },
    /// The wanted width has not stood long enough.
    Settling { until: Timestamp },
    /// The last change ended too short a time ago.
    CoolingDown { until: Timestamp },
    /// Within the window a wider job was wanted, or the window is not yet known whole.
    ScaleDownWindow { until: Timestamp },
    /// The job is behind: narrower it would stay behind.
    CatchingUp { pending: Option<u64> },
    /// The job has been restarted often enough for an hour.
    RestartBudgetSpent { until: Timestamp },
    /// Fewer TaskManagers come than were asked for.
    CapacityLimited { registered: TaskManagers, until: Option<Timestamp>, shortage: Option<Shortage> },
    /// A HorizontalPodAutoscaler or ScaledObject acts on the same Deployment.
    AnotherAutoscaler { name: String },
    /// Somebody else keeps changing the number of TaskManagers, or the job's resource requirements.
    Contested { found: Edit, until: Timestamp },
    /// The configuration cannot be acted on.
    BadConfig { problem: String },
}

impl Hold {
    /// All reasons, in the order in which they are looked for.
    pub const REASONS: [&str; 18] = [
        "bad_config",
        "not_leader",
        "no_lease",
        "rescale_in_flight",
        "paused",
        "unreadable",
        "stale",
        "sealed_stream",
        "another_autoscaler",
        "job_not_running",
        "contested",
        "capacity_limited",
        "in_step",
        "settling",
        "scale_down_window",
        "catching_up",
        "cooling_down",
        "restart_budget_spent",
    ];

    /// The one name of the reason, in log, metric, Event and docs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Stale { .. } => "stale",
            Self::SealedStream { .. } => "sealed_stream",
            Self::InStep => "in_step",
            Self::Paused { .. } => "paused",
            Self::NotLeader { .. } => "not_leader",
            Self::NoLease { .. } => "no_lease",
            Self::JobNotRunning { .. } => "job_not_running",
            Self::RescaleInFlight { .. } => "rescale_in_flight",
            Self::Settling { .. } => "settling",
            Self::CoolingDown { .. } => "cooling_down",
            Self::ScaleDownWindow { .. } => "scale_down_window",
            Self::CatchingUp { .. } => "catching_up",
            Self::RestartBudgetSpent { .. } => "restart_budget_spent",
            Self::CapacityLimited { .. } => "capacity_limited",
            Self::AnotherAutoscaler { .. } => "another_autoscaler",
            Self::Contested { .. } => "contested",
            Self::BadConfig { .. } => "bad_config",
        }
    }

    /// When this reason ends by itself, if time alone ends it.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Settling { until }
            | Self::CoolingDown { until }
            | Self::ScaleDownWindow { until }
            | Self::RestartBudgetSpent { until }
            | Self::Contested { until, .. } => Some(*until),
            Self::CapacityLimited { until, .. } => *until,
            _ => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words())?;
        match self.until() {
            Some(until) => write!(f, ", until {until:.0}"),
            None => Ok(()),
        }
    }
}

impl Hold {
    /// Why, in words and without a moment of the clock: that is [`Hold::until`].
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Unreadable { source } => format!("{source} cannot be read"),
            Self::Stale { source, age } => format!("the last reading of {source} is {} s old", age.as_secs()),
            Self::SealedStream { stream } => {
                format!("stream {stream} is sealed: it has no open segment to follow")
            }
            Self::InStep => "the job is as wide as the stream".into(),
            Self::Paused { by } => format!("paused by {by}"),
            Self::NotLeader { leader } => format!("another agent, {leader}, holds the lead"),
            Self::JobNotRunning { jobs: 0, .. } => "there is no such job on the Flink cluster".into(),
            Self::JobNotRunning { jobs: 1, state } => {
                format!("the job is {}", state.map_or("not readable", JobState::as_str))
            }
            Self::JobNotRunning { jobs, .. } => {
                format!("there are {jobs} jobs on the Flink cluster; Sluice follows an application cluster with one")
            }
            Self::RescaleInFlight { id, meanwhile: None } => format!("change {id} is being carried out"),
            Self::RescaleInFlight { id, meanwhile: Some(hold) } => {
                format!("change {id} is being carried out, but {}", hold.in_words())
            }
            Self::Settling { .. } => "settling after a change of the stream".into(),
            Self::CoolingDown { .. } => "cooling down after the last change".into(),
            Self::ScaleDownWindow { .. } => {
                "a wider job was wanted within the scale-down window, or may have been".into()
            }
            Self::CatchingUp { pending: Some(pending) } => {
                format!("the job is catching up: {pending} records are not read yet")
            }
            Self::CatchingUp { pending: None } => {
                "the job may be catching up: no checkpoint has completed since its last restart".into()
            }
            Self::RestartBudgetSpent { .. } => "the restarts that an hour allows for such a change are spent".into(),
            Self::CapacityLimited { registered, shortage, .. } => {
                let why = shortage.as_ref().map_or_else(String::new, |shortage| format!(": {shortage}"));
                format!("only {registered} TaskManagers are registered at Flink, fewer than asked for{why}")
            }
            Self::AnotherAutoscaler { name } => format!("{name} scales the same TaskManagers: remove one of the two"),
            Self::Contested { found, .. } => format!("somebody else set {found}, again: standing back"),
            Self::BadConfig { problem } | Self::NoLease { problem } => problem.clone(),
        }
    }
}
