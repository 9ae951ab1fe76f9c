//! What a command can fail with, and the exit code of each: the list in `--help` is this one.

use crate::args::UsageError;
use crate::pravega::ControlError;
use crate::stream::StreamError;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why a command did not end well.
#[derive(Debug, Error)]
pub enum Failure {
    /// A flag is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The controller.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Events without acknowledgement; why stands in the summary and in the log.
    #[error("{failed} events were not acknowledged; the summary names them")]
    Lost {
        /// How many.
        failed: u64,
    },
    /// The summary could not be written.
    #[error("--summary {}: {source}", path.display())]
    Summary {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Interrupted before the work was done.
    #[error("interrupted")]
    Interrupted,
    /// A fault of ours, or of the machine.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Control(error) | Self::Stream(StreamError::Control(error)) => of_control(error),
            Self::Stream(StreamError::Sealed(_)) | Self::Summary { .. } => 73,
            Self::Lost { .. } => 74,
            Self::Interrupted => 130,
            Self::Internal(_) => 70,
        })
    }
}

fn of_control(error: &ControlError) -> u8 {
    match error {
        ControlError::Unreachable(_) | ControlError::NoAnswer { .. } => 69,
        ControlError::Denied { .. } => 77,
        ControlError::Missing { .. } | ControlError::Failed { .. } => 73,
        ControlError::Client(_) => 70,
    }
}
