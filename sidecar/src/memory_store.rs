//! Where the memory outlives the agent: the annotation of a Lease, a file, or nowhere. It is saved before
//! each step, so an agent that dies in the middle of one repeats it, and no more.
//!
//! With a Lease comes the question which of several agents may act; elsewhere one agent is alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_core::{History, Leadership, Memory};
use tokio::task::JoinHandle;

use crate::{
    kubernetes::lease::{Lease, LeaseError},
    state_file::{StateFile, StateFileError},
};

const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    memory: Memory,
}

/// A place for the memory.
#[derive(Debug)]
pub enum Place {
    /// It is gone with the process, and the next agent waits a whole scale-down window before it shrinks
    /// anything.
    Process,
    /// A file.
    File(StateFile),
    /// An annotation of the Lease, for whoever leads next.
    Lease(Arc<Lease>),
}

/// The place, and what was saved there last.
#[derive(Debug)]
pub struct MemoryStore {
    place: Place,
    saved: Option<Memory>,
    /// Nothing has been read yet.
    new: bool,
    keeper: Option<JoinHandle<()>>,
}

/// The memory cannot be saved, or this agent may not act; nothing may be done then.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SaveError {
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl SaveError {
    /// The source and the kind of error, for logs and labels.
    #[must_use]
    pub fn labels(&self) -> (&'static str, &'static str) {
        match self {
            Self::File(_) => ("state_file", "write"),
            Self::Lease(error) => ("lease", error.kind()),
        }
    }
}

impl MemoryStore {
    /// Nothing is read yet: [`Self::restored`] tells what an earlier agent left. A Lease is kept from now
    /// on.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let keeper = match &place {
            Place::Lease(lease) => Some(lease.keep()),
            Place::Process | Place::File(_) => None,
        };
        Self { place, saved: None, new: true, keeper }
    }

    /// Whether this agent may act at this moment.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        match &self.place {
            Place::Process | Place::File(_) => Leadership::Alone,
            Place::Lease(lease) => lease.leadership(),
        }
    }

    /// What an earlier agent left, once: at the start, or when this agent begins to lead. What cannot be
    /// understood is set aside and said; it never keeps the agent from working.
    pub async fn restored(&mut self) -> Option<Memory> {
        let text = match &self.place {
            Place::Process => return None,
            Place::File(file) => std::mem::take(&mut self.new).then(|| file.read().unwrap_or_default())?,
            Place::Lease(lease) => lease.restored()?,
        };
        self.saved = None;
        if text.is_empty() {
            return Some(Memory::default());
        }
        match decode(&text) {
            Ok(memory) => Some(memory),
            Err(problem) => {
                match &self.place {
                    Place::Process => {}
                    Place::File(file) => file.set_aside(),
                    Place::Lease(lease) => lease.set_aside().await,
                }
                tracing::warn!(%problem, "the saved state cannot be understood; it is set aside, and nothing is remembered");
                Some(Memory::default())
            }
        }
    }

    /// Saves `memory` if anything changed that cannot simply be watched again; under a Lease also
    /// whenever something is about to be done, which proves that this agent still leads. The history of
    /// wanted widths changes at each look and is only written along.
    pub async fn save(&mut self, memory: &Memory, about_to_act: bool) -> Result<(), SaveError> {
        let essence = Memory { history: History::default(), ..memory.clone() };
        let known = self.saved.as_ref() == Some(&essence);
        match &self.place {
            Place::Process => return Ok(()),
            Place::File(_) if known => return Ok(()),
            Place::File(file) => file.write(&encode(memory))?,
            Place::Lease(lease) if (known && !about_to_act) || !lease.leadership().may_act() => return Ok(()),
            Place::Lease(lease) => lease.save(encode(memory)).await?,
        }
        self.saved = Some(essence);
        Ok(())
    }

    /// Does something that changes the world, unless too little is left of this agent's term for one call;
    /// it is broken off as soon as the term is over.
    pub async fn within_term<T>(&self, deed: impl Future<Output = T>) -> Result<T, SaveError> {
        let Place::Lease(lease) = &self.place else { return Ok(deed.await) };
        if !lease.has_time_for_a_call() {
            return Err(lease.not_held().into());
        }
        tokio::select! {
            done = deed => Ok(done),
            () = lease.lost() => Err(lease.not_held().into()),
        }
    }

    /// The agent stops: another may lead at once.
    pub async fn release(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
        }
        if let Place::Lease(lease) = &self.place {
            lease.release().await;
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

fn encode(memory: &Memory) -> String {
    // Nothing in a memory fails to be written.
    serde_json::to_string(&Saved { version: VERSION, memory: memory.clone() }).unwrap_or_default()
}

fn decode(text: &str) -> Result<Memory, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("it is of version {version}, this agent writes {VERSION}"));
    }
    serde_json::from_str::<Saved>(text).map(|saved| saved.memory).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn store(path: &Path) -> MemoryStore {
        MemoryStore::new(Place::File(StateFile::new(path.to_owned())))
    }

    #[tokio::test]
    async fn memory_survives_and_damage_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sluice.json");
        let mut first = store(&path);
        assert_eq!(first.restored().await, Some(Memory::default()));
        let memory = Memory { changes: 7, ..Memory::default() };
        first.save(&memory, false).await.unwrap();
        let mut second = store(&path);
        assert_eq!((second.restored().await, second.restored().await), (Some(memory), None), "told once");

        for damage in ["{", "{\"version\":99,\"memory\":{}}", "{\"version\":2}", "[]"] {
            fs::write(&path, damage).unwrap();
            assert_eq!(store(&path).restored().await, Some(Memory::default()), "{damage}");
            assert!(!path.exists() && dir.path().join("sluice.set-aside.json").exists());
        }
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_an_error_that_names_the_flag() {
        let error = store(Path::new("/proc/sluice.json")).save(&Memory::default(), false).await.unwrap_err();
        assert!(error.to_string().contains("--state-file /proc/sluice.json"), "{error}");
        assert_eq!(error.labels(), ("state_file", "write"));
    }

    #[test]
    fn a_memory_of_another_version_is_named() {
        let error = decode("{\"version\":1,\"memory\":{\"old\":true}}").unwrap_err();
        assert!(error.contains("version 1"), "{error}");
    }
}
