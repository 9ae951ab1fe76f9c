//! The pool with real processes. Whatever a test starts is ended by process id, even if it fails.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sluice_core::{Pool, TaskManagers};
use tempfile::TempDir;

use super::{PoolError, ProcessPool, ProcessPoolOptions};

mod crash;
mod life;
mod opening;

/// A member that only stays: one process, which SIGTERM ends at once.
const STAYS: &str = "exec sleep 600";

/// How many looks of 25 ms a busy machine is given.
const PATIENCE: u32 = 1200;

/// A folder with a pool in it and a script for its members.
struct Lab {
    dir: TempDir,
}

impl Lab {
    fn new(script: &str) -> Self {
        let lab = Self { dir: TempDir::new().unwrap() };
        fs::write(lab.script(), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(lab.script(), fs::Permissions::from_mode(0o755)).unwrap();
        lab
    }

    fn script(&self) -> PathBuf {
        self.dir.path().join("task-manager")
    }

    fn pool_dir(&self) -> PathBuf {
        self.dir.path().join("pool")
    }

    fn options(&self) -> ProcessPoolOptions {
        let command = vec![self.script().display().to_string(), "{id}".to_owned()];
        ProcessPoolOptions { dir: self.pool_dir(), command, stop_timeout: Duration::from_secs(10) }
    }

    /// As the agent does at its start. Dropping what is returned is like killing the agent: nothing
    /// is stopped, and nothing is written.
    fn open(&self) -> ProcessPool {
        ProcessPool::open(self.options()).unwrap()
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.pool_dir().join("pool.json")).unwrap()).unwrap()
    }

    fn write_record(&self, record: &Value) {
        fs::create_dir_all(self.pool_dir()).unwrap();
        fs::write(self.pool_dir().join("pool.json"), record.to_string()).unwrap();
    }

    /// Process ids on record, by member.
    fn recorded(&self) -> Vec<(String, i32)> {
        let record = self.record();
        let members = record["members"].as_array().unwrap().iter();
        let pid = |member: &Value| i32::try_from(member["process"]["pid"].as_i64()?).ok();
        members.filter_map(|member| Some((member["id"].as_str().unwrap().to_owned(), pid(member)?))).collect()
    }

    fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<_> = self.recorded().into_iter().map(|(_, pid)| pid).collect();
        pids.sort_unstable();
        pids
    }

    /// All processes that write to the logs of this pool, on record or not: told by their standard
    /// output, so independently of what the pool believes.
    fn running(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let output = fs::read_link(format!("/proc/{pid}/fd/1"));
                output.is_ok_and(|output| output.starts_with(self.dir.path()))
            })
            .collect();
        pids.sort_unstable();
        pids
    }

    fn log(&self, id: &str) -> String {
        fs::read_to_string(self.pool_dir().join("logs").join(format!("{id}.log"))).unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Twice: a member may just be starting another process.
        for _ in 0..2 {
            for pid in self.running() {
                kill(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

fn ids(pool: &Pool) -> Vec<String> {
    pool.members.iter().flatten().map(|member| member.id.clone()).collect()
}

/// Observes until the pool is as it should be.
async fn observe_until(pool: &ProcessPool, what: &str, is: impl Fn(&Pool) -> bool) -> Pool {
    for _ in 0..PATIENCE {
        let seen = pool.observe().await.unwrap();
        if is(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}; last seen {:?}", pool.observe().await);
}

/// Observes until only the wanted members are left, all of them running, each on record.
async fn settle(lab: &Lab, pool: &ProcessPool) -> Pool {
    for _ in 0..PATIENCE {
        let seen = pool.observe().await.unwrap();
        let all_run = seen.ready == seen.replicas;
        if all_run && lab.pids().len() == seen.members.as_ref().map_or(0, Vec::len) && lab.running() == lab.pids() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never in line: running {:?}, on record {:?}", lab.running(), lab.recorded());
}

async fn wait_for(what: &str, is: impl Fn() -> bool) {
    for _ in 0..PATIENCE {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}
