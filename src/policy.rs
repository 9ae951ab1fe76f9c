//! What the user wants: bounds, ratio and patience, checked once.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::{Parallelism, Segments, Slots, TaskManagers};

/// The policy as given: flags before they are checked. [`Default`] holds the product's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is documented at the getter of the same name on `Policy`.
pub struct PolicyOptions {
    pub combine: Combine,
    pub ratio: Ratio,
    pub slots_per_task_manager: Slots,
    pub min_task_managers: TaskManagers,
    pub max_task_managers: TaskManagers,
    pub spare_task_managers: TaskManagers,
    pub settle: Duration,
    pub cooldown_up: Duration,
    pub cooldown_down: Duration,
    pub scale_down_window: Duration,
    pub staleness: Duration,
    pub slots_deadline: Duration,
    pub checkpoint_deadline: Duration,
    pub checkpoint_deadline_up: Duration,
    pub savepoint_before_change: bool,
    pub savepoint_deadline: Duration,
    pub checkpoint_attempts: u32,
    pub max_pending_records: u64,
    pub restarts_per_hour: u32,
    pub capacity_expiry: Duration,
    pub contest_expiry: Duration,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self {
            combine: Combine::Sum,
            ratio: Ratio::ONE,
            slots_per_task_manager: Slots(1),
            min_task_managers: TaskManagers(1),
            max_task_managers: TaskManagers(32),
            spare_task_managers: TaskManagers(0),
            settle: Duration::ZERO,
            cooldown_up: Duration::from_secs(30),
            cooldown_down: Duration::from_mins(1),
            scale_down_window: Duration::from_mins(1),
            staleness: Duration::from_secs(15),
            slots_deadline: Duration::from_mins(3),
            checkpoint_deadline: Duration::from_mins(1),
            checkpoint_deadline_up: Duration::from_secs(10),
            savepoint_before_change: false,
            savepoint_deadline: Duration::from_mins(1),
            checkpoint_attempts: 3,
            max_pending_records: 100_000,
            restarts_per_hour: 12,
            capacity_expiry: Duration::from_mins(10),
            contest_expiry: Duration::from_mins(10),
        }
    }
}

/// A policy that has been checked: every combination of its values can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(PolicyOptions);

/// Why options make no policy. Each message names the flag and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The bounds exclude every number.
    #[error("--min-task-managers {min} is more than --max-task-managers {max}: nothing lies between them")]
    EmptyBounds {
        /// The lower bound as given.
        min: TaskManagers,
        /// The upper bound as given.
        max: TaskManagers,
    },
    /// Scaling to zero stops the job for good: no segment count can bring it back in order.
    #[error("--min-task-managers 0 would stop the job whenever the stream is quiet; give at least 1")]
    ZeroMin,
    /// A TaskManager without slots holds nothing.
    #[error("--slots-per-task-manager 0: a TaskManager has at least 1 slot (taskmanager.numberOfTaskSlots)")]
    ZeroSlots,
    /// Without one checkpoint attempt no scale-down can ever happen.
    #[error("--checkpoint-attempts 0 would forbid every scale-down; give at least 1")]
    ZeroAttempts,
    /// A budget of zero is a pause in disguise.
    #[error("--restarts-per-hour 0 would forbid every change; to only watch, use --dry-run")]
    ZeroBudget,
    /// Readings would be stale before they can be used.
    #[error("--staleness {}s is shorter than a Flink answer may be old (3s); give at least 5s", .0.as_secs())]
    StalenessTooShort(Duration),
}

impl TryFrom<PolicyOptions> for Policy {
    type Error = PolicyError;

