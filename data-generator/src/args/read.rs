//! Flags of `read`.

use super::parse;
use super::{ConnectionArgs, ReportArgs, UsageError};
use crate::clock;
use crate::read::ReadPlan;
use clap::{Args, ValueEnum};
use pravega_client_shared::{Scope, ScopedStream, Stream};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of `read`.
#[derive(Args, Debug)]
pub struct ReadArgs {
    /// Which Pravega.
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Which readers of which stream.
    #[command(flatten)]
    pub group: GroupArgs,

    /// What to do with each event, and until when.
    #[command(flatten)]
    pub work: WorkArgs,

    /// What to tell.
    #[command(flatten)]
    pub report: ReportArgs,

    /// What to keep of what was read.
    #[command(flatten)]
    pub ledger: LedgerArgs,
}

/// Which readers of which stream.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reader group")]
pub struct GroupArgs {
    /// Scope of the stream.
    #[arg(long, env = "DATA_GENERATOR_SCOPE", value_name = "NAME", value_parser = parse::name)]
    pub scope: String,

    /// Stream to read.
    #[arg(long, env = "DATA_GENERATOR_STREAM", value_name = "NAME", value_parser = parse::name)]
    pub stream: String,

    /// Group to join, of this scope; STREAM-readers if not given. Its readers, in however many
    /// processes, share the stream's segments evenly; a group that is not there yet begins with the
    /// first reader. It goes on where it was when all its readers are gone and others come.
    #[arg(long, env = "DATA_GENERATOR_READER_GROUP", value_name = "NAME", value_parser = parse::name)]
    pub reader_group: Option<String>,

    /// Readers of this process, each with a thread of its own. With one reader a process, processes =
    /// segments is as wide as it gets; readers beyond the segments wait for more segments.
    #[arg(
        long,
        env = "DATA_GENERATOR_READERS",
        default_value_t = 1,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub readers: u32,

    /// Where a new group begins to read; one that is there goes on where it was.
    #[arg(long, env = "DATA_GENERATOR_START", default_value = "head", value_name = "WHERE")]
    pub start: StartAt,

    /// How often positions are saved, which is also the reader's sign of life. When a reader dies, what
    /// it read since then is read again.
    #[arg(
        long,
        env = "DATA_GENERATOR_SAVE_EVERY",
        default_value = "1s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub save_every: Duration,

    /// A reader of the group that shows no sign of life for this long is taken for dead, and its
    /// segments are read by the others. At least three times --save-every.
    #[arg(
        long,
        env = "DATA_GENERATOR_READER_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub reader_timeout: Duration,

    /// End, with exit code 69, when Pravega could not be used for this long.
    #[arg(
        long,
        env = "DATA_GENERATOR_GIVE_UP_AFTER",
        default_value = "60s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub give_up_after: Duration,

    /// How long saving the last positions may take after Ctrl-C or SIGTERM.
    #[arg(
        long,
        env = "DATA_GENERATOR_LEAVE_TIMEOUT",
        default_value = "15s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub leave_timeout: Duration,
}

/// What to do with each event, and until when.
#[derive(Args, Debug)]
#[command(next_help_heading = "Work")]
pub struct WorkArgs {
    /// How often to count the bases A, C, G and T of each event: gives a reader a limit that can be
    /// set, as the Flink job's busy operator has. 0 only reads.
    #[arg(long, env = "DATA_GENERATOR_ITERATIONS", default_value_t = 1, value_name = "NUMBER")]
    pub iterations: u64,

    /// Check the order of each routing key: what the writers were given as --routing-keys with
    /// --routing-key round-robin. Without it no order is promised, and none is checked.
    #[arg(long, env = "DATA_GENERATOR_ROUTING_KEYS", value_name = "NUMBER")]
    pub routing_keys: Option<NonZeroU32>,

    /// End when this process has read so many events.
    #[arg(
        long,
        env = "DATA_GENERATOR_EVENTS",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub events: Option<u64>,

    /// End when everything there is has been read, and nothing came for this long.
    #[arg(
        long,
        env = "DATA_GENERATOR_UNTIL_IDLE",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub until_idle: Option<Duration>,

    /// End after this time.
    #[arg(long, env = "DATA_GENERATOR_DURATION", value_name = "DURATION", value_parser = parse::some_time)]
    pub duration: Option<Duration>,
}

/// What to keep of what was read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Report")]
pub struct LedgerArgs {
    /// Put down in this folder which events were read from where, in a file of its own for each
    /// process. `data-generator reconcile` proves with the files of all that nothing was lost. About 5
    /// bytes an event.
    #[arg(long, env = "DATA_GENERATOR_LEDGER", value_name = "FOLDER")]
    pub ledger: Option<PathBuf>,

    /// What this process is called in the group, in logs and as a ledger; the time of its start is
    /// added, so that two runs never have the same name.
    #[arg(
        long,
        env = "DATA_GENERATOR_NAME",
        default_value_t = host_name(),
        value_name = "NAME",
        value_parser = parse::name
    )]
    pub name: String,
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StartAt {
    /// With the oldest event of the stream.
    Head,
    /// With the next event that is written.
    Tail,
}

/// In a pod this is the pod's name.
fn host_name() -> String {
    std::env::var("HOSTNAME").ok().filter(|name| parse::name(name).is_ok()).unwrap_or_else(|| "reader".to_owned())
}

impl TryFrom<&ReadArgs> for ReadPlan {
    type Error = UsageError;

    fn try_from(args: &ReadArgs) -> Result<Self, UsageError> {
        let (group, work, report, ledger) = (&args.group, &args.work, &args.report, &args.ledger);
        if group.reader_timeout < group.save_every * 3 {
            return Err(UsageError(format!(
                "--reader-timeout {:?} is less than three times --save-every {:?}: readers that are well would be taken for dead",
                group.reader_timeout, group.save_every
            )));
        }
        Ok(Self {
            session: (&args.connection).try_into()?,
            stream: ScopedStream {
                scope: Scope::from(group.scope.clone()),
                stream: Stream::from(group.stream.clone()),
            },
            group: group.reader_group.clone().unwrap_or_else(|| format!("{}-readers", group.stream)),
            name: format!("{}-{}-{}", ledger.name, clock::wall().as_millisecond(), std::process::id()),
            readers: group.readers,
            from_tail: group.start == StartAt::Tail,
            iterations: work.iterations,
            keys: work.routing_keys,
            events: work.events,
            until_idle: work.until_idle,
            duration: work.duration,
            save_every: group.save_every,
            reader_timeout: group.reader_timeout,
            give_up_after: group.give_up_after,
            leave_timeout: group.leave_timeout,
            ledger: ledger.ledger.clone(),
            progress: report.progress,
            summary: report.summary.clone(),
            metrics: report.metrics_address,
        })
    }
}
