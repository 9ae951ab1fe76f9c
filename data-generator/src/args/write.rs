//! Flags of `write`.

use super::parse;
use super::{ConnectionArgs, ReportArgs, ShapeArgs, StreamArgs, UsageError};
use crate::event::EventSize;
use crate::pace::{Limits, Load};
use crate::stream::StreamPlan;
use crate::write::{Routing, WritePlan, Zipf};
use clap::{Args, ValueEnum};
use std::sync::Arc;
use std::time::Duration;

/// Flags of `write`.
#[derive(Args, Debug)]
pub struct WriteArgs {
    /// Which Pravega.
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Which stream.
    #[command(flatten)]
    pub stream: StreamArgs,

    /// Which load.
    #[command(flatten)]
    pub shape: ShapeArgs,

    /// Which writers, and until when.
    #[command(flatten)]
    pub run: RunArgs,

    /// What to tell.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Which writers, and until when.
#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Send as fast as it goes instead of by a shape: an event is due when there is room for it in the
    /// --window, and its latency counts from then.
    #[arg(long, env = "DATA_GENERATOR_MAX")]
    pub max: bool,

    /// Stop after this time; events that were due until then are still written.
    #[arg(
        long,
        env = "DATA_GENERATOR_DURATION",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub duration: Option<Duration>,

    /// Stop after this many events over all writers.
    #[arg(
        long,
        env = "DATA_GENERATOR_EVENTS",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub events: Option<u64>,

    /// Writers that share the load evenly, each with its own connections and its own numbering of
    /// events from 0.
    #[arg(
        long,
        env = "DATA_GENERATOR_WRITERS",
        default_value_t = 1,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub writers: u32,

    /// Id of the first writer; the others count up from it. Give a second run on the same stream ids
    /// of its own, so that its events can be told from those of the first.
    #[arg(
        long,
        env = "DATA_GENERATOR_FIRST_WRITER",
        default_value_t = 0,
        value_name = "ID",
        value_parser = clap::value_parser!(u32).range(..=i64::from(u32::MAX - 1024))
    )]
    pub first_writer: u32,

    /// Size of an event in bytes.
    #[arg(
        long,
        env = "DATA_GENERATOR_EVENT_SIZE",
        default_value = "220",
        value_name = "BYTES",
        value_parser = parse::event_size
    )]
    pub event_size: EventSize,

    /// How events choose their segment.
    #[arg(long, env = "DATA_GENERATOR_ROUTING_KEY", default_value = "random", value_name = "HOW")]
    pub routing_key: RoutingKind,

    /// round-robin: how many keys each writer takes in turn; zipf: how many keys there are.
    #[arg(
        long,
        env = "DATA_GENERATOR_ROUTING_KEYS",
        default_value_t = 1024,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    pub routing_keys: u32,

    /// zipf: how unequal the keys are. The k-th gets a share in proportion to 1 / k^exponent: with 1
    /// and 1024 keys the first has 13 % of all events, with 0 all have the same.
    #[arg(
        long,
        env = "DATA_GENERATOR_ZIPF_EXPONENT",
        default_value = "1",
        value_name = "NUMBER",
        value_parser = parse::exponent,
        allow_hyphen_values = true
    )]
    pub zipf_exponent: f64,

    /// Events that each writer may have unacknowledged; at most 8 MiB of them. When that many are, it
    /// waits, and falls behind.
    #[arg(
        long,
        env = "DATA_GENERATOR_WINDOW",
        default_value_t = 10_000,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub window: u32,

    /// End the run, with exit code 74, when an event is not acknowledged for this long in spite of
    /// retries.
    #[arg(
        long,
        env = "DATA_GENERATOR_GIVE_UP_AFTER",
        default_value = "60s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub give_up_after: Duration,

    /// How long to wait for acknowledgements after Ctrl-C or SIGTERM.
    #[arg(
        long,
        env = "DATA_GENERATOR_FLUSH_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub flush_timeout: Duration,
}

/// How events choose their segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoutingKind {
    /// At random, event by event: segments are loaded by the share of the key space they hold, which
    /// is even.
    Random,
    /// By a key; each writer takes --routing-keys keys in turn. Nearly even, and the events of a key
    /// stay in order.
    RoundRobin,
    /// By one of --routing-keys keys that all writers share, few of which get most of the events:
    /// their segments get hot.
    Zipf,
}

impl TryFrom<&WriteArgs> for WritePlan {
    type Error = UsageError;

    fn try_from(args: &WriteArgs) -> Result<Self, UsageError> {
        let run = &args.run;
        // Pravega's client holds back a writer beyond 16 MiB, without a deadline; half of that is
        // never reached by mistake.
        let fits = u32::try_from(8 * 1024 * 1024 / run.event_size.bytes()).unwrap_or(1);
        Ok(Self {
            session: (&args.connection).try_into()?,
            stream: StreamPlan::from(&args.stream),
            load: Arc::new(load(args)?),
            limits: Limits { duration: run.duration, events: run.events },
            writers: run.writers,
            first_writer: run.first_writer,
            event_size: run.event_size,
            routing: match run.routing_key {
                RoutingKind::Random => Routing::Random,
                RoutingKind::RoundRobin => Routing::RoundRobin { keys: run.routing_keys },
                RoutingKind::Zipf => Routing::Zipf(Arc::new(Zipf::new(run.routing_keys, run.zipf_exponent))),
            },
            window: run.window.min(fits),
            give_up_after: run.give_up_after,
            flush_timeout: run.flush_timeout,
            progress: args.report.progress,
            summary: args.report.summary.clone(),
            metrics: args.report.metrics_address,
        })
    }
}

fn load(args: &WriteArgs) -> Result<Load, UsageError> {
    if !args.run.max {
        return (&args.shape).try_into();
    }
    match args.shape.first_given() {
        Some(name) => {
            Err(UsageError(format!("--max and --{name} are given: a shape says how fast, --max asks for all")))
        }
        None => Ok(Load::Max),
    }
}
