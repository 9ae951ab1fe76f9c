//! `sluice run`: wires the loop and the endpoints together, and ends them together.

use std::{collections::HashMap, io::IsTerminal as _, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use sluice_core::{Observation, Policy};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    admin::{self, Admin},
    args::{LogFormat, OnBadConfig, RunArgs},
    clock,
    control_loop::ControlLoop,
    observe::{Access, BadConfig, Observer, Peers},
    report::{
        metrics::Metrics,
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

    let agent = match control_loop(&args, &shared, &metrics).await {
        Ok(agent) => agent,
        Err(error) if args.on_bad_config == OnBadConfig::Exit => return Err(error.into()),
        Err(error) => return hold(error, listener, admin, &metrics).await,
    };
    tracing::info!(policy = ?agent.policy, owner = agent.peers.owner.describe(), "configuration");
    tokio::select! {
        served = admin::serve(listener, admin) => served.context("the endpoints ended")?,
        () = agent.run() => {}
        signal = asked_to_stop() => tracing::info!(signal = signal?, "stopping; the TaskManagers stay as they are"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn control_loop(args: &RunArgs, shared: &Shared, metrics: &Arc<Metrics>) -> Result<ControlLoop, BadConfig> {
    let settings = &args.settings;
    let policy = Policy::try_from(&settings.policy)?;
    let access = if args.dry_run { Access::ReadOnly } else { Access::Full };
    let peers = Peers::new(settings, access).await?;
    let beside_pool = || settings.owner.pool_dir.as_ref().map(|dir| dir.join("sluice.json"));
    let (state_file, memory) = StateFile::open(args.state_file.clone().or_else(beside_pool));
    Ok(ControlLoop {
        observer: Observer::new(settings.pravega.streams(), settings.flink.flink_job.clone()),
        peers,
        policy,
        memory,
        state_file,
        shared: shared.clone(),
        metrics: metrics.clone(),
        poll: args.poll.max(Duration::from_millis(50)),
        dry_run: args.dry_run,
        logged: HashMap::new(),
    })
}

/// Stays up with a configuration that cannot be acted on: in the JobManager pod a sidecar that exits
/// would keep the JobManager down with it.
async fn hold(
    error: BadConfig,
    listener: tokio::net::TcpListener,
    admin: Admin,
    metrics: &Metrics,
) -> anyhow::Result<ExitCode> {
    tracing::error!("{error}; holding (--on-bad-config hold)");
    let policy = Policy::try_from(sluice_core::PolicyOptions::default())?;
    let seen = Observation { config_problem: Some(error.to_string()), ..Observation::default() };
    let memory = sluice_core::Memory::default();
    let shared = admin.shared.clone();
    let say_so = async {
        loop {
            let now = clock::now();
            let decision = sluice_core::decide(now, &seen, &memory, &policy);
            metrics.decided(&decision);
            let _ = shared.decided(now, &decision);
            shared.set_status(Status::new(now, seen.clone(), decision, None, &memory, &policy));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        served = admin::serve(listener, admin) => served.context("the endpoints ended")?,
        () = say_so => {}
        signal = asked_to_stop() => tracing::info!(signal = signal?, "stopping"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A look may wait for every peer's timeout once, one after the other, and for the poll.
fn stuck_after(args: &RunArgs) -> Duration {
    args.poll + args.settings.flink.request_timeout * 10 + Duration::from_secs(30)
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
