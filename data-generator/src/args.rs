//! The command line: flags, their environment twins, and their help.
//!
//! Raw flags live here and below; each group turns itself into the checked type that the commands
//! work with (`SessionOptions`, `StreamPlan`, `Shape`, `WritePlan`).

mod chain;
mod connection;
mod parse;
mod preview;
mod read;
mod reconcile;
mod report;
mod shape;
mod stream;
mod write;

pub use connection::ConnectionArgs;
pub use preview::PreviewArgs;
pub use read::{ReadArgs, StartAt};
pub use reconcile::ReconcileArgs;
pub use report::{ProgressMode, ReportArgs};
pub use shape::{BetweenKind, Parameters, ShapeArgs, ShapeKind};
pub use stream::{ScalingKind, StreamArgs};
pub use write::{RoutingKind, WriteArgs};

use clap::{Parser, Subcommand};
use thiserror::Error;

const EXIT_CODES: &str = "\
Exit codes:
    0  done; every event written was acknowledged (also after Ctrl-C or SIGTERM)
    2  a flag is wrong
   69  Pravega cannot be reached or does not answer
   70  a fault in this program
   73  the stream cannot be created, or was sealed or deleted; or --summary cannot be written
   74  some events were not acknowledged; the summary names them
   77  Pravega refuses the credentials, or they lack the right
   78  the stream exists with other policies than those given, and --update-stream is not
  130  interrupted before it began; or a second time, without waiting for acknowledgements";

const READ_EXIT_CODES: &str = "\
Exit codes:
    0  done, and all positions are saved (also after Ctrl-C or SIGTERM)
    2  a flag is wrong
   69  Pravega cannot be reached, or was away for longer than --give-up-after
   70  a fault in this program
   73  the stream does not exist or was deleted; or a file cannot be written
   74  the last positions could not be saved: some events will be read again
   77  Pravega refuses the credentials, or they lack the right
  130  interrupted before it began; or a second time, without saving the last positions";

const RECONCILE_EXIT_CODES: &str = "\
Exit codes:
    0  every event that was acknowledged has been read
    1  some were not
    2  a file cannot be read, or the files do not belong together";

/// Writes a load to a Pravega stream, open loop, and reads it back, with every event accounted for.
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
    /// Creates scope and stream if they are missing; an existing stream has to have the policies that
    /// are given, if any are. The load is open-loop: event k has an intended time that follows from
    /// the shape alone. When Pravega is slower than the shape, events are still all written, carry
    /// their intended time, and how far they are behind is shown. Every event is acknowledged by
    /// Pravega, or retried, or reported. To see a shape before it is written: data-generator shape.
    #[command(after_help = EXIT_CODES)]
    Write(Box<WriteArgs>),

    /// Show what a shape comes to, without writing anything.
    ///
    /// Takes the flags of `write` that describe a load and prints the rates over time and the number of
    /// events; with --svg it draws them, too.
    Shape(Box<PreviewArgs>),

    /// Read a stream as a member of a reader group, and check what is read.
    ///
    /// Joins the group, takes its share of the segments, processes each event for as long as
    /// --iterations says, follows the stream when it scales, and hands its segments over when it is
    /// told to stop. Start as many as there are segments, or let an agent do so. A sealed stream is
    /// read to its end, which ends the command.
    #[command(after_help = READ_EXIT_CODES)]
    Read(Box<ReadArgs>),

    /// Compare what readers have read with what writers have written.
    ///
    /// Takes the ledgers of all processes that read a stream in a group (--ledger of `read`) and the
    /// summaries of those that wrote to it (--summary of `write`), and says which events were lost,
    /// which are in the stream twice, and which were read again after a reader had died.
    #[command(after_help = RECONCILE_EXIT_CODES)]
    Reconcile(ReconcileArgs),
}

/// A flag whose value cannot be used, alone or beside the others. The text names the flag.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct UsageError(pub String);
