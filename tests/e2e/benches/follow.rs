//! `make bench`: how long the agent takes from a change of the stream at the real Pravega controller
//! to its request for TaskManagers, and what it costs while it only watches.
//!
//! Flink and Kubernetes are stand-ins that do everything at once (`fake_cluster`), so what is measured
//! is Sluice. Several agents, each with a stream of its own, run side by side at default settings, so
//! that cooldowns and windows pass in parallel.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use sluice_e2e::{
    fake_cluster::FakeCluster,
    percentile::percentile,
    process_cost::{Cpu, instant, mebibytes},
};
use sluice_lab::{
    Admin, Pravega, RunDir, Scaling,
    process::{Launch, Process},
    rig::AgentApi,
};

const LANES: usize = 26;
const WIDENINGS: u32 = 2;
const NARROWINGS: u32 = 2;
/// Defaults of the agent that a narrowing waits for and that are reported apart.
const WINDOW: Duration = Duration::from_mins(1);
const COOLDOWN_UP: Duration = Duration::from_secs(30);
const COOLDOWN_DOWN: Duration = Duration::from_mins(1);
const IDLE: Duration = Duration::from_mins(5);

#[tokio::main]
async fn main() -> Result<()> {
    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).start().await?;
    println!("{LANES} agents at default settings, {WIDENINGS} widenings and {NARROWINGS} narrowings each");
    let watched = Lane::start(&run, &pravega, LANES).await?;
    let mut lanes = Vec::new();
    for index in 0..LANES {
        lanes.push(Lane::start(&run, &pravega, index).await?);
    }
    let (lanes, idle) = tokio::try_join!(measured(lanes), idle(&watched))?;
    let all = |of: fn(&Lane) -> &[Duration]| lanes.iter().flat_map(of).copied().collect::<Vec<_>>();
    report("widening, segment change at the controller → replicas request", &all(|lane| &lane.up));
    report("narrowing, end of the scale-down window → decision", &all(|lane| &lane.decided));
    report("narrowing, decision → replicas request (a checkpoint that completes at once)", &all(|lane| &lane.down));
    println!("{idle}");
    for lane in lanes {
        lane.agent.kill();
    }
    watched.agent.stop(Duration::from_secs(5)).await;
    pravega.stop().await?;
    run.passed();
    Ok(())
}

async fn measured(lanes: Vec<Lane>) -> Result<Vec<Lane>> {
    let tasks: Vec<_> = lanes.into_iter().map(|lane| tokio::spawn(lane.measure())).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await??);
    }
    Ok(done)
}

/// One stream, one agent, one stand-in for Flink and Kubernetes.
struct Lane {
    stream: String,
    admin: Admin,
    cluster: FakeCluster,
    agent: Process,
    api: AgentApi,
    up: Vec<Duration>,
    decided: Vec<Duration>,
    down: Vec<Duration>,
}

impl Lane {
    async fn start(run: &RunDir, pravega: &Pravega, index: usize) -> Result<Self> {
        let stream = format!("lane-{index}");
        let admin = pravega.admin();
        admin.create_scope("bench").await?;
        admin.create_stream("bench", &stream, Scaling::fixed(1)).await?;
        let cluster = FakeCluster::start(1).await?;
        let kubeconfig = run.path().join(format!("{stream}.kubeconfig"));
        cluster.write_kubeconfig(&kubeconfig)?;
        let address = format!("127.0.0.1:{}", run.port()?);
        let launch = Launch::new(release_binary()?)
            .args(["run", "--listen", &address])
            .args(["--pravega-controller", &pravega.controller_uri(), "--scope", "bench", "--stream", &stream])
            .args(["--flink-url", cluster.url(), "--no-lease", "--deployment", "taskmanager", "--kubeconfig"])
            .arg(&kubeconfig);
        let agent = Process::start(run, &format!("agent-{index}"), &launch)?;
        let api = AgentApi::at(format!("http://{address}"));
        Ok(Self { stream, admin, cluster, agent, api, up: Vec::new(), decided: Vec::new(), down: Vec::new() })
    }

