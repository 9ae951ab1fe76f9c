//! From segments to the width that the job should have, and what bounded it.

use serde::{Deserialize, Serialize};

use crate::{
    policy::Policy,
    units::{Parallelism, TaskManagers},
};

/// How wide a job is, or should be. Both numbers travel together: five segments on TaskManagers of
/// four slots are parallelism 5 on 2 TaskManagers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Width {
    /// Subtasks of each data-parallel operator.
    pub parallelism: Parallelism,
    /// TaskManagers that hold them.
    pub task_managers: TaskManagers,
}

/// What kept a width from being what the segments alone ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// `--min-task-managers`.
    Min,
    /// `--max-task-managers`.
    Max,
    /// The job's max parallelism.
    MaxParallelism,
    /// The capacity that an earlier change ran into.
    Capacity,
}

impl Limit {
    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min_task_managers",
            Self::Max => "max_task_managers",
            Self::MaxParallelism => "max_parallelism",
            Self::Capacity => "capacity",
        }
    }
}

/// The width that is wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What the segments ask for, before any bound.
    pub unbounded: Parallelism,
    /// What is asked of Flink and of the TaskManagers' owner.
    pub width: Width,
    /// The bound that tells the two apart.
    pub limit: Option<Limit>,
}

impl Wanted {
    /// Bounds `unbounded` by the policy, by the job's max parallelism and by what earlier changes
    /// learned about the cluster, in this order; the last bound that bites is named.
    #[must_use]
    pub fn new(
        unbounded: Parallelism,
        policy: &Policy,
        max_parallelism: Parallelism,
        capacity: Option<TaskManagers>,
    ) -> Self {
        let slots = policy.slots_per_task_manager();
        let mut limit = None;
        let mut parallelism = unbounded;
        if parallelism > max_parallelism {
            parallelism = max_parallelism;
            limit = Some(Limit::MaxParallelism);
        }
        let busy = TaskManagers::holding(parallelism, slots);
        let mut task_managers = TaskManagers(busy.0.saturating_add(policy.spare_task_managers().0));
        if task_managers < policy.min_task_managers() {
            task_managers = policy.min_task_managers();
            limit = Some(Limit::Min);
        }
        if task_managers > policy.max_task_managers() {
            task_managers = policy.max_task_managers();
            limit = Some(Limit::Max);
        }
        if let Some(capacity) = capacity
            && task_managers > capacity
        {
            // A capacity below the minimum would be a shortage, not a reason to go below it.
            task_managers = capacity.max(policy.min_task_managers());
            limit = Some(Limit::Capacity);
        }
        let parallelism = parallelism.min(Parallelism(task_managers.slots(slots).0)).max(Parallelism(1));
        Self { unbounded, width: Width { parallelism, task_managers }, limit }
    }
}
