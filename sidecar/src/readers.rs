//! SEE without Flink (`--no-flink`): the members that run are the readers, and there is nothing more
//! to know. To the core they look like a job that runs on all of them and takes no checkpoints.

use sluice_core::{
    Flink, FlinkVersion, Job, JobState, Parallelism, Pool, Reading, Registered, Scheduler, Slots, TaskManagers,
};

/// What takes the place of Flink's answer.
pub fn as_flink(pool: &Reading<Pool>, slots: Slots) -> Reading<Flink> {
    let Reading { at, value: pool } = pool;
    let ready = pool.ready.0;
    let members = pool.members.as_deref().unwrap_or_default();
    let named = |n: u32| members.get(n as usize).map_or_else(|| format!("reader-{n}"), |member| member.id.clone());
    let readers: Vec<_> = (0..ready).map(|n| Registered { id: named(n), slots }).collect();
    let all = TaskManagers(ready).slots(slots);
    let job = Job {
        id: "readers".into(),
        name: "readers".into(),
        state: JobState::Running,
        running_since: None,
        stopped: None,
        whole_since: None,
        parallelism: Parallelism(all.0),
        max_parallelism: Parallelism(u32::MAX),
        all_subtasks_run: true,
        vertices: Vec::new(),
        slot_sharing_groups: 1,
        busy: None,
        rescale: None,
        checkpoints: None,
        pending_records: None,
        records_per_second: None,
    };
    let flink =
        Flink { version: FlinkVersion(0, 0), scheduler: Scheduler::NoFlink, jobs: vec![job], task_managers: readers };
    Reading { at: *at, value: flink }
}
