//! `sluice plan`: one look and the decision it leads to. Nothing is carried out or saved.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use sluice_core::{Memory, Policy, decide, in_force};

use crate::{
    args::{Output, ReportArgs},
    clock,
    observe::{BadConfig, Look, look_once},
    report::status::Status,
};

/// `EX_UNAVAILABLE` of sysexits.h: something could not be read.
const UNAVAILABLE: u8 = 69;

/// Looks once and prints what an agent would decide that has just started: it never shrinks, since that
/// takes a whole window of watching.
pub async fn plan(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let policy = Policy::try_from(&args.settings.policy).map_err(BadConfig::from)?;
    let (_, Look { mut observation, troubles, .. }) = look_once(&args.settings).await?;
    let policy = in_force(&policy, &mut observation);

    let now = clock::now();
    let mut memory = Memory::default();
    memory.note(now, &observation, &policy);
    let decision = decide(now, &observation, &memory, &policy);
    let status = Status::new(now, observation, decision, None, &memory, &policy);
    let told = match args.output {
        Output::Json => serde_json::to_string_pretty(&status)? + "\n",
        Output::Text => text(&status)?,
    };
    io::stdout().write_all(told.as_bytes())?;
    for trouble in &troubles {
        eprintln!("{}: {}", trouble.source, trouble.message);
    }
    Ok(if troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNAVAILABLE) })
}

fn text(status: &Status) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let seen = &status.observation;
    let unknown = || "unknown".to_owned();
    for stream in &seen.streams {
        let shape = stream.shape.as_ref().map(|shape| shape.value);
        let text = shape.map_or_else(unknown, |shape| shape.to_string());
        writeln!(out, "{:<20} {text}", stream.name.to_string())?;
    }
    let flink = seen.flink.as_ref().map(|flink| &flink.value);
    let job = flink.and_then(|flink| flink.job());
    let job = job.map_or_else(unknown, |job| {
        format!("{} is {} at parallelism {}", job.name, job.state.as_str(), job.parallelism)
    });
    writeln!(out, "{:<20} {job}", "job")?;
    let registered = flink.map_or_else(unknown, |flink| format!("{} with {} slots", flink.registered(), flink.slots()));
    let pool = seen.pool.as_ref().map(|pool| &pool.value);
    let asked_for = pool.map_or_else(unknown, |pool| format!("{} asked for, {} ready", pool.replicas, pool.ready));
    writeln!(out, "{:<20} {asked_for}, registered: {registered}", "TaskManagers")?;
    let wanted = status.wanted.map_or_else(unknown, |wanted| {
        let limit = wanted.limit.map_or_else(String::new, |limit| format!(", bounded by {}", limit.as_str()));
        format!("parallelism {} on {} TaskManagers{limit}", wanted.width.parallelism, wanted.width.task_managers)
    });
    writeln!(out, "{:<20} {wanted}", "wanted")?;
    let told = &status.explanation;
    writeln!(out, "{:<20} {}", "decision", status.because)?;
    writeln!(out, "{:<20} {}: {}", "decided by", told.guard, told.means)?;
    writeln!(out, "{:<20} {}", "to change it", told.mend)?;
    if let Some(until) = told.until {
        writeln!(out, "{:<20} {until:.0}, if the agent has been running", "next change")?;
    }
    Ok(out)
}
