//! Processes of this machine: how one is started so that none can run unrecorded, told from a later
//! one with the same process id, looked at and signalled.
//!
//! A member is a process group of its own: no signal of the terminal reaches it, and a start script
//! that stays beside the JVM is stopped together with it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

use super::command;

const PROC: &str = "/proc";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The variable that tells a TaskManager its name.
const ID_VARIABLE: &str = "SLUICE_TASK_MANAGER_ID";

/// The agent's own variables may hold credentials for Pravega: they are not the TaskManagers'.
const AGENT_VARIABLES: &str = "SLUICE_";

const SHELL: &str = "/bin/sh";

/// Runs the command only after a line has come through standard input. If the agent ends before it
/// has put the process on record and let it go, the pipe closes and the process ends with it.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;

/// A process, told apart from any other that ever had or will have the same process id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Its process id, and the id of its process group.
    pub pid: i32,
    /// When the kernel started it, in clock ticks since the machine booted.
    start_ticks: u64,
    /// Which boot of the machine.
    boot_id: String,
    /// When that was by the wall clock, for people and for choosing the newest.
    pub started_at: Timestamp,
}

/// What has become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Running,
    /// It has ended, but processes that it started have not.
    Remains,
    /// Nothing of it is left.
    Gone,
}

impl Identity {
    /// Ids 0 and 1 would make a signal to the group one to a great many other processes.
    pub fn is_plausible(&self) -> bool {
        self.pid > 1
    }

    /// What has become of it. An error means that it is unknown, not that it is gone.
    pub fn life(&self, boot_id: &str) -> io::Result<Life> {
        if self.boot_id != boot_id {
            return Ok(Life::Gone);
        }
        match stat(self.pid)? {
            // While any process of its group is left, its id is not given to another process.
            Some(stat) if stat.start_ticks != self.start_ticks => Ok(Life::Gone),
            Some(stat) if stat.is_alive() => Ok(Life::Running),
            _ if group_is_alive(self.pid)? => Ok(Life::Remains),
            _ => Ok(Life::Gone),
        }
    }

    /// Signals the whole group; one that has just ended is no error. Call only right after
    /// [`Self::life`] has found something of it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(group) = Pid::from_raw(self.pid).filter(|_| self.is_plausible()) else {
            return Err(io::Error::from(ErrorKind::InvalidInput));
        };
        match kill_process_group(group, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Takes the dead process off the table where it fell to this one as a child by adoption (as
    /// process 1 of a container); anywhere else somebody else does that.
    pub fn reap(&self) {
        let _ = waitpid(Pid::from_raw(self.pid), WaitOptions::NOHANG);
    }
}

/// The parts of `/proc/<pid>/stat` that matter here.
struct Stat {
    state: char,
    group: i32,
    start_ticks: u64,
}

impl Stat {
    /// A zombie has ended and only waits to be asked for its exit status.
    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    fn parse(text: &str) -> Option<Self> {
        // The command's name stands in brackets and may hold brackets and blanks of its own.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let start_ticks = fields.nth(16)?.parse().ok()?;
        Some(Self { state, group, start_ticks })
    }
}

/// `None` if there is no such process.
fn stat(pid: i32) -> io::Result<Option<Stat>> {
    let text = match fs::read(format!("{PROC}/{pid}/stat")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    Stat::parse(&text).map(Some).ok_or_else(|| io::Error::other(format!("{PROC}/{pid}/stat reads `{text}`")))
}

fn group_is_alive(group: i32) -> io::Result<bool> {
    for entry in fs::read_dir(PROC)? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match stat(pid) {
            Ok(Some(stat)) if stat.group == group && stat.is_alive() => return Ok(true),
            Ok(_) => {}
            // A process that may not be looked at belongs to somebody else.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Which boot of the machine this is. Fails where there is no `/proc`, where every process would
/// look as if it had ended.
pub(super) fn boot_id() -> io::Result<String> {
    if stat(i32::try_from(std::process::id()).map_err(io::Error::other)?)?.is_none() {
        return Err(io::Error::other("/proc does not show this process"));
    }
    Ok(fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

/// A process that exists, but waits to be let go.
pub(super) struct Gated {
    pub identity: Identity,
    child: Child,
    gate: ChildStdin,
}

impl Gated {
    /// Makes the process of member `id`.
    pub fn spawn(words: &[String], id: &str, log: &Path, boot_id: &str, now: Timestamp) -> io::Result<Self> {
        let named =
            |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let log = File::options().create(true).append(true).open(log).map_err(|error| named(log, error))?;
        let mut command = Command::new(SHELL);
        command.args(["-c", GATE, "sluice"]).args(command::for_member(words, id));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(AGENT_VARIABLES)) {
            command.env_remove(name);
        }
        command.env(ID_VARIABLE, id);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = command.spawn().map_err(|error| named(Path::new(SHELL), error))?;
        let identity = i32::try_from(child.id()).map_err(io::Error::other).and_then(|pid| {
            // It is there even if it has ended: it has not been waited for.
            let stat = stat(pid)?.ok_or(ErrorKind::NotFound)?;
            Ok(Identity { pid, start_ticks: stat.start_ticks, boot_id: boot_id.to_owned(), started_at: now })
        });
        match (identity, child.stdin.take()) {
            (Ok(identity), Some(gate)) => Ok(Self { identity, child, gate }),
            (identity, _) => {
                abandon(child);
                Err(identity.err().unwrap_or_else(|| ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// Lets it run the command. If it has ended meanwhile, the next look tells.
    pub fn let_go(mut self) -> Child {
        let _ = self.gate.write_all(b"go\n");
        self.child
    }

    /// Ends it; the command has not been run.
    pub fn give_up(self) {
        drop(self.gate);
        abandon(self.child);
    }
}

fn abandon(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_of_a_command_with_brackets_in_its_name() {
        let line = "812 (a) R (b) S 1 812 800 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.group, stat.start_ticks), ('S', 812, 98765));
        assert!(stat.is_alive());
    }

    #[test]
    fn refuses_a_line_that_is_cut_off() {
        assert!(Stat::parse("812 (java) S 1 812 800").is_none());
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn a_process_id_that_would_reach_everybody_is_never_signalled() {
        let identity = Identity { pid: 1, start_ticks: 1, boot_id: String::new(), started_at: Timestamp::UNIX_EPOCH };
        assert!(!identity.is_plausible());
        assert!(identity.signal(Signal::TERM).is_err());
    }
}