    fn try_from(options: PolicyOptions) -> Result<Self, PolicyError> {
        let (min, max) = (options.min_task_managers, options.max_task_managers);
        if min > max {
            return Err(PolicyError::EmptyBounds { min, max });
        }
        if min.0 == 0 {
            return Err(PolicyError::ZeroMin);
        }
        if options.slots_per_task_manager.0 == 0 {
            return Err(PolicyError::ZeroSlots);
        }
        if options.checkpoint_attempts == 0 {
            return Err(PolicyError::ZeroAttempts);
        }
        if options.restarts_per_hour == 0 {
            return Err(PolicyError::ZeroBudget);
        }
        if options.staleness < Duration::from_secs(5) {
            return Err(PolicyError::StalenessTooShort(options.staleness));
        }
        Ok(Self(options))
    }
}

impl Policy {
    /// The same policy within other bounds, which must have been checked.
    pub(crate) fn within(&self, min_task_managers: TaskManagers, max_task_managers: TaskManagers) -> Self {
        Self(PolicyOptions { min_task_managers, max_task_managers, ..self.0.clone() })
    }
    /// How the segments of several streams make one number.
    #[must_use]
    pub fn combine(&self) -> Combine {
        self.0.combine
    }
    /// Subtasks per segment.
    #[must_use]
    pub fn ratio(&self) -> Ratio {
        self.0.ratio
    }
    /// Slots that every TaskManager offers (`taskmanager.numberOfTaskSlots`).
    #[must_use]
    pub fn slots_per_task_manager(&self) -> Slots {
        self.0.slots_per_task_manager
    }
    /// Never fewer TaskManagers than this.
    #[must_use]
    pub fn min_task_managers(&self) -> TaskManagers {
        self.0.min_task_managers
    }
    /// Never more TaskManagers than this.
    #[must_use]
    pub fn max_task_managers(&self) -> TaskManagers {
        self.0.max_task_managers
    }
    /// Idle TaskManagers kept registered beyond what the parallelism needs (adaptive strategy).
    #[must_use]
    pub fn spare_task_managers(&self) -> TaskManagers {
        self.0.spare_task_managers
    }
    /// How long a wanted width must stand before it is acted on.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.0.settle
    }
    /// Rest between the end of a change and the next growth.
    #[must_use]
    pub fn cooldown_up(&self) -> Duration {
        self.0.cooldown_up
    }
    /// Rest between the end of a change and the next shrinking.
    #[must_use]
    pub fn cooldown_down(&self) -> Duration {
        self.0.cooldown_down
    }
    /// The job shrinks to the widest that was wanted within this time.
    #[must_use]
    pub fn scale_down_window(&self) -> Duration {
        self.0.scale_down_window
    }
    /// A reading older than this is not acted on.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.0.staleness
    }
    /// How long new TaskManagers may take to register, and a rescaled job to run again.
    #[must_use]
    pub fn slots_deadline(&self) -> Duration {
        self.0.slots_deadline
    }
    /// How long a checkpoint may take that must complete: before a job is narrowed, and to prove the
    /// new width.
    #[must_use]
    pub fn checkpoint_deadline(&self) -> Duration {
        self.0.checkpoint_deadline
    }
    /// How long a growth waits for the checkpoint that spares it a replay, before it goes on without.
    #[must_use]
    pub fn checkpoint_deadline_up(&self) -> Duration {
        self.0.checkpoint_deadline_up
    }
    /// Whether a change that restarts the job is preceded by a savepoint.
    #[must_use]
    pub fn savepoint_before_change(&self) -> bool {
        self.0.savepoint_before_change
    }
    /// How long that savepoint may take.
    #[must_use]
    pub fn savepoint_deadline(&self) -> Duration {
        self.0.savepoint_deadline
    }
    /// How many checkpoints a scale-down tries before it gives up.
    #[must_use]
    pub fn checkpoint_attempts(&self) -> u32 {
        self.0.checkpoint_attempts
    }
    /// With more unread records than this the job catches up, and does not shrink.
    #[must_use]
    pub fn max_pending_records(&self) -> u64 {
        self.0.max_pending_records
    }
    /// Changes that may restart the job within any hour.
    #[must_use]
    pub fn restarts_per_hour(&self) -> u32 {
        self.0.restarts_per_hour
    }
    /// With so many restarts within the hour the job shrinks no more: the other half of the budget is for
    /// growing, since a job that is too wide wastes TaskManagers, and one that is too narrow falls behind.
    #[must_use]
    pub fn restarts_per_hour_to_shrink(&self) -> u32 {
        self.restarts_per_hour().div_ceil(2)
    }
    /// How long a learned capacity is believed before more is asked for again.
    #[must_use]
    pub fn capacity_expiry(&self) -> Duration {
        self.0.capacity_expiry
    }
    /// How long Sluice stands back after somebody else changed the replicas twice.
    #[must_use]
    pub fn contest_expiry(&self) -> Duration {
        self.0.contest_expiry
    }
}

