//! The agent in the JobManager's pod: what it says over HTTP, in its log and in Events. The pod may be
//! replaced at any time, so it is looked up anew whenever it does not answer.

use std::{sync::Mutex, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_lab::rig::{AgentApi, Look};

use super::{JOB_MANAGER, Namespace, cluster::text, stage::until};

/// An Event is written when its reason has lasted for ten seconds.
const EVENT: Duration = Duration::from_secs(40);

/// The agent of one namespace.
#[derive(Debug)]
pub struct PodAgent {
    space: Namespace,
    api: Mutex<Option<AgentApi>>,
}

impl PodAgent {
    /// The agent of that namespace, wherever its pod is.
    #[must_use]
    pub fn of(space: &Namespace) -> Self {
        Self { space: space.clone(), api: Mutex::new(None) }
    }

    /// The name of the JobManager's pod.
    pub async fn pod(&self) -> Result<String> {
        text(&self.space.pod(JOB_MANAGER).await?, "/metadata/name")
    }

    /// The pod's address.
    pub async fn address(&self) -> Result<String> {
        self.space.address(JOB_MANAGER).await
    }

    /// How often the container has been started again.
    pub async fn restarts(&self) -> Result<u64> {
        self.container().await?["restartCount"].as_u64().context("no count of restarts")
    }

    async fn container(&self) -> Result<Value> {
        let pod = self.space.pod(JOB_MANAGER).await?;
        let all = pod.pointer("/status/initContainerStatuses").and_then(Value::as_array);
        let of_agent = all.into_iter().flatten().find(|container| container["name"] == "sluice");
        Ok(of_agent.context("no container `sluice` yet")?.clone())
    }

    /// SIGKILL, by the container runtime: nothing in the container could do it.
    pub async fn kill(&self) -> Result<()> {
        let container = self.container().await?;
        let id = container["containerID"].as_str().context("the container does not run")?;
        let id = id.trim_start_matches("containerd://");
        self.space.cluster.lab(&["ctr", "task", "kill", "--signal", "SIGKILL", id]).await?;
        Ok(())
    }

    /// What it says of itself now; `None` if it does not answer or has not looked yet.
    pub async fn look(&self) -> Option<Look> {
        let known = self.api.lock().ok()?.clone();
        if let Some(api) = known
            && let Ok(look) = api.look().await
        {
            return look;
        }
        let api = AgentApi::at(format!("http://{}:9464", self.address().await.ok()?));
        let look = api.look().await.ok()?;
        *self.api.lock().ok()? = Some(api);
        look
    }

    /// `GET` of another endpoint.
    pub async fn text(&self, path: &str) -> Result<String> {
        let api = AgentApi::at(format!("http://{}:9464", self.address().await?));
        let (status, text) = api.get(path).await?;
        ensure!(status == 200, "{path}: {status} {text}");
        Ok(text)
    }

    /// Waits until its newest look satisfies `done`.
    pub async fn wait(&self, what: &str, limit: Duration, done: impl Fn(&Look) -> bool) -> Result<Look> {
        let mut last = "nothing".to_owned();
        let waited = until(what, limit, async || {
            let Some(look) = self.look().await else { return Ok(None) };
            last = look.to_string();
            Ok(done(&look).then_some(look))
        })
        .await;
        waited.with_context(|| format!("the agent says: {last}"))
    }

    /// Waits until the job runs at this width and the agent says that it is in step.
    pub async fn in_step(&self, width: u64, limit: Duration) -> Result<Look> {
        self.wait(&format!("in step at {width}"), limit, |look| {
            let as_wide = look.parallelism() == Some(width) && look.registered() == Some(width);
            look.reason() == "in_step" && look.wanted() == Some(width) && as_wide
        })
        .await
    }

    /// Waits until it holds for this reason, and until metric, log and Event say the same by the same name.
    pub async fn holds(&self, reason: &str, limit: Duration) -> Result<Look> {
        let look = self.wait(&format!("holds: {reason}"), limit, |look| look.reason() == reason).await?;
        let holding = format!("sluice_holding{{reason=\"{reason}\"}} 1");
        let metric = async || Ok(self.text("/metrics").await?.contains(&holding).then_some(()));
        until(&holding, EVENT, metric).await?;
        ensure!(self.log().await?.contains(reason), "the log does not name {reason}");
        println!("    {reason}: {}", self.event(reason, "").await?);
        Ok(look)
    }

    /// Waits until metric and Event name this cause for which TaskManagers do not come, and the decision tells
    /// it in the cluster's own words.
    pub async fn is_short_of(&self, cause: &str, words: &str) -> Result<()> {
        self.wait(&format!("short of TaskManagers: {cause}"), EVENT, |look| look.because().contains(words)).await?;
        let metric = format!("sluice_shortage{{cause=\"{cause}\"}} 1");
        until(&metric, EVENT, async || Ok(self.text("/metrics").await?.contains(&metric).then_some(()))).await?;
        until("the log says why", EVENT, async || Ok(self.log().await?.contains(words).then_some(()))).await?;
        println!("    {cause}: {}", self.event(cause, words).await?);
        Ok(())
    }

    /// Waits for the Event of this reason that says these words, and returns all that it says.
    pub async fn event(&self, reason: &str, words: &str) -> Result<String> {
        self.space.event(&camel_case(reason), words, EVENT).await
    }

    /// So many looks have come to hold for this reason.
    pub async fn held(&self, reason: &str) -> Result<u64> {
        let metrics = self.text("/metrics").await?;
        let counter = format!("sluice_decisions_total{{decision=\"hold\",reason=\"{reason}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&counter));
        count.and_then(|count| count.parse().ok()).with_context(|| format!("no metric for {reason}"))
    }

    /// Its log so far.
    pub async fn log(&self) -> Result<String> {
        let pod = self.pod().await?;
        self.space.kubectl(&["logs", &pod, "-c", "sluice"]).await
    }
}

/// The one name of a reason, as Events have it.
fn camel_case(reason: &str) -> String {
    let capital = |word: &str| word.chars().next().map(|first| first.to_ascii_uppercase().to_string() + &word[1..]);
    reason.split('_').filter_map(capital).collect()
}
