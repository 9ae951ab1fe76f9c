//! The `sluice` binary.

use std::process::ExitCode;

use clap::Parser as _;
use sluice::{
    args::{Cli, Command},
    check, plan, run,
};

/// `EX_SOFTWARE` of sysexits.h.
const FAILED: u8 = 70;

// One thread: the agent waits for its peers, and a second thread would only cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args).await,
        Command::Plan(args) => plan::plan(args).await,
        Command::Check(args) => check::check(args).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("sluice: {error:#}");
        ExitCode::from(FAILED)
    })
}
