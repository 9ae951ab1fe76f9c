//! SEE: one look at everything, in parallel. What cannot be read keeps its last good reading, with
//! the time of that reading, so that the core can tell how old it is.

use std::{fmt, time::Duration};

use futures_util::future::join_all;
use sluice_core::{Change, Flink, Observation, Operation, PolicyError, Reading, Scheduler, Slots, Strategy, Stream};

use crate::{
    args::Settings,
    clock,
    credentials::Credentials,
    flink::{self, FlinkError, FlinkOptions},
    kubernetes::{KubernetesError, lease::LeaseError},
    pravega::{self, ControllerOptions},
    readers,
    segments::{
        self,
        prometheus::{self, Prometheus, PrometheusOptions},
    },
    task_managers::{Deployment, DeploymentOptions, Owner, OwnerError, ProcessPool, ProcessPoolOptions},
};

/// The connections to the three sides.
pub struct Peers {
    /// Where the numbers of segments come from.
    pub segments: segments::Source,
    /// Flink's REST API; `None` if there is no Flink.
    pub flink: Option<flink::Client>,
    /// The owner of the TaskManagers.
    pub owner: Owner,
    /// Where savepoints go; Flink's own folder for them if not given.
    pub savepoint_dir: Option<String>,
}

/// A configuration that cannot be acted on; one line that names the flag. Not a peer that is away.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadConfig {
    #[error("the command line or the environment cannot be read: {0}")]
    CommandLine(String),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(
        "--prometheus-url {url} and --pravega-controller are both given; the controllers know better: leave \
         --prometheus-url out"
    )]
    TwoSources { url: String },
    #[error("--stream {0} is given twice; its segments would count twice")]
    StreamTwice(String),
    #[error("--poll {}s is too slow for --staleness {}s: no reading would be fresh for long", .poll.as_secs_f64(), .staleness.as_secs_f64())]
    PollTooSlow { poll: Duration, staleness: Duration },
    #[error(transparent)]
    Pravega(#[from] pravega::ConfigError),
    #[error(transparent)]
    Prometheus(#[from] prometheus::ConfigError),
    #[error(transparent)]
    Flink(#[from] flink::ConfigError),
    #[error(
        "--lease-duration {}s is too short: with --lease-renew {}s and --request-timeout {}s it takes at least {}s, so that \
         one renewal may fail and a call still ends in time",
        .duration.as_secs_f64(), .renew.as_secs_f64(), .timeout.as_secs_f64(), .least.as_secs()
    )]
    LeaseTooShort { duration: Duration, renew: Duration, timeout: Duration, least: Duration },
    #[error("--state-file: the state is in the Lease; leave it out, or run one agent alone with --no-lease")]
    TwoPlacesForState,
    #[error(transparent)]
    Lease(#[from] KubernetesError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("--task-manager-command '{command}' cannot be split into words: {source}")]
    Command { command: String, source: shell_words::ParseError },
}

impl Peers {
    /// Prepares the connections; no peer is asked anything yet.
    pub async fn new(settings: &Settings, access: Access) -> Result<Self, BadConfig> {
        let (pravega, flink) = (&settings.pravega, &settings.flink);
        if let Some(twice) = pravega.stream.iter().enumerate().find(|(i, name)| pravega.stream[..*i].contains(name)) {
            return Err(BadConfig::StreamTwice(twice.1.clone()));
        }
        let segments = segments_source(settings)?;
        let (url, tls, timeout) = (flink.flink_url.clone(), flink.tls(), flink.request_timeout);
        let client = || flink::Client::new(&FlinkOptions { url, tls, timeout });
        let client = if flink.no_flink { None } else { Some(client()?) };
        let owner = owner(settings, access).await?;
        Ok(Self { segments, flink: client, owner, savepoint_dir: settings.policy.savepoint_dir.clone() })
    }
}

fn segments_source(settings: &Settings) -> Result<segments::Source, BadConfig> {
    let (args, timeout) = (settings.pravega.clone(), settings.flink.request_timeout);
    let prometheus = settings.prometheus.clone();
    if let Some(url) = prometheus.prometheus_url {
        if !args.pravega_controller.is_empty() {
            return Err(BadConfig::TwoSources { url });
        }
        let prometheus = Prometheus::new(PrometheusOptions {
            url,
            query: prometheus.prometheus_query,
            streams: args.stream.len(),
            ca_certificate: prometheus.prometheus_ca,
            tls_server_name: prometheus.prometheus_tls_server_name,
            credentials: Credentials::given(
                prometheus.prometheus_username,
                prometheus.prometheus_password_file,
                prometheus.prometheus_token_file,
            ),
            timeout,
        })?;
        return Ok(segments::Source::Prometheus(Box::new(prometheus)));
    }
    Ok(segments::Source::Controller(pravega::Controller::new(ControllerOptions {
        addresses: args.pravega_controller,
        ca_certificate: args.pravega_ca,
        tls_server_name: args.pravega_tls_server_name,
        credentials: Credentials::given(args.pravega_username, args.pravega_password_file, args.pravega_token_file),
        timeout,
    })?))
}

/// Who owns the TaskManagers.
pub(crate) async fn owner(settings: &Settings, access: Access) -> Result<Owner, BadConfig> {
    let args = &settings.owner;
    if let (Some(command), Some(dir)) = (&args.task_manager_command, &args.pool_dir) {
        let words =
            shell_words::split(command).map_err(|source| BadConfig::Command { command: command.clone(), source })?;
        let stop_timeout = ProcessPoolOptions::STOP_TIMEOUT;
        let options = ProcessPoolOptions { dir: dir.clone(), command: words, stop_timeout };
        let pool = match access {
            Access::Full => ProcessPool::open(options),
            Access::ReadOnly => ProcessPool::open_read_only(options),
        };
        return Ok(Owner::Processes(pool.map_err(OwnerError::from)?));
    }
    let cluster = settings.cluster();
    let name = args.deployment.clone().unwrap_or_default();
    let staleness = settings.policy.staleness;
    let deployment = Deployment::connect(DeploymentOptions { name, cluster, staleness });
    Ok(Owner::Deployment(Box::new(deployment.await.map_err(OwnerError::from)?)))
}

/// Whether the peers will be changed, or only looked at beside the agent that may be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For `run`.
    Full,
    /// For `plan`, `check` and a dry run.
    ReadOnly,
}

