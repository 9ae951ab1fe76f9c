//! The flags of `sluice simulate`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, Command, FromArgMatches as _, ValueEnum};
use sluice_core::FlinkVersion;

use super::{Output, PolicyArgs, duration};

/// `sluice simulate`.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// A CSV of seconds,segments or of seconds,rate; `-` is standard input. A value holds until the next
    /// line, and the last line is where it ends. Times are seconds (90), lengths of time (1m 30s) or
    /// timestamps (2026-11-22T08:00:00Z). Headings choose among more columns than two. Without a file:
    /// the load of Pravega's autoscaling sample, a wave between 0 and 10,000 events per second.
    #[arg(env = "SLUICE_TRACE", value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// Simulate so much of it [default: all of a file, a day of the sample's load].
    #[arg(long, env = "SLUICE_DURATION", value_name = "DURATION", value_parser = some_seconds)]
    pub duration: Option<u64>,

    /// Another policy to simulate beside: a name, and the policy's flags in which it differs from those
    /// given here. Once for each. For example --also 'calm=--cooldown-up 5m --scale-down-window 10m'
    #[arg(long, env = "SLUICE_ALSO", value_name = "NAME=FLAGS", value_parser = also)]
    pub also: Vec<Also>,

    /// The autoscalers to simulate beside.
    #[arg(long, env = "SLUICE_AGAINST", value_enum, value_delimiter = ',', default_values_t = [Rival::Hpa, Rival::Keda])]
    pub against: Vec<Rival>,

    /// Draw the widths over time into this file, an SVG picture.
    #[arg(long, env = "SLUICE_SVG", value_name = "FILE")]
    pub svg: Option<PathBuf>,

    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scaling: ScalingArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub cluster: ClusterArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rivals: RivalArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: PolicyArgs,
}

/// The stream's scaling policy: it makes segments of rates.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Pravega's own scaling, where the file holds rates")]
pub struct ScalingArgs {
    /// The rate that a segment should bear, in the unit of the file (for a byDataRate policy: its KB/s
    /// times 1024, and a file of bytes per second). Without headings it says that the file holds rates
    /// [default without a file: 800, as in the sample].
    #[arg(long, env = "SLUICE_TARGET_RATE", value_name = "RATE", value_parser = rate, allow_negative_numbers = true)]
    pub target_rate: Option<f64>,

    /// Into how many segments one is split at most; less than 2 counts as 2, as in Pravega.
    #[arg(long, env = "SLUICE_SCALE_FACTOR", value_name = "N", default_value_t = 2)]
    pub scale_factor: u32,

    /// Never fewer segments; the stream begins with so many.
    #[arg(long, env = "SLUICE_MIN_SEGMENTS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub min_segments: u32,
}

/// The cluster that is simulated.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Flink and its TaskManagers")]
pub struct ClusterArgs {
    /// From the request for a TaskManager to its registration at Flink: 17 to 24 s were measured in pods
    /// that had their image.
    #[arg(long, env = "SLUICE_START_TIME", value_name = "DURATION", default_value = "20s", value_parser = seconds)]
    pub start_time: u64,

    /// How much later each further TaskManager of a batch registers. In reactive mode before Flink 2.0
    /// each that comes after the job runs again restarts it once more.
    #[arg(long, env = "SLUICE_START_APART", value_name = "DURATION", default_value = "0s", value_parser = seconds)]
    pub start_apart: u64,

    /// How long the job does not run when it is restarted: 2 to 7 s were measured.
    #[arg(long, env = "SLUICE_RESTART_TIME", value_name = "DURATION", default_value = "3s", value_parser = some_seconds)]
    pub restart_time: u64,

    /// How long a checkpoint takes.
    #[arg(long, env = "SLUICE_CHECKPOINT_TIME", value_name = "DURATION", default_value = "1s", value_parser = some_seconds)]
    pub checkpoint_time: u64,

    /// Time between two periodic checkpoints (execution.checkpointing.interval).
    #[arg(long, env = "SLUICE_CHECKPOINT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = some_seconds)]
    pub checkpoint_interval: u64,

    /// The version of Flink: from 2.0 on a job waits for a checkpoint before it rescales.
    #[arg(long, env = "SLUICE_FLINK_VERSION", value_name = "X.Y", default_value = "1.20", value_parser = version)]
    pub flink_version: FlinkVersion,

    /// How Flink gives slots to the job that Sluice looks after; an HPA and KEDA always have `reactive`.
    #[arg(long, env = "SLUICE_SCHEDULER", value_enum, default_value_t = SchedulerArg::Reactive)]
    pub scheduler: SchedulerArg,
}

/// The other autoscalers.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "HPA and KEDA")]
pub struct RivalArgs {
    /// Between two scrapes of the number of segments: 30s is prometheus-operator's default, 60s that of
    /// Prometheus.
    #[arg(long, env = "SLUICE_SCRAPE_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = some_seconds)]
    pub scrape_interval: u64,

