//! Flags of `shape`.

use super::{ShapeArgs, parse};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of `shape`.
#[derive(Args, Debug)]
pub struct PreviewArgs {
    /// Which load.
    #[command(flatten)]
    pub shape: ShapeArgs,

    /// Show so much of it [default: all of a shape that ends, an hour of one that does not].
    #[arg(
        long,
        env = "DATA_GENERATOR_DURATION",
        value_name = "DURATION",
        value_parser = parse::some_time,
        help_heading = "Preview"
    )]
    pub duration: Option<Duration>,

    /// Lines to print.
    #[arg(
        long,
        env = "DATA_GENERATOR_ROWS",
        default_value_t = 25,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        help_heading = "Preview"
    )]
    pub rows: u32,

    /// Print time and rate as CSV instead, in the form that --trace reads.
    #[arg(long, env = "DATA_GENERATOR_CSV", help_heading = "Preview")]
    pub csv: bool,

    /// Draw it into this file, an SVG picture.
    #[arg(long, env = "DATA_GENERATOR_SVG", value_name = "FILE", help_heading = "Preview")]
    pub svg: Option<PathBuf>,
}
