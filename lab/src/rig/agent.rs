//! The agent as a process, and what it says of itself over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::binary;
use crate::clock::Deadline;
use crate::process::{Launch, Process};
use crate::rest;
use crate::run_dir::RunDir;

/// How an agent is started on a process pool.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// What the lab calls the process.
    pub name: String,
    /// `tcp://host:port` of each controller.
    pub controllers: Vec<String>,
    /// Scope of the stream.
    pub scope: String,
    /// The stream.
    pub stream: String,
    /// Flink's REST address; `None` without Flink (`--no-flink`).
    pub flink_url: Option<String>,
    /// The command that starts one TaskManager.
    pub task_manager_command: String,
    /// The pool's folder.
    pub pool_dir: PathBuf,
    /// Further flags.
    pub flags: Vec<String>,
}

impl AgentPlan {
    /// The flags that `run`, `plan` and `check` have in common.
    #[must_use]
    pub fn settings(&self) -> Vec<String> {
        let mut flags = vec!["--no-flink".to_owned()];
        if let Some(url) = &self.flink_url {
            flags = vec!["--flink-url".to_owned(), url.clone()];
        }
        let pairs = [
            ("--pravega-controller", self.controllers.join(",")),
            ("--scope", self.scope.clone()),
            ("--stream", self.stream.clone()),
            ("--task-manager-command", self.task_manager_command.clone()),
            ("--pool-dir", self.pool_dir.display().to_string()),
        ];
        flags.extend(pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        flags
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    /// What it says over HTTP.
    pub api: AgentApi,
}

/// What an agent says of itself over HTTP.
#[derive(Clone, Debug)]
pub struct AgentApi {
    url: String,
    http: reqwest::Client,
}

impl Agent {
    /// Starts the agent and waits until it answers; not until it is ready.
    pub async fn start(run: &RunDir, plan: &AgentPlan) -> Result<Self> {
        let address = format!("127.0.0.1:{}", run.port()?);
        let launch =
            Launch::new(binary("sluice")?).args(["run", "--listen", &address]).args(plan.settings()).args(&plan.flags);
        let process = Process::start(run, &plan.name, &launch)?;
        let api = AgentApi::at(format!("http://{address}"));
        let mut agent = Self { process, api };
        let deadline = Deadline::after(Duration::from_secs(10));
        while !rest::answers(&agent.api.http, &format!("{}/live", agent.api.url)).await {
            agent.process.check()?;
            if deadline.is_over() {
                return Err(agent.process.not_ready(deadline.limit()).into());
            }
            deadline.rest().await;
        }
        Ok(agent)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(self) {
        self.process.stop(Duration::from_secs(10)).await;
    }

    /// What it printed so far.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.process.log()).context("the agent's log")
    }

    /// Waits until the newest look satisfies `done`.
    pub async fn wait(&mut self, what: &str, limit: Duration, done: impl Fn(&Look) -> bool) -> Result<Look> {
        let deadline = Deadline::after(limit);
        let mut last = None;
        while !deadline.is_over() {
            self.process.check()?;
            if let Ok(Some(look)) = self.api.look().await {
                if done(&look) {
                    return Ok(look);
                }
                last = Some(look);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let said = last.map_or_else(|| "nothing".to_owned(), |look| look.to_string());
        bail!("after {} s still not: {what}. The agent says: {said}", limit.as_secs())
    }

    /// Waits until the job runs at this width and the agent says that it is in step.
    pub async fn wait_in_step(&mut self, width: u64, limit: Duration) -> Result<Look> {
        self.wait(&format!("in step at {width}"), limit, |look| {
            look.reason() == "in_step" && look.parallelism() == Some(width) && look.registered() == Some(width)
        })
        .await
    }
}

impl AgentApi {
    /// The agent that listens there, for example `http://127.0.0.1:9464`.
    #[must_use]
    pub fn at(url: String) -> Self {
        Self { url, http: rest::client() }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET /state`; `None` before the first look.
    pub async fn look(&self) -> Result<Option<Look>> {
        let answer = self.http.get(format!("{}/state", self.url)).send().await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        Ok(Some(Look(answer.json().await?)))
    }

    /// `GET /history`.
    pub async fn history(&self) -> Result<Vec<Value>> {
        Ok(self.http.get(format!("{}/history", self.url)).send().await?.json().await?)
    }

    /// `GET` of another endpoint: status and text.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

/// One answer of `/state`. What the agent does not know is `None`.
#[derive(Clone, Debug)]
pub struct Look(pub Value);

impl Look {
    /// Open segments of the first stream.
    #[must_use]
    pub fn segments(&self) -> Option<u64> {
        self.0.pointer("/observation/streams/0/shape/value/segments")?.as_u64()
    }

    /// TaskManagers that the pool is asked for.
    #[must_use]
    pub fn replicas(&self) -> Option<u64> {
        self.0.pointer("/observation/pool/value/replicas")?.as_u64()
    }

    /// TaskManagers registered at Flink.
    #[must_use]
    pub fn registered(&self) -> Option<u64> {
        let registered = self.0.pointer("/observation/flink/value/task_managers")?.as_array()?;
        u64::try_from(registered.len()).ok()
    }

    /// The job's parallelism.
    #[must_use]
    pub fn parallelism(&self) -> Option<u64> {
        self.0.pointer("/observation/flink/value/jobs/0/parallelism")?.as_u64()
    }

    /// The job's state, as Flink calls it.
    #[must_use]
    pub fn job_state(&self) -> Option<&str> {
        self.0.pointer("/observation/flink/value/jobs/0/state")?.as_str()
    }

    /// How often the job went back to a checkpoint.
    #[must_use]
    pub fn restored(&self) -> Option<u64> {
        self.0.pointer("/observation/flink/value/jobs/0/checkpoints/restored")?.as_u64()
    }

    /// TaskManagers that the stream asks for.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        self.0.pointer("/wanted/width/task_managers")?.as_u64()
    }

    /// Why the agent holds, or the kind of decision if it does not.
    #[must_use]
    pub fn reason(&self) -> &str {
        let hold = self.0.pointer("/decision/hold/reason").and_then(Value::as_str);
        let kind = || self.0["decision"].as_object().and_then(|kinds| kinds.keys().next()).map(String::as_str);
        hold.or_else(kind).unwrap_or("unknown")
    }

    /// The decision in words.
    #[must_use]
    pub fn because(&self) -> &str {
        self.0["because"].as_str().unwrap_or("")
    }

    /// The change in flight, by number.
    #[must_use]
    pub fn change(&self) -> Option<u64> {
        self.0.pointer("/change/id")?.as_u64()
    }
}

impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} (segments {:?}, wanted {:?}, replicas {:?}, registered {:?}, job {:?} at {:?})",
            self.because(),
            self.segments(),
            self.wanted(),
            self.replicas(),
            self.registered(),
            self.job_state(),
            self.parallelism(),
        )
    }
}
