//! The binary `lab`: reads the command line and hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_lab::cli::parse_and_run()
}
