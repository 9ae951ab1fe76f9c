//! `lab demo`: the main job on a screen. A real Pravega stream changes its segments under load, a real
//! Flink job follows it, and at the end the ledger says whether every event was counted once.
//!
//! [`story`] is what happens, [`record`] what is noted every second, [`view`] the screen, [`plot`] and
//! [`summary`] what stays.

mod plot;
mod record;
mod story;
mod summary;
mod view;

use std::path::PathBuf;

use clap::Args;

use crate::cache::FlinkVersion;

/// Arguments of `lab demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Which Flink runs the job.
    #[arg(long, value_name = "VERSION", env = "SLUICE_LAB_FLINK", default_value = "1.20.5")]
    pub flink: FlinkVersion,

    /// Events per second while the stream is to widen. One segment is given 100 a second; at fifteen
    /// times that Pravega splits it at its first look, two minutes after the stream was created.
    #[arg(long, value_name = "N", env = "SLUICE_DEMO_RATE", default_value_t = 1500)]
    pub rate: u32,

    /// Scale the stream by hand at once, instead of waiting minutes for Pravega to do it by itself.
    #[arg(long, env = "SLUICE_DEMO_MANUAL")]
    pub manual: bool,

    /// Where the plot and the record of the run are put.
    #[arg(long, value_name = "DIR", env = "SLUICE_DEMO_OUT", default_value = "out/demo")]
    pub out: PathBuf,
}

pub use story::demo;
