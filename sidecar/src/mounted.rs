//! Files that are mounted into the pod and replaced while the agent runs: certificates, keys, passwords
//! and tokens. Whoever needs one reads it here, again and again.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file that cannot be used as what its flag says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {}: {problem}", file.display())]
pub struct FileError {
    /// The flag that names the file.
    pub flag: &'static str,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// A file and the flag that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub flag: &'static str,
    pub file: PathBuf,
}

impl Mounted {
    /// What is in the file now. One that is larger than `longest` is not `what` and is not read.
    pub fn read(&self, longest: u64, what: &str) -> Result<Vec<u8>, FileError> {
        read(&self.file, longest, what).map_err(|problem| self.unusable(problem))
    }

    pub fn unusable(&self, problem: impl Into<String>) -> FileError {
        FileError { flag: self.flag, file: self.file.clone(), problem: problem.into() }
    }
}

fn read(file: &Path, longest: u64, what: &str) -> Result<Vec<u8>, String> {
    // A named pipe would block the whole agent until somebody wrote into it.
    let about = fs::metadata(file).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a regular file".into());
    }
    if about.len() > longest {
        return Err(format!("it has {} bytes, which is no {what}", about.len()));
    }
    fs::read(file).map_err(|error| error.to_string())
}
