//! `sluice check`: looks at everything the agent needs and says how to mend what is missing.

mod advice;

use std::process::ExitCode;

use serde::Serialize;
use sluice_core::{Flink, Job, JobState, Observation, Policy, Pool, Reading, Scheduler, Strategy};

use crate::{
    args::{Output, ReportArgs, Settings},
    observe::{BadConfig, Look, Trouble, look_once},
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    subject: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Advice,
    Problem,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, found: found.into(), mend: None }
    }

    fn advice(subject: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Advice, subject, found: found.into(), mend: Some(mend.into()) }
    }

    fn problem(subject: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Problem, subject, found: found.into(), mend: Some(mend.into()) }
    }
}

/// Looks once and prints the findings; the exit code is 1 if any is a problem.
pub async fn check(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let settings = &args.settings;
    let policy = Policy::try_from(&settings.policy).map_err(BadConfig::from)?;
    let (peers, Look { observation, troubles, .. }) = look_once(settings).await?;
    let flink_settings = match &peers.flink {
        Some(flink) => flink.settings().await.ok(),
        None => None,
    };
    let findings = findings(settings, &policy, &observation, &troubles, flink_settings.as_ref());

    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
        Output::Text => print_text(&findings),
    }
    let bad = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn findings(
    settings: &Settings,
    policy: &Policy,
    seen: &Observation,
    troubles: &[Trouble],
    flink_settings: Option<&crate::flink::Settings>,
) -> Vec<Finding> {
    let mut findings: Vec<_> = troubles.iter().map(unreachable).collect();
    for stream in &seen.streams {
        match stream.shape.as_ref().map(|shape| shape.value) {
            Some(shape) if shape.segments.0 == 0 => findings.push(Finding::problem(
                "stream",
                format!("{} is sealed: it has no open segment", stream.name),
                "follow a stream that is written to",
            )),
            Some(shape) => findings.push(Finding::ok("stream", format!("{}: {shape}", stream.name))),
            None => {}
        }
    }
    if let Some(Reading { value: flink, .. }) = &seen.flink
        && flink.scheduler != Scheduler::NoFlink
    {
        findings.push(Finding::ok("Flink", format!("version {} at {}", flink.version, settings.flink.flink_url)));
        findings.extend(job(flink, policy, settings));
        findings.extend(slots(flink, policy));
    }
    if let (Some(flink_settings), Some(Reading { value: flink, .. })) = (flink_settings, &seen.flink)
        && let Some(strategy) = Strategy::of(flink.scheduler)
    {
        findings.extend(advice::advice(flink_settings, flink.version, strategy));
    }
    if let Some(Reading { value: pool, .. }) = &seen.pool {
        findings.extend(owner(pool));
    }
    findings
}

fn unreachable(trouble: &Trouble) -> Finding {
    let subject = match trouble.source {
        "pravega" => "stream",
        "flink" => "Flink",
        _ => "TaskManagers",
    };
    Finding::problem(subject, trouble.message.clone(), "make it reachable, or correct the flag that is named")
}

