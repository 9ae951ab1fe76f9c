//! How many replicas each Deployment was asked to have, and when: a watch on the API server.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use sluice_e2e::process_cost::instant;

/// One value of `spec.replicas`, and when it was first seen.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub at: Instant,
    pub replicas: u32,
}

/// A watch on all Deployments of the benchmark's namespace.
pub struct Replicas {
    seen: Arc<Mutex<Vec<(String, Asked)>>>,
    watch: Child,
}

impl Replicas {
    pub fn watch(kubeconfig: &Path) -> Result<Self> {
        let mut watch = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--namespace", super::BENCH, "get", "deployments", "--watch", "--output"])
            .arg(r#"jsonpath={.metadata.name} {.spec.replicas}{"\n"}"#)
            .stdout(Stdio::piped())
            .spawn()
            .context("kubectl")?;
        let lines = BufReader::new(watch.stdout.take().context("kubectl's output")?).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some((name, replicas)) = line.split_once(' ') else { continue };
                let Ok(replicas) = replicas.parse() else { continue };
                let asked = Asked { at: instant(), replicas };
                let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                let last = seen.iter().rfind(|(of, _): &&(String, Asked)| of == name);
                // Most events are about pods that came or went.
                if last.is_none_or(|(_, last)| last.replicas != replicas) {
                    seen.push((name.to_owned(), asked));
                }
            }
        });
        Ok(Self { seen, watch })
    }

    /// Everything one Deployment was asked for.
    pub fn of(&self, deployment: &str) -> Vec<Asked> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(of, _)| of == deployment).map(|(_, asked)| *asked).collect()
    }

    /// What it is asked for now.
    pub fn now(&self, deployment: &str) -> Option<u32> {
        self.of(deployment).last().map(|asked| asked.replicas)
    }

    /// When it was asked for so many at a time after `since`; waits for that.
    pub async fn reaches(&self, deployment: &str, replicas: u32, since: Instant, limit: Duration) -> Result<Duration> {
        while since.elapsed() < limit {
            // The agent may have seen the change a moment before this program did.
            let recent = |asked: &&Asked| asked.at + Duration::from_secs(1) > since;
            if self.now(deployment) == Some(replicas)
                && let Some(asked) = self.of(deployment).iter().filter(recent).find(|asked| asked.replicas == replicas)
            {
                return Ok(asked.at.saturating_duration_since(since));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{deployment} was not asked for {replicas} replicas within {limit:?}")
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        let _ = self.watch.kill();
        let _ = self.watch.wait();
    }
}
