//! Entry: parse the command line, run the command, leave with its exit code.

use clap::Parser;
use data_generator::args::Cli;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// The Pravega client allocates several times for each event, on one thread, and frees on another: with
/// the system's allocator that was a quarter of all CPU time at full speed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    data_generator::run(Cli::parse())
}
