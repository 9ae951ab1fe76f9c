//! Readers of the data generator as processes, on a stream of their own, and the proof that nothing was
//! lost between them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_lab::{
    Admin, Pravega, RunDir, Scaling,
    pravega::ADMIN,
    process::{Launch, Process},
    rig::{AgentPlan, Generator, Load, binary},
};
use tokio::time::{Instant, sleep};

use crate::{
    generator::{metrics, reconcile},
    scene::QUICK,
};

/// The scope of all streams.
pub const SCOPE: &str = "readers";

/// Long enough for anything on two busy cores.
pub const LONG: Duration = Duration::from_mins(1);

/// One stream and those who read it.
#[derive(Debug)]
pub struct Reading {
    /// Where logs, summaries and ledgers are.
    pub run: RunDir,
    /// Creates and scales the stream.
    pub admin: Admin,
    /// The stream; change it to have the next ones read another.
    pub stream: String,
    /// Flags that lead to Pravega, for the data generator.
    connection: Vec<String>,
    ledgers: PathBuf,
}

impl Reading {
    /// Creates a stream of so many segments.
    pub async fn open(pravega: &Pravega, stream: &str, segments: u32) -> Result<Self> {
        let scene = Self::open_with(pravega, stream, Scaling::fixed(1)).await?;
        if segments > 1 {
            scene.scale(segments).await?;
        }
        Ok(scene)
    }

    /// Creates a stream of one segment with this policy.
    pub async fn open_with(pravega: &Pravega, stream: &str, scaling: Scaling) -> Result<Self> {
        let run = RunDir::fresh()?;
        let admin = pravega.admin();
        admin.create_stream(SCOPE, stream, scaling).await?;
        let ledgers = run.path().join("ledgers");
        let mut connection = vec!["--controller".to_owned(), pravega.controller_uri()];
        if let Some(security) = pravega.security() {
            let path = |path: &Path| path.display().to_string();
            connection.extend(["--tls-ca".into(), path(&security.ca_file())]);
            connection.extend(["--username".into(), ADMIN.into()]);
            connection.extend(["--password-file".into(), path(&security.password_file(ADMIN))]);
        }
        Ok(Self { run, admin, stream: stream.into(), connection, ledgers })
    }

    /// Writes to the stream; the name is that of the summary, too.
    pub fn load(&self, name: &str, first_writer: u32, flags: &[&str]) -> Result<Generator> {
        let load = Load {
            name: name.into(),
            // The rest of the connection comes with the flags.
            controller: self.connection[1].clone(),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            first_writer,
            flags: self.connection[2..].iter().cloned().chain(flags.iter().map(|&flag| flag.into())).collect(),
        };
        Generator::start(&self.run, &load)
    }

    /// Starts a reader, with a ledger.
    pub fn reader(&self, name: &str, flags: &[&str]) -> Result<Reader> {
        let port = self.run.port()?;
        let summary = self.run.path().join(format!("{name}.summary.json"));
        let launch = Launch::new(binary("data-generator")?)
            .arg("read")
            .args(&self.connection)
            .args(["--scope", SCOPE, "--stream", &self.stream])
            .args(["--name", name, "--progress", "plain", "--metrics-address", &format!("127.0.0.1:{port}")])
            .arg("--ledger")
            .arg(&self.ledgers)
            .arg("--summary")
            .arg(&summary)
            .args(flags);
        let process = Process::start(&self.run, name, &launch)?;
        Ok(Reader { process, summary, port })
    }

    /// What an agent needs that keeps one reader for each segment, each with a ledger.
    pub fn agent_plan(&self, pravega: &Pravega) -> Result<AgentPlan> {
        let program = binary("data-generator")?.display().to_string();
        let ledgers = self.ledgers.display().to_string();
        let reader = ["--scope", SCOPE, "--stream", &self.stream, "--name", "{id}", "--progress", "plain", "--ledger"];
        let words = [program.as_str(), "read"].into_iter().chain(self.connection.iter().map(String::as_str));
        let command: Vec<_> = words.chain(reader).chain([ledgers.as_str()]).collect();
        Ok(AgentPlan {
            name: "agent".into(),
            controllers: pravega.controllers(),
            scope: SCOPE.into(),
            stream: self.stream.clone(),
            flink_url: None,
            task_manager_command: command.join(" "),
            pool_dir: self.run.path().join("pool"),
            flags: QUICK.map(str::to_owned).to_vec(),
        })
    }

    /// Scales the stream by hand.
    pub async fn scale(&self, segments: u32) -> Result<()> {
        self.admin.scale_to(SCOPE, &self.stream, segments).await?;
        Ok(())
    }

    /// How many segments it has.
    pub async fn segments(&self) -> Result<usize> {
        Ok(self.admin.segments(SCOPE, &self.stream).await?.len())
    }

    /// Waits until these readers hold so many segments between them.
    pub async fn wait_held(&self, readers: &mut [&mut Reader], segments: u64) -> Result<()> {
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
    pub fn reconcile(&self, loads: &[&str]) -> Result<Value> {
        let summary = |load: &&str| self.run.path().join(format!("{load}.summary.json"));
        reconcile(&self.ledgers, &loads.iter().map(summary).collect::<Vec<_>>())
    }
}

/// A process that reads.
#[derive(Debug)]
pub struct Reader {
    /// The process.
    pub process: Process,
    /// Where its summary will be.
    pub summary: PathBuf,
    port: u16,
}

impl Reader {
    /// One of its metrics; an error while it has none of this name.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        let text = metrics(self.port).await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("data_generator_read_{name} ")));
        line.with_context(|| format!("no {name} in {text}"))?.trim().parse().context("a number")
    }

    /// Waits until its positions have just been saved.
    pub async fn wait_saved(&mut self) -> Result<()> {
        let before = self.metric("saves_total").await?;
        wait("positions saved", LONG, async || Ok(self.metric("saves_total").await? > before)).await
    }

    /// Waits until its log has this text.
    pub async fn wait_said(&mut self, text: &str) -> Result<()> {
        wait(text, LONG, async || Ok(self.log()?.contains(text))).await
    }

    /// Its log.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.process.log())?)
    }

    /// Asks it to end, and reads what it came to.
    pub async fn stop(mut self) -> Result<Value> {
        self.process.ask_to_stop();
        self.finish().await
    }

    /// Waits until it has ended well by itself.
    pub async fn finish(mut self) -> Result<Value> {
        let status = self.process.wait(LONG).await.with_context(|| format!("still reading: {}", self.tail()))?;
        ensure!(status.success(), "{status}: {}", self.tail());
        Ok(serde_json::from_str(&std::fs::read_to_string(&self.summary)?)?)
    }

    /// Waits until it has ended with this exit code, and returns what it said.
    pub async fn fail(mut self, code: i32, limit: Duration) -> Result<String> {
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

/// Waits until it is so.
pub async fn wait(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let until = now() + limit;
    while !is_so().await? {
        ensure!(now() < until, "not within {} s: {what}", limit.as_secs());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// A number in a summary; 0 if it is not there.
#[must_use]
pub fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}
