//! How wide a job may be, on which TaskManagers it runs, and how it was rescaled.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sluice_core::{Bounds, Parallelism, Rescale};

use super::moment;

/// `GET /jobs/:id/resource-requirements`, and the body of `PUT`: by vertex.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::flink) struct Requirements(BTreeMap<String, Requirement>);

#[derive(Debug, Deserialize, Serialize)]
struct Requirement {
    parallelism: Range,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    lower_bound: u32,
    upper_bound: u32,
}

impl From<&BTreeMap<String, Bounds>> for Requirements {
    fn from(bounds: &BTreeMap<String, Bounds>) -> Self {
        let requirement = |bounds: &Bounds| Requirement {
            parallelism: Range { lower_bound: bounds.lower.0, upper_bound: bounds.upper.0 },
        };
        Self(bounds.iter().map(|(vertex, bounds)| (vertex.clone(), requirement(bounds))).collect())
    }
}

impl Requirements {
    /// Tells each vertex its bounds.
    pub(in crate::flink) fn tell(&self, vertices: &mut [sluice_core::Vertex]) {
        for vertex in vertices {
            vertex.bounds = self.0.get(&vertex.id).map(|requirement| Bounds {
                lower: Parallelism(requirement.parallelism.lower_bound),
                upper: Parallelism(requirement.parallelism.upper_bound),
            });
        }
    }
}

/// `GET /jobs/:id/vertices/:id/taskmanagers`, which Flink caches as it does the job's details.
#[derive(Debug, Deserialize)]
pub(in crate::flink) struct TaskManagersOfVertex {
    taskmanagers: Vec<TaskManagerOfVertex>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TaskManagerOfVertex {
    taskmanager_id: String,
    status_counts: HashMap<String, u32>,
}

impl TaskManagersOfVertex {
    /// The TaskManagers that run a subtask of a vertex of this parallelism; `None` if the answer shows
    /// another parallelism, or subtasks that have no place yet.
    pub(in crate::flink) fn busy(self, parallelism: Parallelism) -> Option<Vec<String>> {
        const PLACED: [&str; 5] = ["RUNNING", "INITIALIZING", "DEPLOYING", "CANCELING", "FINISHED"];
        let counts = || self.taskmanagers.iter().flat_map(|at| &at.status_counts);
        let all: u32 = counts().map(|(_, n)| *n).sum();
        let placed: u32 = counts().filter(|(status, _)| PLACED.contains(&status.as_str())).map(|(_, n)| *n).sum();
        (all == parallelism.0 && placed == all)
            .then(|| self.taskmanagers.into_iter().map(|at| at.taskmanager_id).collect())
    }
}

/// `GET /jobs/:id/rescales/overview`, from 2.3 on.
#[derive(Debug, Deserialize)]
pub(in crate::flink) struct Rescales {
    latest: LatestRescales,
}

#[derive(Debug, Deserialize)]
struct LatestRescales {
    completed: Option<CompletedRescale>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletedRescale {
    start_timestamp_in_millis: i64,
    end_timestamp_in_millis: i64,
}

impl Rescales {
    pub(in crate::flink) fn last(&self) -> Option<Rescale> {
        let last = self.latest.completed.as_ref()?;
        Some(Rescale { started: moment(last.start_timestamp_in_millis)?, ended: moment(last.end_timestamp_in_millis)? })
    }
}
