//! Whether a job can be rescaled at all, and how: what only the readings show of the configuration.

use std::fmt;

use crate::{
    change::Strategy,
    decision::Hold,
    observation::{Flink, Job, Pool},
    policy::Policy,
    units::TaskManagers,
};

/// Something about the configuration of Flink or of Sluice that keeps the job from being rescaled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupProblem {
    /// What it is about, in a word or two.
    pub subject: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for SetupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.found, self.mend)
    }
}

/// How this job can be rescaled, or what has to be mended first.
pub(crate) fn strategy(flink: &Flink, pool: &Pool, policy: &Policy) -> Result<Strategy, Hold> {
    let bad = |problem: SetupProblem| Hold::BadConfig { problem: problem.to_string() };
    match setup_problems(flink, Some(pool), policy).into_iter().next() {
        Some(problem) => Err(bad(problem)),
        None => of_the_scheduler(flink, policy).map_err(bad),
    }
}

/// Everything about the configuration that keeps the job from being rescaled, the first of which an
/// agent holds for. What is not known is not found fault with.
#[must_use]
pub fn setup_problems(flink: &Flink, pool: Option<&Pool>, policy: &Policy) -> Vec<SetupProblem> {
    let strategy = of_the_scheduler(flink, policy);
    let names = pool.filter(|_| strategy == Ok(Strategy::Adaptive)).and_then(|pool| wrong_names(flink, pool));
    let groups = flink.job().and_then(wrong_groups);
    [strategy.err(), groups, names, wrong_slots(flink, policy)].into_iter().flatten().collect()
}

fn of_the_scheduler(flink: &Flink, policy: &Policy) -> Result<Strategy, SetupProblem> {
    let bad = |found: String, mend: &str| Err(SetupProblem { subject: "scheduler", found, mend: mend.into() });
    match Strategy::of(flink.scheduler) {
        Some(Strategy::Reactive | Strategy::Readers) if policy.spare_task_managers() > TaskManagers(0) => bad(
            format!(
                "--spare-task-managers {}: in reactive mode the job takes every slot, so none can be spare",
                policy.spare_task_managers()
            ),
            "leave scheduler-mode out of Flink's configuration and set jobmanager.scheduler: adaptive",
        ),
        Some(Strategy::Adaptive) if !flink.version.has_resource_requirements() => bad(
            format!("Flink {} cannot be asked for another parallelism (1.18 can)", flink.version),
            "set scheduler-mode: reactive in Flink's configuration",
        ),
        Some(strategy) => Ok(strategy),
        None => bad(
            "the job's parallelism is fixed when it starts".into(),
            "set jobmanager.scheduler: adaptive, or scheduler-mode: reactive, in Flink's configuration",
        ),
    }
}

fn wrong_groups(job: &Job) -> Option<SetupProblem> {
    (job.slot_sharing_groups > 1).then(|| SetupProblem {
        subject: "slot sharing",
        found: format!(
            "the job has {} slot sharing groups, each with slots of its own, and Sluice counts one",
            job.slot_sharing_groups
        ),
        mend: "leave slotSharingGroup out of the job".into(),
    })
}

/// Idle TaskManagers can only be told by name if their owner calls them as Flink does.
fn wrong_names(flink: &Flink, pool: &Pool) -> Option<SetupProblem> {
    let (members, task_managers) = (pool.members.as_ref()?, &flink.task_managers);
    let (member, stranger) = (members.first()?, task_managers.first()?);
    let is_member = |id: &str| members.iter().any(|member| member.id == id);
    (!task_managers.iter().any(|registered| is_member(&registered.id))).then(|| SetupProblem {
        subject: "names",
        found: format!("TaskManager {} is none of those that are scaled, such as {}", stranger.id, member.id),
        mend: "set taskmanager.resource-id to the name of the pod or process".into(),
    })
}

fn wrong_slots(flink: &Flink, policy: &Policy) -> Option<SetupProblem> {
    let given = policy.slots_per_task_manager();
    let other = flink.task_managers.iter().find(|other| other.slots != given)?;
    Some(SetupProblem {
        subject: "slots",
        found: format!("TaskManager {} has {} slots, but --slots-per-task-manager says {given}", other.id, other.slots),
        mend: format!("set --slots-per-task-manager {}", other.slots),
    })
}
