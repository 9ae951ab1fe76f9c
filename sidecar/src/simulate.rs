//! `sluice simulate`: a day in a second. A trace of segments, or of rates through Pravega's own scaling
//! rules, is followed by the agent's own core and by models of an HPA and of KEDA, each in a simulated
//! Flink cluster of its own.
//!
//! ```text
//! CSV ─► trace ─► pravega ─► segments ─► replay(core | pipeline ─► hpa) ─► score ─► table, plot, picture
//! ```

pub mod hpa;
mod picture;
pub mod pipeline;
mod plot;
pub mod pravega;
pub mod replay;
pub mod score;
mod table;
pub mod trace;

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use serde::Serialize;
use sluice_core::{Policy, Ratio, Scheduler, simulation::Pace};
use thiserror::Error;

use self::{
    hpa::{Behavior, Rules},
    pipeline::Periods,
    pravega::Scaling,
    replay::{Autoscaler, Cluster, Outcome, Segmented, replay},
    trace::{Kind, Trace, TraceError, whole},
};
use crate::{
    args::{BehaviorArg, Output, Rival, SchedulerArg, SimulateArgs},
    observe::BadConfig,
};

/// The load of Pravega's sample, and its scaling policy's target (events per second).
const SAMPLE: &str = "the load of Pravega's sample";
const SAMPLE_TARGET: f64 = 800.0;
const DAY: u64 = 24 * 3600;
/// Each is simulated by itself.
const MOST_TASK_MANAGERS: u32 = 2_000;

/// The input cannot be used: what is wrong, and with which file.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(String);

/// A whole simulation: what was followed, and how each autoscaler did.
#[derive(Debug, Serialize)]
pub struct Simulation {
    /// What was followed.
    pub trace: String,
    /// How long, in seconds.
    pub seconds: u64,
    /// `[second, segments]`, whenever they change.
    pub segments: Vec<(u64, u32)>,
    /// The autoscalers by name, in the order of the table.
    pub runs: Vec<Run>,
}

