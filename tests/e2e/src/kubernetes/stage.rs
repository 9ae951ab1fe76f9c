//! What the scenes share, since the machine has two cores for all of it: one stream on one Pravega, one load,
//! and one Flink with the agent in its JobManager's pod, from the manifests that users apply. What a scene
//! breaks it mends again, and leaves the job in step. The ledger counts through all of them: in the end each
//! event that was written must be in it once, whatever was killed and stopped on the way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sluice_lab::{
    Admin, Scaling,
    rig::{Ledger, Proof, Written},
};

use super::{Cluster, Namespace, NotHere, PodAgent, VARIANT};

/// The stream of the manifests.
const SCOPE: &str = "test";
/// Its name.
const STREAM: &str = "stream";
/// What the sample's job reads: a second stream, and a namespace to itself.
pub const SAMPLE: &str = "sluice-sample";
/// Long enough for anything on two busy cores.
pub const LONG: Duration = Duration::from_mins(6);
/// The TaskManagers.
pub const DEPLOYMENT: &str = "flink-taskmanager";

/// All nodes, for `kubectl cordon`.
pub const NODES: &str = "kubernetes.io/os=linux";

/// The shared stage.
#[derive(Debug)]
pub struct Stage {
    /// Where everything is.
    pub space: Namespace,
    /// The agent.
    pub agent: PodAgent,
    admin: Admin,
}

impl Stage {
    /// Sets the stage. Flink comes first, while there is no Pravega: the JobManager must start all the same.
    /// Then Pravega, the stream with one segment, and the load.
    pub async fn set(cluster: &Cluster) -> Result<Self> {
        let space = cluster.namespace("sluice-scenes").await?;
        println!("    Flink and the agent, while Pravega is away");
        space.kubectl(&["apply", "-f", &cluster.path("lab/kubernetes/pravega.yaml")]).await?;
        // One controller, for want of cores.
        space.kubectl(&["set", "env", "deployment/pravega", "SLUICE_LAB_CONTROLLERS=1"]).await?;
        space.scale("pravega", 0).await?;
        space.kubectl(&["apply", "-k", &cluster.path("tests/e2e/kubernetes/flink")]).await?;
        let agent = PodAgent::of(&space);
        space.wait("jsonpath={.status.ready}=1", &["job/flink-jobmanager"], LONG).await?;
        agent.holds("unreadable", LONG).await?;
        ensure!(agent.restarts().await? == 0, "the agent did not bear a Pravega that is away");

        println!("    Pravega, the stream, the load");
        space.scale("pravega", 1).await?;
        space.wait("jsonpath={.status.readyReplicas}=1", &["deployment/pravega"], LONG).await?;
        let service = space.get(&["service", "pravega-controller"]).await?;
        let address = service.pointer("/spec/clusterIP").and_then(Value::as_str).context("no clusterIP")?;
        let admin = Admin::new(&[format!("tcp://{address}:9090")]);
        admin.create_scope(SCOPE).await?;
        admin.create_stream(SCOPE, STREAM, Scaling::fixed(1)).await?;
        space.kubectl(&["apply", "-k", &cluster.path("tests/e2e/kubernetes/load")]).await?;
        let stage = Self { space, agent, admin };
        stage.agent.in_step(1, LONG).await?;
        Ok(stage)
    }

    /// Takes away what a scene that failed may have left behind.
    pub async fn mend(&self) -> Result<()> {
        match self.space.cluster.lab(&["start", "kube-apiserver"]).await {
            Err(error) if !error.is::<NotHere>() => return Err(error),
            _ => {}
        }
        until("the API server answers", LONG, async || {
            self.space.cluster.kubectl(&["uncordon", "-l", NODES]).await.map(Some)
        })
        .await?;
        self.space.kubectl(&["delete", "hpa,quota", "scene", "--ignore-not-found"]).await?;
        self.space.cluster.kubectl(&["delete", "namespace", SAMPLE, VARIANT, "--ignore-not-found"]).await?;
        // Without KEDA there is no such kind.
        let _ = self.space.kubectl(&["delete", "scaledobject", DEPLOYMENT]).await;
        self.space.up("tests/e2e/kubernetes/flink").await?;
        self.follow(1).await
    }

    /// Scales the stream by hand, through the controller, as a person could.
    pub async fn scale_stream(&self, segments: u32) -> Result<()> {
        self.admin.scale_to(SCOPE, STREAM, segments).await?;
        Ok(())
    }

    /// Gives the stream [`SAMPLE`] so many segments; makes it first if it is not there.
    pub async fn scale_sample(&self, segments: u32) -> Result<()> {
        self.admin.create_stream(SCOPE, SAMPLE, Scaling::fixed(1)).await?;
        self.admin.scale_to(SCOPE, SAMPLE, segments).await?;
        Ok(())
    }

    /// Scales the stream, and waits until the job has followed.
    pub async fn follow(&self, segments: u32) -> Result<()> {
        self.scale_stream(segments).await?;
        self.agent.in_step(segments.into(), LONG).await?;
        let replicas = self.space.replicas(DEPLOYMENT).await?;
        ensure!(replicas == u64::from(segments), "in step at {segments} with {replicas} replicas");
        Ok(())
    }

    /// How often the job has gone back to a checkpoint.
    pub async fn restored(&self) -> Result<u64> {
        let look = self.agent.look().await.context("no look")?;
        look.restored().context("Flink does not say how often the job was restored")
    }

    /// Ends the load, and holds what the job counted against what was written. The job must be running.
    pub async fn prove(&self) -> Result<Proof> {
        let folder = self.space.folder("flink-state").await?;
        self.space.scale("data-generator", 0).await?;
        self.space.kubectl(&["wait", "--for=delete", "pod", "-l", "app=data", "--timeout=90s"]).await?;
        let written = Written::read(&folder.join("load.json"))?;
        let proof = Ledger::new(folder.join("ledger")).settle(&written, LONG).await?;
        ensure!(proof.holds(), "{proof} ({} retries)", written.retries);
        ensure!(proof.written > 0, "nothing was written");
        Ok(proof)
    }
}

/// Asks again and again until there is an answer. What fails is asked again, too: much of what is looked at
/// is not there yet.
pub async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let mut problem = None;
    let asking = async {
        loop {
            match ask().await {
                Ok(Some(answer)) => return answer,
                Ok(None) => problem = None,
                Err(error) => problem = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    if let Ok(answer) = tokio::time::timeout(limit, asking).await {
        return Ok(answer);
    }
    let why = problem.map(|error| format!(": {error:#}")).unwrap_or_default();
    bail!("after {} s still not: {what}{why}", limit.as_secs())
}
