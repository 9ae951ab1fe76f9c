//! `make bench-kubernetes`: Sluice beside the pipeline that it replaces, in one run on one real Kubernetes.
//!
//! Each lane is one stream of a real Pravega that two followers see: the HPA controller, by way of
//! Prometheus, prometheus-adapter and the aggregation layer; and an agent at a Deployment of its own. What is
//! timed is `spec.replicas`; the pods do nothing. Both sides widen with their defaults and narrow without
//! their waits (300 s and 60 s). Then come scenes in which the metric is not the truth. With `--keda`
//! everything is timed once more with KEDA in the HPA's place: only one of them can serve the metric.

mod keda;
mod replicas;
mod scenes;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use replicas::Replicas;
use sluice_e2e::{
    kubernetes::{Adapter, Cluster, Prometheus},
    percentile::percentile,
    process_cost::{Cpu, instant, mebibytes},
};
use sluice_lab::{
    Admin, Pravega, RunDir, Scaling,
    process::{Launch, Process},
};
use tokio::task::JoinSet;

/// The namespace of everything here, and the scope of the streams.
const BENCH: &str = "bench";
/// Streams that are changed side by side, so that the waits of the pipeline pass in parallel.
const LANES: u32 = 4;
/// By then the pipeline has followed, or something is broken.
const LIMIT: Duration = Duration::from_mins(5);

/// Sluice beside the HPA that Prometheus feeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// One round instead of five, and the first scene only.
    #[arg(long)]
    quick: bool,
    /// KEDA as well, which is built the first time.
    #[arg(long)]
    keda: bool,
    /// Another agent than the one built for release.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/sluice"))]
    agent: PathBuf,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.agent.is_file(), "{} is not built", arguments.agent.display());
    let run = RunDir::fresh()?;
    let cluster = Cluster::up().await?.context("no cluster on this machine")?;
    cluster.namespace(BENCH).await?;
    let mut pravega = Pravega::builder(&run).controllers(2).metrics(true).start().await?;
    // Two controllers may each count a stream, and the HPA adds them up: it would not even arrive.
    pravega.stop_controller(1).await?;
    let pipeline = Pipeline::start(&run, &cluster, &pravega).await?;
    let replicas = Arc::new(Replicas::watch(cluster.kubeconfig())?);

    let mut lanes = Vec::new();
    for index in 0..LANES {
        lanes.push(Arc::new(Lane::start(&run, &cluster, &pravega, &arguments.agent, index).await?));
    }
    let costs = [
        ("agent", Cpu::begin(lanes[0].agent.pid())?),
        ("Prometheus", Cpu::begin(pipeline.prometheus.process.pid())?),
        ("prometheus-adapter", Cpu::begin(pipeline.adapter.process.pid())?),
    ];
    let rounds = if arguments.quick { 1 } else { 5 };
    time(&lanes, &replicas, Rival::Hpa, rounds).await?;
    print_costs(&costs)?;
    pravega.start_controller(1).await?;
    scenes::play(&mut pravega, &pipeline, &replicas, &lanes[1], arguments.quick).await?;

    if arguments.keda {
        pravega.stop_controller(1).await?;
        let costs = keda::start(&cluster, &pipeline, &lanes).await?;
        time(&lanes, &replicas, Rival::Keda, rounds).await?;
        print_costs(&costs)?;
        keda::stop(&cluster).await?;
    }

    Adapter::withdraw(&cluster).await?;
    cluster.kubectl(&["delete", "namespace", BENCH, "--wait=false"]).await?;
    drop(lanes);
    pravega.stop().await?;
    run.passed();
    Ok(())
}

/// What answers the HPA controller.
struct Pipeline {
    prometheus: Prometheus,
    adapter: Adapter,
}

impl Pipeline {
    async fn start(run: &RunDir, cluster: &Cluster, pravega: &Pravega) -> Result<Self> {
        let controllers = pravega.rest_urls().iter().map(|url| url.replace("http://", "")).collect::<Vec<_>>();
        let prometheus = Prometheus::start(run, cluster, &controllers).await?;
        let adapter = Adapter::start(run, cluster, &prometheus, BENCH).await?;
        Ok(Self { prometheus, adapter })
    }

