//! The busy reader on the real Pravega: nothing is lost, and what comes twice is explained.
//! `cargo test -p sluice-e2e --test readers -- --ignored [NAME]`

use std::{
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sluice_lab::{
    Admin, Pravega, RunDir, Scaling,
    process::{Launch, Process},
    rig::{Generator, Load, binary},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    time::{Instant, sleep},
};

const SCOPE: &str = "readers";

/// Long enough for anything on two busy cores.
const LONG: Duration = Duration::from_mins(1);

/// The Pravega that all scenes share, started by the first.
struct Lab {
    runtime: Runtime,
    started: Mutex<Option<(RunDir, Pravega)>>,
}

impl Lab {
    fn play<F>(&self, scene: F) -> Result<(), Failed>
    where
        F: AsyncFnOnce(&mut Pravega) -> Result<()>,
    {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let played = self.runtime.block_on(async {
            if started.is_none() {
                let run = RunDir::fresh()?;
                let pravega = Pravega::builder(&run).start().await?;
                *started = Some((run, pravega));
            }
            match started.as_mut() {
                Some((_, pravega)) => scene(pravega).await,
                None => Ok(()),
            }
        });
        played.map_err(|error| Failed::from(format!("{error:#}")))
    }

    fn stop(&self, passed: bool) {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((run, pravega)) = started {
            let _ = self.runtime.block_on(pravega.stop());
            if passed {
                run.passed();
            }
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let lab = Arc::new(Lab { runtime: Runtime::new()?, started: Mutex::new(None) });
    macro_rules! scenes {
        ($($scene:path),* $(,)?) => {
            vec![$({
                let lab = lab.clone();
                let name = stringify!($scene);
                Trial::test(name, move || lab.play($scene)).with_ignored_flag(true)
            }),*]
        };
    }
    let scenes = scenes![
        nothing_is_lost_over_scalings_kills_and_restarts,
        a_reader_that_was_frozen_is_struck_off_and_joins_again,
        the_end_of_a_stream_is_told_from_its_absence,
        readers_share_the_segments_and_hand_them_over,
        an_outage_that_lasts_is_given_up,
    ];
    let conclusion = libtest_mimic::run(&arguments, scenes);
    lab.stop(!conclusion.has_failed());
    conclusion.exit()
}

/// One stream and those who read it.
struct Scene {
    run: RunDir,
    admin: Admin,
    controller: String,
    stream: String,
    ledgers: PathBuf,
}

impl Scene {
    async fn open(pravega: &Pravega, stream: &str, segments: u32) -> Result<Self> {
        let run = RunDir::fresh()?;
        let admin = pravega.admin();
        admin.create_stream(SCOPE, stream, Scaling::fixed(1)).await?;
        if segments > 1 {
            admin.scale_to(SCOPE, stream, segments).await?;
        }
        let ledgers = run.path().join("ledgers");
        Ok(Self { run, admin, controller: pravega.controller_uri(), stream: stream.into(), ledgers })
    }

    fn load(&self, name: &str, first_writer: u32, flags: &[&str]) -> Result<Generator> {
        let load = Load {
            name: name.into(),
            controller: self.controller.clone(),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            first_writer,
            flags: flags.iter().map(|&flag| flag.into()).collect(),
        };
        Generator::start(&self.run, &load)
    }

    fn reader(&self, name: &str, flags: &[&str]) -> Result<Reader> {
        let port = self.run.port()?;
        let summary = self.run.path().join(format!("{name}.summary.json"));
        let launch = Launch::new(binary("data-generator")?)
            .args(["read", "--controller", &self.controller, "--scope", SCOPE, "--stream", &self.stream])
            .args(["--name", name, "--progress", "plain", "--metrics-address", &format!("127.0.0.1:{port}")])
            .arg("--ledger")
            .arg(&self.ledgers)
            .arg("--summary")
            .arg(&summary)
            .args(flags);
        let process = Process::start(&self.run, name, &launch)?;
        Ok(Reader { process, port, summary })
    }

    async fn scale(&self, segments: u32) -> Result<()> {
        self.admin.scale_to(SCOPE, &self.stream, segments).await?;
        Ok(())
    }

    /// Waits until these readers hold so many segments between them.
    async fn wait_held(&self, readers: &mut [&mut Reader], segments: u64) -> Result<()> {
        wait(&format!("{segments} segments held"), LONG, async || {
            let mut held = 0;
            for reader in readers.iter_mut() {
                reader.process.check()?;
                held += reader.metric("segments").await.unwrap_or_default();
            }
            Ok(held == segments)
        })
        .await
    }

    /// What `reconcile` says of all ledgers and these summaries.
    fn reconcile(&self, loads: &[&str]) -> Result<Value> {
        let mut command = std::process::Command::new(binary("data-generator")?);
        command.arg("reconcile").arg(&self.ledgers).arg("--json").arg("--written");
        command.args(loads.iter().map(|load| self.run.path().join(format!("{load}.summary.json"))));
        let Output { status, stdout, stderr } = command.output()?;
        let said = String::from_utf8_lossy(&stdout);
        ensure!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
        println!("{}", said.trim());
        Ok(serde_json::from_str(&said)?)
    }
}

/// A process that reads.
struct Reader {
    process: Process,
    port: u16,
    summary: PathBuf,
}

impl Reader {
    async fn metric(&self, name: &str) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("data_generator_read_{name} ")));
        line.with_context(|| format!("no {name} in {text}"))?.trim().parse().context("a number")
    }

    /// Waits until its positions have just been saved.
    async fn wait_saved(&mut self) -> Result<()> {
        let before = self.metric("saves_total").await?;
        wait("positions saved", LONG, async || Ok(self.metric("saves_total").await? > before)).await
    }

    async fn wait_said(&mut self, text: &str) -> Result<()> {
        wait(text, LONG, async || Ok(self.log()?.contains(text))).await
    }

    fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.process.log())?)
    }

    /// Asks it to end, and reads what it came to.
    async fn stop(mut self) -> Result<Value> {
        self.process.ask_to_stop();
        self.finish().await
    }

    /// Waits until it has ended well by itself.
    async fn finish(mut self) -> Result<Value> {
        let status = self.process.wait(LONG).await.with_context(|| format!("still reading: {}", self.tail()))?;
        ensure!(status.success(), "{status}: {}", self.tail());
        Ok(serde_json::from_str(&std::fs::read_to_string(&self.summary)?)?)
    }

    /// Waits until it has ended with this exit code, and returns what it said.
    async fn fail(mut self, code: i32, limit: Duration) -> Result<String> {
        let status = self.process.wait(limit).await.with_context(|| format!("still reading: {}", self.tail()))?;
        ensure!(status.code() == Some(code), "{status}: {}", self.tail());
        self.log()
    }

    fn tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn now() -> Instant {
    Instant::now()
}

