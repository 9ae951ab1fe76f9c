//! What the scenes of the writer share: a generator on a stream of its own, and the proof that what it
//! says is acknowledged is in the stream.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_lab::process::{Launch, Process};
use sluice_lab::rig::binary;
use sluice_lab::{Pravega, RunDir};
use tokio::time::{Instant, sleep};

use crate::generator::reconcile;

/// The scope of all scenes.
pub const SCOPE: &str = "writers";

/// One stream and those who write to it.
#[derive(Debug)]
pub struct Writing {
    /// Folder and ports.
    pub run: RunDir,
    /// The stream.
    pub stream: String,
    connection: Vec<String>,
    written: Vec<PathBuf>,
}

/// A generator on its way.
#[derive(Debug)]
pub struct Writer {
    process: Process,
    summary: PathBuf,
}

/// How a generator ended.
#[derive(Debug)]
pub struct Ended {
    /// Its summary; null if it wrote none.
    pub summary: Value,
    /// What it printed.
    pub said: String,
}

impl Writing {
    /// A stream of this name; the generator will create it.
    pub fn to(pravega: &Pravega, stream: &str) -> Result<Self> {
        let controller = pravega.controller_uri();
        let mut connection = vec!["--controller".to_owned(), controller];
        if let Some(security) = pravega.security() {
            connection.extend(["--tls-ca".to_owned(), security.ca_file().display().to_string()]);
        }
        Ok(Self { run: RunDir::fresh()?, stream: stream.into(), connection, written: Vec::new() })
    }

    /// As this user from now on.
    #[must_use]
    pub fn user(mut self, pravega: &Pravega, user: &str) -> Self {
        if let Some(security) = pravega.security() {
            let file = security.password_file(user).display().to_string();
            self.connection.truncate(4);
            self.connection.extend(["--username".into(), user.into(), "--password-file".into(), file]);
        }
        self
    }

    /// With this certificate authority instead of the right one.
    #[must_use]
    pub fn trust(mut self, file: &Path) -> Self {
        self.connection.truncate(2);
        self.connection.extend(["--tls-ca".into(), file.display().to_string()]);
        self
    }

    /// Starts a generator; its name is that of its log and of its summary.
    pub fn write(&mut self, name: &str, flags: &[&str]) -> Result<Writer> {
        let summary = self.run.path().join(format!("{name}.summary.json"));
        let launch = Launch::new(binary("data-generator")?)
            .arg("write")
            .args(&self.connection)
            .args(["--scope", SCOPE, "--stream", &self.stream, "--progress", "plain", "--summary"])
            .arg(&summary)
            .args(flags);
        let process = Process::start(&self.run, name, &launch)?;
        self.written.push(summary.clone());
        Ok(Writer { process, summary })
    }

    /// Reads the stream from its head until nothing comes any more and holds it against the summaries
    /// of all generators so far.
    pub fn prove(&self) -> Result<Value> {
        let ledgers = self.run.path().join("ledgers");
        let mut read = Command::new(binary("data-generator")?);
        read.arg("read").args(&self.connection).args(["--scope", SCOPE, "--stream", &self.stream]);
        read.args([
            "--reader-group",
            &self.stream,
            "--until-idle",
            "2s",
            "--iterations",
            "0",
            "--duration",
            "2m",
            "--progress",
            "none",
            "--ledger",
        ]);
        let read = read.arg(&ledgers).output()?;
        ensure!(read.status.success(), "read: {}", String::from_utf8_lossy(&read.stderr));
        reconcile(&ledgers, &self.written)
    }

    /// Ends the scene: it went well.
    pub fn close(self) {
        self.run.passed();
    }
}

impl Writer {
    /// Waits until it has said this.
    pub async fn wait_said(&mut self, text: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.said()?.contains(text) {
            ensure!(Instant::now() < deadline, "it did not say {text:?}: {}", self.said()?);
            self.process.check()?;
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Asks it to end: SIGTERM.
    pub fn terminate(&mut self) {
        self.process.ask_to_stop();
    }

    /// Waits for its end, which has to come in time and with this exit code.
    pub async fn ends(mut self, code: i32, limit: Duration) -> Result<Ended> {
        let status = self.process.wait(limit).await;
        let said = self.said()?;
        let status = status.with_context(|| format!("still writing after {limit:?}: {said}"))?;
        ensure!(status.code() == Some(code), "{status}, not {code}: {said}");
        let summary = match fs::read_to_string(&self.summary) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => Value::Null,
        };
        Ok(Ended { summary, said })
    }

    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(self.process.log())?)
    }
}

impl Ended {
    /// A number of the summary.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        self.summary[name].as_f64().unwrap_or(f64::NAN)
    }

    /// A count of the summary.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.summary[name].as_u64().unwrap_or(u64::MAX)
    }

    /// How many segments the stream had, one after the other.
    #[must_use]
    pub fn segments(&self) -> Vec<u64> {
        let seen = self.summary["segments"].as_array().into_iter().flatten();
        seen.filter_map(|seen| seen["segments"].as_u64()).collect()
    }

    /// Everything written is acknowledged.
    pub fn all_acknowledged(&self) -> Result<()> {
        let (written, acknowledged) = (self.count("written"), self.count("acknowledged"));
        ensure!(written == acknowledged && written > 0, "{acknowledged} of {written} acknowledged");
        Ok(())
    }

    /// It said all of this.
    pub fn told(&self, words: &[&str]) -> Result<()> {
        for word in words {
            ensure!(self.said.contains(word), "{word:?} is not in: {}", self.said);
        }
        ensure!(!self.said.contains("panicked"), "{}", self.said);
        Ok(())
    }
}