    /// What it would tell the HPA of a stream now.
    async fn sees(&self, stream: &str) -> Result<Option<u32>> {
        self.prometheus.query(&self.adapter.query(BENCH, stream)).await
    }
}

/// The follower that is timed.
const SLUICE: &str = "Sluice";

/// What it is timed beside.
#[derive(Clone, Copy)]
enum Rival {
    Hpa,
    Keda,
}

impl Rival {
    fn name(self) -> &'static str {
        match self {
            Self::Hpa => "HPA",
            Self::Keda => "KEDA",
        }
    }
}

/// How long both followers of all streams take.
async fn time(lanes: &[Arc<Lane>], replicas: &Arc<Replicas>, rival: Rival, rounds: u32) -> Result<()> {
    println!(
        "Sluice beside {}: {LANES} streams, {rounds} times from 1 to 4 segments and back; seconds from the change at \
         the controller",
        rival.name()
    );
    let mut measured = JoinSet::new();
    for lane in lanes {
        let (lane, replicas) = (Arc::clone(lane), Arc::clone(replicas));
        measured.spawn(async move { lane.rounds(&replicas, rival, rounds).await });
    }
    let mut all = Times::default();
    while let Some(times) = measured.join_next().await {
        all.add(times??);
    }
    all.print(rival);

    println!("\nwidening 1 to 13 and back, values of spec.replicas on the way");
    for (from, to) in [(1, 13), (13, 1)] {
        lanes[0].steps(replicas, rival, from, to).await?;
    }
    Ok(())
}

fn print_costs(costs: &[(&str, Cpu)]) -> Result<()> {
    println!("\ncost, over the {:.0} s until here", costs[0].1.elapsed().as_secs_f64());
    for (name, cpu) in costs {
        let (rss, share) = (mebibytes(cpu.pid(), "VmRSS")?, cpu.percent()?);
        println!("  {name:<18} RSS {rss:.1} MiB, CPU {share:.2} % of a core");
    }
    println!();
    Ok(())
}

/// One stream and its followers.
struct Lane {
    stream: String,
    admin: Admin,
    agent: Process,
}

impl Lane {
    async fn start(run: &RunDir, cluster: &Cluster, pravega: &Pravega, agent: &Path, index: u32) -> Result<Self> {
        let stream = format!("lane-{index}");
        let admin = pravega.admin();
        admin.create_scope(BENCH).await?;
        admin.create_stream(BENCH, &stream, Scaling::fixed(1)).await?;
        cluster.apply("hpa/lane.yaml", &[("STREAM", &stream)]).await?;
        let launch = Launch::new(agent)
            .args(["run", "--no-flink", "--listen", &format!("127.0.0.1:{}", run.port()?)])
            .args(["--pravega-controller", &pravega.controller_uri(), "--scope", BENCH, "--stream", &stream])
            .args(["--namespace", BENCH, "--deployment", &format!("{stream}-sluice"), "--kubeconfig"])
            .arg(cluster.kubeconfig())
            .args(["--no-lease", "--scale-down-window", "0s", "--cooldown-up", "0s", "--cooldown-down", "0s"])
            .args(["--restarts-per-hour", "1000"]);
        let agent = Process::start(run, &format!("agent-{index}"), &launch)?;
        Ok(Self { stream, admin, agent })
    }

    /// The Deployment of a follower, by the name that is printed.
    fn deployment(&self, follower: &str) -> String {
        format!("{}-{}", self.stream, follower.to_lowercase())
    }