/// One autoscaler's run.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// How it did.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Simulates, and prints what came of it.
pub fn simulate(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let simulation = run(args)?;
    if let Some(file) = &args.svg {
        picture::draw(&simulation, file).map_err(|problem| BadInput(format!("--svg {}: {problem}", file.display())))?;
    }
    let told = match args.output {
        Output::Json => serde_json::to_string(&simulation)? + "\n",
        Output::Text => format!("{}\n{}", table::text(&simulation), plot::text(&simulation)),
    };
    io::stdout().write_all(told.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Simulates.
pub fn run(args: &SimulateArgs) -> anyhow::Result<Simulation> {
    let policy = checked(Policy::try_from(&args.policy).map_err(BadConfig::from)?)?;
    let (trace, stream) = stream(args)?;
    let cluster = Cluster {
        version: args.cluster.flink_version,
        scheduler: match args.cluster.scheduler {
            SchedulerArg::Reactive => Scheduler::Reactive,
            SchedulerArg::Adaptive => Scheduler::Adaptive,
        },
        pace: Pace {
            start: args.cluster.start_time,
            apart: args.cluster.start_apart,
            restart: args.cluster.restart_time,
            checkpoint: args.cluster.checkpoint_time,
            checkpoint_interval: args.cluster.checkpoint_interval,
            ..Pace::default()
        },
    };
    let mut runs = Vec::new();
    for (name, autoscaler) in autoscalers(args, &policy)? {
        runs.push(Run { name, outcome: replay(&stream, &policy, &cluster, &autoscaler) });
    }
    Ok(Simulation { trace, seconds: stream.length, segments: stream.points, runs })
}

fn checked(policy: Policy) -> Result<Policy, BadInput> {
    let most = policy.max_task_managers().0;
    if most > MOST_TASK_MANAGERS {
        let problem = format!("--max-task-managers {most}: a simulation takes at most {MOST_TASK_MANAGERS}");
        return Err(BadInput(problem));
    }
    Ok(policy)
}

/// What is followed: its name and its segments.
fn stream(args: &SimulateArgs) -> Result<(String, Segmented), BadInput> {
    let target = args.scaling.target_rate;
    let assumed = if target.is_some() { Kind::Rate } else { Kind::Segments };
    let (name, trace, target) = match &args.trace {
        None => (SAMPLE.to_owned(), Trace::sample(args.duration.unwrap_or(DAY)), target.or(Some(SAMPLE_TARGET))),
        Some(file) => (called(file), read(file, assumed)?, target),
    };
    let trace = args.duration.map_or(trace.clone(), |length| trace.cut(length));
    let points = match (trace.kind, target) {
        (Kind::Segments, None) => {
            // They were checked to be whole numbers when they were read.
            let segments = |value| whole(value).and_then(|whole| u32::try_from(whole).ok()).unwrap_or(u32::MAX);
            let mut points: Vec<_> = trace.points.iter().map(|(at, value)| (*at, segments(*value))).collect();
            points.dedup_by_key(|(_, segments)| *segments);
            points
        }
        (Kind::Segments, Some(_)) => {
            return Err(BadInput(format!("{name} holds segments: --target-rate is for a file that holds rates")));
        }
        (Kind::Rate, None) => {
            return Err(BadInput(format!("{name} holds rates: give --target-rate, what a segment should bear")));
        }
        (Kind::Rate, Some(target)) => {
            let scaling = Scaling::new(target, args.scaling.scale_factor, args.scaling.min_segments);
            pravega::segments(&trace, scaling)
        }
    };
    Ok((name, Segmented { points, length: trace.length }))
}

fn called(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn read(file: &Path, assumed: Kind) -> Result<Trace, BadInput> {
    let bad = |problem: String| BadInput(format!("{}: {problem}", called(file)));
    let read = |result: Result<Trace, TraceError>| result.map_err(|error| bad(error.to_string()));
    if file == Path::new("-") {
        return read(Trace::read(io::stdin().lock(), assumed));
    }
    let opened = File::open(file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    read(Trace::read(opened, assumed))
}

fn autoscalers(args: &SimulateArgs, policy: &Policy) -> anyhow::Result<Vec<(String, Autoscaler)>> {
    let mut all = vec![("sluice".to_owned(), Autoscaler::Sluice(Box::new(policy.clone())))];
    for also in &args.also {
        let problem = |text: String| BadInput(format!("--also {}: {text}", also.name));
        let flags = also.applied_to(&args.policy).map_err(|error| problem(error.to_string()))?;
        let other = Policy::try_from(&flags).map_err(|error| problem(error.to_string()))?;
        if (other.ratio(), other.slots_per_task_manager()) != (policy.ratio(), policy.slots_per_task_manager()) {
            let text = "what is needed must be the same for all: give --ratio and --slots-per-task-manager outside";
            return Err(problem(text.into()).into());
        }
        all.push((also.name.clone(), Autoscaler::Sluice(Box::new(checked(other)?))));
    }
    let rivals = &args.rivals;
    let rules = Rules {
        min: policy.min_task_managers().0,
        max: policy.max_task_managers().0,
        per_pod: f64::from(policy.slots_per_task_manager().0) / share(policy.ratio()),
        tolerance: rivals.hpa_tolerance,
        stabilization: rivals.hpa_stabilization,
        behavior: match rivals.hpa_behavior {
            BehaviorArg::Absent => Behavior::Absent,
            BehaviorArg::Defaults => Behavior::Defaults,
        },
    };
    for rival in &args.against {
        let (name, polling) = match rival {
            Rival::Hpa => ("hpa", None),
            Rival::Keda => ("keda", rivals.keda_cached.then_some(rivals.keda_polling)),
            Rival::None => continue,
        };
        let periods = Periods { scrape: rivals.scrape_interval, polling, sync: rivals.hpa_sync };
        all.push((name.to_owned(), Autoscaler::Hpa(periods, rules)));
    }
    Ok(all)
}

/// A ratio as a number, as an HPA's quantity would hold it.
fn share(ratio: Ratio) -> f64 {
    const MANY: u32 = 1_000_000;
    f64::from(ratio.of(sluice_core::Segments(MANY)).0) / f64::from(MANY)
}

#[cfg(test)]
mod tests;
