//! What a command can fail with, and the exit code of each: the list in `--help` is this one.

use crate::args::UsageError;
use crate::metrics_server::MetricsError;
use crate::pravega::ControlError;
use crate::read::ReadError;
use crate::read::reconcile::ReconcileError;
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
    /// The address for the metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The controller.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Reading.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Comparing what was read with what was written.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// Events without acknowledgement; why stands in the summary and in the log.
    #[error("{failed} events were not acknowledged; the summary names them")]
    Lost {
        /// How many.
        failed: u64,
    },
    /// The stream was sealed or deleted; what had been written by then was acknowledged.
    #[error("{0}")]
    Closed(String),
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
            Self::Usage(_) | Self::Metrics(_) | Self::Reconcile(ReconcileError::File { .. }) => 2,
            Self::Control(error) | Self::Stream(StreamError::Control(error)) => of_control(error),
            Self::Stream(StreamError::Sealed(_)) | Self::Closed(_) | Self::Summary { .. } => 73,
            Self::Stream(StreamError::OtherPolicies { .. }) => 78,
            Self::Read(error) => of_reading(error),
            Self::Reconcile(ReconcileError::Lost(_)) => 1,
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

fn of_reading(error: &ReadError) -> u8 {
    match error {
        ReadError::OtherStream { .. } => 2,
        ReadError::Missing(_) | ReadError::Deleted(_) | ReadError::Ledger { .. } => 73,
        ReadError::GaveUp { .. } => 69,
        ReadError::NotSaved { .. } => 74,
        ReadError::Store(error) => error.control().map_or(69, of_control),
        ReadError::NotAnEvent { .. } | ReadError::Fault(_) => 70,
    }
}
