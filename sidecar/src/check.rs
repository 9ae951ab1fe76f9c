//! `sluice check`: looks at everything the agent needs and says how to mend what is missing.

use std::process::ExitCode;

use serde::Serialize;
use sluice_core::{Flink, FlinkVersion, JobState, Observation, Policy, Pool, Reading, Scheduler};

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
    let flink_settings = peers.flink.settings().await.ok();
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
            Some(shape) => findings.push(Finding::ok(
                "stream",
                format!("{}: {} segments, epoch {}", stream.name, shape.segments, shape.epoch),
            )),
            None => {}
        }
    }
    if let Some(Reading { value: flink, .. }) = &seen.flink {
        findings.push(Finding::ok("Flink", format!("version {} at {}", flink.version, settings.flink.flink_url)));
        findings.extend(job(flink, policy, settings));
        findings.extend(slots(flink, policy));
    }
    if let Some(flink_settings) = flink_settings {
        findings.extend(advice(flink_settings, seen));
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
    findings.push(match flink.scheduler {
        Scheduler::Reactive => Finding::ok("scheduler", "reactive mode: the job takes every slot there is"),
        Scheduler::Adaptive => Finding::problem(
            "scheduler",
            "adaptive, but not in reactive mode: new TaskManagers would stay idle",
            "set scheduler-mode: reactive in Flink's configuration",
        ),
        Scheduler::Fixed => Finding::problem(
            "scheduler",
            "the parallelism is fixed when the job starts",
            "set scheduler-mode: reactive in Flink's configuration",
        ),
    });
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

fn slots(flink: &Flink, policy: &Policy) -> Option<Finding> {
    let given = policy.slots_per_task_manager();
    let other = flink.task_managers.iter().find(|registered| registered.slots != given)?;
    Some(Finding::problem(
        "slots",
        format!("TaskManager {} has {} slots, --slots-per-task-manager says {given}", other.id, other.slots),
        format!("set --slots-per-task-manager {}", other.slots),
    ))
}

/// What makes a rescale in reactive mode cheap, as measured (docs/operations.md).
fn advice(settings: &crate::flink::Settings, seen: &Observation) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = seen.flink.as_ref().map_or(FlinkVersion(1, 17), |flink| flink.value.version);
    let mut expect = |keys: &[&str], wanted: &str, because: &str| {
        if !keys.iter().any(|key| settings.get(key).is_some()) {
            let found = format!("{} is not set", keys[0]);
            findings.push(Finding::advice("setting", found, format!("{}: {wanted}: {because}", keys[0])));
        }
    };
    if version >= FlinkVersion(2, 0) {
        expect(
            &["jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout"],
            "2s",
            "Flink 2.x otherwise waits 60 s after a TaskManager arrived",
        );
        expect(
            &["jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling"],
            "0s",
            "Sluice has a cooldown of its own",
        );
    } else if version >= FlinkVersion(1, 19) {
        expect(
            &["jobmanager.adaptive-scheduler.scaling-interval.min"],
            "0s",
            "Flink otherwise lets 30 s pass between two rescales",
        );
    }
    expect(&["heartbeat.timeout"], "6000", "a TaskManager that is killed is otherwise missed only after 50 s");
    expect(
        &["web.timeout"],
        "5000",
        "a TaskManager killed at the wrong moment otherwise freezes all metrics for 10 min",
    );
    expect(&["web.refresh-interval"], "1000", "Flink's answers are otherwise up to 3 s old, and so is each proof");
    findings
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
