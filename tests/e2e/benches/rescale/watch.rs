//! Looks at Flink until a change of width is over, and notes when what happened.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use sluice_lab::Flink;

use crate::now;

/// Between two looks. Flink's own answers are up to 0.2 s old.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// How long the job must run at its new width before the change counts as over.
const TAIL: Duration = Duration::from_secs(5);
/// How long a change may take.
const LIMIT: Duration = Duration::from_mins(3);

/// What was there before a change.
pub struct Before {
    /// How often the job had gone back to a checkpoint.
    pub restored: u64,
    registered: usize,
}

/// A change of width, as Flink shows it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Since when the job runs at the new width, without a break until the end.
    pub running: Timestamp,
    /// When it was over: the job runs, and the TaskManagers are as many as they should be, both for a
    /// while.
    pub over: Timestamp,
    /// How often the job was restarted.
    pub restarts: u64,
    /// When the first TaskManager was gone, and how often the job was restarted from then on.
    pub removal: Option<(Timestamp, u64)>,
}

/// How things are before a change.
pub async fn before(flink: &Flink) -> Result<Before> {
    let restored = flink.checkpoints().await?.restored;
    Ok(Before { restored, registered: flink.task_managers().await?.len() })
}

/// Looks until the job runs at `width` on exactly `task_managers`.
pub async fn until_over(flink: &Flink, before: &Before, width: u32, task_managers: u32) -> Result<Watched> {
    let begun = now();
    let (mut running, mut complete) = (None, None);
    let mut removal = None;
    let mut seen = String::new();
    while now() < begun + LIMIT {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let looked = tokio::try_join!(flink.job_status(), flink.task_managers(), flink.checkpoints());
        // While it restarts, Flink refuses some questions for a moment.
        let Ok((job, registered, checkpoints)) = looked else { continue };
        let at = now();
        if registered.len() < before.registered && removal.is_none() {
            removal = Some((at, checkpoints.restored));
        }
        running = job.runs_at(width).then(|| running.unwrap_or(at));
        let as_many = registered.len() == task_managers as usize;
        complete = (as_many && running.is_some()).then(|| complete.unwrap_or(at));
        if let (Some(running), Some(complete)) = (running, complete)
            && at >= complete + TAIL
        {
            let restarts = checkpoints.restored - before.restored;
            let removal = removal.map(|(at, restored)| (at, checkpoints.restored - restored));
            return Ok(Watched { running, over: at, restarts, removal });
        }
        seen = format!("{job} on {} TaskManagers", registered.len());
    }
    bail!("the job does not run at {width} on {task_managers} TaskManagers after {} s: {seen}", LIMIT.as_secs())
}
