//! The `sluice` binary.

use std::{env, io, process::ExitCode};

use clap::Parser as _;
use sluice::{
    args::{Cli, Command, misread},
    check, history,
    inject::{self, InjectError},
    observe::BadConfig,
    plan, run,
    simulate::{self, BadInput},
};

/// `EX_DATAERR`, `EX_SOFTWARE` and `EX_CONFIG` of sysexits.h.
const BAD_INPUT: u8 = 65;
const FAILED: u8 = 70;
const BAD_CONFIG: u8 = 78;

// One thread: the agent waits for its peers, and a second thread would only cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let line: Vec<_> = env::args_os().collect();
            let held = misread(&error, &line, env::var_os("SLUICE_ON_BAD_CONFIG").as_deref());
            Command::Run(held.unwrap_or_else(|| error.exit()))
        }
    };
    let done = match command {
        Command::Run(args) => Box::pin(run::run(args)).await,
        Command::Plan(args) => plan::plan(args).await,
        Command::Check(args) => Box::pin(check::check(args)).await,
        Command::Simulate(args) => simulate::simulate(&args),
        Command::History(args) => history::history(args).await,
        Command::Inject(args) => inject::inject(&args),
    };
    done.unwrap_or_else(|error| {
        // Whoever reads only the beginning, as `head` does, has what they want.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("sluice: {error:#}");
        ExitCode::from(match () {
            () if error.is::<BadConfig>() => BAD_CONFIG,
            () if error.is::<BadInput>() || error.is::<InjectError>() => BAD_INPUT,
            () => FAILED,
        })
    })
}
