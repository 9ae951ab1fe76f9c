//! The arguments of `lab up`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::flink::Mode;

/// Arguments of `lab up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// How many Pravega controllers to run.
    #[arg(long, default_value_t = 1, env = "SLUICE_LAB_CONTROLLERS", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub controllers: u8,
    /// How many bookies to run: with 3, one may be killed without a stall.
    #[arg(long, default_value_t = 1, env = "SLUICE_LAB_BOOKIES", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub bookies: u8,
    /// Port of the first controller; a free one if not given.
    #[arg(long, value_name = "PORT", env = "SLUICE_LAB_CONTROLLER_PORT")]
    pub controller_port: Option<u16>,
    /// Take all other ports upwards from this one; free ones below the ephemeral range if not given.
    #[arg(long, value_name = "PORT", env = "SLUICE_LAB_PORT_BASE")]
    pub port_base: Option<u16>,
    /// Folder of the run (data, logs, pid files), kept at the end; a fresh one, removed at the end,
    /// if not given. What a crashed lab left running in it is stopped first.
    #[arg(long, value_name = "DIR", env = "SLUICE_LAB_RUN")]
    pub run: Option<PathBuf>,
    /// Serve the metrics of Pravega and of Flink to Prometheus.
    #[arg(long, env = "SLUICE_LAB_METRICS")]
    pub metrics: bool,
    /// With TLS and users: the addresses that are printed say where certificate and passwords are.
    #[arg(long, env = "SLUICE_LAB_SECURE", conflicts_with = "flink")]
    pub secure: bool,
    /// Let clients elsewhere reach Pravega at this address of this machine; it then listens on all
    /// addresses. Used in a pod, with the pod's address.
    #[arg(long, value_name = "HOST", env = "SLUICE_LAB_PUBLISHED_HOST", conflicts_with_all = ["secure", "flink"])]
    pub published_host: Option<String>,
    /// Leave Pravega's auto-scaler at the product's own settings (ten minutes of cooldown) instead of
    /// the quickest it allows.
    #[arg(long, env = "SLUICE_LAB_STOCK_AUTO_SCALE")]
    pub stock_auto_scale: bool,
    #[command(flatten)]
    pub flink: FlinkArgs,
}

/// What kind of Flink to start beside Pravega.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flink")]
pub(super) struct FlinkArgs {
    /// Start a Flink of this version, from 1.17 to 2.3, with the job given by --job-jar or the busy
    /// reader given by --stream.
    #[arg(long, value_name = "VERSION", env = "SLUICE_LAB_FLINK")]
    pub flink: Option<String>,
    /// Read this stream with Sluice's busy reader, built by `make jobs` in the current repository. The
    /// stream is created with one segment if it is not there.
    #[arg(long, value_name = "SCOPE/STREAM", env = "SLUICE_LAB_STREAM", requires = "flink")]
    pub stream: Option<super::StreamName>,
    /// How often the busy reader counts each event: its work per event.
    #[arg(long, default_value_t = 1, env = "SLUICE_LAB_ITERATIONS")]
    pub iterations: u32,
    /// The jar of another job to run instead of the busy reader.
    #[arg(long, value_name = "JAR", env = "SLUICE_LAB_JOB_JAR", requires = "job_class", conflicts_with = "stream")]
    pub job_jar: Option<PathBuf>,
    /// The class in it whose main builds the job.
    #[arg(long, value_name = "CLASS", env = "SLUICE_LAB_JOB_CLASS")]
    pub job_class: Option<String>,
    /// One argument of that main; may be given several times.
    #[arg(long = "job-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub job_args: Vec<String>,
    /// Which scheduler runs the job.
    #[arg(long, value_enum, default_value_t = ModeArg::Reactive, env = "SLUICE_LAB_MODE")]
    pub mode: ModeArg,
    /// How many TaskManagers to start. Leave it at 0 where the agent shall start them.
    #[arg(long, default_value_t = 0, env = "SLUICE_LAB_TASK_MANAGERS")]
    pub task_managers: u32,
    /// Port of the REST API; a free one if not given.
    #[arg(long, value_name = "PORT", env = "SLUICE_LAB_FLINK_REST_PORT")]
    pub rest_port: Option<u16>,
    /// An option of Flink's configuration, written NAME=VALUE; may be given several times.
    #[arg(long = "flink-option", value_name = "NAME=VALUE", value_parser = option)]
    pub options: Vec<(String, String)>,
    /// Leave Flink at its own timeouts: 30 s to a minute between two changes of width, 50 s until a
    /// killed TaskManager is given up. The lab's own are some seconds.
    #[arg(long, env = "SLUICE_LAB_STOCK_FLINK_TIMEOUTS")]
    pub stock_flink_timeouts: bool,
}

/// Flink's schedulers, as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ModeArg {
    /// The job takes every slot there is.
    Reactive,
    /// The job takes what is asked for over the REST API.
    Adaptive,
    /// The job's parallelism is fixed.
    Default,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Reactive => Self::Reactive,
            ModeArg::Adaptive => Self::Adaptive,
            ModeArg::Default => Self::Default,
        }
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, for example web.refresh-interval=200".into()),
    }
}
