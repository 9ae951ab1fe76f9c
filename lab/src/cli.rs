//! The command line of `lab`.

mod commands;
mod up;
mod up_args;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cache::{CacheError, FlinkVersion};
use crate::demo::DemoArgs;
use crate::flink::FlinkError;
use crate::pravega::PravegaError;
use crate::tools::MissingTool;
use up_args::UpArgs;

/// A tool is missing on this machine (`EX_UNAVAILABLE` of sysexits.h).
const EXIT_MISSING_TOOL: u8 = 69;
/// Anything else that went wrong.
const EXIT_FAILURE: u8 = 1;

/// Starts real Pravega and Flink on this machine, from package registries, to try Sluice against.
///
/// Everything is fetched once into the cache folder (`$XDG_CACHE_HOME/sluice`, or `~/.cache/sluice`),
/// runs on free ports of the loopback, and is stopped with the lab.
///
/// Exit codes: 0 success; 1 failure; 2 wrong use; 69 a tool is missing (the message says which).
#[derive(Debug, Parser)]
#[command(name = "lab", version, verbatim_doc_comment)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch what a lab needs into the cache, and start nothing.
    Fetch(FetchArgs),
    /// Start Pravega, and Flink with a job if asked for, in the foreground; Ctrl-C stops everything.
    Up(UpArgs),
    /// Stop what a crashed lab left running.
    Down(DownArgs),
    /// Create, look at, scale, seal or delete a stream.
    Stream(StreamArgs),
    /// Watch a real Flink job follow a real Pravega stream, and prove that no event was lost.
    Demo(DemoArgs),
    /// Say which tools are there and how to install the missing ones.
    Doctor,
}

/// Arguments of `lab fetch`.
#[derive(Debug, Args)]
struct FetchArgs {
    /// A version of Flink from 1.17 to 2.3, such as 1.20.5; may be given several times.
    #[arg(long, value_name = "VERSION", env = "SLUICE_LAB_FLINK", value_delimiter = ',')]
    flink: Vec<FlinkVersion>,
}

/// Arguments of `lab down`.
#[derive(Debug, Args)]
struct DownArgs {
    /// Folder of the run, as given to `lab up` or printed by it.
    #[arg(long, value_name = "DIR", env = "SLUICE_LAB_RUN")]
    run: PathBuf,
}

/// Arguments of `lab stream`.
#[derive(Debug, Args)]
struct StreamArgs {
    /// Address of the Pravega controllers, as `lab up` prints it.
    #[arg(
        long,
        value_name = "tcp://HOST:PORT[,HOST:PORT]",
        env = "SLUICE_PRAVEGA_CONTROLLER",
        global = true,
        default_value = "tcp://127.0.0.1:9090"
    )]
    controller: String,
    #[command(subcommand)]
    action: StreamAction,
}

#[derive(Debug, Subcommand)]
enum StreamAction {
    /// Create a stream, and its scope if that is missing.
    Create {
        /// The stream.
        #[arg(value_name = "SCOPE/STREAM")]
        stream: StreamName,
        /// How many segments it has, or has at least if it scales by rate.
        #[arg(long, default_value_t = 1)]
        segments: u32,
        /// Let Pravega scale it: this many events per second for one segment.
        #[arg(long, value_name = "EVENTS PER SECOND")]
        rate: Option<u32>,
        /// Into how many segments Pravega splits a hot one at most.
        #[arg(long, default_value_t = 2, requires = "rate")]
        factor: u32,
    },
    /// Print the current segments and the keys each covers.
    Segments {
        /// The stream.
        #[arg(value_name = "SCOPE/STREAM")]
        stream: StreamName,
    },
    /// Replace all segments by this many of equal width.
    Scale {
        /// The stream.
        #[arg(value_name = "SCOPE/STREAM")]
        stream: StreamName,
        /// How many segments it shall have.
        segments: u32,
    },
    /// Seal the stream: it takes no more events.
    Seal {
        /// The stream.
        #[arg(value_name = "SCOPE/STREAM")]
        stream: StreamName,
    },
    /// Seal and delete the stream.
    Delete {
        /// The stream.
        #[arg(value_name = "SCOPE/STREAM")]
        stream: StreamName,
    },
}

/// A stream within its scope, written `scope/stream`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StreamName {
    scope: String,
    stream: String,
}

impl std::str::FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((scope, stream)) if !scope.is_empty() && !stream.is_empty() && !stream.contains('/') => {
                Ok(Self { scope: scope.into(), stream: stream.into() })
            }
            _ => Err("expected scope/stream, for example dna/load".into()),
        }
    }
}

/// Reads the command line, does what it says, and returns the exit code.
#[must_use]
pub fn parse_and_run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(commands::run(cli.command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(if lacks_a_tool(&error) { EXIT_MISSING_TOOL } else { EXIT_FAILURE })
        }
    }
}

/// Whether it failed for want of a tool on this machine.
fn lacks_a_tool(error: &anyhow::Error) -> bool {
    let in_cache = |error: &CacheError| matches!(error, CacheError::Tool(_));
    error.is::<MissingTool>()
        || error.downcast_ref().is_some_and(in_cache)
        || error.downcast_ref().is_some_and(|error| match error {
            PravegaError::Tool(_) => true,
            PravegaError::Cache(error) => in_cache(error),
            _ => false,
        })
        || error.downcast_ref().is_some_and(|error| match error {
            FlinkError::Tool(_) => true,
            FlinkError::Cache(error) => in_cache(error),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_missing_tool_is_seen_through_the_layers() {
        for error in [
            anyhow::Error::from(MissingTool::Java),
            CacheError::Tool(MissingTool::Maven).into(),
            PravegaError::Cache(CacheError::Tool(MissingTool::Maven)).into(),
            FlinkError::Tool(MissingTool::Java).into(),
        ] {
            assert!(lacks_a_tool(&error), "{error:?}");
        }
        assert!(!lacks_a_tool(&FlinkError::NoJob.into()));
    }

    #[test]
    fn a_stream_has_a_scope() {
        let name = "dna/load".parse::<StreamName>();
        assert_eq!(name, Ok(StreamName { scope: "dna".into(), stream: "load".into() }));
        for bad in ["load", "/load", "dna/", "a/b/c"] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad}");
        }
    }
}
