//! `sluice run`: wires the loop and the endpoints together, and ends them together.

use std::{
    collections::HashMap,
    env,
    io::IsTerminal as _,
    path::PathBuf,
    pin::{Pin, pin},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use sluice_core::{Memory, Observation, Policy, PolicyOptions, decide};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use crate::{
    admin::{self, Admin, ListenError},
    args::{LogFormat, OnBadConfig, RunArgs, Settings},
    clock,
    control_loop::ControlLoop,
    kubernetes::{
        instance,
        lease::{Lease, LeaseOptions},
    },
    memory_store::{MemoryStore, Place},
    observe::{self, Access, BadConfig, Observer, Peers},
    report::{
        events::Events,
        history_config_map::ConfigMapOptions,
        history_keeper::HistoryKeeper,
        metrics::Metrics,
        redact::redact,
        status::{Shared, Status},
    },
    state_file::StateFile,
    task_managers::Owner,
};

/// Runs the agent until SIGTERM or Ctrl-C.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    // Before anything else: the first process of a container is not ended by a signal that it does not await.
    let mut stop = pin!(asked_to_stop()?);
    start_logging(args.log_format, &args.log)?;
    let shared = Shared::default();
    let metrics = Arc::new(Metrics::new(shared.clone()));
    let listener = tokio::select! {
        bound = bind(&args) => bound?,
        _ = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let admin = Admin { shared: shared.clone(), metrics: metrics.clone(), stuck_after: stuck_after(&args) };
    tracing::info!(listen = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "sluice starts");

    let mut keeper = HistoryKeeper::open(history_file(&args), config_map(&args), shared.clone(), metrics.clone()).await;
    tokio::select! {
        served = admin::serve(listener, admin) => served.context("the endpoints ended")?,
        stopped = agent(&args, &shared, &metrics, stop) => stopped?,
        () = keeper.run() => {}
    }
    keeper.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Where the endpoints are served. An address that cannot be had is one more setting that must not keep the
/// JobManager down.
async fn bind(args: &RunArgs) -> Result<TcpListener, ListenError> {
    loop {
        match admin::bind(args.listen).await {
            Err(error) if args.on_bad_config == OnBadConfig::Hold => {
                tracing::error!(reason = "bad_config", "{error}; trying again (--on-bad-config hold)");
                tokio::time::sleep(RETRY_BAD_CONFIG).await;
            }
            bound => return bound,
        }
    }
}

fn history_file(args: &RunArgs) -> Option<PathBuf> {
    let beside_pool = || args.settings.owner.pool_dir.as_ref().map(|dir| dir.join("history.jsonl"));
    // A dry run may stand beside the agent that acts, whose history is none of its business.
    args.history.history_file.clone().or_else(|| beside_pool().filter(|_| !args.dry_run))
}

fn config_map(args: &RunArgs) -> Option<ConfigMapOptions> {
    Some(ConfigMapOptions { name: args.history.history_config_map.clone()?, cluster: args.settings.cluster() })
}

/// The loop, until the agent is asked to stop. It is broken off between two awaits, and only then is the
/// Lease given back.
async fn agent(
    args: &RunArgs,
    shared: &Shared,
    metrics: &Arc<Metrics>,
    mut stop: Pin<&mut impl Future<Output = &'static str>>,
) -> Result<(), BadConfig> {
    let mut said = Said::default();
    loop {
        let signal = match control_loop(args, shared, metrics).await {
            Ok(mut agent) => {
                tracing::info!(policy = ?agent.policy, owner = agent.peers.owner.describe(), "configuration");
                said = Said::default();
                let signal = tokio::select! {
                    () = agent.run() => continue,
                    signal = &mut stop => signal,
                };
                agent.store.release().await;
                signal
            }
            Err(error) if args.on_bad_config == OnBadConfig::Exit => return Err(error),
            Err(error) => tokio::select! {
                () = hold(&error, &mut said, args, shared, metrics) => continue,
                signal = &mut stop => signal,
            },
        };
        tracing::info!(signal, "stopping; the TaskManagers stay as they are");
        return Ok(());
    }
}

async fn control_loop(args: &RunArgs, shared: &Shared, metrics: &Arc<Metrics>) -> Result<ControlLoop, BadConfig> {
    if let Some(problem) = &args.misread {
        return Err(BadConfig::CommandLine(problem.clone()));
    }
    let settings = &args.settings;
    let policy = Policy::try_from(&settings.policy)?;
    let (poll, staleness) = (args.poll, policy.staleness());
    if poll * 2 > staleness {
        return Err(BadConfig::PollTooSlow { poll, staleness });
    }
    let access = if args.dry_run { Access::ReadOnly } else { Access::Full };
    let peers = Peers::new(settings, access).await?;
    let store = MemoryStore::new(place(args, &peers).await?);
    let events = match peers.owner.kubernetes().filter(|_| !args.dry_run) {
        Some(api) => Events::start(api),
        None => Events::none(),
    };
    Ok(ControlLoop {
        observer: Observer::new(settings),
        peers,
        policy,
        memory: Memory::default(),
        store,
        shared: shared.clone(),
        metrics: metrics.clone(),
        events,
        poll: args.poll.max(Duration::from_millis(50)),
        dry_run: args.dry_run,
        looked_at: None,
        logged: HashMap::new(),
        told: Default::default(),
    })
}

/// Where the memory is saved. A dry run may stand beside the agent that acts, whose memory and whose
/// Lease are none of its business.
async fn place(args: &RunArgs, peers: &Peers) -> Result<Place, BadConfig> {
    if args.dry_run {
        return Ok(Place::Process);
    }
    let Settings { owner, lease, flink, .. } = &args.settings;
    let named = owner.deployment.as_deref().and_then(|deployment| lease.name(deployment));
    if let Some((api, name)) = peers.owner.kubernetes().zip(named) {
        if args.state_file.is_some() {
            return Err(BadConfig::TwoPlacesForState);
        }
        let (duration, renew, timeout) = (lease.lease_duration, lease.lease_renew, flink.request_timeout);
        // The own term is four fifths of it: time for two renewals that fail and the last call.
        let least = Duration::from_secs((renew + timeout * 2).mul_f64(1.25).as_secs() + 1);
        if duration < least {
            return Err(BadConfig::LeaseTooShort { duration, renew, timeout, least });
        }
        let (identity, before) = identity();
        let options = LeaseOptions { name, identity, before, duration, renew };
        return Ok(Place::Lease(Arc::new(Lease::open(api.clone(), options).await?)));
    }
    let beside_pool = || owner.pool_dir.as_ref().map(|dir| dir.join("sluice.json"));
    if let Some(path) = args.state_file.clone().or_else(beside_pool) {
        return Ok(Place::File(StateFile::new(path)));
    }
    tracing::warn!("no --state-file: cooldowns, the restart budget and a change in flight end with this process");
    Ok(Place::Process)
}

/// The pod's name, and what tells this process from the one before it in the same pod; then how the names of
/// those before it begin, if they are certainly gone: the first process of a container has none of its kind
/// beside it. A pod is told by its uid, since a `StatefulSet` gives the name of one that is lost to the next.
fn identity() -> (String, Option<String>) {
    let (pod, process, now) = (instance(), std::process::id(), clock::now().as_millisecond());
    match env::var("POD_UID") {
        Ok(uid) if process == 1 && !uid.is_empty() => {
            let before = format!("{pod}_{uid:.8}-");
            (format!("{before}{now:x}"), Some(before))
        }
        _ => (format!("{pod}_{process:x}-{now:x}"), None),
    }
}

/// What was said of a configuration that cannot be acted on, and where else it is told.
#[derive(Default)]
struct Said {
    problem: String,
    events: Option<(Owner, Events)>,
}

/// Stays up for a while with a configuration that cannot be acted on, then lets it be tried again (a
/// file may have been mounted meanwhile): in the JobManager pod a sidecar that exits would keep the
/// JobManager down with it.
async fn hold(error: &BadConfig, said: &mut Said, args: &RunArgs, shared: &Shared, metrics: &Metrics) {
    let problem = redact(&error.to_string());
    if said.problem != problem {
        tracing::error!(reason = "bad_config", "{problem}; holding (--on-bad-config hold)");
        said.problem.clone_from(&problem);
    }
    if said.events.is_none() && args.settings.owner.deployment.is_some() && !args.dry_run {
        let owner = observe::owner(&args.settings, Access::ReadOnly).await.ok();
        said.events = owner.and_then(|owner| owner.kubernetes().map(Events::start).map(|events| (owner, events)));
    }
    let (Ok(policy), memory) = (Policy::try_from(PolicyOptions::default()), Memory::default()) else { return };
    let seen = Observation { config_problem: Some(problem), ..Observation::default() };
    for _ in 0..RETRY_BAD_CONFIG.as_secs() {
        let now = clock::now();
        let decision = decide(now, &seen, &memory, &policy);
        metrics.decided(&decision);
        let _ = shared.decided(now, &decision);
        if let Some((owner, events)) = &said.events {
            // Only to know what the Event is about.
            let _ = owner.observe(false).await;
            events.tell(owner.reference().as_ref(), &seen, &decision, None);
        }
        shared.set_status(Status::new(now, seen.clone(), decision, None, &memory, &policy));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// How long a configuration that cannot be acted on is left alone before it is tried again.
const RETRY_BAD_CONFIG: Duration = Duration::from_secs(10);

/// A look may wait for every controller's timeout in turn, and a step for one more.
fn stuck_after(args: &RunArgs) -> Duration {
    let controllers = u32::try_from(args.settings.pravega.pravega_controller.len()).unwrap_or(u32::MAX);
    let slowest = args.settings.flink.request_timeout.saturating_mul(controllers.saturating_add(4));
    args.poll + slowest + Duration::from_secs(30)
}

/// From the call on, a signal to stop is noticed; the future tells which one came.
fn asked_to_stop() -> std::io::Result<impl Future<Output = &'static str>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

fn start_logging(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log '{filter}' is not a filter"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