const NO_SUCH_JOB: &str = "no_such_job";

/// A source that could not be read, or a step that could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `pravega`, `prometheus`, `flink` or `task_managers`.
    pub source: &'static str,
    /// The kind of error, from the source's closed set.
    pub kind: &'static str,
    /// The whole message.
    pub message: String,
}

impl Trouble {
    /// Every source with every kind of error it can have: the closed set of labels.
    pub const KINDS: &[(&'static str, &'static [&'static str])] = &[
        (segments::PRAVEGA, &pravega::ControllerError::KINDS),
        (segments::PROMETHEUS, &prometheus::PrometheusError::KINDS),
        ("flink", &flink::FlinkError::KINDS),
        ("flink", &[NO_SUCH_JOB]),
        ("task_managers", &OwnerError::KINDS),
        ("state_file", &["write"]),
        ("history", &["file", "config_map"]),
        ("lease", &LeaseError::KINDS),
    ];

    pub(crate) fn new(source: &'static str, kind: &'static str, error: &dyn fmt::Display) -> Self {
        Self { source, kind, message: error.to_string() }
    }
}

/// Looks at the peers and remembers the last good readings.
pub struct Observer {
    job: Option<String>,
    slots: Slots,
    last: Observation,
}

/// The one look of `plan` and `check`.
pub async fn look_once(settings: &Settings) -> Result<(Peers, Look), BadConfig> {
    let peers = Peers::new(settings, Access::ReadOnly).await?;
    let mut observer = Observer::new(settings);
    let mut look = observer.look(&peers, None).await;
    if observer.last.flink.as_ref().is_some_and(|flink| flink.value.scheduler == Scheduler::Adaptive) {
        // Only now is it known that it matters which TaskManagers there are.
        look = observer.look(&peers, None).await;
    }
    Ok((peers, look))
}

/// What one look brought.
pub struct Look {
    /// The readings, new or last good.
    pub observation: Observation,
    /// What could not be read this time.
    pub troubles: Vec<Trouble>,
    /// How long the slowest answer took.
    pub took: Duration,
}

impl Observer {
    /// An observer of the streams and the job that the settings name.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let streams = settings.pravega.streams().into_iter().map(|name| Stream { name, shape: None }).collect();
        Self {
            job: settings.flink.flink_job.clone(),
            slots: Slots(settings.policy.slots_per_task_manager),
            last: Observation { streams, ..Observation::default() },
        }
    }

    /// Asks all peers at once.
    pub async fn look(&mut self, peers: &Peers, change: Option<&Change>) -> Look {
        let begun = clock::instant();
        let mut troubles = Vec::new();
        let shapes = self.last.streams.iter().map(|stream| peers.segments.shape(&stream.name));
        // In reactive mode it does not matter which TaskManagers go.
        let last = self.last.flink.as_ref().map(|flink| flink.value.scheduler);
        let by_name = last == Some(Scheduler::Adaptive) || change.is_some_and(|c| c.strategy == Strategy::Adaptive);
        let (shapes, flink, pool, checkpoint, savepoint) = tokio::join!(
            join_all(shapes),
            Box::pin(observe_flink(peers.flink.as_ref(), change)),
            Box::pin(peers.owner.observe(by_name)),
            checkpoint(peers.flink.as_ref(), change),
            savepoint(peers.flink.as_ref(), change),
        );
        for (stream, shape) in self.last.streams.iter_mut().zip(shapes) {
            keep(
                &mut stream.shape,
                shape.map_err(|e| Trouble::new(peers.segments.name(), e.kind(), &e)),
                &mut troubles,
            );
        }
        if let Some(flink) = flink {
            let flink = flink.map(|flink| self.choose_job(flink, &mut troubles));
            let flink = flink.map_err(|e| Trouble::new("flink", e.kind(), &e));
            keep(&mut self.last.flink, flink, &mut troubles);
        } else {
            self.last.flink =
                pool.as_ref().ok().map(|pool| readers::as_flink(pool, self.slots)).or(self.last.flink.take());
        }
        let pool = pool.map_err(|e| Trouble::new("task_managers", e.kind(), &e));
        keep(&mut self.last.pool, pool, &mut troubles);
        let mut operation = |asked: Option<Result<Operation, FlinkError>>| match asked? {
            Ok(operation) => Some(operation),
            Err(error) => {
                troubles.push(Trouble::new("flink", error.kind(), &error));
                None
            }
        };
        self.last.checkpoint = operation(checkpoint);
        self.last.savepoint = operation(savepoint);
        Look { observation: self.last.clone(), troubles, took: begun.elapsed() }
    }

    fn choose_job(&self, mut flink: Reading<Flink>, troubles: &mut Vec<Trouble>) -> Reading<Flink> {
        let Some(wanted) = &self.job else { return flink };
        let jobs = &mut flink.value.jobs;
        let found: Vec<_> = jobs.iter().map(|job| format!("{} ({})", job.name, job.id)).collect();
        jobs.retain(|job| job.id == *wanted || job.name == *wanted);
        if jobs.is_empty() {
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            let message = format!("--flink-job '{wanted}': no job of this name or id; the cluster has: {found}");
            troubles.push(Trouble::new("flink", NO_SUCH_JOB, &message));
        }
        flink
    }
}

/// A reading is as old as its own answer, not as the slowest of a look.
async fn stamped<T, E>(answer: impl Future<Output = Result<T, E>>) -> Result<Reading<T>, E> {
    answer.await.map(|value| Reading { at: clock::now(), value })
}

async fn observe_flink(
    flink: Option<&flink::Client>,
    change: Option<&Change>,
) -> Option<Result<Reading<Flink>, FlinkError>> {
    Some(stamped(flink?.observe(change.is_some())).await)
}

async fn checkpoint(flink: Option<&flink::Client>, change: Option<&Change>) -> Option<Result<Operation, FlinkError>> {
    let change = change?;
    let attempt = change.awaits_checkpoint()?;
    Some(flink?.checkpoint(&change.job, &change.trigger_id(attempt)).await)
}

async fn savepoint(flink: Option<&flink::Client>, change: Option<&Change>) -> Option<Result<Operation, FlinkError>> {
    let change = change.filter(|change| change.awaits_savepoint())?;
    Some(flink?.savepoint(&change.job, &change.savepoint_trigger_id()).await)
}

fn keep<T>(place: &mut Option<Reading<T>>, answer: Result<Reading<T>, Trouble>, troubles: &mut Vec<Trouble>) {
    match answer {
        Ok(reading) => *place = Some(reading),
        Err(trouble) => troubles.push(trouble),
    }
}
