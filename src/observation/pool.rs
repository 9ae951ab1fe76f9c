//! The owner of the TaskManagers: what it is asked for, what it has, and what keeps it from more.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::units::TaskManagers;

/// The owner of the TaskManagers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// How many are asked for.
    pub replicas: TaskManagers,
    /// How many run (processes alive, pods Ready). Running is not yet registered at Flink.
    pub ready: TaskManagers,
    /// The members by name that are not on their way out; `None` if that was not asked.
    pub members: Option<Vec<Member>>,
    /// How the owner is told which members to stop.
    pub choice: Choice,
    /// The owner replaces its members (a rollout): which of them go is not Sluice's choice now.
    pub replacing: bool,
    /// Another autoscaler that acts on the same owner, as `Kind/name`.
    pub other_autoscaler: Option<String>,
    /// Why members do not come, if the owner says so.
    pub shortage: Option<Shortage>,
    /// What a person asks of the agent while it runs, written beside the members.
    pub annotations: Annotations,
}

/// Why members that are asked for do not come, or do not stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which of the known causes.
    pub cause: ShortageCause,
    /// What Kubernetes says of it.
    pub message: String,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.in_words(), self.message)
    }
}

/// The causes of a shortage. The set is closed: each is a label value and the reason of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortageCause {
    /// A quota of the namespace is used up: the pods do not even exist.
    QuotaExceeded,
    /// The pods are refused for another reason, by an admission plugin for instance.
    PodsRefused,
    /// No node has room for them.
    Unschedulable,
    /// Their image cannot be pulled.
    ImageNotPulled,
    /// Their container cannot be made: a ConfigMap or Secret is missing, or the command is wrong.
    ContainerNotCreated,
    /// They end as soon as they have started, again and again.
    CrashLooping,
}

impl ShortageCause {
    /// Every cause; where several apply, the first is told.
    pub const ALL: [Self; 6] = [
        Self::QuotaExceeded,
        Self::PodsRefused,
        Self::Unschedulable,
        Self::ImageNotPulled,
        Self::ContainerNotCreated,
        Self::CrashLooping,
    ];

    /// The one name of the cause, in log, metric, Event and docs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "quota_exceeded",
            Self::PodsRefused => "pods_refused",
            Self::Unschedulable => "unschedulable",
            Self::ImageNotPulled => "image_not_pulled",
            Self::ContainerNotCreated => "container_not_created",
            Self::CrashLooping => "crash_looping",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "a quota of the namespace is used up",
            Self::PodsRefused => "the cluster refuses new pods",
            Self::Unschedulable => "no node has room for a pod",
            Self::ImageNotPulled => "the image of a pod cannot be pulled",
            Self::ContainerNotCreated => "the container of a pod cannot be made",
            Self::CrashLooping => "a pod ends as soon as it has started, again and again",
        }
    }
}

/// What a person asks of the agent while it runs, as text: annotations of the Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotations {
    /// [`Annotations::PAUSED`].
    pub paused: Option<String>,
    /// [`Annotations::MIN_TASK_MANAGERS`].
    pub min_task_managers: Option<String>,
    /// [`Annotations::MAX_TASK_MANAGERS`].
    pub max_task_managers: Option<String>,
}

impl Annotations {
    /// `"true"` pauses the agent: what is in flight is finished, and nothing new is begun.
    pub const PAUSED: &str = "sluice.pravega.io/paused";
    /// Takes the place of `--min-task-managers`.
    pub const MIN_TASK_MANAGERS: &str = "sluice.pravega.io/min-task-managers";
    /// Takes the place of `--max-task-managers`.
    pub const MAX_TASK_MANAGERS: &str = "sluice.pravega.io/max-task-managers";
}

/// How the owner of the TaskManagers is told which of them to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// By name, with the new number.
    #[default]
    ByName,
    /// It stops the members first that were marked before
    /// (`controller.kubernetes.io/pod-deletion-cost`).
    ByMark,
}

/// One TaskManager of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, which is also its `taskmanager.resource-id`.
    pub id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// It runs (a process that is alive, a pod that is Ready).
    pub ready: bool,
    /// It is marked to be stopped first.
    pub marked: bool,
}
