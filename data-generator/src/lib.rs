//! The data generator: writes a load to a Pravega stream, open loop, and reads it back, with every
//! event accounted for.
//!
//! How `write` flows: flags (`args`) become a plan; `pravega` opens a session that keeps the client
//! library's faults in; `stream` sees to scope and stream; `shape` says how much is due and `pace`
//! deals it to the writers; `write` runs them, each event an [`event`] on the wire, and reports.
//!
//! How `read` flows is told in [`read`].
//!
//! The parts without I/O (`shape`, `pace`, `event`) are of use to tests and other tools as they are.

pub mod args;
mod clock;
mod console;
mod dice;
pub mod event;
mod exit;
pub mod metrics_server;
pub mod pace;
pub mod pravega;
mod preview;
pub mod read;
mod report;
pub mod shape;
mod signals;
pub mod stream;
pub mod write;

use args::{Cli, Command, UsageError};
use exit::Failure;
use pravega::ClientRuntime;
use read::ReadPlan;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};
use write::WritePlan;

/// Runs the command and returns its exit code; what went wrong is on standard error, in one line.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match try_run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.code()
        }
    }
}

fn try_run(cli: Cli) -> Result<(), Failure> {
    console::start_logging(&cli.log).map_err(UsageError)?;
    match cli.command {
        Command::Write(args) => {
            let plan = WritePlan::try_from(&*args)?;
            on_runtimes("writer", async |client| write::run(plan, client).await)
        }
        Command::Shape(args) => preview::run(&args),
        Command::Read(args) => {
            let plan = ReadPlan::try_from(&*args)?;
            on_runtimes("reader", async |client| read::run(plan, client).await)
        }
        Command::Reconcile(args) => Ok(read::reconcile::run(&args)?),
    }
}

/// Runs a command on a runtime of its own, beside the client's.
fn on_runtimes(name: &str, command: impl AsyncFnOnce(&ClientRuntime) -> Result<(), Failure>) -> Result<(), Failure> {
    let internal = |error: std::io::Error| Failure::Internal(format!("cannot start: {error}"));
    let client = ClientRuntime::start().map_err(internal)?;
    let runtime = Builder::new_multi_thread().thread_name(name).enable_all().build().map_err(internal)?;
    let outcome = runtime.block_on(command(&client));
    leave(runtime, client);
    outcome
}

/// Does not wait for tasks of the client that hang.
fn leave(runtime: Runtime, client: ClientRuntime) {
    runtime.shutdown_background();
    drop(client);
}
