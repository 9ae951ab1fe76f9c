//! What happens in the demo, in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::record::{Board, Record, record};
use super::summary::Summary;
use super::{DemoArgs, plot, view};
use crate::admin::{Admin, Scaling};
use crate::cache::Cache;
use crate::flink::{BusyReader, Flink, Mode};
use crate::pravega::{AutoScale, Pravega};
use crate::progress::Progress;
use crate::rig::{Agent, AgentPlan, Generator, Ledger, Load, Proof, Written};
use crate::run_dir::RunDir;

const SCOPE: &str = "dna";
const STREAM: &str = "reads";

/// What the stream's policy gives one segment, in events per second, and into how many it splits.
const EVENTS_PER_SEGMENT: u32 = 100;
const SPLIT_FACTOR: u32 = 4;

/// How long Pravega may take to scale the stream by itself before the demo does it by hand.
const PATIENCE: Duration = Duration::from_mins(4);

/// How long the job may take to follow.
const FOLLOW: Duration = Duration::from_secs(150);

/// Runs the demo and prints its summary.
pub async fn demo(args: DemoArgs) -> Result<()> {
    let out = std::path::absolute(&args.out)?;
    std::fs::create_dir_all(&out).with_context(|| format!("--out {}", out.display()))?;
    let cache = Cache::open()?;
    let progress = Progress::detect();
    cache.pravega(progress).await?;
    cache.flink(args.flink, progress).await?;

    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).progress(progress).auto_scale(auto_scale()).start().await?;
    let admin = pravega.admin();
    admin.create_scope(SCOPE).await?;
    admin.create_stream(SCOPE, STREAM, Scaling::by_event_rate(EVENTS_PER_SEGMENT, SPLIT_FACTOR, 1)).await?;
    let ledger_folder = run.path().join("ledger");
    let flink = Flink::builder(&run, &args.flink.to_string())
        .progress(progress)
        .mode(Mode::Reactive)
        .checkpoint_interval(Duration::from_secs(10))
        .job(BusyReader {
            jar: BusyReader::jar_in(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")), args.flink),
            controller: pravega.controller_uri(),
            scope: SCOPE.into(),
            stream: STREAM.into(),
            iterations: 10,
            from_now_on: false,
            ledger: Some(ledger_folder.clone()),
            trace: None,
        })
        .start()
        .await?;
    let agent = Agent::start(&run, &agent_plan(&run, &pravega, &flink)).await?;
    println!(
        "Pravega {}, Flink {} at {}, agent at {}",
        pravega.controller_uri(),
        args.flink,
        flink.rest_url(),
        agent.api.url()
    );

    let board = Board::new();
    let mut scene = Scene {
        args: &args,
        run: &run,
        controller: pravega.controller_uri(),
        admin: admin.clone(),
        agent,
        board: board.clone(),
    };
    let screen = view::show(board.clone());
    let recording = record(board.clone(), admin, SCOPE, STREAM, scene.agent.api.clone());
    let written = tokio::select! {
        played = scene.play() => played,
        () = recording => unreachable_end(),
        drawn = screen => drawn.and_then(|()| unreachable_end()),
    }?;

    println!("\nwaiting until every event is in the ledger …");
    let proof = Ledger::new(ledger_folder).settle(&written, Duration::from_mins(2)).await?;
    let history = scene.agent.api.history().await?;
    let summary = keep(&board.lock(), &history, &proof, &out)?;
    println!("{summary}\nplot: {}", out.join("run.svg").display());

    scene.agent.stop().await;
    flink.stop().await;
    pravega.stop().await?;
    anyhow::ensure!(proof.holds(), "{proof}");
    run.passed();
    Ok(())
}

/// Writes the plot, the record and the summary.
fn keep(record: &Record, history: &[serde_json::Value], proof: &Proof, out: &Path) -> Result<Summary> {
    plot::draw(record, &out.join("run.svg"))?;
    std::fs::write(out.join("record.json"), serde_json::to_vec(&record.samples)?)?;
    let summary = Summary::new(record, history, proof.clone());
    std::fs::write(out.join("summary.txt"), summary.to_string())?;
    Ok(summary)
}

/// Pravega looks at its reports every two minutes, so a segment may be taken for quiet a little later.
fn auto_scale() -> AutoScale {
    AutoScale { cache_expiry: Duration::from_secs(135), clean_up: Duration::from_secs(10), ..AutoScale::quick() }
}

