//! The few questions that the lab asks Flink's REST API.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::FlinkError;
use super::security::RestSecurity;
use crate::rest;

/// What a job is doing, as the REST API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// Flink's word: `RUNNING`, `RESTARTING`, `FAILED`, ...
    pub state: String,
    /// The parallelism of its widest step; 0 as long as none is known.
    pub parallelism: u32,
    /// How many tasks it has in all.
    pub tasks: u32,
    /// How many of them run.
    pub running: u32,
}

impl JobStatus {
    /// Whether it runs, completely, with this parallelism.
    #[must_use]
    pub fn runs_at(&self, parallelism: u32) -> bool {
        self.state == "RUNNING" && self.parallelism == parallelism && self.running == self.tasks
    }

    /// Whether it is over for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "FAILED" | "CANCELED" | "FINISHED" | "SUSPENDED")
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, parallelism, tasks, running } = self;
        write!(f, "{state} with parallelism {parallelism}, {running} of {tasks} tasks running")
    }
}

/// A `TaskManager` that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManager {
    /// Its id.
    pub id: String,
    /// Its slots.
    pub slots_number: u32,
    /// Those of its slots that do nothing.
    pub free_slots: u32,
}

/// The checkpoints of a job since its `JobManager` started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// How many are complete.
    pub completed: u64,
    /// How many have failed.
    pub failed: u64,
    /// How often the job went back to one: once for every restart, a change of width included.
    pub restored: u64,
    /// When the last complete one was begun.
    pub last_begun: Option<Timestamp>,
    /// The number of the last complete one.
    pub last: Option<u64>,
    /// Where that one is, if it is kept outside.
    pub last_path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Jobs {
    jobs: Vec<JobIdentity>,
}

#[derive(Debug, Deserialize)]
struct JobIdentity {
    id: String,
}

#[derive(Debug, Deserialize)]
struct JobAnswer {
    state: String,
    vertices: Vec<Vertex>,
}

#[derive(Debug, Deserialize)]
struct Vertex {
    parallelism: u32,
    tasks: BTreeMap<String, u32>,
}

#[derive(Debug, Deserialize)]
struct TaskManagersAnswer {
    taskmanagers: Vec<TaskManager>,
}

#[derive(Debug, Deserialize)]
struct CheckpointsAnswer {
    counts: CheckpointCounts,
    latest: LatestCheckpoints,
}

#[derive(Debug, Deserialize)]
struct CheckpointCounts {
    completed: u64,
    failed: u64,
    restored: u64,
}

#[derive(Debug, Deserialize)]
struct LatestCheckpoints {
    completed: Option<CompletedCheckpoint>,
}

#[derive(Debug, Deserialize)]
struct CompletedCheckpoint {
    id: u64,
    trigger_timestamp: i64,
    external_path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Setting {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Metric {
    value: String,
}

/// A client of one `JobManager`.
#[derive(Debug, Clone)]
pub struct RestApi {
    client: reqwest::Client,
    url: String,
}

impl RestApi {
    /// A client of the `JobManager` on this port of the loopback.
    pub fn new(port: u16) -> Self {
        Self { client: rest::client(), url: format!("http://127.0.0.1:{port}") }
    }

    /// The same where the API is encrypted.
    pub fn secure(port: u16, security: &RestSecurity) -> std::io::Result<Self> {
        let client = rest::client_with(security.client_config()?);
        Ok(Self { client, url: format!("https://localhost:{port}") })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it answers at all.
    pub async fn answers(&self) -> bool {
        rest::answers(&self.client, &format!("{}/config", self.url)).await
    }

    /// The first job, if there is one yet.
    pub async fn first_job(&self) -> Result<Option<String>, FlinkError> {
        let answer: Jobs = self.get("/jobs").await?;
        Ok(answer.jobs.into_iter().next().map(|job| job.id))
    }

    pub async fn job(&self, id: &str) -> Result<JobStatus, FlinkError> {
        let answer: JobAnswer = self.get(&format!("/jobs/{id}")).await?;
        Ok(JobStatus {
            state: answer.state,
            parallelism: answer.vertices.iter().map(|vertex| vertex.parallelism).max().unwrap_or(0),
            tasks: answer.vertices.iter().map(|vertex| vertex.parallelism).sum(),
            running: answer.vertices.iter().filter_map(|vertex| vertex.tasks.get("RUNNING")).sum(),
        })
    }

    pub async fn task_managers(&self) -> Result<Vec<TaskManager>, FlinkError> {
        let answer: TaskManagersAnswer = self.get("/taskmanagers").await?;
        Ok(answer.taskmanagers)
    }

    pub async fn checkpoints(&self, id: &str) -> Result<Checkpoints, FlinkError> {
        let answer: CheckpointsAnswer = self.get(&format!("/jobs/{id}/checkpoints")).await?;
        let last = answer.latest.completed;
        Ok(Checkpoints {
            completed: answer.counts.completed,
            failed: answer.counts.failed,
            restored: answer.counts.restored,
            last_begun: last.as_ref().and_then(|last| Timestamp::from_millisecond(last.trigger_timestamp).ok()),
            last: last.as_ref().map(|checkpoint| checkpoint.id),
            last_path: last.and_then(|checkpoint| checkpoint.external_path),
        })
    }

    pub async fn restarts(&self, id: &str) -> Result<u64, FlinkError> {
        let path = format!("/jobs/{id}/metrics?get=numRestarts");
        let answer: Vec<Metric> = self.get(&path).await?;
        let value = answer.first().and_then(|metric| metric.value.parse().ok());
        value.ok_or_else(|| FlinkError::Rest { path, why: "there is no such metric yet".into() })
    }

    /// What the `JobManager` is configured with.
    pub async fn configuration(&self) -> Result<BTreeMap<String, String>, FlinkError> {
        let answer: Vec<Setting> = self.get("/jobmanager/config").await?;
        Ok(answer.into_iter().map(|setting| (setting.key, setting.value)).collect())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FlinkError> {
        let failed = |why: String| FlinkError::Rest { path: path.to_owned(), why };
        let answer =
            self.client.get(format!("{}{path}", self.url)).send().await.map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("status {}", answer.status())));
        }
        answer.json().await.map_err(|error| failed(error.to_string()))
    }
}
