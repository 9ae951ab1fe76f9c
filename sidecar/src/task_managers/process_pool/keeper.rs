//! Brings the processes in line with the record, a little at each observation: those that are not
//! wanted are stopped, those that are wanted and have ended are started again. Nothing here waits.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use sluice_core::{Choice, Member, Pool, TaskManagers};
use tracing::{info, warn};

use super::{
    PoolError, ProcessPoolOptions,
    process::{self, Gated, Identity, Life},
    record::{Folder, Record},
};
use crate::clock;

/// A member that has lived this long is started again at once when it ends.
const LONG_LIFE: Duration = Duration::from_secs(30);

/// The wait before a start that follows a short life; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The longest such wait.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How much of the end of a log is searched for its last line.
const LOG_TAIL: u64 = 4096;

/// The longest line of a member's log that is repeated in the agent's.
const LOG_LINE: usize = 300;

/// The pool's state behind its lock.
#[derive(Debug)]
pub(super) struct Keeper {
    options: ProcessPoolOptions,
    folder: Folder,
    boot_id: String,
    /// As on disk.
    record: Record,
    /// What need not outlive the agent, by member.
    notes: HashMap<String, Notes>,
    /// Held as long as the agent runs; `None` if the pool is only looked at.
    lock: Option<File>,
}

/// What one agent knows about a member beyond the record.
#[derive(Debug, Default)]
struct Notes {
    /// The process, if this agent started it: it has to be waited for.
    child: Option<Child>,
    /// Since when this agent has known the process. For an adopted one that is later than its
    /// start, which at worst delays a restart by a second.
    known_since: Option<Instant>,
    /// Short lives in a row.
    short_lives: u32,
    /// Not to be started before.
    start_at: Option<Instant>,
    /// SIGTERM was sent.
    term_at: Option<Instant>,
    /// SIGKILL was sent.
    killed: bool,
    /// A signal was refused, and that was said.
    refused: bool,
}

impl Keeper {
    pub fn open(options: ProcessPoolOptions) -> Result<Self, PoolError> {
        let folder = Folder::create(options.dir.clone())?;
        let lock = Some(folder.lock()?);
        Self::load(options, folder, lock)
    }

    pub fn open_read_only(options: ProcessPoolOptions) -> Result<Self, PoolError> {
        let folder = Folder::existing(options.dir.clone());
        Self::load(options, folder, None)
    }

    fn load(options: ProcessPoolOptions, folder: Folder, lock: Option<File>) -> Result<Self, PoolError> {
        let boot_id = process::boot_id().map_err(PoolError::io("see processes in", Path::new("/proc")))?;
        let record = folder.load()?;
        for member in &record.members {
            if let Some(process) = &member.process {
                info!(id = member.id, pid = process.pid, "found a TaskManager on record");
            }
        }
        Ok(Self { options, folder, boot_id, record, notes: HashMap::new(), lock })
    }

    pub fn observe(&mut self, now: Instant) -> Result<Pool, PoolError> {
        if self.lock.is_none() {
            self.record = self.folder.load()?; // The agent that runs the pool has gone on.
            return self.pool();
        }
        self.look(now)?;
        if let Some(error) = self.start_missing(now)? {
            warn!(%error, "will be tried again");
        }
        self.pool()
    }

    pub fn set_replicas(&mut self, replicas: TaskManagers, stop: &[String], now: Instant) -> Result<(), PoolError> {
        if self.lock.is_none() {
            return Err(PoolError::ReadOnly { path: self.folder.path().display().to_string() });
        }
        self.look(now)?; // So that members that have ended are known to go first.
        let mut next = self.record.clone();
        let wanted = next.wanted().count();
        let replicas = replicas.0 as usize;
        let mut leaving = self.record.clone().members;
        leaving.retain(|member| member.wanted);
        // `sort_by_key` is stable, so among equals the newest stays in front.
        leaving.reverse();
        leaving.sort_by_key(|member| {
            let named = stop.iter().position(|id| *id == member.id).unwrap_or(usize::MAX);
            (member.process.is_some(), named)
        });
        leaving.truncate(wanted.saturating_sub(replicas));
        for member in &mut next.members {
            member.wanted &= !leaving.iter().any(|leaves| leaves.id == member.id);
        }
        for _ in wanted..replicas {
            next.add_member();
        }
        self.save(next)?;
        self.look(now)?;
        self.start_missing(now)?.map_or(Ok(()), Err)
    }

    /// The members that are not gone yet, wanted or not, for people.
    pub fn still_there(&mut self, now: Instant) -> Result<Vec<String>, PoolError> {
        self.look(now)?;
        let there = self.record.members.iter().filter_map(|member| Some((&member.id, member.process.as_ref()?.pid)));
        Ok(there.map(|(id, pid)| format!("{id} (process {pid})")).collect())
    }

    /// What the record and `/proc` say, without changing anything.
    fn pool(&self) -> Result<Pool, PoolError> {
        let mut members = Vec::new();
        for member in self.record.wanted() {
            if let Some(process) = &member.process
                && self.life(process)? == Life::Running
            {
                members.push(Member {
                    id: member.id.clone(),
                    started_at: process.started_at,
                    ready: true,
                    marked: false,
                });
            }
        }
        let count = |n: usize| TaskManagers(u32::try_from(n).unwrap_or(u32::MAX));
        let (replicas, ready) = (count(self.record.wanted().count()), count(members.len()));
        Ok(Pool { replicas, ready, members: Some(members), choice: Choice::ByName, ..Pool::default() })
    }

    fn life(&self, process: &Identity) -> Result<Life, PoolError> {
        process.life(&self.boot_id).map_err(PoolError::io("see processes in", Path::new("/proc")))
    }

