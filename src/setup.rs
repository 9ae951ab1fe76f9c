//! Whether a job can be rescaled at all, and how: what only the readings show of the configuration.

use crate::{
    change::Strategy,
    decision::Hold,
    observation::{Flink, Job, Pool},
    policy::Policy,
    units::TaskManagers,
};

/// How this job can be rescaled, or what has to be mended first.
pub(crate) fn strategy(flink: &Flink, job: &Job, pool: &Pool, policy: &Policy) -> Result<Strategy, Hold> {
    let strategy = of_the_scheduler(flink, policy)?;
    let names = || if strategy == Strategy::Adaptive { wrong_names(flink, pool) } else { None };
    match wrong_groups(job).or_else(names).or_else(|| wrong_slots(flink, policy)) {
        Some(problem) => Err(Hold::BadConfig { problem }),
        None => Ok(strategy),
    }
}

fn of_the_scheduler(flink: &Flink, policy: &Policy) -> Result<Strategy, Hold> {
    let bad = |problem: String| Err(Hold::BadConfig { problem });
    match Strategy::of(flink.scheduler) {
        Some(Strategy::Reactive | Strategy::Readers) if policy.spare_task_managers() > TaskManagers(0) => bad(format!(
            "--spare-task-managers {}: in reactive mode the job takes every slot, so none can be spare: \
             leave scheduler-mode out of Flink's configuration and set jobmanager.scheduler: adaptive",
            policy.spare_task_managers()
        )),
        Some(Strategy::Adaptive) if !flink.version.has_resource_requirements() => bad(format!(
            "Flink {} cannot be asked for another parallelism (1.18 can): set scheduler-mode: reactive in Flink's \
             configuration",
            flink.version
        )),
        Some(strategy) => Ok(strategy),
        None => bad("the job's parallelism is fixed when it starts: set jobmanager.scheduler: adaptive, or \
             scheduler-mode: reactive, in Flink's configuration"
            .into()),
    }
}

fn wrong_groups(job: &Job) -> Option<String> {
    (job.slot_sharing_groups > 1).then(|| {
        format!(
            "the job has {} slot sharing groups, each with slots of its own, and Sluice counts one: leave slotSharingGroup \
             out of the job",
            job.slot_sharing_groups
        )
    })
}

/// Idle TaskManagers can only be told by name if their owner calls them as Flink does.
fn wrong_names(flink: &Flink, pool: &Pool) -> Option<String> {
    let (members, task_managers) = (pool.members.as_ref()?, &flink.task_managers);
    let (member, stranger) = (members.first()?, task_managers.first()?);
    let is_member = |id: &str| members.iter().any(|member| member.id == id);
    (!task_managers.iter().any(|registered| is_member(&registered.id))).then(|| {
        format!(
            "TaskManager {} is none of those that are scaled, such as {}: set taskmanager.resource-id to the name of the \
             pod or process",
            stranger.id, member.id
        )
    })
}

fn wrong_slots(flink: &Flink, policy: &Policy) -> Option<String> {
    let given = policy.slots_per_task_manager();
    let other = flink.task_managers.iter().find(|other| other.slots != given)?;
    Some(format!("TaskManager {} has {} slots, but --slots-per-task-manager says {given}", other.id, other.slots))
}