async fn wait(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let until = now() + limit;
    while !is_so().await? {
        ensure!(now() < until, "not within {} s: {what}", limit.as_secs());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

async fn nothing_is_lost_over_scalings_kills_and_restarts(pravega: &mut Pravega) -> Result<()> {
    let scene = Scene::open(pravega, "all", 2).await?;
    let keys = ["--routing-key", "round-robin", "--routing-keys", "64"];
    let steady = [&["--shape", "constant", "--rate", "500/s", "--duration", "20m", "--writers", "2"], &keys[..]];
    let load = scene.load("load", 0, &steady.concat())?;
    let quick = ["--reader-timeout", "9s", "--routing-keys", "64"];
    // This one saves its positions so seldom that it has something unsaved when it is killed.
    let seldom = ["--save-every", "4s", "--reader-timeout", "12s", "--routing-keys", "64"];
    let (mut first, mut second) = (scene.reader("first", &quick)?, scene.reader("second", &quick)?);
    let mut doomed = scene.reader("doomed", &seldom)?;
    scene.wait_held(&mut [&mut first, &mut second, &mut doomed], 2).await?;
    scene.scale(4).await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut doomed], 4).await?;
    wait("the doomed one has a segment", LONG, async || Ok(doomed.metric("segments").await? > 0)).await?;

    doomed.wait_saved().await?;
    sleep(Duration::from_secs(1)).await;
    doomed.process.kill();
    let mut third = scene.reader("third", &quick)?;
    wait("the dead one is noticed", LONG, async || {
        let mut noticed = 0;
        for reader in [&first, &second, &third] {
            noticed += reader.metric("readers_struck_off_total").await.unwrap_or_default();
        }
        Ok(noticed == 1)
    })
    .await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut third], 4).await?;
    scene.scale(2).await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut third], 2).await?;

    pravega.kill_controller(0)?;
    let read = first.metric("events_total").await? + second.metric("events_total").await?;
    pravega.start_controller(0).await?;
    pravega.kill_segment_store();
    sleep(Duration::from_secs(2)).await;
    pravega.start_segment_store()?;
    let first_ended = first.stop().await?;
    ensure!(first_ended["positions_saved"] == true, "{first_ended}");
    wait("reading goes on", LONG, async || {
        Ok(second.metric("events_total").await? + third.metric("events_total").await? > read + 1_000)
    })
    .await?;

    // The same ids at other places: what a writer's retry makes of the stream.
    for name in ["again", "once"] {
        let few = scene.load(name, 7, &["--shape", "constant", "--rate", "500/s", "--events", "50"])?;
        few.finish(LONG).await?;
    }
    let written = load.stop().await?;
    sleep(Duration::from_secs(2)).await;
    let mut out_of_order = number(&first_ended, "out_of_order");
    for reader in [second, third] {
        wait("all is read", LONG, async || Ok(reader.metric("lag_bytes").await.ok() == Some(0))).await?;
        out_of_order += number(&reader.stop().await?, "out_of_order");
    }
    let account = scene.reconcile(&["load", "once"])?;
    ensure!(number(&account, "lost") == 0, "{account}");
    ensure!(number(&account, "different") == written.events() + 50, "{account}");
    let redelivered = number(&account, "redelivered");
    ensure!((1..=500 * 10).contains(&redelivered), "{redelivered} redelivered after a kill: {account}");
    let duplicates = number(&account, "duplicates");
    ensure!((50..=50 + written.retries).contains(&duplicates), "{duplicates} duplicates: {account}");
    ensure!(out_of_order == 0 || written.retries > 0, "{out_of_order} out of order");
    scene.run.passed();
    Ok(())
}