    /// Between two looks of the HPA (--horizontal-pod-autoscaler-sync-period).
    #[arg(long, env = "SLUICE_HPA_SYNC", value_name = "DURATION", default_value = "15s", value_parser = some_seconds)]
    pub hpa_sync: u64,

    /// What the HPA takes for equal, as a share (--horizontal-pod-autoscaler-tolerance).
    #[arg(long, env = "SLUICE_HPA_TOLERANCE", value_name = "SHARE", default_value = "0.1", value_parser = share, allow_negative_numbers = true)]
    pub hpa_tolerance: f64,

    /// The HPA shrinks to the most it wished for within this time
    /// (behavior.scaleDown.stabilizationWindowSeconds).
    #[arg(long, env = "SLUICE_HPA_STABILIZATION", value_name = "DURATION", default_value = "300s", value_parser = seconds)]
    pub hpa_stabilization: u64,

    /// Whether the HPA has a `behavior`; the sample's has none.
    #[arg(long, env = "SLUICE_HPA_BEHAVIOR", value_enum, default_value_t = BehaviorArg::Absent)]
    pub hpa_behavior: BehaviorArg,

    /// KEDA's scaler has `useCachedMetrics`: it asks Prometheus every --keda-polling, and no longer
    /// whenever the HPA behind it asks.
    #[arg(long, env = "SLUICE_KEDA_CACHED")]
    pub keda_cached: bool,

    /// KEDA's pollingInterval. With at least one TaskManager it only matters with --keda-cached.
    #[arg(long, env = "SLUICE_KEDA_POLLING", value_name = "DURATION", default_value = "30s", value_parser = some_seconds)]
    pub keda_polling: u64,
}

/// `--against`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rival {
    /// A HorizontalPodAutoscaler on an external metric.
    Hpa,
    /// A KEDA ScaledObject with a Prometheus trigger.
    Keda,
    /// None.
    None,
}

/// `--scheduler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchedulerArg {
    /// scheduler-mode: reactive.
    Reactive,
    /// jobmanager.scheduler: adaptive.
    Adaptive,
}

/// `--hpa-behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BehaviorArg {
    /// None: to twice as many at each look, but 4 at least.
    Absent,
    /// One with defaults: 4 more or twice as many within 15 s.
    Defaults,
}

/// `--also`: a named policy, as what it changes.
#[derive(Clone, Debug)]
pub struct Also {
    /// The name in the table.
    pub name: String,
    changes: ArgMatches,
}

impl Also {
    /// The flags with these changes.
    ///
    /// # Errors
    /// A text for people, if a value cannot be read.
    pub fn applied_to(&self, flags: &PolicyArgs) -> Result<PolicyArgs, clap::Error> {
        let mut changed = flags.clone();
        changed.update_from_arg_matches(&self.changes)?;
        // A flag without a value cannot be unset.
        changed.savepoint_before_change |= flags.savepoint_before_change;
        Ok(changed)
    }
}

fn also(text: &str) -> Result<Also, String> {
    let wrong = || format!("{text:?} is not NAME=FLAGS: write calm='--cooldown-up 5m'");
    let (name, flags) = text.split_once('=').ok_or_else(wrong)?;
    if name.is_empty() || name.chars().count() > 12 || name.contains(|c: char| c == '-' && name.starts_with(c)) {
        return Err(format!("{name:?} is not a name of 1 to 12 characters; {}", wrong()));
    }
    let words = shell_words::split(flags).map_err(|error| format!("{flags:?}: {error}"))?;
    if words.is_empty() {
        return Err(wrong());
    }
    // Without defaults and env twins: only what is written here differs.
    let command =
        PolicyArgs::augment_args_for_update(Command::new("--also").no_binary_name(true).disable_help_flag(true))
            .mut_args(|arg| arg.default_value(None::<&str>).env(None::<&str>));
    let changes = command.try_get_matches_from(words).map_err(|error| {
        let said = error.to_string();
        said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    Ok(Also { name: name.to_owned(), changes })
}

/// A length of time of whole seconds, a day at most.
fn seconds(text: &str) -> Result<u64, String> {
    let time = duration(text)?;
    if time.subsec_nanos() > 0 {
        return Err("the simulation goes by whole seconds".into());
    }
    Ok(time.as_secs())
}

fn some_seconds(text: &str) -> Result<u64, String> {
    const LONGEST: Duration = Duration::from_hours(92 * 24);
    match seconds(text)? {
        0 => Err("give at least 1s".into()),
        long if long > LONGEST.as_secs() => Err("give at most 92days".into()),
        time => Ok(time),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "a rate is a number per second above zero".into())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..1.0).contains(number));
    number.ok_or_else(|| "a share is a number from 0 to below 1; 0.1 is 10 %".into())
}

fn version(text: &str) -> Result<FlinkVersion, String> {
    let mut numbers = text.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok(FlinkVersion(major, minor)),
        _ => Err("write 1.20 or 2.3".into()),
    }
}