/// How the segments of several streams make one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// One source reads all streams: its readers share the segments of all of them.
    #[default]
    Sum,
    /// One source per stream, all at the same parallelism: the widest stream counts.
    Max,
}

/// Subtasks per segment as an exact fraction, so that `1/3` of 9 segments is 3 and not 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// One subtask per segment.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// The parallelism for this many segments, rounded up: a segment is never left without a reader.
    #[must_use]
    pub fn of(self, segments: Segments) -> Parallelism {
        let exact = u64::from(segments.0) * u64::from(self.numerator);
        Parallelism(u32::try_from(exact.div_ceil(u64::from(self.denominator))).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => self.numerator.fmt(f),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("'{text}' is not a ratio above 0: write 1, 2, 0.5 or 1/3");
        let (numerator, denominator) = if let Some((n, d)) = text.split_once('/') {
            (n.parse().map_err(|_| refuse())?, d.parse().map_err(|_| refuse())?)
        } else if let Some((whole, fraction)) = text.split_once('.') {
            if fraction.len() > 4 || fraction.is_empty() {
                return Err(refuse());
            }
            let denominator = 10_u32.pow(u32::try_from(fraction.len()).map_err(|_| refuse())?);
            let whole: u32 = whole.parse().map_err(|_| refuse())?;
            let fraction: u32 = fraction.parse().map_err(|_| refuse())?;
            let numerator = whole.checked_mul(denominator).and_then(|w| w.checked_add(fraction));
            (numerator.ok_or_else(refuse)?, denominator)
        } else {
            (text.parse().map_err(|_| refuse())?, 1)
        };
        if numerator == 0 || denominator == 0 {
            return Err(refuse());
        }
        Ok(Self { numerator, denominator })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_exact_and_rounds_up() {
        let of = |text: &str, segments| text.parse::<Ratio>().map(|r| r.of(Segments(segments)).0);
        assert_eq!(of("1", 7), Ok(7));
        assert_eq!(of("1/3", 9), Ok(3));
        assert_eq!(of("1/3", 10), Ok(4));
        assert_eq!(of("0.5", 5), Ok(3));
        assert_eq!(of("2", u32::MAX), Ok(u32::MAX));
        for bad in ["0", "0/1", "1/0", "-1", "x", "", "1.", "0.00001", "nan"] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
    }

    #[test]
    fn options_that_cannot_be_acted_on_name_their_flag() {
        let refuse = |change: fn(&mut PolicyOptions)| {
            let mut options = PolicyOptions::default();
            change(&mut options);
            Policy::try_from(options).map(|_| ()).map_err(|e| e.to_string())
        };
        assert!(refuse(|_| ()).is_ok());
        assert!(
            refuse(|o| o.min_task_managers = TaskManagers(99)).is_err_and(|e| e.contains("--min-task-managers 99"))
        );
        assert!(refuse(|o| o.min_task_managers = TaskManagers(0)).is_err_and(|e| e.contains("--min-task-managers 0")));
        assert!(refuse(|o| o.slots_per_task_manager = Slots(0)).is_err_and(|e| e.contains("--slots-per-task-manager")));
        assert!(refuse(|o| o.restarts_per_hour = 0).is_err_and(|e| e.contains("--restarts-per-hour")));
        assert!(refuse(|o| o.staleness = Duration::from_secs(1)).is_err_and(|e| e.contains("--staleness 1s")));
    }
}
