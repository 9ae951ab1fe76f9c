//! One scene of a lab test: a stream of its own on the shared Pravega, a Flink job that reads it, an
//! agent on a process pool, and a load.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use sluice_lab::{
    Admin, BusyReader, Flink, FlinkVersion, Mode, Pravega, RunDir, Scaling,
    rig::{Agent, AgentPlan, Generator, Ledger, Load, Proof, Trace, Written},
};

/// The scope of all scenes.
pub const SCOPE: &str = "lab";

/// Policy flags that make a test short: what is tested is what happens, not how long it is waited for.
pub const QUICK: [&str; 6] = ["--cooldown-up", "2s", "--cooldown-down", "2s", "--scale-down-window", "8s"];

/// For more changes in a few minutes than the job would otherwise bear within an hour.
pub const MANY_RESTARTS: [&str; 2] = ["--restarts-per-hour", "100"];

/// Long enough for anything on two busy cores.
pub const LONG: Duration = Duration::from_secs(150);

/// What kind of scene it is.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The version of Flink.
    pub flink: String,
    /// Which scheduler runs the job, and so which strategy the agent picks.
    pub mode: Mode,
    /// Segments that the stream has at the beginning.
    pub segments: u32,
    /// How often Flink takes a checkpoint by itself.
    pub checkpoint_interval: Duration,
    /// Options of Flink on top of the lab's own.
    pub options: Vec<(String, String)>,
    /// The ZooKeeper in which the JobManager keeps what it must not forget; none if not given.
    pub zookeeper: Option<String>,
    /// Whether Flink's REST API is encrypted and asks for a certificate.
    pub secure: bool,
    /// Whether Flink keeps its own timeouts, which rescale late.
    pub stock_timeouts: bool,
    /// Whether the job is measured, from what is written from now on, instead of proven, from the
    /// beginning of the stream: then there is a trace instead of a ledger.
    pub measured: bool,
    /// How many processes of Flink serve their metrics to Prometheus.
    pub metrics_ports: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            flink: FlinkVersion::DEFAULT.to_string(),
            mode: Mode::Reactive,
            segments: 1,
            checkpoint_interval: Duration::from_secs(5),
            options: Vec::new(),
            zookeeper: None,
            secure: false,
            stock_timeouts: false,
            measured: false,
            metrics_ports: 0,
        }
    }
}

/// A stream, a job and what is needed to start an agent on them.
#[derive(Debug)]
pub struct Scene {
    /// Folder and ports.
    pub run: RunDir,
    /// Creates and scales the stream.
    pub admin: Admin,
    /// The stream.
    pub stream: String,
    /// The job's cluster.
    pub flink: Flink,
    /// What the job counted.
    pub ledger: Ledger,
    /// When the job put it out.
    pub trace: Trace,
    /// Where Flink serves its metrics to Prometheus.
    pub metrics_ports: Vec<u16>,
    controllers: Vec<String>,
    loads: u32,
    agents: u32,
}

impl Scene {
    /// Creates a stream of `segments` and starts Flink with the job on it, without TaskManagers.
    pub async fn open(pravega: &Pravega, name: &str, flink: &str, segments: u32) -> Result<Self> {
        Self::open_with(pravega, name, flink, segments, Duration::from_secs(5)).await
    }

    /// As [`Scene::open`], with a checkpoint interval.
    pub async fn open_with(
        pravega: &Pravega,
        name: &str,
        flink: &str,
        segments: u32,
        checkpoint_interval: Duration,
    ) -> Result<Self> {
        let setting = Setting { flink: flink.into(), segments, checkpoint_interval, ..Setting::default() };
        Self::open_as(pravega, name, &setting).await
    }

