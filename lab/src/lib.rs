//! Starts the real things on one machine: Pravega and Flink, fetched from package registries once and
//! kept in the user's cache folder. The demo, the tests and the benchmarks all stand on this crate.
//!
//! The flow: a [`RunDir`] is the one folder and the ports of a run; [`Cache`] brings the jars;
//! [`Pravega`] and [`Flink`] start [`Process`](process::Process)es in that folder and wait until they
//! answer; [`Admin`] creates and scales streams. Whatever goes out of scope stops what it started.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use sluice_lab::{Pravega, RunDir, Scaling};
//!
//! let run = RunDir::fresh()?;
//! let pravega = Pravega::builder(&run).controllers(2).start().await?;
//! let admin = pravega.admin();
//! admin.create_stream("dna", "load", Scaling::fixed(1)).await?;
//! admin.scale_to("dna", "load", 3).await?;
//! assert_eq!(admin.segments("dna", "load").await?.len(), 3);
//! pravega.stop().await?;
//! run.passed();
//! # Ok(())
//! # }
//! ```

pub mod admin;
pub mod cache;
mod certificates;
pub mod cli;
mod clock;
mod demo;
pub mod flink;
mod java;
pub mod pid_file;
pub mod ports;
pub mod pravega;
pub mod process;
pub mod progress;
pub mod rest;
pub mod rig;
pub mod run_dir;
pub mod tools;

pub use admin::{Admin, AdminError, Scaling, Segment};
pub use cache::{Cache, CacheError, FlinkVersion};
pub use flink::{BusyReader, Flink, FlinkBuilder, FlinkError, Job, Mode, TaskManagerMemory};
pub use pravega::{AutoScale, Pravega, PravegaBuilder, PravegaError};
pub use progress::Progress;
pub use run_dir::{RunDir, RunDirError};
