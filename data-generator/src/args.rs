//! The command line: flags, their environment twins, and their help.
//!
//! Raw flags live here and below; each group turns itself into the checked type that the commands
//! work with (`SessionOptions`, `StreamPlan`, `Shape`, `WritePlan`).

mod connection;
mod parse;
mod shape;
mod stream;
mod write;

pub use connection::ConnectionArgs;
pub use shape::{ShapeArgs, ShapeKind};
pub use stream::{ScalingKind, StreamArgs};
pub use write::{ProgressMode, RoutingKind, WriteArgs};

use clap::{Parser, Subcommand};
use thiserror::Error;

const EXIT_CODES: &str = "\
Exit codes:
    0  done; every event written was acknowledged (also after Ctrl-C or SIGTERM)
    2  a flag is wrong
   69  Pravega cannot be reached or does not answer
   70  a fault in this program
   73  the stream cannot be created, or is sealed; or --summary cannot be written
   74  some events were not acknowledged; the summary names them
   77  Pravega refuses the credentials, or they lack the right
  130  interrupted before it began; or a second time, without waiting for acknowledgements";

/// Writes a load to a Pravega stream, open loop, with every event acknowledged and counted.
///
/// Each flag can be given by the environment variable shown with it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What to log to standard error, in tracing's filter syntax. `debug` adds what the Pravega
    /// client itself says, which is a lot.
    #[arg(
        long,
        env = "DATA_GENERATOR_LOG",
        default_value = "data_generator=info",
        value_name = "FILTER",
        global = true
    )]
    pub log: String,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write events to a stream at the rates of a shape.
    ///
    /// Creates scope and stream if they are missing; an existing stream is left as it is. The load is
    /// open-loop: event k has an intended time that follows from the shape alone. When Pravega is
    /// slower than the shape, events are still all written, carry their intended time, and how far
    /// they are behind is shown. Every event is acknowledged by Pravega, or retried, or reported.
    #[command(after_help = EXIT_CODES)]
    Write(Box<WriteArgs>),
}

/// A flag whose value cannot be used, alone or beside the others. The text names the flag.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct UsageError(pub String);
