//! Flags that name the stream, and the policies it should have.

use super::parse;
use crate::stream::{Insist, Retention, Scaling, StreamPlan};
use clap::{Args, ValueEnum};

/// The stream.
#[derive(Args, Debug)]
#[command(next_help_heading = "Stream (an existing one has to have the policies that are given here)")]
pub struct StreamArgs {
    /// Scope of the stream; created if it is missing.
    #[arg(long, env = "DATA_GENERATOR_SCOPE", value_name = "NAME", value_parser = parse::name)]
    pub scope: String,

    /// Stream to write to; created if it is missing.
    #[arg(long, env = "DATA_GENERATOR_STREAM", value_name = "NAME", value_parser = parse::name)]
    pub stream: String,

    /// How Pravega scales the stream by itself [default: event-rate].
    #[arg(long, env = "DATA_GENERATOR_SCALING", value_name = "POLICY")]
    pub scaling: Option<ScalingKind>,

    /// Rate that one segment should carry: events/s with event-rate, kB/s with data-rate. Above it
    /// for some minutes a segment is split, far below it for long two are merged [default: 800].
    #[arg(
        long,
        env = "DATA_GENERATOR_TARGET_RATE",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX))
    )]
    pub target_rate: Option<u32>,

    /// Into how many a hot segment may be split at once [default: 2].
    #[arg(
        long,
        env = "DATA_GENERATOR_SCALE_FACTOR",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub scale_factor: Option<u32>,

    /// Segments at the start, and never fewer [default: 1].
    #[arg(
        long,
        env = "DATA_GENERATOR_MIN_SEGMENTS",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub min_segments: Option<u32>,

    /// What Pravega may cut off from the head of the stream: none, what is older than a time (1h), or
    /// what goes beyond a size (10GB) [default: none].
    #[arg(
        long,
        env = "DATA_GENERATOR_RETENTION",
        value_name = "none|DURATION|SIZE",
        value_parser = parse::retention
    )]
    pub retention: Option<Retention>,

    /// Give an existing stream the policies of these flags. Without it a stream that has others is an
    /// error (exit code 78); where no policy is given, an existing stream is taken as it is. Scaling and
    /// retention are told apart: what is not given stays. Segments change when Pravega next scales.
    #[arg(long, env = "DATA_GENERATOR_UPDATE_STREAM")]
    pub update_stream: bool,

    /// Seal and delete the stream when the run ends, however it ends, with all that is in it; also one
    /// that was there before. The scope stays.
    #[arg(long, env = "DATA_GENERATOR_DELETE_STREAM_ON_EXIT")]
    pub delete_stream_on_exit: bool,
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
        let (target, factor) = (args.target_rate.unwrap_or(800), args.scale_factor.unwrap_or(2));
        let numbers = [args.target_rate, args.scale_factor, args.min_segments];
        Self {
            scope: args.scope.clone(),
            stream: args.stream.clone(),
            scaling: match args.scaling.unwrap_or(ScalingKind::EventRate) {
                ScalingKind::EventRate => Scaling::EventRate { target, factor },
                ScalingKind::DataRate => Scaling::DataRate { target, factor },
                ScalingKind::Fixed => Scaling::Fixed,
            },
            min_segments: args.min_segments.unwrap_or(1),
            retention: args.retention.unwrap_or(Retention::Unlimited),
            insist: Insist {
                on_scaling: args.scaling.is_some() || numbers.iter().any(Option::is_some),
                on_retention: args.retention.is_some(),
            },
            update: args.update_stream,
            delete_on_exit: args.delete_stream_on_exit,
        }
    }
}
