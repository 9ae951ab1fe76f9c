//! A JSON file that the memory is saved in, replaced as a whole before each step: for a process pool, or
//! one agent alone.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The file.
#[derive(Debug)]
pub struct StateFile(PathBuf);

/// The file cannot be written.
#[derive(Debug, Error)]
#[error("--state-file {}: cannot be written: {source}", path.display())]
pub struct StateFileError {
    path: PathBuf,
    source: io::Error,
}

impl StateFile {
    /// The file of this name.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What an earlier agent left, if anything can be read.
    #[must_use]
    pub fn read(&self) -> Option<String> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %self.0.display(), %error, "the state file cannot be read; starting without memory");
                None
            }
        }
    }

    /// Renames the file, since it cannot be understood.
    pub fn set_aside(&self) {
        let aside = self.0.with_extension("set-aside.json");
        if let Err(error) = fs::rename(&self.0, &aside) {
            tracing::warn!(file = %self.0.display(), %error, "the state file cannot be set aside");
        }
    }

    /// Replaces what it holds.
    pub fn write(&self, text: &str) -> Result<(), StateFileError> {
        replace(&self.0, text).map_err(|source| StateFileError { path: self.0.clone(), source })
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
