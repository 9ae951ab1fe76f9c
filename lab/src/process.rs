//! One supervised child process: its own process group, its output in a log file, a pid file, and no
//! way to outlive the lab by accident.
//!
//! It is stopped by SIGTERM and, past a deadline, SIGKILL. Dropping it kills it. If the lab itself is
//! killed, the kernel kills the child where `setpriv` is installed (util-linux); otherwise the pid
//! file lets the next lab do it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::clock::{self, Deadline};
use crate::pid_file::PidFile;
use crate::run_dir::RunDir;
use crate::tools;

/// How many lines of the log a message about a dead process shows.
const TAIL_LINES: usize = 12;

/// What went wrong with a child process.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started at all.
    #[error("cannot start {name} ({program})")]
    Start {
        /// What the lab calls it.
        name: String,
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended although it should run.
    #[error("{name} ended ({how}); its log is {}; last lines:\n{tail}", log.display())]
    Died {
        /// What the lab calls it.
        name: String,
        /// Exit code or signal.
        how: String,
        /// Where its output is.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// It runs but is not ready in time.
    #[error("{name} is not ready after {limit:?}; its log is {}; last lines:\n{tail}", log.display())]
    NotReady {
        /// What the lab calls it.
        name: String,
        /// How long the lab waited.
        limit: Duration,
        /// Where its output is.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
}

/// What to start: a program, its arguments and its environment.
#[derive(Debug, Clone)]
pub struct Launch {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Launch {
    /// A program without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), args: Vec::new(), env: Vec::new() }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable on top of the lab's own.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The same as one command of a shell, its environment included.
    #[must_use]
    pub fn to_shell(&self) -> String {
        let program = std::iter::once(&self.program).chain(&self.args).map(|word| quote(&word.to_string_lossy()));
        let assignments =
            self.env.iter().map(|(name, value)| quote(&format!("{}={}", name.display(), value.display())));
        let env = if self.env.is_empty() { None } else { Some("env".to_owned()) };
        env.into_iter().chain(assignments).chain(program).collect::<Vec<_>>().join(" ")
    }

    fn command(&self) -> Command {
        let mut command = match tools::find_program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Puts a word in quotes if a shell would read it as something else.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A child that runs until it is stopped, killed or dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: Option<PathBuf>,
}

impl Process {
    /// Starts it. Its output is appended to `<run>/logs/<name>.log`, its pid file is
    /// `<run>/pids/<name>.pid`.
    pub fn start(run: &RunDir, name: &str, launch: &Launch) -> Result<Self, ProcessError> {
        let log = run.logs().join(format!("{name}.log"));
        let mut process = Self::start_with_log(name, launch, log)?;
        process.pid_file = PidFile::of(process.pid(), name).and_then(|pid_file| pid_file.write(&run.pids()).ok());
        Ok(process)
    }

    /// Starts it with its output in the given file and without a pid file: for short-lived helpers
    /// that do not belong to a run.
    pub fn start_with_log(name: &str, launch: &Launch, log: PathBuf) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start {
            name: name.to_owned(),
            program: launch.program.to_string_lossy().into_owned(),
            source,
        };
        let out = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let mut command = launch.command();
        command.process_group(0).stdin(Stdio::null()).stdout(out.try_clone().map_err(failed)?).stderr(out);
        let child = spawn_from_one_thread(command).map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log, pid_file: None })
    }

    /// What the lab calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is also the id of its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error that tells how it ended, if it has.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(ProcessError::Died {
                name: self.name.clone(),
                how: describe(status),
                log: self.log.clone(),
                tail: tail(&self.log),
            }),
        }
    }

    /// The error for a process that runs but did not get ready in time.
    #[must_use]
    pub fn not_ready(&self, limit: Duration) -> ProcessError {
        ProcessError::NotReady { name: self.name.clone(), limit, log: self.log.clone(), tail: tail(&self.log) }
    }

    /// Waits until it has ended by itself, or the deadline is over (`None`).
    pub async fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Deadline::after(limit);
        loop {
            let status = self.ended();
            if status.is_some() || deadline.is_over() {
                return status;
            }
            deadline.rest().await;
        }
    }

    /// SIGTERM, then SIGKILL if it is still there after `grace`.
    pub async fn stop(mut self, grace: Duration) {
        self.signal(Signal::TERM);
        self.wait(grace).await;
        // The drop kills what is left.
    }

    /// SIGTERM without waiting, for stopping several at once.
    pub fn ask_to_stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Freezes it (SIGSTOP): its ports stay open and nothing answers.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen one go on (SIGCONT).
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(self) {
        drop(self);
    }

    fn signal(&mut self, signal: Signal) {
        // As long as its status has not been asked for, no other process can have its id.
        if self.ended().is_none()
            && let Some(group) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        clock::wait_blocking(Duration::from_secs(5), || self.ended().is_some());
        if let Some(pid_file) = &self.pid_file {
            let _ = fs::remove_file(pid_file);
        }
    }
}