async fn a_reader_that_was_frozen_is_struck_off_and_joins_again(pravega: &mut Pravega) -> Result<()> {
    let scene = Scene::open(pravega, "frozen", 2).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "300/s", "--duration", "20m"])?;
    let quick = ["--reader-timeout", "3s"];
    let (mut awake, mut frozen) = (scene.reader("awake", &quick)?, scene.reader("frozen", &quick)?);
    wait("one segment each", LONG, async || {
        Ok(awake.metric("segments").await.ok() == Some(1) && frozen.metric("segments").await.ok() == Some(1))
    })
    .await?;
    frozen.process.pause();
    awake.wait_said("struck off").await?;
    wait("both segments", LONG, async || Ok(awake.metric("segments").await? == 2)).await?;
    frozen.process.resume();
    frozen.wait_said("It joins again").await?;
    wait("one segment each", LONG, async || {
        Ok(awake.metric("segments").await? == 1 && frozen.metric("segments").await? == 1)
    })
    .await?;
    let written = load.stop().await?;
    sleep(Duration::from_secs(3)).await;
    for reader in [awake, frozen] {
        reader.stop().await?;
    }
    let account = scene.reconcile(&["load"])?;
    ensure!(number(&account, "different") == written.events(), "{account}");
    scene.run.passed();
    Ok(())
}

