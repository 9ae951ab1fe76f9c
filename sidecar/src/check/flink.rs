//! What `sluice check` finds out about Flink and the job. What keeps a job from being rescaled is the
//! core's to say: it is what an agent would hold for.

use sluice_core::{Flink, Job, JobState, Policy, Pool, Scheduler, Strategy, setup_problems};

use super::Finding;
use crate::args::Settings;

pub(super) fn findings(flink: &Flink, pool: Option<&Pool>, policy: &Policy, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if flink.scheduler != Scheduler::NoFlink {
        findings.push(Finding::ok("Flink", reached(flink, settings)));
    }
    let problems = setup_problems(flink, pool, policy);
    if !problems.iter().any(|problem| problem.subject == "scheduler") {
        findings.extend(scheduler(flink));
    }
    if problems.is_empty() && !flink.task_managers.is_empty() {
        findings.push(Finding::ok("slots", format!("{} of {} TaskManagers", flink.slots(), flink.registered())));
    }
    findings.extend(problems.into_iter().map(|problem| Finding::problem(problem.subject, problem.found, problem.mend)));
    if flink.scheduler != Scheduler::NoFlink {
        findings.extend(job(flink, policy, settings));
    }
    findings
}

fn reached(flink: &Flink, settings: &Settings) -> String {
    let encrypted = match settings.flink.tls() {
        None => "",
        Some(tls) if tls.identity.is_some() => ", encrypted, and it knows the agent by its certificate",
        Some(_) => ", encrypted",
    };
    format!("version {} at {}{encrypted}", flink.version, settings.flink.flink_url)
}

/// How the job will be rescaled.
fn scheduler(flink: &Flink) -> Option<Finding> {
    Some(match Strategy::of(flink.scheduler)? {
        Strategy::Readers => Finding::ok("scheduler", "no Flink: the members are readers"),
        Strategy::Reactive => Finding::ok("scheduler", "reactive mode: the job takes every slot there is"),
        Strategy::Adaptive => {
            let bound = flink.job().and_then(Job::upper_bound);
            if bound.is_some_and(|bound| bound.0 > flink.slots().0.max(1)) {
                return Some(Finding::advice(
                    "scheduler",
                    "adaptive, and the job may take more slots than there are: each TaskManager that comes restarts it",
                    "set parallelism.default to the width that the job starts with",
                ));
            }
            Finding::ok("scheduler", "adaptive: Sluice sets the parallelism, TaskManagers come and go idle")
        }
    })
}

fn job(flink: &Flink, policy: &Policy, settings: &Settings) -> Vec<Finding> {
    let Some(job) = flink.job() else {
        let (found, mend) = match (&settings.flink.flink_job, flink.jobs.len()) {
            (Some(name), 0) => (format!("no job is called '{name}'"), "correct --flink-job".to_owned()),
            (None, 0) => ("there is no job on the cluster".to_owned(), "start it in application mode".to_owned()),
            (_, n) => (format!("there are {n} jobs on the cluster"), "name one with --flink-job".to_owned()),
        };
        return vec![Finding::problem("job", found, mend)];
    };
    let found = format!("{} ({}) is {} at parallelism {}", job.name, job.id, job.state.as_str(), job.parallelism);
    let mut findings = vec![if job.state.is_over() {
        Finding::problem("job", found, "start the job again: one that has ended is not scaled")
    } else {
        Finding::ok("job", found)
    }];
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
    findings.push(checkpoints(job));
    if !flink.version.has_rest_checkpoints() {
        findings.push(Finding::advice(
            "checkpoints",
            format!("Flink {} takes none on request", flink.version),
            "a scale-down waits for the next periodic one; from 1.17 on it asks for its own",
        ));
    }
    findings
}

fn checkpoints(job: &Job) -> Finding {
    match &job.checkpoints {
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
    }
}