/// How a process ended, for people.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "unknown exit status".to_owned(),
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let Ok(bytes) = fs::read(log) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    let mut last = VecDeque::with_capacity(TAIL_LINES);
    for line in text.lines() {
        if last.len() == TAIL_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last.into_iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a command from one thread that lives as long as the lab.
///
/// The kernel kills a child that asked for it when the *thread* that started it ends. A worker thread
/// of a runtime may end long before the lab does; this one does not.
fn spawn_from_one_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Nobody waits for the reply only if the lab is ending; the child dies with it.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn one_that_dies_says_how_and_shows_its_log() -> anyhow::Result<()> {
        let run = RunDir::fresh()?;
        let mut process = Process::start(&run, "doomed", &shell("echo one; echo two >&2; exit 3"))?;
        process.wait(Duration::from_secs(5)).await;
        let message = process.check().expect_err("it has ended").to_string();
        assert!(message.contains("doomed ended (exit code 3)"), "{message}");
        assert!(message.contains("one\n  two"), "{message}");
        run.passed();
        Ok(())
    }

    #[tokio::test]
    async fn stopping_is_gentle_first() -> anyhow::Result<()> {
        let run = RunDir::fresh()?;
        let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let mut process = Process::start(&run, "gentle", &shell(script))?;
        let log = process.log().to_owned();
        clock::wait_blocking(Duration::from_secs(5), || tail(&log).contains("up"));
        assert!(process.ended().is_none());
        process.stop(Duration::from_secs(5)).await;
        assert!(fs::read_to_string(log)?.contains("bye"));
        run.passed();
        Ok(())
    }

    #[tokio::test]
    async fn dropping_kills_the_whole_group() -> anyhow::Result<()> {
        let run = RunDir::fresh()?;
        let process = Process::start(&run, "parent", &shell("sleep 60 & echo $!; wait"))?;
        let log = process.log().to_owned();
        clock::wait_blocking(Duration::from_secs(5), || fs::metadata(&log).is_ok_and(|m| m.len() > 0));
        let grandchild: u32 = fs::read_to_string(&log)?.trim().parse()?;
        let grandchild = PidFile::of(grandchild, "sleep").expect("it runs");
        let parent = PidFile::of(process.pid(), "parent").expect("it runs");
        drop(process);
        assert!(!parent.is_alive());
        assert!(clock::wait_blocking(Duration::from_secs(2), || !grandchild.is_alive()));
        assert!(!run.pids().join("parent.pid").exists());
        run.passed();
        Ok(())
    }

    #[tokio::test]
    async fn a_frozen_one_goes_on_where_it_was() -> anyhow::Result<()> {
        let run = RunDir::fresh()?;
        let mut process = Process::start(&run, "ticking", &shell("while :; do echo tick; sleep 0.02; done"))?;
        let size = |process: &Process| fs::metadata(process.log()).map_or(0, |meta| meta.len());
        clock::wait_blocking(Duration::from_secs(5), || size(&process) > 0);
        process.pause();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let frozen = size(&process);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(size(&process), frozen);
        process.resume();
        assert!(clock::wait_blocking(Duration::from_secs(5), || size(&process) > frozen));
        run.passed();
        Ok(())
    }

    #[test]
    fn shell_words_are_quoted_where_needed() {
        let launch = Launch::new("java").args(["-Xmx32m", "a b", "it's", "-Da=$HOME"]);
        assert_eq!(launch.clone().env("A", "b c").to_shell(), format!("env 'A=b c' {}", launch.to_shell()));
        assert_eq!(launch.to_shell(), r"java -Xmx32m 'a b' 'it'\''s' '-Da=$HOME'");
    }
}
