//! Which processes a run has started, kept on disk so that a later lab can stop what a crashed one
//! left behind.
//!
//! A file says `pid start-time name`. The start time (field 22 of `/proc/<pid>/stat`) tells our
//! process from a stranger that was given the same pid later; and every signal goes through a pid
//! file descriptor opened *before* that comparison, so the one that is compared is the one that is
//! stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clock;

/// A process as it was when it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub start_time: u64,
    /// What the lab calls it, for example `controller-1`.
    pub name: String,
}

impl PidFile {
    /// Describes a process that runs now; `None` if there is none with this id.
    #[must_use]
    pub fn of(pid: u32, name: &str) -> Option<Self> {
        Some(Self { pid, start_time: start_time(pid)?, name: name.to_owned() })
    }

    /// Writes it into the folder and returns the path.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}.pid", self.name));
        fs::write(&path, self.to_line())?;
        Ok(path)
    }

    fn to_line(&self) -> String {
        format!("{} {} {}\n", self.pid, self.start_time, self.name)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self {
            pid: words.next()?.parse().ok()?,
            start_time: words.next()?.parse().ok()?,
            name: words.next()?.to_owned(),
        })
    }

    /// Whether this very process still runs. One that has ended and whose parent has not yet asked
    /// for its status counts as ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.open().is_some()
    }

    /// A handle on this very process, `None` if it is gone.
    fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        (start_time(self.pid)? == self.start_time).then_some(handle)
    }

    fn signal(&self, signal: Signal) {
        if let Some(handle) = self.open() {
            // It may end between the two lines; then there is nothing left to do.
            let _ = pidfd_send_signal(&handle, signal);
        }
    }
}

/// What a run left behind and is still alive, the youngest first.
#[must_use]
pub fn leftovers(folder: &Path) -> Vec<PidFile> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PidFile> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pid"))
        .filter_map(|entry| PidFile::parse(&fs::read_to_string(entry.path()).ok()?))
        .filter(PidFile::is_alive)
        .collect();
    found.sort_by_key(|process| std::cmp::Reverse(process.start_time));
    found
}

/// Stops what a run left behind, the youngest first: SIGTERM, and SIGKILL to whatever is still there
/// after `grace`. Removes the pid files. Returns the names of those it found alive.
///
/// It blocks: it is called before a run starts, after it ends, and when one is dropped.
#[expect(clippy::must_use_candidate, reason = "the names are only for people")]
pub fn stop_leftovers(folder: &Path, grace: Duration) -> Vec<String> {
    let alive = leftovers(folder);
    if !grace.is_zero() {
        for process in &alive {
            process.signal(Signal::TERM);
        }
        clock::wait_blocking(grace, || !alive.iter().any(PidFile::is_alive));
    }
    for process in &alive {
        process.signal(Signal::KILL);
    }
    clock::wait_blocking(Duration::from_secs(5), || !alive.iter().any(PidFile::is_alive));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
    alive.into_iter().map(|process| process.name).collect()
}

/// When the process started; `None` if there is no such process or it has already ended.
fn start_time(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of a line of `/proc/<pid>/stat`, unless field 3 says that the process has ended. The
/// second field is the name of the program in brackets and may itself hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> io::Result<Child> {
        Command::new("sleep").arg("60").spawn()
    }

    #[test]
    fn reads_the_start_time_behind_a_difficult_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10";
        assert_eq!(parse_stat(stat), Some(987_654));
        assert_eq!(parse_stat(&stat.replace(") S ", ") Z ")), None, "ended");
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn written_and_read_back() {
        let file = PidFile { pid: 7, start_time: 99, name: "controller-1".into() };
        assert_eq!(PidFile::parse(&file.to_line()), Some(file));
    }

    #[test]
    fn what_was_left_behind_is_stopped() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut child = sleeper()?;
        PidFile::of(child.id(), "sleeper").expect("it runs").write(folder.path())?;
        assert_eq!(stop_leftovers(folder.path(), Duration::from_secs(2)), ["sleeper"]);
        assert!(!child.wait()?.success());
        assert_eq!(fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn a_stranger_with_the_same_pid_lives_on() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut stranger = sleeper()?;
        let mut file = PidFile::of(stranger.id(), "long-gone").expect("it runs");
        file.start_time -= 1;
        file.write(folder.path())?;
        assert!(stop_leftovers(folder.path(), Duration::from_secs(1)).is_empty());
        assert!(stranger.try_wait()?.is_none(), "it must still run");
        stranger.kill()?;
        stranger.wait()?;
        Ok(())
    }
}
