//! Flags of `reconcile`.

use clap::Args;
use std::path::PathBuf;

/// Flags of `reconcile`.
#[derive(Args, Debug)]
pub struct ReconcileArgs {
    /// Ledgers of readers, or folders in which they are.
    #[arg(required = true, value_name = "LEDGER")]
    pub ledgers: Vec<PathBuf>,

    /// Summaries of writers, as JSON. Without any, what is lost can only be told from gaps in the
    /// numbers.
    #[arg(long, env = "DATA_GENERATOR_WRITTEN", value_name = "FILE", num_args = 1.., value_delimiter = ',')]
    pub written: Vec<PathBuf>,

    /// Print the result as JSON.
    #[arg(long, env = "DATA_GENERATOR_JSON")]
    pub json: bool,
}
