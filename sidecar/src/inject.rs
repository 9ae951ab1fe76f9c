//! `sluice inject`: adds the agent to the JobManager of a user's manifests, and the objects that grant it
//! its rights.
//!
//! The files are read for their meaning and for where it stands ([`document`]), the JobManager and the
//! TaskManagers are found ([`workload`]), the edit is decided as data ([`agent`]) and made as lines
//! ([`edit`], [`write`]). The result is read again and must mean exactly the old data with the additions;
//! otherwise nothing is printed.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
};

use crate::args::InjectArgs;

pub mod agent;
pub mod document;
pub mod edit;
mod error;
mod plan;
pub mod settings;
mod show;
mod unfold;
pub mod workload;
pub mod write;

pub use error::{InjectError, Place};
pub use plan::{Injected, Request, inject_into};
pub use show::{all, diff};

/// Reads the files, prints them with the agent added, and says on standard error what a person should
/// know besides.
pub fn inject(args: &InjectArgs) -> anyhow::Result<ExitCode> {
    let request =
        Request { image: args.image.clone(), job_manager: args.job_manager.clone(), settings: args.settings.clone() };
    let texts: Result<Vec<_>, _> = args.files.iter().map(|path| read(path)).collect();
    let injected = inject_into(texts?, &request)?;
    for note in &injected.notes {
        eprintln!("note: {note}");
    }
    let text = if args.diff { diff(&injected) } else { all(&injected) };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<(String, String), InjectError> {
    let stdin = path == Path::new("-");
    let file = if stdin { "stdin".to_owned() } else { path.display().to_string() };
    let text = if stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    match text {
        Ok(text) => Ok((file, text)),
        Err(source) => Err(InjectError::Read { file, source }),
    }
}
