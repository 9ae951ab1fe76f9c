//! Flags that name the stream, and the policies it is created with.

use super::parse;
use crate::stream::{Retention, Scaling, StreamPlan};
use clap::{Args, ValueEnum};

/// The stream.
#[derive(Args, Debug)]
#[command(next_help_heading = "Stream (the policies count only when it is created)")]
pub struct StreamArgs {
    /// Scope of the stream; created if it is missing.
    #[arg(long, env = "DATA_GENERATOR_SCOPE", value_name = "NAME", value_parser = parse::name)]
    pub scope: String,

    /// Stream to write to; created if it is missing.
    #[arg(long, env = "DATA_GENERATOR_STREAM", value_name = "NAME", value_parser = parse::name)]
    pub stream: String,

    /// How Pravega scales the stream by itself.
    #[arg(long, env = "DATA_GENERATOR_SCALING", default_value = "event-rate", value_name = "POLICY")]
    pub scaling: ScalingKind,

    /// Rate that one segment should carry: events/s with event-rate, kB/s with data-rate. Above it
    /// for some minutes a segment is split, far below it for long two are merged.
    #[arg(
        long,
        env = "DATA_GENERATOR_TARGET_RATE",
        default_value_t = 800,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX))
    )]
    pub target_rate: u32,

    /// Into how many a hot segment may be split at once.
    #[arg(
        long,
        env = "DATA_GENERATOR_SCALE_FACTOR",
        default_value_t = 2,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub scale_factor: u32,

    /// Segments at the start, and never fewer.
    #[arg(
        long,
        env = "DATA_GENERATOR_MIN_SEGMENTS",
        default_value_t = 1,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub min_segments: u32,

    /// What Pravega may cut off from the head of the stream: none, what is older than a time (1h), or
    /// what goes beyond a size (10GB).
    #[arg(
        long,
        env = "DATA_GENERATOR_RETENTION",
        default_value = "none",
        value_name = "none|DURATION|SIZE",
        value_parser = parse::retention
    )]
    pub retention: Retention,
}

/// How Pravega scales the stream by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScalingKind {
    /// By events per second and segment (byEventRate).
    EventRate,
    /// By kilobytes per second and segment (byDataRate).
    DataRate,
    /// Not at all: the stream keeps --min-segments.
    Fixed,
}

impl From<&StreamArgs> for StreamPlan {
    fn from(args: &StreamArgs) -> Self {
        let (target, factor) = (args.target_rate, args.scale_factor);
        Self {
            scope: args.scope.clone(),
            stream: args.stream.clone(),
            scaling: match args.scaling {
                ScalingKind::EventRate => Scaling::EventRate { target, factor },
                ScalingKind::DataRate => Scaling::DataRate { target, factor },
                ScalingKind::Fixed => Scaling::Fixed,
            },
            min_segments: args.min_segments,
            retention: args.retention,
        }
    }
}