    /// Up and down again, so many times; how long each follower took.
    async fn rounds(&self, replicas: &Replicas, rival: Rival, rounds: u32) -> Result<Times> {
        let (rival, sluice) = (self.deployment(rival.name()), self.deployment(SLUICE));
        // The first change of all finds a pipeline that has not seen the stream, and is not counted.
        for width in [2, 1] {
            let changed = self.scale(&self.admin, width).await?;
            replicas.reaches(&rival, width, changed, LIMIT).await?;
        }
        let mut times = Times::default();
        for round in 0..rounds {
            for (width, of_rival, of_sluice) in
                [(4, &mut times.rival_up, &mut times.sluice_up), (1, &mut times.rival_down, &mut times.sluice_down)]
            {
                // Out of step with scrapes and with the HPA's own rhythm, and with the other lanes.
                let salt = u64::from(round * 7 + width * 3) + self.stream.bytes().map(u64::from).sum::<u64>() * 5;
                tokio::time::sleep(Duration::from_millis(5000 + salt * 613 % 15_000)).await;
                let changed = self.scale(&self.admin, width).await?;
                let (slow, quick) = tokio::try_join!(
                    replicas.reaches(&rival, width, changed, LIMIT),
                    replicas.reaches(&sluice, width, changed, LIMIT)
                )?;
                of_rival.push(slow);
                of_sluice.push(quick);
            }
        }
        Ok(times)
    }

    /// One large change, and by which steps each follower makes it.
    async fn steps(&self, replicas: &Replicas, rival: Rival, from: u32, to: u32) -> Result<()> {
        let followers = [SLUICE, rival.name()].map(|follower| (follower, self.deployment(follower)));
        let before = followers.each_ref().map(|(_, deployment)| replicas.of(deployment).len());
        let changed = self.scale(&self.admin, to).await?;
        for ((follower, deployment), before) in followers.into_iter().zip(before) {
            let took = replicas.reaches(&deployment, to, changed, LIMIT).await?;
            let steps: Vec<_> = replicas.of(&deployment)[before..].iter().map(|asked| asked.replicas).collect();
            println!(
                "  {from} → {to}  {follower:<7} {} patch(es) {steps:?}, done after {:.1} s",
                steps.len(),
                took.as_secs_f64()
            );
        }
        Ok(())
    }

    /// Scales the stream and answers when a controller was first seen to say so.
    async fn scale(&self, through: &Admin, width: u32) -> Result<Instant> {
        let (admin, stream) = (through.clone(), self.stream.clone());
        let scaling = tokio::spawn(async move { admin.scale_to(BENCH, &stream, width).await });
        let begun = instant();
        while begun.elapsed() < Duration::from_mins(1) {
            let segments = self.admin.segments(BENCH, &self.stream).await?.len();
            let seen = instant();
            if segments == width as usize {
                scaling.await??;
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{} does not scale to {width}", self.stream)
    }
}

/// How long both followers took, each way.
#[derive(Default)]
struct Times {
    rival_up: Vec<Duration>,
    rival_down: Vec<Duration>,
    sluice_up: Vec<Duration>,
    sluice_down: Vec<Duration>,
}

impl Times {
    fn add(&mut self, other: Self) {
        self.rival_up.extend(other.rival_up);
        self.rival_down.extend(other.rival_down);
        self.sluice_up.extend(other.sluice_up);
        self.sluice_down.extend(other.sluice_down);
    }

    fn print(&self, rival: Rival) {
        for (what, of_rival, of_sluice) in
            [("up, 1 → 4", &self.rival_up, &self.sluice_up), ("down, 4 → 1", &self.rival_down, &self.sluice_down)]
        {
            for (follower, samples) in [(rival.name(), of_rival), (SLUICE, of_sluice)] {
                let p = |share| percentile(samples, share).as_secs_f64();
                println!(
                    "  {what:<12} {follower:<7} n={} p50 {:.2}, p99 {:.2}, max {:.2}",
                    samples.len(),
                    p(0.5),
                    p(0.99),
                    p(1.0)
                );
            }
            let ratio = percentile(of_rival, 0.5).as_secs_f64() / percentile(of_sluice, 0.5).as_secs_f64();
            println!("  {what:<12} by the median Sluice is {ratio:.0} times as quick");
        }
    }
}