async fn the_end_of_a_stream_is_told_from_its_absence(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "sealed", 3).await?;
    let few = ["--shape", "constant", "--rate", "5000/s", "--events", "10000"];
    scene.load("load", 0, &few)?.finish(LONG).await?;
    scene.scale(2).await?;
    scene.admin.seal(SCOPE, "sealed").await?;
    let summary = scene.reader("to-the-end", &[])?.finish().await?;
    ensure!(summary["ended_by"] == "end of stream" && number(&summary, "events") == 10_000, "{summary}");
    ensure!(number(&summary, "segments_finished") == 5, "{summary}");

    scene.stream = "nothing".into();
    let said = scene.reader("missing", &[])?.fail(73, Duration::from_secs(20)).await?;
    ensure!(said.contains("--stream readers/nothing does not exist"), "{said}");

    // So slow that the stream is gone before it is read.
    scene.stream = "deleted".into();
    scene.admin.create_stream(SCOPE, "deleted", Scaling::fixed(1)).await?;
    let many = ["--shape", "constant", "--rate", "10000/s", "--events", "20000"];
    scene.load("lots", 0, &many)?.finish(LONG).await?;
    let slow = ["--iterations", "100", "--reader-group", "slow"];
    let mut reader = scene.reader("slow", &slow)?;
    reader.wait_said("reads segment").await?;
    reader.process.pause();
    scene.admin.delete(SCOPE, "deleted").await?;
    reader.process.resume();
    let said = reader.fail(73, LONG).await?;
    ensure!(said.contains("--stream readers/deleted was deleted while it was read"), "{said}");
    scene.run.passed();
    Ok(())
}

async fn readers_share_the_segments_and_hand_them_over(pravega: &mut Pravega) -> Result<()> {
    let scene = Scene::open(pravega, "shared", 2).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "300/s", "--duration", "20m"])?;
    let mut three = scene.reader("three", &["--readers", "3"])?;
    scene.wait_held(&mut [&mut three], 2).await?;
    let mut one = scene.reader("one", &[])?;
    // Four readers, two segments: whoever has one keeps it.
    sleep(Duration::from_secs(3)).await;
    ensure!(three.metric("segments").await? == 2 && one.metric("segments").await? == 0, "something moved");
    scene.scale(4).await?;
    wait("one for each reader", LONG, async || {
        Ok(three.metric("segments").await? == 3 && one.metric("segments").await? == 1)
    })
    .await?;
    ensure!(three.stop().await?["positions_saved"] == true);
    scene.wait_held(&mut [&mut one], 4).await?;
    let written = load.stop().await?;
    wait("all is read", LONG, async || Ok(one.metric("lag_bytes").await.ok() == Some(0))).await?;
    sleep(Duration::from_secs(2)).await;
    one.stop().await?;
    let account = scene.reconcile(&["load"])?;
    // In good order nothing comes twice.
    ensure!(number(&account, "redelivered") == 0 && number(&account, "duplicates") == 0, "{account}");
    ensure!(number(&account, "delivered") == written.events(), "{account}");
    scene.run.passed();
    Ok(())
}

/// The last scene: it leaves Pravega without a segment store.
async fn an_outage_that_lasts_is_given_up(pravega: &mut Pravega) -> Result<()> {
    let scene = Scene::open(pravega, "away", 1).await?;
    let few = ["--shape", "constant", "--rate", "500/s", "--events", "500"];
    scene.load("load", 0, &few)?.finish(LONG).await?;
    let flags = ["--give-up-after", "6s", "--leave-timeout", "3s"];
    let mut reader = scene.reader("patient", &flags)?;
    wait("all is read", LONG, async || Ok(reader.metric("events_total").await.ok() == Some(500))).await?;
    pravega.kill_segment_store();
    reader.wait_said("trying again").await?;
    let summary = reader.summary.clone();
    let said = reader.fail(69, Duration::from_secs(40)).await?;
    ensure!(said.contains("given up after 6s (--give-up-after)"), "{said}");
    ensure!(events_in(&summary)? == 500, "the summary is there all the same");
    scene.run.passed();
    Ok(())
}

fn events_in(summary: &Path) -> Result<u64> {
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary)?)?;
    Ok(number(&summary, "events"))
}
