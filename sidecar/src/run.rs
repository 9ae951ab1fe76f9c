//! `sluice run`: wires the loop and the endpoints together, and ends them together.

use std::{collections::HashMap, io::IsTerminal as _, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use sluice_core::{Memory, Observation, Policy, PolicyOptions, decide};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    admin::{self, Admin},
    args::{LogFormat, OnBadConfig, RunArgs},
    clock,
    control_loop::ControlLoop,
    observe::{Access, BadConfig, Observer, Peers},
    report::{
        history_config_map::ConfigMapOptions,
        history_keeper::HistoryKeeper,
        metrics::Metrics,
        redact::redact,
        status::{Shared, Status},
    },
    state_file::StateFile,
};

/// Runs the agent until SIGTERM or Ctrl-C.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    start_logging(args.log_format, &args.log)?;
    let shared = Shared::default();
    let metrics = Arc::new(Metrics::new(shared.clone()));
    let listener = admin::bind(args.listen).await?;
    let admin = Admin { shared: shared.clone(), metrics: metrics.clone(), stuck_after: stuck_after(&args) };
    tracing::info!(listen = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "sluice starts");

    let mut keeper = HistoryKeeper::open(history_file(&args), config_map(&args), shared.clone(), metrics.clone()).await;
    let agent = async {
        let mut said = String::new();
        loop {
            match control_loop(&args, &shared, &metrics).await {
                Ok(agent) => {
                    tracing::info!(policy = ?agent.policy, owner = agent.peers.owner.describe(), "configuration");
                    agent.run().await;
                }
                Err(error) if args.on_bad_config == OnBadConfig::Exit => return error,
                Err(error) => hold(&error, &mut said, &shared, &metrics).await,
            }
        }
    };
    tokio::select! {
        served = admin::serve(listener, admin) => served.context("the endpoints ended")?,
        error = agent => return Err(error.into()),
        () = keeper.run() => {}
        signal = asked_to_stop() => tracing::info!(signal = signal?, "stopping; the TaskManagers stay as they are"),
    }
    keeper.close().await;
    Ok(ExitCode::SUCCESS)
}

fn history_file(args: &RunArgs) -> Option<PathBuf> {
    let beside_pool = || args.settings.owner.pool_dir.as_ref().map(|dir| dir.join("history.jsonl"));
    // A dry run may stand beside the agent that acts, whose history is none of its business.
    args.history.history_file.clone().or_else(|| beside_pool().filter(|_| !args.dry_run))
}

fn config_map(args: &RunArgs) -> Option<ConfigMapOptions> {
    Some(ConfigMapOptions {
        name: args.history.history_config_map.clone()?,
        namespace: args.settings.owner.namespace.clone(),
        kubeconfig: args.settings.owner.kubeconfig.clone(),
        timeout: args.settings.flink.request_timeout,
    })
}

async fn control_loop(args: &RunArgs, shared: &Shared, metrics: &Arc<Metrics>) -> Result<ControlLoop, BadConfig> {
    let settings = &args.settings;
    let policy = Policy::try_from(&settings.policy)?;
    let (poll, staleness) = (args.poll, policy.staleness());
    if poll * 2 > staleness {
        return Err(BadConfig::PollTooSlow { poll, staleness });
    }
    let access = if args.dry_run { Access::ReadOnly } else { Access::Full };
    let peers = Peers::new(settings, access).await?;
    let beside_pool = || settings.owner.pool_dir.as_ref().map(|dir| dir.join("sluice.json"));
    // A dry run may stand beside the agent that acts, whose memory is none of its business.
    let path = args.state_file.clone().or_else(beside_pool).filter(|_| !args.dry_run);
    if path.is_none() && !args.dry_run {
        tracing::warn!("no --state-file: cooldowns, the restart budget and a change in flight end with this process");
    }
    let (state_file, memory) = StateFile::open(path);
    Ok(ControlLoop {
        observer: Observer::new(settings),
        peers,
        policy,
        memory,
        state_file,
        shared: shared.clone(),
        metrics: metrics.clone(),
        poll: args.poll.max(Duration::from_millis(50)),
        dry_run: args.dry_run,
        looked_at: None,
        logged: HashMap::new(),
    })
}

/// Stays up for a while with a configuration that cannot be acted on, then lets it be tried again (a
/// file may have been mounted meanwhile): in the JobManager pod a sidecar that exits would keep the
/// JobManager down with it.
async fn hold(error: &BadConfig, said: &mut String, shared: &Shared, metrics: &Metrics) {
    let problem = redact(&error.to_string());
    if *said != problem {
        tracing::error!("{problem}; holding (--on-bad-config hold)");
        said.clone_from(&problem);
    }
    let (Ok(policy), memory) = (Policy::try_from(PolicyOptions::default()), Memory::default()) else { return };
    let seen = Observation { config_problem: Some(problem), ..Observation::default() };
    for _ in 0..RETRY_BAD_CONFIG.as_secs() {
        let now = clock::now();
        let decision = decide(now, &seen, &memory, &policy);
        metrics.decided(&decision);
        let _ = shared.decided(now, &decision);
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

async fn asked_to_stop() -> std::io::Result<&'static str> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
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
