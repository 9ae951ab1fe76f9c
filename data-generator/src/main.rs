//! Entry: parse the command line, run the command, leave with its exit code.

use clap::Parser;
use data_generator::args::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    data_generator::run(Cli::parse())
}
