//! A scene that a real Prometheus watches: Pravega, Flink, generator and agent, each scraped once a second.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sluice_lab::{
    Cache, Mode, Pravega, Progress,
    cache::PrometheusTools,
    rig::{
        Agent, Generator, Prometheus, Target,
        prometheus::{Labels, NAMESPACE, Series},
    },
};

use crate::{
    dashboards::Query,
    scene::{SCOPE, Scene, Setting},
};

/// A JobManager and its TaskManagers, with some to spare for those that are just going.
const FLINK_PORTS: usize = 8;

/// The pipeline, as its targets are labelled.
pub const JOB: &str = "flink";

/// A scene with its Prometheus.
#[derive(Debug)]
pub struct Watched {
    /// Stream and job.
    pub scene: Scene,
    /// Who watches.
    pub prometheus: Prometheus,
    /// Its programs.
    pub tools: PrometheusTools,
    /// The agent.
    pub agent: Agent,
    /// The load.
    pub load: Generator,
    /// `host:port` of the generator's metrics.
    pub load_address: String,
    targets: Vec<Target>,
    begun: f64,
}

impl Watched {
    /// Starts everything. The job runs under the adaptive scheduler; `policy` and `load` are further flags.
    pub async fn open(
        pravega: &Pravega,
        name: &str,
        patience: Option<Duration>,
        policy: &[&str],
        load: &[&str],
    ) -> Result<Self> {
        let tools = Cache::open()?.prometheus(Progress::detect()).await?;
        let setting = Setting { mode: Mode::Adaptive, metrics_ports: FLINK_PORTS, ..Setting::default() };
        let mut scene = Scene::open_as(pravega, name, &setting).await?;
        let load_address = format!("127.0.0.1:{}", scene.run.port()?);
        let load = scene.load_of(&[load, &["--metrics-address", &load_address]].concat())?;
        let mut plan = scene.agent_plan();
        plan.flags.extend(policy.iter().map(|flag| (*flag).to_owned()));
        let agent = Agent::start(&scene.run, &plan).await?;

        let target = |address: String, path, job, container| Target { address, path, job, container };
        let flink =
            scene.metrics_ports.iter().map(|port| target(format!("127.0.0.1:{port}"), "/metrics", JOB, "flink"));
        let pravega = pravega.metrics_addresses();
        let pravega = pravega.into_iter().map(|address| target(address, "/prometheus", "pravega", "pravega"));
        let mut targets: Vec<_> = flink.chain(pravega).collect();
        targets.push(target(load_address.clone(), "/metrics", "data-generator", "data-generator"));
        targets.push(of_agent(&agent, JOB));
        let prometheus = Prometheus::start(&scene.run, &tools, &targets, patience).await?;
        let begun = prometheus.query("vector(time())").await?.first().context("the time")?.1;
        Ok(Self { scene, prometheus, tools, agent, load, load_address, targets, begun })
    }

    /// Scrapes another agent from now on, as a pipeline of its own.
    pub fn add_agent(&mut self, agent: &Agent, job: &'static str) -> Result<()> {
        self.targets.push(of_agent(agent, job));
        self.prometheus.set_targets(&self.targets)
    }

    /// What a query of a dashboard shows of the run so far: the values over its time, or the newest.
    pub async fn shown(&self, query: &Query, step: Duration) -> Result<Vec<Series>> {
        let now = self.now().await?;
        let expression = query.filled(&self.variables(now));
        if !query.instant {
            return self.prometheus.range(&expression, self.begun, now, step).await;
        }
        let series = |(labels, value): (Labels, f64)| Series { labels, points: vec![(now, value)] };
        Ok(self.prometheus.query(&expression).await?.into_iter().map(series).collect())
    }

    /// Unix times of the beginning and of now.
    pub async fn span(&self) -> Result<(f64, f64)> {
        Ok((self.begun, self.now().await?))
    }

    async fn now(&self) -> Result<f64> {
        Ok(self.prometheus.query("vector(time())").await?.first().context("the time")?.1)
    }

    /// What Grafana would put in for its variables. Longer names first: a name may begin with another.
    fn variables(&self, now: f64) -> [(&'static str, String); 6] {
        [
            ("namespace", NAMESPACE.into()),
            ("__rate_interval", "12s".into()),
            ("__range", format!("{:.0}s", now - self.begun)),
            ("stream", self.scene.stream.clone()),
            ("scope", SCOPE.into()),
            ("job", JOB.into()),
        ]
    }

    /// Ends it all: it went well.
    pub async fn close(self) -> Result<()> {
        self.load.stop().await?;
        self.agent.stop().await;
        self.prometheus.stop().await;
        self.scene.close().await;
        Ok(())
    }
}

fn of_agent(agent: &Agent, job: &'static str) -> Target {
    let address = agent.api.url().trim_start_matches("http://").to_owned();
    Target { address, path: "/metrics", job, container: "sluice" }
}
