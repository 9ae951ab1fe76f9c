//! Where the memory outlives the agent: a JSON file, replaced as a whole before each step.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sluice_core::{History, Memory};
use thiserror::Error;

const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    memory: Memory,
}

/// The file, or nothing at all: then the memory is gone with the process, and the next agent waits
/// a whole scale-down window before it shrinks anything.
#[derive(Debug)]
pub struct StateFile {
    path: Option<PathBuf>,
    saved: Option<Memory>,
}

/// The memory cannot be saved; nothing may be done that depends on it.
#[derive(Debug, Error)]
#[error("--state-file {}: cannot be written: {source}", path.display())]
pub struct SaveError {
    path: PathBuf,
    source: io::Error,
}

impl StateFile {
    /// Opens the file and reads what an earlier agent left. A file that cannot be understood is set
    /// aside under another name and reported; it never keeps the agent from starting.
    #[must_use]
    pub fn open(path: Option<PathBuf>) -> (Self, Memory) {
        let memory = path.as_deref().map(load).unwrap_or_default();
        (Self { path, saved: None }, memory)
    }

    /// Saves `memory` if anything changed that cannot simply be watched again. The history of wanted
    /// widths changes at each look and is only written along.
    pub fn save(&mut self, memory: &Memory) -> Result<(), SaveError> {
        let Some(path) = &self.path else { return Ok(()) };
        let essence = Memory { history: History::default(), ..memory.clone() };
        if self.saved.as_ref() == Some(&essence) {
            return Ok(());
        }
        let saved = Saved { version: VERSION, memory: memory.clone() };
        write(path, &saved).map_err(|source| SaveError { path: path.clone(), source })?;
        self.saved = Some(essence);
        Ok(())
    }
}

fn load(path: &Path) -> Memory {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Memory::default(),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the state file cannot be read; starting without memory");
            return Memory::default();
        }
    };
    let problem = match serde_json::from_str::<Saved>(&text) {
        Ok(saved) if saved.version == VERSION => return saved.memory,
        Ok(saved) => format!("it is of version {}, this agent writes {VERSION}", saved.version),
        Err(error) => error.to_string(),
    };
    let aside = path.with_extension("set-aside.json");
    let moved = fs::rename(path, &aside);
    tracing::warn!(
        file = %path.display(), %problem, set_aside = %aside.display(), moved = moved.is_ok(),
        "the state file cannot be understood; starting without memory"
    );
    Memory::default()
}

fn write(path: &Path, saved: &Saved) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_survives_and_damage_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sluice.json");
        let (mut file, memory) = StateFile::open(Some(path.clone()));
        assert_eq!(memory, Memory::default());
        let memory = Memory { changes: 7, ..Memory::default() };
        file.save(&memory).unwrap();
        assert_eq!(StateFile::open(Some(path.clone())).1, memory);

        for damage in ["", "{", "{\"version\":99,\"memory\":{}}", "[]"] {
            fs::write(&path, damage).unwrap();
            assert_eq!(StateFile::open(Some(path.clone())).1, Memory::default(), "{damage}");
            assert!(!path.exists() && dir.path().join("sluice.set-aside.json").exists());
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_the_flag() {
        let (mut file, memory) = StateFile::open(Some("/proc/sluice.json".into()));
        let error = file.save(&memory).unwrap_err().to_string();
        assert!(error.contains("--state-file /proc/sluice.json"), "{error}");
    }
}
