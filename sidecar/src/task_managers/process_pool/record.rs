//! What the pool must not forget: which members are wanted, and which process each of them is.
//!
//! One file, replaced as a whole, so that every moment at which the agent can be killed leaves one
//! of the records written before. A wish is always on record before it is acted on.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{PoolError, process::Identity};

const FILE: &str = "pool.json";
const NEW_FILE: &str = "pool.json.new";
const LOCK_FILE: &str = "lock";
const LOGS: &str = "logs";
const VERSION: u32 = 1;
const ID_PREFIX: &str = "taskmanager-";

/// How often the lock is tried for.
const LOCK_ATTEMPTS: u32 = 10;

/// The time between two such attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// How many logs of members that are gone are kept; the oldest go first.
const KEPT_LOGS: usize = 50;

/// The content of `pool.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    /// The number of the next member. A number is never given twice, so a log, a metric or a line
    /// of history that names a member means one member.
    next_number: u64,
    /// In the order in which they came to be wanted.
    pub members: Vec<MemberRecord>,
}

/// One member: wanted, or still to be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRecord {
    pub id: String,
    pub wanted: bool,
    /// The process that is or was this member; `None` while there is none.
    pub process: Option<Identity>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, next_number: 1, members: Vec::new() }
    }
}

impl Record {
    /// Adds a member that has never been before.
    pub fn add_member(&mut self) {
        let id = format!("{ID_PREFIX}{}", self.next_number);
        self.next_number += 1;
        self.members.push(MemberRecord { id, wanted: true, process: None });
    }

    /// The members that are wanted.
    pub fn wanted(&self) -> impl Iterator<Item = &MemberRecord> {
        self.members.iter().filter(|member| member.wanted)
    }

    /// A record that is JSON can still be wrong. It is not acted on then: process ids are killed,
    /// and names become files.
    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("it has version {}, this agent writes {VERSION}", self.version));
        }
        let mut seen = BTreeSet::new();
        for member in &self.members {
            let number = member.id.strip_prefix(ID_PREFIX).and_then(|number| number.parse::<u64>().ok());
            if number.is_none_or(|number| number >= self.next_number) || !seen.insert(number) {
                return Err(format!("`{}` cannot be a member", member.id));
            }
            if let Some(process) = &member.process
                && !process.is_plausible()
            {
                return Err(format!("{} cannot be process {}", member.id, process.pid));
            }
        }
        Ok(())
    }
}

/// The pool's folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Makes the folder if it is missing.
    pub fn create(dir: PathBuf) -> Result<Self, PoolError> {
        let folder = Self { dir };
        let logs = folder.dir.join(LOGS);
        fs::create_dir_all(&logs).map_err(PoolError::io("make", &logs))?;
        Ok(folder)
    }

    /// The folder as it is, which may be not at all.
    pub fn existing(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The log that a member's output is appended to.
    pub fn log(&self, id: &str) -> PathBuf {
        self.dir.join(LOGS).join(format!("{id}.log"))
    }

    /// Keeps other agents away for as long as the file is open, which the system ends with the
    /// process, however it ends.
    pub fn lock(&self) -> Result<File, PoolError> {
        let path = self.dir.join(LOCK_FILE);
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(PoolError::io("open", &path))?;
        match try_for_a_moment(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only said if it can be: the lock is what counts.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (process {pid})"));
                return Err(PoolError::Locked { path: self.dir.display().to_string(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(PoolError::io("lock", &path)(error)),
        }
        file.set_len(0).map_err(PoolError::io("write", &path))?;
        writeln!(file, "{}", std::process::id()).map_err(PoolError::io("write", &path))?;
        Ok(file)
    }

    /// The record; an empty one only if there has never been any.
    pub fn load(&self) -> Result<Record, PoolError> {
        let path = self.dir.join(FILE);
        let corrupt = |why: String| PoolError::Corrupt { path: path.display().to_string(), why };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Record::default()),
            Err(error) => return Err(PoolError::io("read", &path)(error)),
        };
        let record: Record = serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        record.check().map_err(corrupt)?;
        Ok(record)
    }

    /// Replaces the record: afterwards the new one is on disk, or the old one still is.
    pub fn save(&self, record: &Record) -> Result<(), PoolError> {
        let (path, new) = (self.dir.join(FILE), self.dir.join(NEW_FILE));
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| PoolError::io("write", &new)(error.into()))?;
        text.push(b'\n');
        let mut file = File::create(&new).map_err(PoolError::io("make", &new))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(PoolError::io("write", &new))?;
        fs::rename(&new, &path).map_err(PoolError::io("replace", &path))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(PoolError::io("write", &self.dir))
    }

    /// Deletes the oldest logs of members that are gone.
    pub fn prune_logs(&self, record: &Record) -> Result<(), PoolError> {
        let logs = self.dir.join(LOGS);
        let mut gone = BTreeSet::new();
        for entry in fs::read_dir(&logs).map_err(PoolError::io("read", &logs))? {
            let entry = entry.map_err(PoolError::io("read", &logs))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.strip_suffix(".log").unwrap_or_default();
            let number = id.strip_prefix(ID_PREFIX).and_then(|number| number.parse::<u64>().ok());
            if let Some(number) = number
                && !record.members.iter().any(|member| member.id == id)
            {
                gone.insert((number, entry.path()));
            }
        }
        for (_, log) in gone.iter().take(gone.len().saturating_sub(KEPT_LOGS)) {
            fs::remove_file(log).map_err(PoolError::io("delete", log))?;
        }
        Ok(())
    }
}

/// An agent that was killed while it made a process may have left the lock to that process for the
/// moment until it runs its own program.
fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}
