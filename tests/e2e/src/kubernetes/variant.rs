//! The overlays without Sluice, `hpa` and `keda`: what it is measured against, and what users may have had before.
//! Each is started in a namespace of its own beside the stage, and reads the stage's stream.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_lab::{RunDir, rest};

use super::{Adapter, DEPLOYMENT, JOB_MANAGER, LONG, Namespace, Prometheus, Stage, until};

/// The namespace of the overlays.
pub const VARIANT: &str = "sluice-variant";

/// Flink by one of these overlays.
#[derive(Debug)]
pub struct Variant {
    space: Namespace,
    run: RunDir,
    /// What asks the controllers in Sluice's place.
    pub prometheus: Prometheus,
}

impl Variant {
    /// Starts Flink as a person would, and the Prometheus that the overlay takes for granted.
    pub async fn up(stage: &Stage, overlay: &str) -> Result<Self> {
        let cluster = &stage.space.cluster;
        let run = RunDir::fresh()?;
        let controller = format!("{}:10080", stage.space.address("app=pravega").await?);
        let prometheus = Prometheus::start(&run, cluster, &[controller]).await?;
        let space = cluster.namespace(VARIANT).await?;
        space.up(&format!("tests/e2e/kubernetes/{overlay}")).await?;
        Ok(Self { space, run, prometheus })
    }

    /// Starts prometheus-adapter beside it.
    pub async fn adapter(&self) -> Result<Adapter> {
        Adapter::start(&self.run, &self.space.cluster, &self.prometheus, VARIANT).await
    }

    /// Changes what scales Flink: a JSON patch.
    pub async fn patch(&self, kind: &str, patch: &Value) -> Result<()> {
        self.space.kubectl(&["patch", kind, DEPLOYMENT, "--type=json", "-p", &patch.to_string()]).await.map(drop)
    }

    /// The job must follow the stream up and down, and nobody may start Sluice beside it.
    pub async fn follows(&self, stage: &Stage) -> Result<()> {
        for segments in [3, 1] {
            stage.scale_stream(segments).await?;
            let wanted = u64::from(segments);
            until(&format!("{segments} TaskManagers"), LONG, async || {
                let there = self.space.replicas(DEPLOYMENT).await? == wanted && self.slots().await? == wanted;
                Ok(there.then_some(()))
            })
            .await?;
        }
        let refused = self.space.up("deploy/overlays/sluice").await.err().map(|error| error.to_string());
        ensure!(refused.is_some_and(|why| why.contains("scales flink-taskmanager already")), "Sluice beside another");
        stage.agent.in_step(1, LONG).await?;
        Ok(())
    }

    /// How many Flink has.
    async fn slots(&self) -> Result<u64> {
        let overview = format!("http://{}:8081/overview", self.space.address(JOB_MANAGER).await?);
        let overview: Value = rest::client().get(overview).send().await?.json().await?;
        overview["slots-total"].as_u64().context("an overview without slots")
    }

    /// Ends it as a person would; nothing of Flink may be left.
    pub async fn down(self) -> Result<()> {
        self.space.down().await?;
        let left = self.space.kubectl(&["get", LEFT, "--output=name", "--selector=app=flink"]).await?;
        ensure!(left.trim().is_empty(), "down.sh leaves {left}");
        self.space.cluster.kubectl(&["delete", "namespace", VARIANT]).await?;
        self.run.passed();
        Ok(())
    }
}

/// Kinds that the overlays make.
const LEFT: &str =
    "jobs,deployments,pods,services,hpa,configmaps,pvc,roles,rolebindings,serviceaccounts,networkpolicies";
