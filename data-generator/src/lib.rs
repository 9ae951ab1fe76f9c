//! The data generator: writes a load to a Pravega stream, open loop, with every event counted.
//!
//! How `write` flows: flags (`args`) become a plan; `pravega` opens a session that keeps the client
//! library's faults in; `stream` sees to scope and stream; `shape` says how much is due and `pace`
//! deals it to the writers; `write` runs them, each event an [`event`] on the wire, and reports.
//!
//! The parts without I/O (`shape`, `pace`, `event`) are of use to tests and other tools as they are.

pub mod args;
mod clock;
mod console;
pub mod event;
mod exit;
pub mod pace;
pub mod pravega;
pub mod shape;
mod signals;
pub mod stream;
pub mod write;

use args::{Cli, Command, UsageError};
use exit::Failure;
use pravega::ClientRuntime;
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
    let Command::Write(args) = cli.command;
    let plan = WritePlan::try_from(&*args)?;
    let internal = |error: std::io::Error| Failure::Internal(format!("cannot start: {error}"));
    let client = ClientRuntime::start().map_err(internal)?;
    let runtime = Builder::new_multi_thread().thread_name("writer").enable_all().build().map_err(internal)?;
    let outcome = runtime.block_on(write::run(plan, &client));
    leave(runtime, client);
    outcome
}

/// Does not wait for tasks of the client that hang.
fn leave(runtime: Runtime, client: ClientRuntime) {
    runtime.shutdown_background();
    drop(client);
}