fn unreachable_end<T>() -> Result<T> {
    anyhow::bail!("the recorder ended before the story")
}

fn agent_plan(run: &RunDir, pravega: &Pravega, flink: &Flink) -> AgentPlan {
    // Shorter than the defaults, so that a person need not wait a minute for each step.
    let flags = ["--cooldown-up", "10s", "--cooldown-down", "10s", "--scale-down-window", "20s"];
    AgentPlan {
        name: "agent".into(),
        controllers: pravega.controllers(),
        scope: SCOPE.into(),
        stream: STREAM.into(),
        flink_url: Some(flink.rest_url().into()),
        task_manager_command: format!("sh {}", flink.task_manager_script().display()),
        pool_dir: run.path().join("pool"),
        flags: flags.map(str::to_owned).to_vec(),
    }
}

struct Scene<'a> {
    args: &'a DemoArgs,
    run: &'a RunDir,
    controller: String,
    admin: Admin,
    agent: Agent,
    board: Board,
}

impl Scene<'_> {
    /// Widen, be quiet, narrow, and write all the while that it matters.
    async fn play(&mut self) -> Result<Written> {
        self.board.stage("the pool of TaskManagers is empty: the agent fills it");
        self.agent.wait_in_step(1, FOLLOW).await?;

        let rate = self.args.rate;
        self.board.stage(format!(
            "load: {rate} events/s; the policy of the stream is {EVENTS_PER_SEGMENT} events/s per segment"
        ));
        self.start_load(1, rate)?;
        let segments = self.changed(|n| n > 1, u64::from(SPLIT_FACTOR)).await?;
        self.agent.wait_in_step(segments, FOLLOW).await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut written = self.stop_load().await?;

        self.board.stage("no load: Pravega merges segments that have been quiet for a while");
        self.changed(|n| n < segments, segments / 2).await?;
        let light = EVENTS_PER_SEGMENT;
        self.board.stage(format!("light load of {light} events/s while the job narrows"));
        self.start_load(2, light)?;
        let narrow = self.settled().await?;
        self.agent.wait_in_step(narrow, FOLLOW).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        written.add(self.stop_load().await?);
        self.board.stage("done");
        Ok(written)
    }

    /// Waits until Pravega itself scales the stream as `wanted`; by hand if that is asked for or takes
    /// longer than a person would watch.
    async fn changed(&self, wanted: impl Fn(u64) -> bool, by_hand: u64) -> Result<u64> {
        let patience = if self.args.manual { Duration::from_secs(10) } else { PATIENCE };
        let end = tokio::time::Instant::now() + patience;
        self.board.stage(if self.args.manual {
            "(--manual: the demo scales the stream by hand)".to_owned()
        } else {
            format!("waiting for Pravega's own auto-scaling, at most {} s …", patience.as_secs())
        });
        while tokio::time::Instant::now() < end {
            let segments = self.segments().await?;
            if wanted(segments) {
                self.board.stage("… scaled by Pravega itself");
                return Ok(segments);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.board.stage(format!("scaling by hand, through the controller, to {by_hand} segments"));
        self.admin.scale_to(SCOPE, STREAM, u32::try_from(by_hand)?).await?;
        self.segments().await
    }

    /// The segments once they have not changed for some seconds: merges come in pairs.
    async fn settled(&self) -> Result<u64> {
        let mut last = self.segments().await?;
        let mut same = 0;
        while same < 10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let segments = self.segments().await?;
            same = if segments == last { same + 1 } else { 0 };
            last = segments;
        }
        Ok(last)
    }

    async fn segments(&self) -> Result<u64> {
        Ok(self.admin.segments(SCOPE, STREAM).await?.len() as u64)
    }

    fn start_load(&self, number: u32, rate: u32) -> Result<()> {
        let flags = ["--shape", "constant", "--rate", &format!("{rate}/s"), "--duration", "20m"];
        let generator = Generator::start(
            self.run,
            &Load {
                name: format!("load-{number}"),
                controller: self.controller.clone(),
                scope: SCOPE.into(),
                stream: STREAM.into(),
                first_writer: number * 100,
                flags: flags.map(str::to_owned).to_vec(),
            },
        )?;
        self.board.lock().generator = Some(generator);
        Ok(())
    }

    async fn stop_load(&self) -> Result<Written> {
        let generator = self.board.lock().generator.take();
        match generator {
            Some(generator) => generator.stop().await,
            None => Ok(Written::default()),
        }
    }
}
