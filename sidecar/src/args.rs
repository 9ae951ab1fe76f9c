//! Flags and their env twins: raw text in, checked configuration out.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sluice_core::StreamName;
use tracing_subscriber::EnvFilter;

use crate::{history::HistoryCommand, kubernetes::ConnectOptions, report::history_keeper::HistoryArgs};

mod flink;
mod inject;
mod lease;
mod misread;
mod policy;
mod prometheus;
mod simulate;

pub use flink::FlinkArgs;
pub use inject::InjectArgs;
pub use lease::LeaseArgs;
pub use misread::misread;
pub use policy::{CombineArg, PolicyArgs};
pub use prometheus::PrometheusArgs;
pub use simulate::{BehaviorArg, Rival, SchedulerArg, SimulateArgs};

/// Keeps the number of Flink TaskManagers in step with the number of segments of a Pravega stream.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done, or stopped by SIGTERM or Ctrl-C
  1   `check` found something that must be mended
  2   the command line cannot be read
  65  `simulate` or `inject` cannot use what it was given
  69  `plan` could not read what it needs
  70  the agent failed from within
  78  the configuration cannot be acted on";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent: observe, decide, act, report, twice a second until stopped.
    Run(RunArgs),
    /// Look once, print the decision and what leads to it, and change nothing.
    Plan(ReportArgs),
    /// Look at everything the agent needs and say how to mend what is missing.
    Check(CheckArgs),
    /// Replay a day in a second: how this policy follows a stream, beside an HPA and KEDA.
    Simulate(Box<SimulateArgs>),
    /// Print what a running agent decided and changed, and why, or what one left in a file.
    History(HistoryCommand),
    /// Add the agent and its rights to a JobManager's manifests, and print them.
    Inject(InjectArgs),
}

/// `sluice run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,

    /// Where the page, /metrics, /live, /ready, /state and /history are served.
    #[arg(
        long,
        env = "SLUICE_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "0.0.0.0:9464",
        help_heading = "Agent"
    )]
    pub listen: SocketAddr,

    /// Time between two looks: a change of the stream is seen half of it later on average. While a change is in
    /// flight the agent looks at least four times a second.
    #[arg(long, env = "SLUICE_POLL", value_name = "DURATION", default_value = "500ms", value_parser = duration, help_heading = "Agent")]
    pub poll: Duration,

    /// Decide and report, but change nothing.
    #[arg(long, env = "SLUICE_DRY_RUN", help_heading = "Agent")]
    pub dry_run: bool,

    /// Where a change in flight, cooldowns and budgets are saved before each step, so that they
    /// outlive the agent, if they are not in the Lease. With a process pool the default is sluice.json in
    /// --pool-dir; with --no-lease they are only kept in memory by default.
    #[arg(long, env = "SLUICE_STATE_FILE", value_name = "FILE", help_heading = "Agent")]
    pub state_file: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub history: HistoryArgs,

    /// What to do when the configuration cannot be acted on. In a JobManager pod use `hold`: a
    /// sidecar that exits would keep the JobManager down.
    #[arg(long, env = "SLUICE_ON_BAD_CONFIG", value_enum, default_value_t = OnBadConfig::Exit, help_heading = "Agent")]
    pub on_bad_config: OnBadConfig,

    /// How log lines look.
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = "Agent")]
    pub log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as
    /// `info,sluice::flink=debug`.
    #[arg(
        long,
        env = "SLUICE_LOG",
        value_name = "FILTER",
        default_value = "info,kube_client=off,kube_runtime=off",
        value_parser = log_filter,
        help_heading = "Agent"
    )]
    pub log: String,

    /// What of the command line or the environment could not be read, where the agent holds because of it.
    #[arg(skip)]
    pub misread: Option<String>,
}

/// `sluice check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub report: ReportArgs,

    /// The ConfigMap that keeps the history: whether the agent may read and write it.
    #[arg(
        long,
        env = "SLUICE_HISTORY_CONFIG_MAP",
        value_name = "NAME",
        requires = "deployment",
        help_heading = "History"
    )]
    pub history_config_map: Option<String>,
}

