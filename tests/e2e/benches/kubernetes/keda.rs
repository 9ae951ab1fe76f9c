//! KEDA in the HPA's place: the same streams, the same Prometheus, a Deployment of its own for each stream.
//! It makes an HPA for each ScaledObject, and answers it out of Prometheus.

use std::sync::Arc;

use anyhow::Result;
use sluice_e2e::{
    kubernetes::Cluster,
    process_cost::{Cpu, pid_of_container},
};

use super::{BENCH, Lane, Pipeline};

/// Installs it, and says what its two programs take from then on. Nothing answers the other HPAs any more.
pub async fn start(cluster: &Cluster, pipeline: &Pipeline, lanes: &[Arc<Lane>]) -> Result<[(&'static str, Cpu); 2]> {
    cluster.kubectl(&["--namespace", BENCH, "delete", "hpa", "--all"]).await?;
    cluster.script("keda/keda.sh", &["up"]).await?;
    for lane in lanes {
        lane.scale(&lane.admin, 1).await?;
        let names = [("STREAM", &*lane.stream), ("PROMETHEUS", &pipeline.prometheus.url)];
        cluster.apply("keda/lane.yaml", &names).await?;
    }
    Ok([
        ("KEDA's operator", cpu(cluster, "app=keda-operator").await?),
        ("KEDA's adapter", cpu(cluster, "app=keda-metrics-apiserver").await?),
    ])
}

/// What the only container with these labels takes.
async fn cpu(cluster: &Cluster, labels: &str) -> Result<Cpu> {
    let id = "jsonpath={.items[0].status.containerStatuses[0].containerID}";
    let id = cluster.kubectl(&["--namespace", "keda", "get", "pods", "--selector", labels, "--output", id]).await?;
    Cpu::begin(pid_of_container(id.trim_start_matches("containerd://"))?)
}

/// Removes it.
pub async fn stop(cluster: &Cluster) -> Result<()> {
    cluster.script("keda/keda.sh", &["down"]).await.map(drop)
}