    /// Notices which members have ended, and presses on with stopping those that are to go.
    fn look(&mut self, now: Instant) -> Result<(), PoolError> {
        let mut next = self.record.clone();
        for member in &mut next.members {
            let Some(process) = &member.process else { continue };
            let notes = self.notes.entry(member.id.clone()).or_default();
            let since = *notes.known_since.get_or_insert(now);
            // Waiting for the child first turns a zombie into a process that is gone.
            let status = notes.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if status.is_some() {
                notes.child = None;
            }
            match self.life(process)? {
                Life::Running if member.wanted => {}
                Life::Running | Life::Remains => self.press_to_stop(&member.id, process, now),
                Life::Gone => {
                    let status = self.bury(&member.id, process, status);
                    member.process = None;
                    if member.wanted {
                        self.note_death(&member.id, status.as_deref(), now.duration_since(since), now);
                    } else {
                        info!(id = member.id, status, "stopped a TaskManager");
                    }
                }
            }
        }
        next.members.retain(|member| member.wanted || member.process.is_some());
        if next.members.len() < self.record.members.len()
            && let Err(error) = self.folder.prune_logs(&next)
        {
            warn!(%error, "old logs stay"); // No reason not to go on.
        }
        self.save(next)
    }

    /// SIGTERM first; SIGKILL when the time for that is over.
    fn press_to_stop(&mut self, id: &str, process: &Identity, now: Instant) {
        let stop_timeout = self.options.stop_timeout;
        let notes = self.notes.entry(id.to_owned()).or_default();
        let signal = match notes.term_at {
            None => Signal::TERM,
            Some(at) if now.duration_since(at) >= stop_timeout => Signal::KILL,
            Some(_) => return,
        };
        if signal == Signal::TERM {
            notes.term_at = Some(now);
            info!(id, pid = process.pid, "stopping a TaskManager");
        } else if !std::mem::replace(&mut notes.killed, true) {
            warn!(id, pid = process.pid, after = ?stop_timeout, "killing a TaskManager that did not stop");
        }
        if let Err(error) = process.signal(signal)
            && !std::mem::replace(&mut notes.refused, true)
        {
            warn!(id, pid = process.pid, %error, "cannot signal a TaskManager");
        }
    }

    /// Takes a dead process off the table. Returns what it ended with, if it can be known.
    fn bury(&mut self, id: &str, process: &Identity, status: Option<ExitStatus>) -> Option<String> {
        let child = self.notes.get_mut(id).and_then(|notes| notes.child.take());
        // It is gone, so this does not wait.
        let status = status.or_else(|| child.and_then(|mut child| child.wait().ok()));
        if status.is_none() {
            process.reap();
        }
        status.map(|status| status.to_string())
    }

    fn note_death(&mut self, id: &str, status: Option<&str>, lived: Duration, now: Instant) {
        let last_line = last_line(&self.folder.log(id)).ok().flatten();
        let notes = self.notes.entry(id.to_owned()).or_default();
        notes.short_lives = if lived < LONG_LIFE { notes.short_lives + 1 } else { 0 };
        let delay = delay_after(notes.short_lives);
        *notes = Notes { short_lives: notes.short_lives, start_at: Some(now + delay), ..Notes::default() };
        warn!(id, status, ?lived, again_in = ?delay, last_line, "a TaskManager ended by itself");
    }

    /// Starts the wanted members that have no process. Returns the first that could not be; an
    /// error means that the record could not be written and nothing was started.
    fn start_missing(&mut self, now: Instant) -> Result<Option<PoolError>, PoolError> {
        let mut next = self.record.clone();
        let (mut started, mut failed) = (Vec::new(), None);
        for member in next.members.iter_mut().filter(|member| member.wanted && member.process.is_none()) {
            let notes = self.notes.entry(member.id.clone()).or_default();
            if notes.start_at.is_some_and(|at| now < at) {
                continue;
            }
            let log = self.folder.log(&member.id);
            match Gated::spawn(&self.options.command, &member.id, &log, &self.boot_id, clock::now()) {
                Ok(gated) => {
                    member.process = Some(gated.identity.clone());
                    started.push((member.id.clone(), gated));
                }
                Err(cause) => {
                    notes.short_lives += 1;
                    notes.start_at = Some(now + delay_after(notes.short_lives));
                    failed.get_or_insert(PoolError::Spawn { id: member.id.clone(), cause });
                }
            }
        }
        if let Err(error) = self.save(next) {
            for (_, gated) in started {
                gated.give_up();
            }
            return Err(error);
        }
        for (id, gated) in started {
            info!(id, pid = gated.identity.pid, "starting a TaskManager");
            let notes = self.notes.entry(id).or_default();
            notes.known_since = Some(now);
            notes.child = Some(gated.let_go());
        }
        Ok(failed)
    }

    /// Writes the record if it differs from the one on disk.
    fn save(&mut self, next: Record) -> Result<(), PoolError> {
        if next != self.record {
            self.folder.save(&next)?;
            self.record = next;
            self.notes.retain(|id, _| self.record.members.iter().any(|member| member.id == *id));
        }
        Ok(())
    }
}

/// How long to wait before the start that follows so many short lives in a row.
fn delay_after(short_lives: u32) -> Duration {
    match short_lives {
        0 => Duration::ZERO,
        n => FIRST_DELAY.saturating_mul(2_u32.saturating_pow(n - 1)).min(LONGEST_DELAY),
    }
}

/// The last line of a log that says anything: most often why the process ended.
fn last_line(log: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let line = tail.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Ok(line.map(|line| line.chars().take(LOG_LINE).collect()))
}
