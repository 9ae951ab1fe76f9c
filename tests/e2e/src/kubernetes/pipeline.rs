//! The pipeline that Sluice replaces, as the sample has it: a Prometheus scrapes the controllers, and
//! prometheus-adapter serves external metrics out of it through the API server's aggregation layer, by the rules
//! of `deploy/overlays/hpa`. Both run on this machine, where the cluster's pods reach them.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sluice_lab::{
    RunDir,
    cache::Cache,
    process::{Launch, Process},
    progress::Progress,
    rest,
};

use super::{Cluster, stage::until};

/// As Prometheus' own sample configuration has it; its built-in default is a minute.
const SCRAPE: &str = "15s";
/// What the controllers say, and the only metric that is asked for.
const METRIC: &str = "pravega_controller_segments_count";
/// Only one program of a cluster can serve it.
const SERVED: &str = "v1beta1.external.metrics.k8s.io";
/// Until a program that was just started answers.
const STARTING: Duration = Duration::from_mins(1);

/// A Prometheus that scrapes Pravega's controllers.
#[derive(Debug)]
pub struct Prometheus {
    /// Its process.
    pub process: Process,
    /// Where it is, for this machine and for the pods.
    pub url: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Scrapes these controllers, `host:port` of their REST.
    pub async fn start(run: &RunDir, cluster: &Cluster, controllers: &[String]) -> Result<Self> {
        let tools = Cache::open()?.prometheus(Progress::detect()).await?;
        let configuration = run.path().join("prometheus.json");
        let job =
            json!({"job_name": "pravega", "metrics_path": "/prometheus", "static_configs": [{"targets": controllers}]});
        let settings = json!({"global": {"scrape_interval": SCRAPE}, "scrape_configs": [job]});
        fs::write(&configuration, settings.to_string())?;
        let address = format!("{}:{}", cluster.host().await?, run.port()?);
        let launch = Launch::new(&tools.prometheus)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", run.path().join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(run, "prometheus", &launch)?;
        Ok(Self { process, url: format!("http://{address}"), http: rest::client() })
    }

    /// What an expression comes to now; `None` if there is no such series.
    pub async fn query(&self, expression: &str) -> Result<Option<u32>> {
        let ask = self.http.get(format!("{}/api/v1/query", self.url)).query(&[("query", expression)]);
        let answer: Value = ask.send().await?.json().await?;
        Ok(answer.pointer("/data/result/0/value/1").and_then(|value| value.as_str()?.parse().ok()))
    }
}

/// prometheus-adapter, which answers the HPA controller.
#[derive(Debug)]
pub struct Adapter {
    /// Its process.
    pub process: Process,
    rule: String,
}

impl Adapter {
    /// Starts it, built the first time, and puts it where the API server looks, by a Service in that namespace.
    pub async fn start(run: &RunDir, cluster: &Cluster, prometheus: &Prometheus, namespace: &str) -> Result<Self> {
        let program = cluster.script("hpa/adapter.sh", &[]).await?;
        let (host, port) = (cluster.host().await?, run.port()?.to_string());
        // What the chart makes of the values.
        let values = fs::read_to_string(cluster.path("deploy/overlays/hpa/values-prometheus-adapter.yaml"))?;
        let values: Value = serde_yaml_ng::from_str(&values).context("values-prometheus-adapter.yaml")?;
        let rules = &values["rules"]["external"];
        let rule = rules.pointer("/0/metricsQuery").and_then(Value::as_str).context("no rule for external metrics")?;
        let configuration = run.path().join("adapter.yaml");
        fs::write(&configuration, json!({ "externalRules": rules }).to_string())?;
        let mut launch = Launch::new(program.trim())
            .arg(format!("--config={}", configuration.display()))
            .arg(format!("--prometheus-url={}", prometheus.url))
            .arg("--metrics-relist-interval=1m")
            .args([format!("--bind-address={host}"), format!("--secure-port={port}")])
            .arg(format!("--cert-dir={}", run.path().join("adapter").display()));
        for purpose in ["lister", "authentication", "authorization"] {
            launch = launch.arg(format!("--{purpose}-kubeconfig={}", cluster.kubeconfig().display()));
        }
        let process = Process::start(run, "adapter", &launch)?;
        let adapter = Self { process, rule: rule.to_owned() };
        // One that KEDA has left says other things.
        Self::withdraw(cluster).await?;
        let names = [("HOST", host.as_str()), ("PORT", &port), ("NAMESPACE", namespace)];
        cluster.apply("hpa/pipeline.yaml", &names).await?;
        until("prometheus-adapter serves external metrics", STARTING, async || {
            cluster.kubectl(&["get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"]).await.map(Some)
        })
        .await?;
        Ok(adapter)
    }

    /// From now on nobody serves external metrics.
    pub async fn withdraw(cluster: &Cluster) -> Result<()> {
        cluster.kubectl(&["delete", "apiservice", SERVED, "--ignore-not-found"]).await.map(drop)
    }

    /// What it asks Prometheus for on behalf of the HPA of a stream.
    #[must_use]
    pub fn query(&self, scope: &str, stream: &str) -> String {
        let labels = format!("scope=\"{scope}\",stream=\"{stream}\"");
        self.rule.replace("<<.Series>>", METRIC).replace("<<.LabelMatchers>>", &labels)
    }
}
