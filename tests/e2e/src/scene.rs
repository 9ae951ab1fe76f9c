//! One scene of a lab test: a stream of its own on the shared Pravega, a Flink job that reads it, an
//! agent on a process pool, and a load.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use sluice_lab::{
    Admin, BusyReader, Flink, FlinkVersion, Mode, Pravega, RunDir, Scaling,
    rig::{Agent, AgentPlan, Generator, Ledger, Load, Proof, Written},
};

/// The scope of all scenes.
pub const SCOPE: &str = "lab";

/// Policy flags that make a test short: what is tested is what happens, not how long it is waited for.
pub const QUICK: [&str; 6] = ["--cooldown-up", "2s", "--cooldown-down", "2s", "--scale-down-window", "8s"];

/// Long enough for anything on two busy cores.
pub const LONG: Duration = Duration::from_secs(150);

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
        let run = RunDir::fresh()?;
        let admin = pravega.admin();
        admin.create_scope(SCOPE).await?;
        // Pravega refuses to merge below the number that a stream was created with.
        admin.create_stream(SCOPE, name, Scaling::fixed(1)).await?;
        if segments > 1 {
            admin.scale_to(SCOPE, name, segments).await?;
        }
        let folder = run.path().join("ledger");
        let version: FlinkVersion = flink.parse()?;
        let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let job = BusyReader {
            jar: BusyReader::jar_in(&repository, version),
            controller: pravega.controller_uri(),
            scope: SCOPE.into(),
            stream: name.into(),
            iterations: 1,
            ledger: Some(folder.clone()),
        };
        let flink = Flink::builder(&run, flink)
            .mode(Mode::Reactive)
            .checkpoint_interval(checkpoint_interval)
            .job(job)
            .start()
            .await?;
        let ledger = Ledger::new(folder);
        let controllers = pravega.controllers();
        Ok(Self { run, admin, stream: name.into(), flink, ledger, controllers, loads: 0, agents: 0 })
    }

    /// What starts an agent here; change it before [`Agent::start`] where a test wants another.
    pub fn agent_plan(&mut self) -> AgentPlan {
        self.agents += 1;
        AgentPlan {
            name: format!("agent-{}", self.agents),
            controllers: self.controllers.clone(),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            flink_url: self.flink.rest_url().into(),
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
        self.loads += 1;
        let rate = format!("{per_second}/s");
        let flags = ["--shape", "constant", "--rate", &rate, "--duration", "20m"];
        let load = Load {
            name: format!("load-{}", self.loads),
            controller: self.controllers.join(","),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            first_writer: self.loads * 100,
            flags: flags.map(str::to_owned).to_vec(),
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