/// `sluice plan`, and most of `sluice check`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,

    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `--on-bad-config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnBadConfig {
    /// Say what is wrong and exit with 78.
    Exit,
    /// Stay up, act on nothing, and say what is wrong in log, metrics and /state.
    Hold,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// What every command needs to know: the three sides of the agent, and its policy.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub pravega: PravegaArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub prometheus: PrometheusArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flink: FlinkArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub owner: OwnerArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub lease: LeaseArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: PolicyArgs,
}

impl Settings {
    /// How to reach the cluster that the Deployment is in.
    #[must_use]
    pub fn cluster(&self) -> ConnectOptions {
        let OwnerArgs { namespace, kubeconfig, .. } = self.owner.clone();
        ConnectOptions { namespace, kubeconfig, timeout: self.flink.request_timeout }
    }
}

/// The Pravega side.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pravega")]
pub struct PravegaArgs {
    /// Controller addresses, tcp://host:port or tls://host:port; when one is away the next is tried. Without
    /// any, --prometheus-url must be given.
    #[arg(
        long,
        env = "SLUICE_PRAVEGA_CONTROLLER",
        value_name = "URI",
        value_delimiter = ',',
        required_unless_present = "prometheus_url"
    )]
    pub pravega_controller: Vec<String>,

    /// The scope of the streams.
    #[arg(long, env = "SLUICE_SCOPE", value_name = "SCOPE", required = true)]
    pub scope: String,

    /// The stream to follow; several if the job reads several.
    #[arg(long, env = "SLUICE_STREAM", value_name = "STREAM", value_delimiter = ',', required = true)]
    pub stream: Vec<String>,

    /// The certificate (PEM) that the controllers' certificates are signed with.
    #[arg(long, env = "SLUICE_PRAVEGA_CA", value_name = "FILE")]
    pub pravega_ca: Option<PathBuf>,

    /// The name that the controllers' certificate must bear, if not their host name.
    #[arg(long, env = "SLUICE_PRAVEGA_TLS_SERVER_NAME", value_name = "NAME")]
    pub pravega_tls_server_name: Option<String>,

    /// User name for Basic authentication at the controller.
    #[arg(long, env = "SLUICE_PRAVEGA_USERNAME", value_name = "NAME", requires = "pravega_password_file")]
    pub pravega_username: Option<String>,

    /// File with the password; read again when it changes.
    #[arg(long, env = "SLUICE_PRAVEGA_PASSWORD_FILE", value_name = "FILE", requires = "pravega_username")]
    pub pravega_password_file: Option<PathBuf>,

    /// File with a bearer token; read again when it changes.
    #[arg(long, env = "SLUICE_PRAVEGA_TOKEN_FILE", value_name = "FILE", conflicts_with = "pravega_username")]
    pub pravega_token_file: Option<PathBuf>,
}

/// Who owns the TaskManagers: a Deployment, or a pool of local processes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TaskManagers")]
pub struct OwnerArgs {
    /// The Deployment of the TaskManagers; scaled through its scale subresource.
    #[arg(long, env = "SLUICE_DEPLOYMENT", value_name = "NAME", required_unless_present = "task_manager_command")]
    pub deployment: Option<String>,

    /// Its namespace; by default the one the agent runs in.
    #[arg(long, env = "SLUICE_NAMESPACE", value_name = "NAMESPACE", requires = "deployment")]
    pub namespace: Option<String>,

    /// How to reach the cluster from outside; by default what $KUBECONFIG or ~/.kube/config says,
    /// and inside a pod its service account.
    #[arg(long, env = "SLUICE_KUBECONFIG", value_name = "FILE", requires = "deployment")]
    pub kubeconfig: Option<PathBuf>,

    /// Without Kubernetes: the command that starts one TaskManager and stays in the foreground.
    /// It finds its name in `SLUICE_TASK_MANAGER_ID`, and must register under it
    /// (-Dtaskmanager.resource-id).
    #[arg(
        long,
        env = "SLUICE_TASK_MANAGER_COMMAND",
        value_name = "COMMAND",
        conflicts_with = "deployment",
        requires = "pool_dir"
    )]
    pub task_manager_command: Option<String>,

    /// Where the process pool keeps its records and its TaskManagers' logs.
    #[arg(long, env = "SLUICE_POOL_DIR", value_name = "DIR")]
    pub pool_dir: Option<PathBuf>,
}

impl PravegaArgs {
    /// The streams to follow.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamName> {
        let name = |stream: &String| StreamName { scope: self.scope.clone(), stream: stream.clone() };
        self.stream.iter().map(name).collect()
    }
}

/// A filter, as text: it is read again where logging starts.
fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 30s, 2m or 1h30m"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use sluice_core::{Policy, PolicyOptions};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    const MINIMAL: &str = "sluice run --pravega-controller tcp://c:9090 --scope dna --stream reads --deployment tm";

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_of_the_flags_are_the_defaults_of_the_policy() {
        let Command::Run(args) = parse(MINIMAL).unwrap().command else { panic!("not run") };
        assert_eq!(Policy::try_from(&args.settings.policy), Policy::try_from(PolicyOptions::default()));
    }

    #[test]
    fn every_flag_has_an_env_twin() {
        for command in Cli::command().get_subcommands() {
            for arg in
                command.get_arguments().filter(|arg| !["help", "output", "files"].contains(&arg.get_id().as_str()))
            {
                let twin = format!("SLUICE_{}", arg.get_id().as_str().to_uppercase());
                assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(twin.as_str()));
            }
        }
    }

    #[test]
    fn a_bad_value_names_its_flag() {
        for (extra, named) in [
            ("--settle soon", "--settle"),
            ("--ratio 0", "--ratio"),
            ("--max-task-managers -1", "--max-task-managers"),
            ("--task-manager-command x", "--deployment"),
            ("--pravega-username u", "--pravega-password-file"),
            ("--prometheus-ca ca.pem", "--prometheus-url"),
            ("--flink-client-certificate c.pem", "--flink-client-key"),
            ("--flink-tls-server-name f", "--flink-ca"),
        ] {
            let error = parse(&format!("{MINIMAL} {extra}")).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(named), "{extra}: {error}");
        }
    }
}