    async fn measure(mut self) -> Result<Self> {
        // Long enough for a whole scale-down window of history, and out of step with the other lanes.
        tokio::time::sleep(WINDOW + Duration::from_millis(137 * self.offset())).await;
        for width in 2..=WIDENINGS + 1 {
            let (changed, _) = self.scale(width).await?;
            let took = self.patched(changed, width, Duration::from_mins(1)).await?;
            self.up.push(took);
            tokio::time::sleep(COOLDOWN_UP + Duration::from_secs(3)).await;
        }
        tokio::time::sleep(COOLDOWN_DOWN).await;
        for width in (WIDENINGS + 1 - NARROWINGS..=WIDENINGS).rev() {
            let begun = now();
            let (changed, after) = self.scale(width).await?;
            let took = self.patched(changed, width, WINDOW * 3).await?;
            // The change is in the history when it has ended, a look or two later.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let decided = self.decided_at(width).await?.duration_since(begun + after);
            let decided = Duration::try_from(decided).unwrap_or_default();
            self.decided.push(decided.saturating_sub(WINDOW));
            self.down.push(took.saturating_sub(decided));
            tokio::time::sleep(COOLDOWN_DOWN.saturating_sub(WINDOW) + Duration::from_secs(5)).await;
        }
        Ok(self)
    }

    fn offset(&self) -> u64 {
        self.stream.bytes().map(u64::from).sum::<u64>() % 10
    }

    /// Scales the stream and answers when the controller was first seen to say so, and how long after
    /// the request that was.
    async fn scale(&self, width: u32) -> Result<(Instant, Duration)> {
        let asked = instant();
        let (admin, stream) = (self.admin.clone(), self.stream.clone());
        let scaling = tokio::spawn(async move { admin.scale_to("bench", &stream, width).await });
        let end = instant() + Duration::from_secs(30);
        loop {
            let segments = self.admin.segments("bench", &self.stream).await?.len();
            let seen = instant();
            if segments == width as usize {
                scaling.await??;
                return Ok((seen, seen - asked));
            }
            if seen > end {
                bail!("{} does not scale to {width}", self.stream);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// When the agent decided to narrow to this width, by its own history.
    async fn decided_at(&self, width: u32) -> Result<Timestamp> {
        for entry in self.api.history().await?.iter().rev() {
            let to = entry.pointer("/change/to/task_managers").and_then(serde_json::Value::as_u64);
            if to == Some(u64::from(width)) && entry["event"] == "ended" {
                return Ok(entry.pointer("/change/started").and_then(|at| at.as_str()).context("started")?.parse()?);
            }
        }
        bail!("{}: no change to {width} in the agent's history", self.stream)
    }

    async fn patched(&mut self, changed: Instant, width: u32, limit: Duration) -> Result<Duration> {
        while instant() < changed + limit {
            // The agent may have seen the change a moment before this program did.
            let recent = |at: Instant| at + Duration::from_secs(1) > changed;
            if let Some((at, _)) = self.cluster.patches().iter().rfind(|(at, n)| *n == u64::from(width) && recent(*at))
            {
                return Ok(at.saturating_duration_since(changed));
            }
            self.agent.check()?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{}: no request for {width} TaskManagers within {limit:?}", self.stream)
    }
}

fn report(what: &str, samples: &[Duration]) {
    let p = |share| percentile(samples, share).as_secs_f64();
    println!("{what}: n={} p50 {:.3} s, p99 {:.3} s, max {:.3} s", samples.len(), p(0.5), p(0.99), p(1.0));
}

/// What one agent costs while nothing happens.
async fn idle(lane: &Lane) -> Result<String> {
    let pid = lane.agent.pid();
    let cpu = Cpu::begin(pid)?;
    let mut peak = 0.0_f64;
    while cpu.elapsed() < IDLE {
        tokio::time::sleep(Duration::from_secs(5)).await;
        peak = peak.max(mebibytes(pid, "VmRSS")?);
    }
    let share = cpu.percent()?;
    let size = fs::metadata(release_binary()?)?.len();
    Ok(format!(
        "watching for {} s at two looks a second: RSS {:.1} MiB, CPU {share:.2} % of a core\nstripped binary: {:.1} MiB",
        IDLE.as_secs(),
        peak,
        size as f64 / f64::from(1 << 20),
    ))
}

fn release_binary() -> Result<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/sluice"));
    path.canonicalize().context("target/release/sluice: run `cargo build --release -p sluice`")
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's clock")]
fn now() -> Timestamp {
    Timestamp::now()
}