fn job(flink: &Flink, policy: &Policy, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(scheduler(flink, policy));
    let Some(job) = flink.job() else {
        let (found, mend) = match (&settings.flink.flink_job, flink.jobs.len()) {
            (Some(name), 0) => (format!("no job is called '{name}'"), "correct --flink-job".to_owned()),
            (None, 0) => ("there is no job on the cluster".to_owned(), "start it in application mode".to_owned()),
            (_, n) => (format!("there are {n} jobs on the cluster"), "name one with --flink-job".to_owned()),
        };
        findings.push(Finding::problem("job", found, mend));
        return findings;
    };
    let found = format!("{} ({}) is {} at parallelism {}", job.name, job.id, job.state.as_str(), job.parallelism);
    findings.push(Finding::ok("job", found));
    let most = policy.max_task_managers().slots(policy.slots_per_task_manager());
    if job.max_parallelism.0 < most.0 {
        findings.push(Finding::advice(
            "max parallelism",
            format!(
                "{} is less than the {most} slots of --max-task-managers {}",
                job.max_parallelism,
                policy.max_task_managers()
            ),
            "raise pipeline.max-parallelism (needs a fresh start of the job) or lower --max-task-managers",
        ));
    }
    findings.push(match &job.checkpoints {
        Some(checkpoints) if checkpoints.last_completed.is_some() => {
            Finding::ok("checkpoints", "the job completes checkpoints")
        }
        Some(_) => Finding::advice("checkpoints", "none has completed yet", "look again after one checkpoint interval"),
        None if job.state != JobState::Running => {
            Finding::advice("checkpoints", "not known before the job runs", "look again when it does")
        }
        None => Finding::problem(
            "checkpoints",
            "the job takes none: each rescale would start it from nothing",
            "set execution.checkpointing.interval",
        ),
    });
    if !flink.version.has_rest_checkpoints() {
        findings.push(Finding::advice(
            "checkpoints",
            format!("Flink {} takes none on request", flink.version),
            "a scale-down waits for the next periodic one; from 1.17 on it asks for its own",
        ));
    }
    findings
}

/// How the job will be rescaled.
fn scheduler(flink: &Flink, policy: &Policy) -> Finding {
    let adaptive = "set jobmanager.scheduler: adaptive in Flink's configuration (or scheduler-mode: reactive)";
    match Strategy::of(flink.scheduler) {
        Some(Strategy::Readers) => Finding::ok("scheduler", "no Flink: the members are readers"),
        Some(Strategy::Reactive) if policy.spare_task_managers().0 > 0 => Finding::problem(
            "scheduler",
            "reactive mode: the job takes every slot, so that none can be spare",
            "leave --spare-task-managers out, or set jobmanager.scheduler: adaptive without scheduler-mode",
        ),
        Some(Strategy::Reactive) => Finding::ok("scheduler", "reactive mode: the job takes every slot there is"),
        Some(Strategy::Adaptive) if !flink.version.has_resource_requirements() => Finding::problem(
            "scheduler",
            format!("adaptive, but Flink {} cannot be asked for another parallelism (1.18 can)", flink.version),
            "set scheduler-mode: reactive in Flink's configuration",
        ),
        Some(Strategy::Adaptive) => {
            let bound = flink.job().and_then(Job::upper_bound);
            if bound.is_some_and(|bound| bound.0 > flink.slots().0.max(1)) {
                return Finding::advice(
                    "scheduler",
                    "adaptive, and the job may take more slots than there are: each TaskManager that comes restarts it",
                    "set parallelism.default to the width that the job starts with",
                );
            }
            Finding::ok("scheduler", "adaptive: Sluice sets the parallelism, TaskManagers come and go idle")
        }
        None => Finding::problem("scheduler", "the parallelism is fixed when the job starts", adaptive),
    }
}

fn slots(flink: &Flink, policy: &Policy) -> Option<Finding> {
    let given = policy.slots_per_task_manager();
    let other = flink.task_managers.iter().find(|registered| registered.slots != given)?;
    Some(Finding::problem(
        "slots",
        format!("TaskManager {} has {} slots, --slots-per-task-manager says {given}", other.id, other.slots),
        format!("set --slots-per-task-manager {}", other.slots),
    ))
}

fn owner(pool: &Pool) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("TaskManagers", format!("{} asked for, {} ready", pool.replicas, pool.ready))];
    if let Some(name) = &pool.other_autoscaler {
        findings.push(Finding::problem(
            "autoscaler",
            format!("{name} scales the same TaskManagers"),
            format!("delete {name}, or do not run Sluice beside it"),
        ));
    }
    findings
}

fn print_text(findings: &[Finding]) {
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Advice => "advice ",
            Level::Problem => "PROBLEM",
        };
        println!("{mark} {:<16} {}", finding.subject, finding.found);
        if let Some(mend) = &finding.mend {
            println!("{:<8}{:<16} → {mend}", "", "");
        }
    }
}
