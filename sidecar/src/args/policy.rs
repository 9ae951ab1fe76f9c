//! The policy's flags, and how they become a checked [`Policy`].

use std::time::Duration;

use clap::{Args, ValueEnum};
use sluice_core::{Combine, Policy, PolicyError, PolicyOptions, Ratio, Slots, TaskManagers};

use super::duration;

/// The policy, as flags.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// Never fewer TaskManagers.
    #[arg(
        long,
        env = "SLUICE_MIN_TASK_MANAGERS",
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    pub min_task_managers: u32,

    /// Never more TaskManagers.
    #[arg(
        long,
        env = "SLUICE_MAX_TASK_MANAGERS",
        value_name = "N",
        default_value_t = 32,
        allow_negative_numbers = true
    )]
    pub max_task_managers: u32,

    /// Slots of each TaskManager (taskmanager.numberOfTaskSlots).
    #[arg(
        long,
        env = "SLUICE_SLOTS_PER_TASK_MANAGER",
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    pub slots_per_task_manager: u32,

    /// Subtasks per segment, rounded up: 1, 2, 0.5 or 1/3.
    #[arg(long, env = "SLUICE_RATIO", value_name = "RATIO", default_value = "1")]
    pub ratio: Ratio,

    /// How several streams make one number: `sum` if one source reads all of them, `max` if each
    /// has a source of its own.
    #[arg(long, env = "SLUICE_COMBINE", value_enum, default_value_t = CombineArg::Sum)]
    pub combine: CombineArg,

    /// Idle TaskManagers to keep registered beyond what the job needs, so that a split is followed
    /// without waiting for one to start. Needs Flink's adaptive scheduler without reactive mode.
    #[arg(
        long,
        env = "SLUICE_SPARE_TASK_MANAGERS",
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub spare_task_managers: u32,

    /// How long a wanted width must stand before it is acted on. Pravega splits hot segments one by
    /// one, minutes apart, or several in one epoch: waiting a little would merge neither.
    #[arg(long, env = "SLUICE_SETTLE", value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub settle: Duration,

    /// Rest between the end of a change and the next growth.
    #[arg(long, env = "SLUICE_COOLDOWN_UP", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub cooldown_up: Duration,

    /// Rest between the end of a change and the next shrinking.
    #[arg(long, env = "SLUICE_COOLDOWN_DOWN", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub cooldown_down: Duration,

    /// The job shrinks to the widest that was wanted within this time.
    #[arg(long, env = "SLUICE_SCALE_DOWN_WINDOW", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub scale_down_window: Duration,

    /// A reading older than this is not acted on.
    #[arg(long, env = "SLUICE_STALENESS", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub staleness: Duration,

    /// How long new TaskManagers may take to register, and the job to run again.
    #[arg(long, env = "SLUICE_SLOTS_DEADLINE", value_name = "DURATION", default_value = "3m", value_parser = duration)]
    pub slots_deadline: Duration,

    /// How long a checkpoint may take that must complete: before the job is narrowed, and to prove
    /// its new width. If it does not, the change ends and nothing is narrowed.
    #[arg(long, env = "SLUICE_CHECKPOINT_DEADLINE", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub checkpoint_deadline: Duration,

    /// How long a growth waits for the checkpoint that spares the job a replay, before it goes on
    /// without: a job that is too narrow takes its checkpoints slowly.
    #[arg(long, env = "SLUICE_CHECKPOINT_DEADLINE_UP", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub checkpoint_deadline_up: Duration,

    /// Take a savepoint before each change that restarts the job, as a backup that a person can go
    /// back to; its place is in the history. After a failure Flink goes back to checkpoints, never to
    /// this. If it fails, a growth goes on without and nothing is narrowed.
    #[arg(long, env = "SLUICE_SAVEPOINT_BEFORE_CHANGE")]
    pub savepoint_before_change: bool,

    /// Where those savepoints go, as a URI that all of Flink reaches; by default Flink's own folder
    /// for savepoints.
    #[arg(long, env = "SLUICE_SAVEPOINT_DIR", value_name = "URI", requires = "savepoint_before_change")]
    pub savepoint_dir: Option<String>,

    /// How long such a savepoint may take; before a growth no longer than `--checkpoint-deadline-up`.
    #[arg(long, env = "SLUICE_SAVEPOINT_DEADLINE", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub savepoint_deadline: Duration,

    /// How many checkpoints a scale-down tries before it gives up.
    #[arg(
        long,
        env = "SLUICE_CHECKPOINT_ATTEMPTS",
        value_name = "N",
        default_value_t = 3,
        allow_negative_numbers = true
    )]
    pub checkpoint_attempts: u32,

    /// With more unread records than this the job is catching up, and does not shrink.
    #[arg(
        long,
        env = "SLUICE_MAX_PENDING_RECORDS",
        value_name = "N",
        default_value_t = 100_000,
        allow_negative_numbers = true
    )]
    pub max_pending_records: u64,

    /// How often changes may restart the job within any hour.
    ///
    /// Shrinking stops at half of it: the rest is kept for growing.
    #[arg(
        long,
        env = "SLUICE_RESTARTS_PER_HOUR",
        value_name = "N",
        default_value_t = 12,
        allow_negative_numbers = true
    )]
    pub restarts_per_hour: u32,

    /// How long a shortage of TaskManagers is believed before more are asked for again.
    #[arg(long, env = "SLUICE_CAPACITY_EXPIRY", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub capacity_expiry: Duration,

    /// How long the agent stands back after somebody else changed the replicas twice.
    #[arg(long, env = "SLUICE_CONTEST_EXPIRY", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub contest_expiry: Duration,
}

/// `--combine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CombineArg {
    /// The segments of all streams together.
    Sum,
    /// The stream with the most segments.
    Max,
}

impl TryFrom<&PolicyArgs> for Policy {
    type Error = PolicyError;

    fn try_from(args: &PolicyArgs) -> Result<Self, PolicyError> {
        Self::try_from(PolicyOptions {
            combine: match args.combine {
                CombineArg::Sum => Combine::Sum,
                CombineArg::Max => Combine::Max,
            },
            ratio: args.ratio,
            slots_per_task_manager: Slots(args.slots_per_task_manager),
            min_task_managers: TaskManagers(args.min_task_managers),
            max_task_managers: TaskManagers(args.max_task_managers),
            spare_task_managers: TaskManagers(args.spare_task_managers),
            settle: args.settle,
            cooldown_up: args.cooldown_up,
            cooldown_down: args.cooldown_down,
            scale_down_window: args.scale_down_window,
            staleness: args.staleness,
            slots_deadline: args.slots_deadline,
            checkpoint_deadline: args.checkpoint_deadline,
            checkpoint_deadline_up: args.checkpoint_deadline_up,
            savepoint_before_change: args.savepoint_before_change,
            savepoint_deadline: args.savepoint_deadline,
            checkpoint_attempts: args.checkpoint_attempts,
            max_pending_records: args.max_pending_records,
            restarts_per_hour: args.restarts_per_hour,
            capacity_expiry: args.capacity_expiry,
            contest_expiry: args.contest_expiry,
        })
    }
}
