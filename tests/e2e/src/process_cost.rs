//! What a process takes, as Linux tells it in proc(5).

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// Linux reports CPU time to programs in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU that a process uses from some moment on.
#[derive(Debug)]
pub struct Cpu {
    pid: u32,
    begun: Instant,
    ticks: u64,
}

impl Cpu {
    /// From now on.
    pub fn begin(pid: u32) -> Result<Self> {
        Ok(Self { pid, begun: instant(), ticks: ticks(pid)? })
    }

    /// Whose.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// For how long it has been watched.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Its share of one core until now, in percent.
    pub fn percent(&self) -> Result<f64> {
        let seconds = (ticks(self.pid)? - self.ticks) as f64 / TICKS_PER_SECOND;
        Ok(100.0 * seconds / self.elapsed().as_secs_f64())
    }
}

/// The first process of a container on this machine: its cgroups are called after the container.
pub fn pid_of_container(id: &str) -> Result<u32> {
    let mut pids: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    // One may have ended meanwhile.
    let inside = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(id));
    pids.into_iter().find(inside).with_context(|| format!("no process of container {id}"))
}

/// A line of /proc/PID/status in MiB, such as `VmRSS` (memory now) or `VmHWM` (the most so far).
pub fn mebibytes(pid: u32, line: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib: u64 = found.context("/proc/pid/status")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib as f64 / 1024.0)
}

fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("/proc/pid/stat")?.1;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    // utime and stime, fields 14 and 15 of proc(5); the two before the name are cut off.
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// The clock of the benchmarks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the benchmark's clock")]
pub fn instant() -> Instant {
    Instant::now()
}