    /// As [`Scene::open`], of any kind. The stream may be there already.
    pub async fn open_as(pravega: &Pravega, name: &str, setting: &Setting) -> Result<Self> {
        let run = RunDir::fresh()?;
        let admin = pravega.admin();
        admin.create_scope(SCOPE).await?;
        // Pravega refuses to merge below the number that a stream was created with.
        admin.create_stream(SCOPE, name, Scaling::fixed(1)).await?;
        admin.scale_to(SCOPE, name, setting.segments).await?;
        let (ledger, trace) = (run.path().join("ledger"), run.path().join("trace"));
        let version: FlinkVersion = setting.flink.parse()?;
        let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let job = BusyReader {
            jar: BusyReader::jar_in(&repository, version),
            controller: pravega.controller_uri(),
            scope: SCOPE.into(),
            stream: name.into(),
            iterations: 1,
            from_now_on: setting.measured,
            ledger: (!setting.measured).then(|| ledger.clone()),
            trace: setting.measured.then(|| trace.clone()),
        };
        let mut builder = Flink::builder(&run, &setting.flink)
            .mode(setting.mode)
            .checkpoint_interval(setting.checkpoint_interval)
            .job(job);
        let metrics_ports = (0..setting.metrics_ports).map(|_| run.port()).collect::<Result<Vec<_>, _>>()?;
        if !metrics_ports.is_empty() {
            builder = builder.metrics(&metrics_ports);
        }
        if setting.secure {
            builder = builder.secure();
        }
        if setting.stock_timeouts {
            builder = builder.stock_timeouts();
        }
        if let Some(zookeeper) = &setting.zookeeper {
            builder = builder.high_availability(zookeeper);
        }
        for (name, value) in &setting.options {
            builder = builder.option(name, value);
        }
        let flink = builder.start().await?;
        let (ledger, trace) = (Ledger::new(ledger), Trace::new(trace));
        let controllers = pravega.controllers();
        Ok(Self {
            run,
            admin,
            stream: name.into(),
            flink,
            ledger,
            trace,
            metrics_ports,
            controllers,
            loads: 0,
            agents: 0,
        })
    }

    /// What starts an agent here; change it before [`Agent::start`] where a test wants another.
    pub fn agent_plan(&mut self) -> AgentPlan {
        self.agents += 1;
        AgentPlan {
            name: format!("agent-{}", self.agents),
            controllers: self.controllers.clone(),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            flink_url: Some(self.flink.rest_url().into()),
            task_manager_command: format!("sh {}", self.flink.task_manager_script().display()),
            pool_dir: self.run.path().join("pool"),
            flags: QUICK.map(str::to_owned).to_vec(),
        }
    }

    /// An agent with the usual plan.
    pub async fn agent(&mut self) -> Result<Agent> {
        let plan = self.agent_plan();
        Agent::start(&self.run, &plan).await
    }

    /// A steady load until it is stopped.
    pub fn load(&mut self, per_second: u32) -> Result<Generator> {
        let rate = format!("{per_second}/s");
        self.load_of(&["--shape", "constant", "--rate", &rate, "--duration", "20m"])
    }

    /// A load of any shape.
    pub fn load_of(&mut self, flags: &[&str]) -> Result<Generator> {
        self.loads += 1;
        let load = Load {
            name: format!("load-{}", self.loads),
            controller: self.controllers.join(","),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            first_writer: self.loads * 100,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        Generator::start(&self.run, &load)
    }

    /// Scales the stream by hand, through the controller.
    pub async fn scale(&self, segments: u32) -> Result<()> {
        self.admin.scale_to(SCOPE, &self.stream, segments).await?;
        Ok(())
    }

    /// Ends the scene if every event was counted exactly once.
    pub async fn prove_and_close(self, written: &Written) -> Result<Proof> {
        let proof = self.ledger.settle(written, Duration::from_secs(90)).await?;
        ensure!(proof.holds(), "{proof} ({} retries)", written.retries);
        ensure!(proof.written > 0, "nothing was written");
        self.close().await;
        Ok(proof)
    }

    /// Ends the scene: it went well.
    pub async fn close(self) {
        self.flink.stop().await;
        self.run.passed();
    }
}
