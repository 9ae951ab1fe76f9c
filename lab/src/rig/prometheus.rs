//! A real Prometheus that scrapes a run once a second, with the configuration and the rules that are
//! shipped in `deploy/prometheus`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cache::PrometheusTools;
use crate::clock::Deadline;
use crate::process::{Launch, Process};
use crate::rest;
use crate::run_dir::RunDir;

/// Something to scrape, with the labels that `deploy/prometheus/targets.yaml` gives it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// `/metrics`, or what Pravega has instead.
    pub path: &'static str,
    /// The pipeline.
    pub job: &'static str,
    /// Which part of it.
    pub container: &'static str,
}

/// Labels of a series, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// A series: its labels, and its values by Unix time in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is called.
    pub labels: Labels,
    /// Oldest first.
    pub points: Vec<(f64, f64)>,
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    folder: PathBuf,
    process: Process,
    url: String,
    http: reqwest::Client,
}

/// The namespace of everything in a lab.
pub const NAMESPACE: &str = "lab";

/// The folder that is shipped.
#[must_use]
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus")
}

impl Prometheus {
    /// Starts it and waits until it answers. Alerts are given `patience` instead of their own `for:`.
    pub async fn start(
        run: &RunDir,
        tools: &PrometheusTools,
        targets: &[Target],
        patience: Option<Duration>,
    ) -> Result<Self> {
        let folder = run.path().join("prometheus");
        fs::create_dir_all(&folder)?;
        let read = |name: &str| fs::read_to_string(shipped().join(name)).with_context(|| name.to_owned());
        let write = |name: &str, text: String| fs::write(folder.join(name), text).with_context(|| name.to_owned());
        write("prometheus.yml", read("prometheus.yml")?.replace("15s", "1s"))?;
        write("rules.yaml", impatient(&read("rules.yaml")?, patience))?;
        write_targets(&folder, targets)?;
        let address = format!("127.0.0.1:{}", run.port()?);
        let launch = Launch::new(&tools.prometheus)
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(run, "prometheus", &launch)?;
        let mut prometheus = Self { folder, process, url: format!("http://{address}"), http: rest::client() };
        let deadline = Deadline::after(Duration::from_secs(20));
        while !rest::answers(&prometheus.http, &format!("{}/-/ready", prometheus.url)).await {
            prometheus.process.check()?;
            if deadline.is_over() {
                return Err(prometheus.process.not_ready(deadline.limit()).into());
            }
            deadline.rest().await;
        }
        Ok(prometheus)
    }

    /// Scrapes these from now on.
    pub fn set_targets(&self, targets: &[Target]) -> Result<()> {
        write_targets(&self.folder, targets)
    }

    /// The value of an expression now, one for each series.
    pub async fn query(&self, expression: &str) -> Result<Vec<(Labels, f64)>> {
        let data = self.ask("query", &[("query", expression.to_owned())]).await?;
        let series: Vec<Instant> = match data["resultType"].as_str() {
            Some("vector") => serde_json::from_value(data["result"].clone())?,
            kind => bail!("{expression} is not a vector but {kind:?}"),
        };
        series.into_iter().map(|series| Ok((series.metric, series.value.1.parse()?))).collect()
    }

    /// The values of an expression between two Unix times.
    pub async fn range(&self, expression: &str, from: f64, to: f64, step: Duration) -> Result<Vec<Series>> {
        let parameters = [
            ("query", expression.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
            ("step", step.as_secs_f64().to_string()),
        ];
        let data = self.ask("query_range", &parameters).await?;
        let series: Vec<Range> = serde_json::from_value(data["result"].clone())?;
        let points = |values: Vec<(f64, String)>| -> Result<Vec<_>> {
            values.into_iter().map(|(at, value)| Ok((at, value.parse()?))).collect()
        };
        series.into_iter().map(|series| Ok(Series { labels: series.metric, points: points(series.values)? })).collect()
    }

    /// The labels of the alerts of this name that fire.
    pub async fn firing(&self, alert: &str) -> Result<Vec<Labels>> {
        let alerts = self.query(&format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}")).await?;
        Ok(alerts.into_iter().map(|(labels, _)| labels).collect())
    }

    /// Every rule with its health and last error, as `/api/v1/rules` has them.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let data = self.ask("rules", &[]).await?;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        Ok(groups.iter().filter_map(|group| group["rules"].as_array().cloned()).flatten().collect())
    }

    /// Ends it.
    pub async fn stop(self) {
        self.process.stop(Duration::from_secs(10)).await;
    }

    async fn ask(&self, what: &str, parameters: &[(&str, String)]) -> Result<Value> {
        let answer = self.http.get(format!("{}/api/v1/{what}", self.url)).query(parameters).send().await?;
        let answer: Value = answer.json().await?;
        if answer["status"] != "success" {
            bail!("{what} {parameters:?}: {}", answer["error"]);
        }
        Ok(answer["data"].clone())
    }
}

#[derive(Deserialize)]
struct Instant {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Range {
    metric: Labels,
    values: Vec<(f64, String)>,
}

/// Put in place at once: Prometheus reads the file whenever it changes.
fn write_targets(folder: &Path, targets: &[Target]) -> Result<()> {
    let (fresh, file) = (folder.join("targets.new"), folder.join("targets.yaml"));
    fs::write(&fresh, serde_json::to_string_pretty(&groups(targets))?)?;
    fs::rename(&fresh, &file).with_context(|| file.display().to_string())
}

fn groups(targets: &[Target]) -> Value {
    let group = |target: &Target| {
        let Target { address, path, job, container } = target;
        json!({
            "targets": [address],
            "labels": {"namespace": NAMESPACE, "job": job, "container": container, "__metrics_path__": path},
        })
    };
    targets.iter().map(group).collect()
}

/// The rules with another `for:` in each alert.
fn impatient(rules: &str, patience: Option<Duration>) -> String {
    let Some(patience) = patience else { return rules.to_owned() };
    let line = |line: &str| match line.find("for: ") {
        Some(at) if line[..at].trim().is_empty() => format!("{}for: {}s", &line[..at], patience.as_secs()),
        _ => line.to_owned(),
    };
    rules.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_patience_of_alerts_is_changed() {
        let rules = "rules:\n  - alert: Down\n    for: 3m\n    annotations: {summary: wait for: it}\n";
        let changed = rules.replace("3m", "2s");
        assert_eq!(impatient(rules, Some(Duration::from_secs(2))), changed);
        assert_eq!(impatient(rules, None), rules);
    }
}
